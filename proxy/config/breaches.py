"""JSON Schema (draft 2020-12), as much of it as this project's schemas say: which rules a document breaks, and where.

A whole validator takes longer to be imported than all the rest of a configuration takes to be read.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from typing import Any, NamedTuple

from proxy.errors import SpecPath

Schema = Mapping[str, Any]


class Breach(NamedTuple):
    """One broken rule: the value's place (of a member's name: that of the object), the value, what the rule wants, the schema around it."""

    path: SpecPath
    rule: str
    value: Any
    wanted: Any
    schema: Schema
    of_name: bool


class Validator:
    """Judges documents by one schema. `$ref` names a place in that schema."""

    def __init__(self, schema: Schema) -> None:
        self.schema = schema

    def breaches(self, value: Any) -> Iterator[Breach]:
        return self._of(value, self.schema, (), False)

    def _of(self, value: Any, schema: Schema, path: SpecPath, of_name: bool) -> Iterator[Breach]:
        for rule, wanted in schema.items():
            if rule in _TESTS and not _TESTS[rule](value, wanted, schema):
                yield Breach(path, rule, value, wanted, schema, of_name)
            if rule in _INNER:
                for inner, step, part in _INNER[rule](value, wanted, schema):
                    yield from self._of(part, inner, (*path, *step), of_name or rule == "propertyNames")
            elif rule == "$ref":
                yield from self._of(value, self._named(wanted), path, of_name)
            elif rule == "if" and "then" in schema and self._fits(value, wanted):
                yield from self._of(value, schema["then"], path, of_name)

    def _fits(self, value: Any, schema: Schema) -> bool:
        if "not" in schema and self._fits(value, schema["not"]):
            return False
        return next(self._of(value, schema, (), False), None) is None

    def _named(self, reference: str) -> Schema:
        found: Any = self.schema
        for step in reference.removeprefix("#/").split("/"):
            found = found[step]
        return found  # type: ignore[no-any-return]


# -- rules about the value itself: whether it keeps them -------------------------------------------------------------------------


def _number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


_TYPES: dict[str, Callable[[Any], bool]] = {
    "object": lambda value: isinstance(value, dict),
    "array": lambda value: isinstance(value, list),
    "string": lambda value: isinstance(value, str),
    "boolean": lambda value: isinstance(value, bool),
    "null": lambda value: value is None,
    "number": _number,
    "integer": lambda value: _number(value) and (isinstance(value, int) or value.is_integer()),
}


def _type(value: Any, wanted: Any, schema: Schema) -> bool:
    return any(_TYPES[name](value) for name in ([wanted] if isinstance(wanted, str) else wanted))


def _equal(value: Any, wanted: Any) -> bool:
    return bool(value == wanted) and isinstance(value, bool) == isinstance(wanted, bool)


def _closed(value: Any, wanted: Any, schema: Schema) -> bool:
    return wanted is not False or not isinstance(value, dict) or not any(_others(value, schema))


def _complete(value: Any, wanted: Any, schema: Schema) -> bool:
    return not isinstance(value, dict) or all(name in value for name in wanted)


def _accompanied(value: Any, wanted: Any, schema: Schema) -> bool:
    return not isinstance(value, dict) or all(_complete(value, names, schema) for name, names in wanted.items() if name in value)


def _others(value: Mapping[str, Any], schema: Schema) -> Iterator[str]:
    """Members that neither `properties` nor `patternProperties` speak of."""
    known, patterns = schema.get("properties", {}), schema.get("patternProperties", {})
    return (name for name in value if name not in known and not any(re.search(pattern, name) for pattern in patterns))


_TESTS: dict[str, Callable[[Any, Any, Schema], bool]] = {
    "type": _type,
    "enum": lambda value, wanted, _: any(_equal(value, choice) for choice in wanted),
    "const": lambda value, wanted, _: _equal(value, wanted),
    "pattern": lambda value, wanted, _: not isinstance(value, str) or re.search(wanted, value) is not None,
    "minLength": lambda value, wanted, _: not isinstance(value, str) or len(value) >= wanted,
    "minItems": lambda value, wanted, _: not isinstance(value, list) or len(value) >= wanted,
    "minProperties": lambda value, wanted, _: not isinstance(value, dict) or len(value) >= wanted,
    "minimum": lambda value, wanted, _: not _number(value) or value >= wanted,
    "maximum": lambda value, wanted, _: not _number(value) or value <= wanted,
    "exclusiveMinimum": lambda value, wanted, _: not _number(value) or value > wanted,
    "additionalProperties": _closed,
    "required": _complete,
    "dependentRequired": _accompanied,
}

# -- rules about parts of the value: (schema, steps to the part, the part) -------------------------------------------------------

Parts = Iterator[tuple[Schema, SpecPath, Any]]


def _members(value: Any, wanted: Any, schema: Schema) -> Parts:
    return ((inner, (name,), value[name]) for name, inner in wanted.items() if isinstance(value, dict) and name in value)


def _matching(value: Any, wanted: Any, schema: Schema) -> Parts:
    named = value.items() if isinstance(value, dict) else ()
    return ((inner, (name,), part) for pattern, inner in wanted.items() for name, part in named if re.search(pattern, name))


def _rest(value: Any, wanted: Any, schema: Schema) -> Parts:
    if isinstance(wanted, dict) and isinstance(value, dict):
        yield from ((wanted, (name,), value[name]) for name in _others(value, schema))


def _items(value: Any, wanted: Any, schema: Schema) -> Parts:
    return ((wanted, (index,), item) for index, item in enumerate(value if isinstance(value, list) else ()))


def _names(value: Any, wanted: Any, schema: Schema) -> Parts:
    return ((wanted, (), name) for name in (value if isinstance(value, dict) else ()))


_INNER: dict[str, Callable[[Any, Any, Schema], Parts]] = {
    "properties": _members,
    "patternProperties": _matching,
    "additionalProperties": _rest,
    "items": _items,
    "propertyNames": _names,
}
