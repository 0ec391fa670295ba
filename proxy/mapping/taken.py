"""What a request has to look like: `takes:`, a map from places in it to what may stand there.

Rules read what they know and pass over all else. So that nothing of a wrong type vanishes on that way, it is refused before.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from proxy.errors import SpecPath
from proxy.mapping.faults import Faults

#: Word → the types that a decoded value of it has, and how it is called.
TYPES: Mapping[str, tuple[tuple[type, ...], str]] = {
    "string": ((str,), "a string"),
    "number": ((int, float), "a number"),
    "boolean": ((bool,), "true or false"),
    "list": ((list,), "a list"),
    "object": ((dict,), "an object"),
}
_STEP = re.compile(r"[^.\[]+|\[\*\]")


class Rejected(Exception):
    """The mapping refuses a request: it asks for what this upstream cannot do, or (by its `code`) is none."""

    def __init__(self, message: Any, param: str | None = None, code: str = "unsupported_parameter") -> None:
        super().__init__(str(message))
        self.message = str(message)
        self.param = param
        self.code = code


class Misfit(Exception):
    """Something does not fit: what is said of it, and its place in the value that was checked."""

    def __init__(self, said: str, code: str) -> None:
        super().__init__(said)
        self.said = said
        self.code = code
        self.place = ""

    def inside(self, step: str) -> Misfit:
        """The same, in what is around that value."""
        self.place = f"{step}{'' if self.place[:1] in ('', '[') else '.'}{self.place}"
        return self


@dataclass(slots=True)
class Shape:
    """What may stand at one place; nothing given: anything. Null is nothing, but for an item of a list.

    `required`: it is there, and not empty. `words`: it is one of them. `members` by names, of which the first that is there counts;
    `items`: of a list, or the one object in its place.
    """

    types: tuple[type, ...] = ()
    called: str = ""
    required: bool = False
    words: tuple[str, ...] = ()
    members: dict[tuple[str, ...], Shape] = field(default_factory=dict)
    items: Shape | None = None

    def refuse_misfits(self, body: Any) -> None:
        """Raises Rejected for the first thing that does not fit, and names its place."""
        try:
            self.check(body)
        except Misfit as misfit:
            raise Rejected(f"`{misfit.place}` {misfit.said}", misfit.place, misfit.code) from None

    def check(self, value: Any) -> None:
        """Raises Misfit. The place is put together on the way back: most bodies fit."""
        if self.types and type(value) not in self.types:
            raise Misfit(f"must be {self.called}", "invalid_type")
        if self.words and value not in self.words:
            raise Misfit(f"must be one of {', '.join(self.words)}", "invalid_value")
        if type(value) is dict:
            if self.items is not None:
                self.items.check(value)
            self.check_members(value)
        elif self.items is not None and type(value) is list:
            number = 0
            try:
                for number, item in enumerate(value):  # noqa: B007 - the one that does not fit is named behind the loop
                    self.items.check(item)
            except Misfit as misfit:
                raise misfit.inside(f"[{number}]") from None

    def check_members(self, value: Mapping[str, Any]) -> None:
        name = ""
        try:
            for names, shape in self.members.items():
                name = names[0] if len(names) == 1 else next((name for name in names if value.get(name) is not None), names[0])
                member = value.get(name)
                if member is not None:
                    if shape.required and member in ([], ""):
                        raise Misfit("is empty", "missing_parameter")
                    shape.check(member)
                elif shape.required:
                    raise Misfit("is missing", "missing_parameter")
        except Misfit as misfit:
            raise misfit.inside(name) from None


def compile_taken(spec: Mapping[str, Any], path: SpecPath, faults: Faults) -> Shape:
    """`place: type|type` or `place: [word, …]`; `[*]` is each item, `a|b` two spellings of a name, `!` at the end: it is required."""
    whole = Shape()
    for place, wanted in spec.items():
        shape = whole
        for step in _STEP.findall(place.removesuffix("!")):
            if step == "[*]":
                shape.items = shape = shape.items or Shape()
            else:
                shape = shape.members.setdefault(tuple(step.split("|")), Shape())
        shape.required = place.endswith("!")
        if isinstance(wanted, list):
            shape.words = tuple(wanted)
            continue
        kinds = wanted.split("|")
        for kind in kinds:
            if kind not in TYPES:
                faults.unknown((*path, place), "wrong-type", "type", kind, TYPES)
        known = [TYPES[kind] for kind in kinds if kind in TYPES]
        shape.types = tuple(kind for types, _ in known for kind in types)
        shape.called = " or ".join(called for _, called in known)
    return whole
