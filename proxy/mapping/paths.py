"""RFC 9535 paths as a small tree that the compiler turns into code.

Paths of plain names are read here; whatever has a bracket is parsed by jsonpath-rfc9535, the library that passes the
standard's compliance suite. Not taken: descendant segments (`..`) and function extensions; both raise PathFault.
"""

from __future__ import annotations

import re
from functools import lru_cache
from typing import Any, Literal

import jsonpath_rfc9535 as rfc9535
import msgspec
from jsonpath_rfc9535 import filter_expressions as fx
from jsonpath_rfc9535 import selectors as sx
from jsonpath_rfc9535.exceptions import JSONPathError
from jsonpath_rfc9535.segments import JSONPathChildSegment


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
    try:
        query = rfc9535.compile("$" + text)
    except JSONPathError as error:
        offset = max(error.token.index - 1, 0) if error.token else 0
        raise PathFault("path", str(error).partition(", line")[0], offset) from None
    except OverflowError:
        raise PathFault("path", "a number is too large") from None
    return _segments(query)


def _segments(query: rfc9535.JSONPathQuery) -> Segments:
    return tuple(_segment(segment) for segment in query.segments)


def _segment(segment: Any) -> Segment:
    if not isinstance(segment, JSONPathChildSegment):
        raise PathFault("path-unsupported", "descendants ('..') are not taken", max(segment.token.index - 1, 0))
    return tuple(_selector(selector) for selector in segment.selectors)


def _selector(selector: Any) -> Selector:
    match selector:
        case sx.NameSelector(name=name):
            return Name(name)
        case sx.IndexSelector(index=index):
            return Index(index)
        case sx.SliceSelector(slice=piece):
            return Slice(piece.start, piece.stop, piece.step)
        case sx.WildcardSelector():
            return Wildcard()
        case _:
            return Test(_logical(selector.expression.expression))


def _logical(expression: Any) -> Logical:
    match expression:
        case fx.LogicalExpression():
            return Junction("&&" if expression.operator == "&&" else "||", _logical(expression.left), _logical(expression.right))
        case fx.PrefixExpression():
            return Negation(_logical(expression.right))
        case fx.ComparisonExpression():
            return Comparison(expression.operator, _operand(expression.left), _operand(expression.right))
        case _:
            return _query(expression)


def _operand(expression: Any) -> Query | Constant:
    if isinstance(expression, fx.FilterExpressionLiteral):
        return Constant(expression.value)
    return _query(expression)


def _query(expression: Any) -> Query:
    if isinstance(expression, fx.FilterQuery):
        root: Literal["@", "$"] = "@" if isinstance(expression, fx.RelativeFilterQuery) else "$"
        return Query(root, _segments(expression.query))
    raise PathFault("path-unsupported", "function extensions are not taken", max(expression.token.index - 1, 0))
