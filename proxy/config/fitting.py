"""Whether a document fits its JSON Schema (draft 2020-12): yes, or perhaps not.

Nearly all files that are read do fit, and loading jsonschema to hear that takes a seventh of a start. So this looks first, knowing just the
keywords that our schemas use; jsonschema is asked about all that is not certain to fit, and only it tells what is wrong.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import Any

Schema = Mapping[str, Any] | bool

_TELLING = frozenset(("$schema", "$id", "$defs", "title", "description", "default", "examples", "errorMessage", "patternErrorMessage"))


class _Unknown(Exception):
    """A keyword that is not known here."""


def fits(value: Any, schema: Mapping[str, Any]) -> bool:
    """True: jsonschema finds nothing wrong with it. False: ask jsonschema."""
    try:
        return _fits(value, schema, schema)
    except _Unknown:
        return False


def _fits(value: Any, schema: Schema, root: Mapping[str, Any]) -> bool:
    if isinstance(schema, bool):
        return schema
    for keyword, wanted in schema.items():
        if keyword in _TELLING:
            continue
        rule = _RULES.get(keyword)
        if rule is None:
            raise _Unknown
        if not rule(value, wanted, schema, root):
            return False
    return True


def _type(value: Any, wanted: Any, schema: Any, root: Any) -> bool:
    return any(_TYPES[name](value) for name in ([wanted] if isinstance(wanted, str) else wanted))


def _number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


_TYPES: dict[str, Callable[[Any], bool]] = {
    "object": lambda value: isinstance(value, dict),
    "array": lambda value: isinstance(value, list),
    "string": lambda value: isinstance(value, str),
    "integer": lambda value: _number(value) and (isinstance(value, int) or value.is_integer()),
    "number": _number,
    "boolean": lambda value: isinstance(value, bool),
    "null": lambda value: value is None,
}


def _enum(value: Any, wanted: Any, schema: Any, root: Any) -> bool:
    if isinstance(value, dict | list):
        raise _Unknown
    return any(isinstance(choice, bool) == isinstance(value, bool) and choice == value for choice in wanted)


def _ref(value: Any, wanted: Any, schema: Any, root: Any) -> bool:
    if not wanted.startswith("#/$defs/"):
        raise _Unknown
    place = root
    for step in wanted.removeprefix("#/").split("/"):
        place = place[step]
    return _fits(value, place, root)


def _properties(value: Any, wanted: Any, schema: Any, root: Any) -> bool:
    return not isinstance(value, dict) or all(_fits(value[name], inner, root) for name, inner in wanted.items() if name in value)


def _patterns(value: Any, wanted: Any, schema: Any, root: Any) -> bool:
    return not isinstance(value, dict) or all(
        _fits(part, inner, root) for pattern, inner in wanted.items() for name, part in value.items() if re.search(pattern, name)
    )


def _others(value: Any, wanted: Any, schema: Any, root: Any) -> bool:
    if not isinstance(value, dict):
        return True
    named, patterns = schema.get("properties", {}), schema.get("patternProperties", {})
    others = (name for name in value if name not in named and not any(re.search(pattern, name) for pattern in patterns))
    return all(_fits(value[name], wanted, root) for name in others)


def _names(value: Any, wanted: Any, schema: Any, root: Any) -> bool:
    return not isinstance(value, dict) or all(_fits(name, wanted, root) for name in value)


def _needed(value: Any, wanted: Any, schema: Any, root: Any) -> bool:
    return not isinstance(value, dict) or value.keys() >= set(wanted)


def _dependent(value: Any, wanted: Any, schema: Any, root: Any) -> bool:
    return not isinstance(value, dict) or all(value.keys() >= set(names) for name, names in wanted.items() if name in value)


def _items(value: Any, wanted: Any, schema: Any, root: Any) -> bool:
    return not isinstance(value, list) or all(_fits(item, wanted, root) for item in value)


def _condition(value: Any, wanted: Any, schema: Any, root: Any) -> bool:
    return _fits(value, schema.get("then" if _fits(value, wanted, root) else "else", True), root)


_RULES: dict[str, Callable[[Any, Any, Any, Any], bool]] = {
    "type": _type,
    "enum": _enum,
    "const": lambda value, wanted, schema, root: _enum(value, [wanted], schema, root),
    "$ref": _ref,
    "properties": _properties,
    "patternProperties": _patterns,
    "additionalProperties": _others,
    "propertyNames": _names,
    "required": _needed,
    "dependentRequired": _dependent,
    "items": _items,
    "if": _condition,
    "then": lambda value, wanted, schema, root: True,  # see `if`
    "not": lambda value, wanted, schema, root: not _fits(value, wanted, root),
    "pattern": lambda value, wanted, schema, root: not isinstance(value, str) or re.search(wanted, value) is not None,
    "minLength": lambda value, wanted, schema, root: not isinstance(value, str) or len(value) >= wanted,
    "minItems": lambda value, wanted, schema, root: not isinstance(value, list) or len(value) >= wanted,
    "minProperties": lambda value, wanted, schema, root: not isinstance(value, dict) or len(value) >= wanted,
    "minimum": lambda value, wanted, schema, root: not _number(value) or value >= wanted,
    "maximum": lambda value, wanted, schema, root: not _number(value) or value <= wanted,
    "exclusiveMinimum": lambda value, wanted, schema, root: not _number(value) or value > wanted,
}
