"""JSON Schema, down-levelled: some vendors take only a part of it (draft 2020-12 and its forerunners)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import msgspec

#: Keywords whose value is a schema, a list of schemas, or an object of named schemas.
_ONE = frozenset(("items", "additionalProperties", "not", "contains", "if", "then", "else", "propertyNames", "unevaluatedProperties"))
_LIST = frozenset(("anyOf", "oneOf", "allOf", "prefixItems"))
_NAMED = frozenset(("properties", "patternProperties", "$defs", "definitions", "dependentSchemas"))
_DEPTH = 64
#: OpenAPI's types as protobuf's JSON names them, or numbers them.
_TYPES = ("TYPE_UNSPECIFIED", "STRING", "NUMBER", "INTEGER", "BOOLEAN", "ARRAY", "OBJECT", "NULL")
#: Whole numbers that protobuf's JSON writes as text.
_COUNTS = ("minItems", "maxItems", "minLength", "maxLength", "minProperties", "maxProperties")


class Level(msgspec.Struct, frozen=True):
    """What a vendor's schema dialect lacks: keywords to drop and rename, members to add by type, references to resolve.

    `openapi`: what comes is OpenAPI 3.0's dialect in protobuf's JSON, and becomes JSON Schema.
    """

    drop: frozenset[str] = frozenset()
    rename: Mapping[str, str] = {}
    add: Mapping[str, Mapping[str, Any]] = {}
    inline_refs: bool = False
    openapi: bool = False


def lower(schema: Any, level: Level) -> Any:
    """The schema without what `level` drops. A schema that refers to itself keeps its `$ref` and `$defs`."""
    definitions: dict[str, Any] = {}
    if level.inline_refs and isinstance(schema, Mapping):
        definitions = {f"#/{key}/{name}": sub for key in ("$defs", "definitions") for name, sub in schema.get(key, {}).items()}
    return _lower(schema, level, definitions, ())


def _lower(schema: Any, level: Level, definitions: Mapping[str, Any], open_refs: tuple[str, ...]) -> Any:
    if not isinstance(schema, Mapping) or len(open_refs) > _DEPTH:
        return schema
    reference = schema.get("$ref")
    if isinstance(reference, str) and reference in definitions and reference not in open_refs:
        rest = {key: value for key, value in schema.items() if key != "$ref"}
        return _lower({**definitions[reference], **rest}, level, definitions, (*open_refs, reference))
    lowered: dict[str, Any] = {}
    for key, value in schema.items():
        if key in level.drop or (definitions and key in ("$defs", "definitions")):
            continue
        name = level.rename.get(key, key)
        lowered[name] = _keyword(name, value, lambda sub: _lower(sub, level, definitions, open_refs))
    if level.openapi:
        _to_json_schema(lowered)
    kinds = lowered.get("type")
    for kind in kinds if isinstance(kinds, list) else (kinds,):
        if isinstance(kind, str):
            lowered.update(level.add.get(kind, {}))
    return lowered


def _to_json_schema(schema: dict[str, Any]) -> None:
    """`STRING` (or 1) → `string`; `nullable` → the type, the choices and the values with null; `"3"` → 3."""
    kind = schema.get("type")
    if isinstance(kind, int) and not isinstance(kind, bool) and 0 <= kind < len(_TYPES):
        kind = _TYPES[kind]
    if kind == _TYPES[0]:
        del schema["type"]
    elif isinstance(kind, str):
        schema["type"] = kind.lower()
    for name in _COUNTS:
        text = schema.get(name)
        if isinstance(text, str) and text.isascii() and text.isdigit():
            schema[name] = int(text)
    if schema.pop("nullable", False) is not True:
        return
    if isinstance(schema.get("type"), str):
        schema["type"] = [schema["type"], "null"]
    if isinstance(schema.get("anyOf"), list):
        schema["anyOf"] = [*schema["anyOf"], {"type": "null"}]
    if isinstance(schema.get("enum"), list):
        schema["enum"] = [*schema["enum"], None]


def _keyword(key: str, value: Any, down: Any) -> Any:
    if key in _ONE:
        return down(value)
    if key in _LIST and isinstance(value, list):
        return [down(sub) for sub in value]
    if key in _NAMED and isinstance(value, Mapping):
        return {name: down(sub) for name, sub in value.items()}
    return value
