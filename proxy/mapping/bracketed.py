"""Paths with brackets, parsed by jsonpath-rfc9535, the library that passes the standard's compliance suite."""

from __future__ import annotations

from typing import Any, Literal

import jsonpath_rfc9535 as rfc9535
from jsonpath_rfc9535 import filter_expressions as fx
from jsonpath_rfc9535 import selectors as sx
from jsonpath_rfc9535.exceptions import JSONPathError
from jsonpath_rfc9535.segments import JSONPathChildSegment

from proxy.mapping.paths import (
    Comparison,
    Constant,
    Index,
    Junction,
    Logical,
    Name,
    Negation,
    PathFault,
    Query,
    Segment,
    Segments,
    Selector,
    Slice,
    Test,
    Wildcard,
)


def parse(text: str) -> Segments:
    """The segments after a path's root. Raises PathFault."""
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
