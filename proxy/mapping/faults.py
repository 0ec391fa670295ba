"""Where the compiler collects what is wrong with a specification, so that all of it is reported at once."""

from __future__ import annotations

import difflib
from collections.abc import Iterable

from proxy.errors import Fault, FaultError, SpecPath

#: Every code the compiler reports, with the sentence that explains it in the documentation.
CODES = {
    "expression": "an expression that cannot be read",
    "path": "a path that RFC 9535 does not allow",
    "path-unsupported": "a part of RFC 9535 that is not taken: descendants and function extensions",
    "unknown-filter": "a filter that the catalogue does not have",
    "filter-argument": "a filter with the wrong arguments",
    "unknown-variable": "a variable that is not known at this place",
    "unknown-operator": "a template key that begins with $ and is no operator",
    "operator-keys": "an operator with keys that it does not take, or without one that it needs",
    "unknown-name": "a table, schema or def that the file does not have",
    "recursive-def": "a def that uses itself",
    "wrong-place": "something that does not work at this place",
    "nested": "templates that stand in each other too deeply",
    "wrong-type": "a value of another type than this place takes",
}


class Faults:
    """A list of faults that grows while the compiler goes on."""

    def __init__(self) -> None:
        self.found: list[Fault] = []

    def add(self, path: SpecPath, code: str, message: str, hint: str = "", offset: int = 0, length: int = 1) -> None:
        fault = Fault(path, code, message, hint, offset, length)
        if fault not in self.found:
            self.found.append(fault)

    def unknown(self, path: SpecPath, code: str, what: str, name: str, known: Iterable[str], offset: int = 0) -> None:
        """A name that nothing has: says so, with the nearest that there is."""
        names = sorted(known)
        near = difflib.get_close_matches(name, names, 1)
        hint = f"did you mean {near[0]!r}?" if near else ("there are: " + ", ".join(names) if names else "there are none")
        self.add(path, code, f"there is no {what} {name!r}", hint, offset, max(len(name), 1))

    def raise_if_any(self) -> None:
        if self.found:
            raise FaultError(self.found)
