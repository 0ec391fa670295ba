"""The first look at a file: JSON Schema, with what does not fit said in our own words.

The schemas avoid oneOf and anyOf, so that every error is about one place and one thing.
"""

from __future__ import annotations

import difflib
import importlib
import json
import re
from collections.abc import Callable, Iterator, Mapping
from functools import cache, partial
from typing import TYPE_CHECKING, Any

from proxy.config.diagnostics import suggest
from proxy.config.files import shipped
from proxy.config.fitting import fits
from proxy.errors import Fault, SpecPath

if TYPE_CHECKING:
    from jsonschema import Draft202012Validator

_KINDS = {
    "object": "a map",
    "array": "a list",
    "string": "a string",
    "integer": "a whole number",
    "number": "a number",
    "boolean": "true or false",
    "null": "nothing",
}
#: Strings that only their quotes keep from being a number or a truth value.
_UNQUOTED = re.compile(r"-?\d+(\.\d+)?|true|false")
_BOUNDS = {
    "minimum": "at least {}",
    "maximum": "at most {}",
    "exclusiveMinimum": "more than {}",
    "minLength": "at least {} characters long",
    "minItems": "a list of {} or more",
    "minProperties": "a map of {} or more",
}


def check(value: Any, schema: str) -> list[Fault]:
    """All faults of a document under `schemas/<schema>.schema.json`."""
    if fits(value, _read(schema)):
        return []
    faults: list[Fault] = []
    for error in _validator(schema).iter_errors(value):
        path, rule = tuple(error.absolute_path), str(error.validator)
        if "propertyNames" in error.relative_schema_path:
            path, rule = (*path, str(error.instance)), "propertyNames"
        found = _RULES[rule](path, error.instance, error.validator_value, error.schema)
        faults += [fault for fault in found if fault not in faults]
    return faults


def remove(value: Any, path: SpecPath) -> None:
    """Takes away what is at `path`, if it is still there, so that the rest can be looked at."""
    for step in path[:-1]:
        if not isinstance(value, dict | list) or (isinstance(value, dict) and step not in value):
            return
        value = value[step]  # type: ignore[index]
    if isinstance(value, dict):
        value.pop(path[-1], None)


@cache
def _read(schema: str) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((shipped("schemas") / f"{schema}.schema.json").read_text(encoding="utf-8"))
    return found


@cache
def _validator(schema: str) -> Draft202012Validator:
    # Loaded where it has something to tell: see `proxy.config.fitting`.
    made: Draft202012Validator = importlib.import_module("jsonschema").Draft202012Validator(_read(schema))
    return made


# Each of these gets: the place, the value there, what the rule wants, and the schema around the rule.


def _unknown(path: SpecPath, value: Any, wanted: Any, schema: Any) -> Iterator[Fault]:
    for key in value:
        if key not in schema["properties"] and not key.startswith("x-"):
            yield Fault((*path, key), "unknown-key", f"unknown key '{key}'", suggest(key, schema["properties"]))


def _missing(path: SpecPath, value: Any, wanted: Any, schema: Any) -> Iterator[Fault]:
    for key in wanted:
        if key not in value:
            yield Fault(path, "missing-key", schema.get("errorMessage", f"'{key}' is missing"))


def _depends(path: SpecPath, value: Any, wanted: Any, schema: Any) -> Iterator[Fault]:
    for key, names in wanted.items():
        if key in value:
            yield from _missing(path, value, names, schema)


def _type(path: SpecPath, value: Any, wanted: Any, schema: Any) -> Iterator[Fault]:
    names = [wanted] if isinstance(wanted, str) else wanted
    kinds = " or ".join(_KINDS[name] for name in names if name != "null")
    hint = "quote it" if "string" in names and isinstance(value, int | float | bool) else ""
    if isinstance(value, str) and _UNQUOTED.fullmatch(value) and not {"integer", "number", "boolean"}.isdisjoint(names):
        hint = "write it without quotes; what has ${…} in it then stands on a line of its own"
    yield Fault(path, "wrong-type", f"this must be {kinds}, not {_kind(value)}", hint)


def _choice(path: SpecPath, value: Any, wanted: Any, schema: Any) -> Iterator[Fault]:
    names = [str(choice) for choice in (wanted if isinstance(wanted, list) else [wanted])]
    near = difflib.get_close_matches(str(value), names, 1)
    hint = f"did you mean '{near[0]}'?" if near and len(names) > 1 else ""
    yield Fault(path, "wrong-value", schema.get("errorMessage", f"this must be {' or '.join(names)}"), hint, length=len(str(value)))


def _pattern(path: SpecPath, value: Any, wanted: Any, schema: Any) -> Iterator[Fault]:
    yield Fault(path, "wrong-value", schema["patternErrorMessage"], length=len(value))


def _name(path: SpecPath, value: Any, wanted: Any, schema: Any) -> Iterator[Fault]:
    yield Fault(path, "bad-name", schema["patternErrorMessage"])


def _bound(rule: str, path: SpecPath, value: Any, wanted: Any, schema: Any) -> Iterator[Fault]:
    empty = rule.startswith("min") and wanted == 1 and rule != "minimum"
    message = "this must not be empty" if empty else f"this must be {_BOUNDS[rule].format(wanted)}"
    yield Fault(path, "wrong-value", message, length=max(1, len(str(value))))


_RULES: Mapping[str, Callable[[SpecPath, Any, Any, Any], Iterator[Fault]]] = {
    "additionalProperties": _unknown,
    "required": _missing,
    "dependentRequired": _depends,
    "type": _type,
    "enum": _choice,
    "const": _choice,
    "pattern": _pattern,
    "propertyNames": _name,
} | {rule: partial(_bound, rule) for rule in _BOUNDS}


def _kind(value: Any) -> str:
    if value is None:
        return "empty"
    if isinstance(value, bool):
        return "true" if value else "false"
    kinds = {dict: "a map", list: "a list", str: "a string", int: "a number", float: "a number"}
    return kinds[type(value)]
