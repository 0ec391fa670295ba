"""`${…}` in scalars: the environment and small files, put in after the YAML has been parsed.

    ${NAME}             the environment variable; a fault when it is not set
    ${NAME:-default}    … or the default, when it is not set or empty; the default may hold ${…} itself
    ${NAME:?message}    … or a fault with that message
    ${file:/run/key}    a file's text, without one newline at its end; a relative path is seen from the configuration's folder
    $$                  one $

Everything else with a $ stays as it is: `$.path`, `$name`, `$` at the end. Substituted text is never YAML again, so it cannot add
keys or lines. An unquoted scalar gets its type after substitution (`port: ${PORT}` is a number), a quoted one stays a string.
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from proxy.config.yaml import plain_value
from proxy.errors import Fault, SpecPath

MAX_FILE = 64 * 1024

_STEP = re.compile(r"\$\$|\$\{|\}")
_NAME = re.compile(r"([A-Za-z_][A-Za-z0-9_]*)(\}|:-|:\?)")
_FILE = re.compile(r"file:([^{}]+)\}")
_FORMS = "write ${NAME}, ${NAME:-default}, ${NAME:?message} or ${file:/path}; a plain $ is written $$"


class Variables:
    """Makes the values of one document's scalars (a `yaml.Convert`), and keeps what was found on the way.

    `faults`: what went wrong. `missing`: where a lenient scalar came out empty → the names that were not set. `files`: files read.
    """

    def __init__(self, environ: Mapping[str, str], folder: Path) -> None:
        self.environ = environ
        self.folder = folder
        self.faults: list[Fault] = []
        self.missing: dict[SpecPath, tuple[str, ...]] = {}
        self.files: list[Path] = []

    def converter(
        self,
        verbatim: Callable[[SpecPath], bool],
        lenient: Callable[[SpecPath], bool],
        text: Callable[[SpecPath], bool],
    ) -> Callable[[str, bool, SpecPath], Any]:
        """The `Convert` for a document. Places where `verbatim` says so are left alone, at `lenient` ones a variable may be unset,
        at `text` ones a value stays a string whatever it looks like.
        """

        def convert(source: str, plain: bool, path: SpecPath) -> Any:
            if "${" in source and verbatim(path):
                message = "variables are not filled in here: this is mapping text"
                self.faults.append(Fault(path, "variable-verbatim", message, "", source.find("${"), 2, "warning"))
            elif "$" in source and not verbatim(path):
                expanded = _Expansion(self, source, path, lenient(path)).run()
                return plain_value(expanded) if plain and not text(path) else expanded
            return plain_value(source) if plain else source

        return convert


class _Expansion:
    """One scalar on its way; `at` is how far it has been read."""

    def __init__(self, variables: Variables, source: str, path: SpecPath, lenient: bool) -> None:
        self.variables = variables
        self.source = source
        self.path = path
        self.lenient = lenient
        self.at = 0
        self.unset: list[str] = []

    def run(self) -> str:
        value = self.text(nested=False)
        if self.lenient and not value.strip() and self.unset:
            self.variables.missing[self.path] = tuple(dict.fromkeys(self.unset))
        return value

    def text(self, nested: bool) -> str:
        """What follows, to the end, or to the `}` that closes a default."""
        parts: list[str] = []
        while match := _STEP.search(self.source, self.at):
            parts.append(self.source[self.at : match.start()])
            self.at = match.end()
            if match[0] == "$$":
                parts.append("$")
            elif match[0] == "${":
                parts.append(self.reference(match.start()))
            elif nested:
                return "".join(parts)
            else:
                parts.append("}")
        parts.append(self.source[self.at :])
        self.at = len(self.source)
        if nested:
            self.fault(self.source.rfind("${"), "variable-syntax", "this ${ is never closed", _FORMS, 2)
        return "".join(parts)

    def reference(self, start: int) -> str:
        if match := _FILE.match(self.source, self.at):
            self.at = match.end()
            return self.file(match[1], match.start(1))
        match = _NAME.match(self.source, self.at)
        if match is None:
            end = self.source.find("}", start) + 1 or len(self.source)
            self.at = end
            self.fault(start, "variable-syntax", f"{self.source[start:end]} is no variable", _FORMS, end - start)
            return ""
        self.at = match.end()
        if match[2] == "}":
            return self.required(match[1], start)
        value = self.variables.environ.get(match[1], "")
        before = len(self.variables.faults), len(self.unset)
        alternative = self.text(nested=True)
        if value:  # what an unused default lacks is no fault; how it is written may be one
            faults = self.variables.faults
            faults[before[0] :] = [fault for fault in faults[before[0] :] if fault.code == "variable-syntax"]
            del self.unset[before[1] :]
            return value
        if match[2] == ":?":
            message = alternative or f"the environment variable {match[1]} must be set"
            self.fault(start, "variable-required", message, f"set {match[1]}", self.at - start)
            return ""
        self.unset.insert(before[1], match[1])
        return alternative

    def required(self, name: str, start: int) -> str:
        value = self.variables.environ.get(name)
        if not value:
            self.unset.append(name)
        if value is None and not self.lenient:
            near = difflib.get_close_matches(name, self.variables.environ, 1, 0.8)
            hint = f"did you mean {near[0]}?" if near else f"set it, or give a default: ${{{name}:-…}}"
            self.fault(start, "variable-unset", f"the environment variable {name} is not set", hint, self.at - start)
        return value or ""

    def file(self, name: str, start: int) -> str:
        path = self.variables.folder / name
        try:
            if path.stat().st_size > MAX_FILE:
                raise ValueError(f"it is larger than {MAX_FILE // 1024} KiB")
            text = path.read_text(encoding="utf-8")
        except (OSError, ValueError) as error:
            reason = error.strerror if isinstance(error, OSError) else str(error)
            self.fault(start, "variable-file", f"cannot read the file {name}: {reason}", length=len(name))
            return ""
        self.variables.files.append(path)
        return text.removesuffix("\n").removesuffix("\r")

    def fault(self, offset: int, code: str, message: str, hint: str = "", length: int = 1) -> None:
        self.variables.faults.append(Fault(self.path, code, message, hint, max(offset, 0), length))
