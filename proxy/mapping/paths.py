"""RFC 9535 paths as a small tree that the compiler turns into code.

What most paths are made of is read here; all others are parsed by `proxy.mapping.bracketed`, loaded with its library when a path needs
it: that takes as long as a fifth of a start. Not taken: descendant segments (`..`) and function extensions; both raise PathFault.
"""

from __future__ import annotations

import importlib
import re
from functools import lru_cache, reduce
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

#: `.name`, `[*]`, `[0]`, `['name']` and `[?tests]`.
_SEGMENT = re.compile(
    r"""\.(?P<name>[A-Za-z_]\w*)
      | \[ (?: (?P<all>\*) | (?P<index>0|-?[1-9]\d{0,8}) | '(?P<quoted>[ -&(-\[\]-~]*)' | \?(?P<tests>[^][()"\\]+) ) \]""",
    re.VERBOSE | re.ASCII,
)
#: `@.a.b`, `!@.a` or `@.a == 'text'`.
_TEST = re.compile(
    r"""\ *(?: (?P<not>!)\ *@(?P<absent>(?:\.[A-Za-z_]\w*)*)
      | @(?P<path>(?:\.[A-Za-z_]\w*)*)
        (?: \ *(?P<operator>[=!]=|[<>]=?)\ *(?P<value>'[ -&(-\[\]-~]*'|0|-?[1-9]\d{0,8}|true|false|null) )? )\ *""",
    re.VERBOSE | re.ASCII,
)
_CONSTANTS = {"true": True, "false": False, "null": None}


class _Unusual(Exception):
    """A path that the library is to read."""


def singular(segments: Segments) -> bool:
    """Whether the path finds one value at most: only names and indexes."""
    return all(len(segment) == 1 and isinstance(segment[0], Name | Index) for segment in segments)


@lru_cache(maxsize=4096)
def parse(text: str) -> Segments:
    """Read the segments after a path's root: `.a[0].b` → names and indexes. Raises PathFault."""
    try:
        return _usual(text)
    except _Unusual:
        return importlib.import_module("proxy.mapping.bracketed").parse(text)  # type: ignore[no-any-return]


def _usual(text: str) -> Segments:
    segments: list[Segment] = []
    at = 0
    while at < len(text):
        match = _SEGMENT.match(text, at)
        if match is None:
            raise _Unusual
        segments.append((_selector(match),))
        at = match.end()
    return tuple(segments)


def _selector(match: re.Match[str]) -> Selector:
    if (name := match["name"] or match["quoted"]) is not None:
        return Name(name)
    if match["index"]:
        return Index(int(match["index"]))
    return Wildcard() if match["all"] else Test(_either(match["tests"]))


def _either(text: str) -> Logical:
    *others, found = map(_both, text.split("||"))
    return reduce(lambda right, left: Junction("||", left, right), reversed(others), found)


def _both(text: str) -> Logical:
    *others, found = map(_test, text.split("&&"))
    return reduce(lambda right, left: Junction("&&", left, right), reversed(others), found)


def _test(text: str) -> Logical:
    match = _TEST.fullmatch(text)
    if match is None:
        raise _Unusual
    if match["not"]:
        return Negation(_names(match["absent"]))
    query, value = _names(match["path"]), match["value"]
    if value is None:
        return query
    constant = value[1:-1] if value[0] == "'" else _CONSTANTS[value] if value in _CONSTANTS else int(value)
    return Comparison(match["operator"], query, Constant(constant))


def _names(text: str) -> Query:
    return Query("@", tuple((Name(name),) for name in text.split(".")[1:]))
