"""The first look at a file: JSON Schema, with what does not fit said in our own words.

The schemas avoid oneOf and anyOf, so that every error is about one place and one thing.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from functools import cache
from typing import Any

from jsonschema import Draft202012Validator
from jsonschema.exceptions import ValidationError

from proxy.config.diagnostics import suggest
from proxy.config.files import shipped
from proxy.errors import Fault

_KINDS = {
    "object": "a map",
    "array": "a list",
    "string": "a string",
    "integer": "a whole number",
    "number": "a number",
    "boolean": "true or false",
    "null": "nothing",
}
_BOUNDS = {
    "minimum": "at least {}",
    "maximum": "at most {}",
    "exclusiveMinimum": "more than {}",
    "minLength": "at least {} characters long",
    "minItems": "a list of at least {}",
    "minProperties": "a map of at least {}",
}


def check(value: Any, schema: str) -> list[Fault]:
    """All faults of a document under `schemas/<schema>.schema.json`."""
    faults: list[Fault] = []
    for error in _validator(schema).iter_errors(value):
        faults += [fault for fault in _faults(error) if fault not in faults]
    return faults


@cache
def _validator(schema: str) -> Draft202012Validator:
    text = (shipped("schemas") / f"{schema}.schema.json").read_text(encoding="utf-8")
    return Draft202012Validator(json.loads(text))


def _faults(error: ValidationError) -> Iterator[Fault]:
    path = tuple(error.absolute_path)
    rule, wanted, schema = error.validator, error.validator_value, error.schema
    if "propertyNames" in error.relative_schema_path:
        yield Fault((*path, error.instance), "bad-name", _pattern_message(error))
    elif rule == "additionalProperties":
        for key in error.instance:
            if key not in schema["properties"] and not key.startswith("x-"):
                yield Fault((*path, key), "unknown-key", f"unknown key '{key}'", suggest(key, schema["properties"]))
    elif rule in ("required", "dependentRequired"):
        missing = wanted if rule == "required" else [name for key, names in wanted.items() if key in error.instance for name in names]
        for key in missing:
            if key not in error.instance:
                yield Fault(path, "missing-key", f"'{key}' is missing")
    elif rule == "type":
        yield Fault(path, "wrong-type", *_type_message(error.instance, wanted))
    elif rule in ("enum", "const"):
        yield _choice(path, error.instance, wanted if rule == "enum" else [wanted])
    elif rule == "pattern":
        yield Fault(path, "wrong-value", _pattern_message(error), length=len(str(error.instance)))
    else:
        phrase = _BOUNDS.get(str(rule), "{}").format(wanted)
        yield Fault(path, "wrong-value", f"this must be {phrase}", length=len(str(error.instance)))


def _pattern_message(error: ValidationError) -> str:
    return str(error.schema.get("patternErrorMessage", f"'{error.instance}' does not have the form {error.validator_value}"))


def _type_message(value: Any, wanted: str | list[str]) -> tuple[str, str]:
    names = [wanted] if isinstance(wanted, str) else wanted
    kinds = " or ".join(_KINDS[name] for name in names if name != "null")
    hint = "quote it" if "string" in names and isinstance(value, int | float | bool) else ""
    return f"this must be {kinds}, not {_kind(value)}", hint


def _kind(value: Any) -> str:
    if value is None:
        return "empty"
    if isinstance(value, bool):
        return "true" if value else "false"
    kinds = {dict: "a map", list: "a list", str: "a string", int: "a number", float: "a number"}
    return kinds[type(value)]


def _choice(path: tuple[str | int, ...], value: Any, wanted: list[Any]) -> Fault:
    names = [str(choice) for choice in wanted]
    return Fault(
        path,
        "wrong-value",
        f"this must be {' or '.join(names)}",
        suggest(str(value), names) if len(names) > 1 else "",
        length=len(str(value)),
    )
