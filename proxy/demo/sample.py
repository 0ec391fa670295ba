"""The smallest instance of a JSON Schema: arguments for a demo's tool call.

Schemas come in the JSON Schema spelling and in OpenAPI's with upper-case types; unknown keywords are passed over.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

#: Example strings for `format`.
FORMATS = {
    "date": "2026-01-31",
    "date-time": "2026-01-31T12:00:00Z",
    "time": "12:00:00Z",
    "email": "ada@example.com",
    "uri": "https://example.com/",
    "uuid": "6f1c1d6e-3b0a-4c52-9d5e-2f6a7b8c9d0e",
}
#: Schemas may refer to themselves; deeper than this an instance ends in null.
DEEPEST = 12


def sample(schema: Any, root: Any = None, depth: int = 0) -> Any:
    """An instance of `schema`: required members, first alternatives, lowest numbers; all members when none is required.

    `root` is the document that `#/…` references point into (default: the schema itself).
    """
    root = schema if root is None else root
    if depth > DEEPEST or not isinstance(schema, Mapping):
        return None
    for name, pick in (("const", False), ("default", False), ("enum", True), ("examples", True)):
        if name in schema:
            return schema[name][0] if pick else schema[name]
    if "$ref" in schema:
        return sample(_target(root, str(schema["$ref"])), root, depth + 1)
    for name in ("anyOf", "oneOf", "allOf"):
        if schema.get(name):
            return sample(schema[name][0], root, depth + 1)
    return _of_type(schema, root, depth)


def _of_type(schema: Mapping[str, Any], root: Any, depth: int) -> Any:
    kind = schema.get("type", "object" if "properties" in schema else "null")
    kind = str(kind[0] if isinstance(kind, list) else kind).lower()
    if kind == "object":
        properties = schema.get("properties") or {}
        names = schema.get("required") or list(properties)
        return {name: sample(properties.get(name), root, depth + 1) for name in names}
    if kind == "array":
        return [sample(schema.get("items"), root, depth + 1)] * int(schema.get("minItems", 0))
    if kind == "string":
        text = FORMATS.get(schema.get("format", ""), "example")
        return text.ljust(int(schema.get("minLength", 0)), ".")[: schema.get("maxLength")]
    if kind in ("integer", "number"):
        return schema.get("minimum", 1)
    return True if kind == "boolean" else None


def _target(root: Any, reference: str) -> Any:
    for name in reference.removeprefix("#").strip("/").split("/"):
        root = root.get(name) if isinstance(root, Mapping) else None
    return root
