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


class Level(msgspec.Struct, frozen=True):
    """What a vendor's schema dialect lacks: keywords to drop and rename, members to add by type, references to resolve."""

    drop: frozenset[str] = frozenset()
    rename: Mapping[str, str] = {}
    add: Mapping[str, Mapping[str, Any]] = {}
    inline_refs: bool = False


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
        lowered[name] = _keyword(key, value, lambda sub: _lower(sub, level, definitions, open_refs))
    kinds = lowered.get("type")
    for kind in kinds if isinstance(kinds, list) else (kinds,):
        if isinstance(kind, str):
            lowered.update(level.add.get(kind, {}))
    return lowered


def _keyword(key: str, value: Any, down: Any) -> Any:
    if key in _ONE:
        return down(value)
    if key in _LIST and isinstance(value, list):
        return [down(sub) for sub in value]
    if key in _NAMED and isinstance(value, Mapping):
        return {name: down(sub) for name, sub in value.items()}
    return value
