"""RFC 9535 paths as a small tree that the compiler turns into code.

Paths of plain names are read here; whatever has a bracket is parsed by `proxy.mapping.bracketed`, loaded with its library when a path
needs it. Not taken: descendant segments (`..`) and function extensions; both raise PathFault.
"""

from __future__ import annotations

import importlib
import re
from functools import lru_cache
from typing import Literal

import msgspec


class PathFault(ValueError):
    """A path that cannot be taken; `offset` counts characters from the path's first."""

    def __init__(self, code: str, message: str, offset: int = 0) -> None:
        super().__init__(message)
        self.code = code
        self.offset = offset


class Name(msgspec.Struct, frozen=True):
    """`.name` or `['name']`."""

    name: str


class Index(msgspec.Struct, frozen=True):
    """`[n]`; negative counts from the end."""

    index: int


class Slice(msgspec.Struct, frozen=True):
    """`[start:stop:step]`."""

    start: int | None
    stop: int | None
    step: int | None


class Wildcard(msgspec.Struct, frozen=True):
    """`[*]`."""


class Test(msgspec.Struct, frozen=True):
    """`[?logical]`."""

    condition: Logical


Selector = Name | Index | Slice | Wildcard | Test
#: One child segment: what its brackets select, in order.
Segment = tuple[Selector, ...]
Segments = tuple[Segment, ...]


class Query(msgspec.Struct, frozen=True):
    """A path inside a test: from the current node (`@`) or the whole document (`$`)."""

    root: Literal["@", "$"]
    segments: Segments


class Constant(msgspec.Struct, frozen=True):
    """A literal inside a test."""

    value: str | int | float | bool | None


class Comparison(msgspec.Struct, frozen=True):
    """`left op right`, with the standard's meaning for what is absent."""

    operator: str
    left: Query | Constant
    right: Query | Constant


class Junction(msgspec.Struct, frozen=True):
    """`left && right`, `left || right`."""

    operator: Literal["&&", "||"]
    left: Logical
    right: Logical


class Negation(msgspec.Struct, frozen=True):
    """`!operand`."""

    operand: Logical


Logical = Comparison | Junction | Negation | Query

_PLAIN = re.compile(r"(?:\.[A-Za-z_\u0080-\U0010FFFF][0-9A-Za-z_\u0080-\U0010FFFF]*)*")


def singular(segments: Segments) -> bool:
    """Whether the path finds one value at most: only names and indexes."""
    return all(len(segment) == 1 and isinstance(segment[0], Name | Index) for segment in segments)


@lru_cache(maxsize=4096)
def parse(text: str) -> Segments:
    """Read the segments after a path's root: `.a[0].b` → names and indexes. Raises PathFault."""
    if _PLAIN.fullmatch(text):
        return tuple((Name(name),) for name in text.split(".")[1:])
    return importlib.import_module("proxy.mapping.bracketed").parse(text)  # type: ignore[no-any-return]
