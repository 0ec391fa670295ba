"""What a template cannot do without: members of its item of which one at least must be there, or else it is absent.

Long lists are mostly of one make. Which members their items have is found once, and rules about members that none has are passed over.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import Any

from proxy.mapping import paths, syntax
from proxy.mapping.paths import Name, Segments
from proxy.mapping.syntax import Binary, Expression, Filter, Path, is_expression

REQUIRED = re.compile(r"\s*\|\s*required\s*$")
Names = frozenset[str] | None


def needed(spec: Any, defs: Mapping[str, Any], depth: int = 8) -> Names:
    """Names of members, without all of which the template is absent; None where that cannot be said."""
    if isinstance(spec, str):
        return _text(spec)
    if isinstance(spec, list):
        return _any(needed(item, defs, depth) for item in spec if computed(item))
    if not isinstance(spec, dict) or depth == 0:
        return None
    operator = next((str(key) for key in spec if str(key)[:1] == "$" and str(key)[:2] != "$$"), "")
    if not operator:
        return _fields(spec, defs, depth)
    if operator == "$use":
        return needed(spec.get("$of", defs.get(spec["$use"])), defs, depth - 1)
    if operator in ("$first", "$concat", "$merge") and isinstance(spec[operator], list):
        return _any(needed(item, defs, depth) for item in spec[operator])
    return needed(spec[operator], defs, depth) if operator == "$each" or (operator == "$if" and "$else" not in spec) else None


def _fields(spec: Mapping[Any, Any], defs: Mapping[str, Any], depth: int) -> Names:
    for field in spec.values():
        if isinstance(field, str) and is_expression(field) and REQUIRED.search(field):
            return _text(REQUIRED.sub("", field))
    return _any(needed(field, defs, depth) for field in spec.values() if computed(field))


def computed(spec: Any) -> bool:
    """Whether a template has anything to compute."""
    if isinstance(spec, str):
        return is_expression(spec)
    if isinstance(spec, dict):
        return any((str(key)[:1] == "$" and str(key)[:2] != "$$") or computed(field) for key, field in spec.items())
    return isinstance(spec, list) and any(map(computed, spec))


def _any(found: Iterable[Names]) -> Names:
    names: frozenset[str] = frozenset()
    for each in found:
        if each is None:
            return None
        names |= each
    return names or None


def _text(text: str) -> Names:
    try:
        return _expression(syntax.parse(text)) if is_expression(text) else None
    except syntax.SyntaxFault:  # said where it is compiled
        return None


def _expression(tree: Expression | str) -> Names:
    match tree:
        case Path(root="."):
            return first_name(tree.segments)
        case Filter():
            return _expression(tree.operand)
        case Binary(operator="//" | "or" | "+" | "-"):
            return _any((_expression(tree.left), _expression(tree.right)))
        case Binary(operator="and"):
            return _expression(tree.left)
        case _:
            return None


def first_name(segments: Segments) -> Names:
    """The member that a path begins with."""
    selector = segments[0][0] if segments and len(segments[0]) == 1 else None
    return frozenset((selector.name,)) if isinstance(selector, Name) else None


def tested(condition: paths.Logical) -> frozenset[str]:
    """Members that an item must have to pass a test inside brackets."""
    match condition:
        case paths.Junction(operator="&&", left=left, right=right):
            return tested(left) | tested(right)
        case paths.Query(root="@"):
            return first_name(condition.segments) or frozenset()
        case paths.Comparison(operator="==", left=paths.Query(root="@") as query, right=paths.Constant(value=constant)) if (
            constant is not None
        ):
            return first_name(query.segments) or frozenset()
        case _:
            return frozenset()
