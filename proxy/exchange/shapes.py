"""Bodies of another shape than their operation's: some clients send one API's bodies to another's address, and are understood."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from proxy.client_dialect import Accepted
from proxy.exchange.target import TargetCall
from proxy.mapping.context import Context

#: Bytes of a member that is looked into.
_LOOKED_AT = 2**19


def fitting(accepted: Sequence[Accepted], raws: Mapping[str, Any]) -> tuple[Accepted, ...]:
    """Those rules that a body's top-level members (name → raw text) call for."""
    return tuple(rule for rule in accepted if _fits(rule, raws))


def _fits(rule: Accepted, raws: Mapping[str, Any]) -> bool:
    for name, text in rule.has:
        raw = raws.get(name)
        if raw is None or not _in(text, raw):
            return False
    for name, text in rule.lacks:
        raw = raws.get(name)
        if raw is not None and _in(text, raw):
            return False
    return True


def _in(text: bytes, raw: Any) -> bool:
    view = memoryview(raw)
    return not text or (len(view) <= _LOOKED_AT and text in bytes(view))


def reshaped(
    document: dict[str, Any], rules: Sequence[Accepted], target: TargetCall, context: Context
) -> tuple[dict[str, Any], tuple[str, ...]]:
    """The body as the operation has it, and the parameters that were lost on the way. Raises Rejected."""
    dropped: tuple[str, ...] = ()
    traits = target.traits
    for rule in rules:
        if rule.like:
            given = Context(model=context.model, public=context.public, traits=traits, now=context.now, stream=context.stream, req=document)
            document, lost = target.clients[rule.like].request(dict(document), given)
            dropped += lost
        else:
            document, _ = rule.rewrite(document, context)
    return document, dropped
