"""Typed reading: the places that rules read, as a msgspec type, so that nothing else of a document is built.

An object among the items of a list may not be null here: such a document is read in full, by the plain rules. So is a request whose
messages have more than the usual (`MESSAGES`); of those that have no more it is known while compiling what they lack.
"""

from __future__ import annotations

from types import UnionType
from typing import Any, get_args

import msgspec

from proxy.mapping.code import NOTHING, Node, attribute


def decoder(node: Node) -> msgspec.json.Decoder[Any] | None:
    """A decoder for documents read as `node` says; None where they are read as a whole."""
    if node.is_object:
        return msgspec.json.Decoder(_struct(node, "Event"))
    return msgspec.json.Decoder(_certain(_type(node, "List"))) if node.closed else None


def _struct(node: Node, name: str) -> type:
    if node.closed:
        return _closed(node, name)
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


def _closed(node: Node, name: str) -> type:
    """An object that has no other members than these."""
    fields: list[Any] = []
    for member, child in node.fields.items():
        kind = _KINDS[child.kind] if child.kind else _type(child, f"{name}_{attribute(member)}")
        fields.append((attribute(member), _certain(kind)) if child.required else (attribute(member), kind | None, None))
    rename = {attribute(member): member for member in node.fields}
    return msgspec.defstruct(name, fields, rename=rename, gc=False, kw_only=True, forbid_unknown_fields=True)


def _certain(kind: Any) -> Any:
    """A type without null."""
    left = [each for each in get_args(kind) if each is not type(None)]
    return left[0] if isinstance(kind, UnionType) and len(left) == 1 else kind


_KINDS: dict[str, Any] = {"str": str, "null": type(None)}


def _object(*, required: bool = True, **fields: Node) -> Node:
    node = Node(closed=True, required=required)
    node.fields = fields
    return node


def _list_of(item: Node, *, required: bool = True) -> Node:
    node = Node(closed=True, required=required)
    node.items = item
    return node


def _text(*, required: bool = True) -> Node:
    return Node("str", closed=True, required=required)


def _null() -> Node:
    return Node("null", closed=True)


#: Messages as nearly all are: texts, function calls and their results, and what some clients send back as null.
MESSAGES = _list_of(
    _object(
        role=_text(),
        content=_text(required=False),
        tool_calls=_list_of(
            _object(id=_text(), type=_text(required=False), function=_object(name=_text(), arguments=_text())), required=False
        ),
        tool_call_id=_text(required=False),
        refusal=_null(),
        audio=_null(),
        function_call=_null(),
    )
)
