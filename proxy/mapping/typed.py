"""Typed reading: the places that a stream's rules read, as a msgspec type, so that nothing else of an event is built.

An object among the items of a list may not be null here: such an event is read in full, by the plain rules.
"""

from __future__ import annotations

from typing import Any

import msgspec

from proxy.mapping.code import NOTHING, Node, attribute


def decoder(node: Node) -> msgspec.json.Decoder[Any] | None:
    """A decoder for documents read as `node` says; None where they are read as a whole."""
    return msgspec.json.Decoder(_struct(node, "Event")) if node.is_object else None


def _struct(node: Node, name: str) -> type:
    fields: list[tuple[str, Any, Any]] = []
    for member, child in node.fields.items():
        kind = _type(child, f"{name}_{attribute(member)}")
        if member in node.presence:
            fields.append((attribute(member), kind | msgspec.UnsetType if kind is not Any else Any, NOTHING))
        else:
            fields.append((attribute(member), kind, None))
    return msgspec.defstruct(name, fields, rename={attribute(member): member for member in node.fields}, gc=False)


def _type(node: Node, name: str) -> Any:
    if node.is_object:
        return _struct(node, name) | None
    if node.is_list and node.items is not None:
        item = _struct(node.items, name + "_item") if node.items.is_object else _type(node.items, name + "_item")
        return list[item] | None  # type: ignore[valid-type]  # types made at load
    return Any
