"""The Responses dialect's rules, compiled, and what they are tried on."""

from __future__ import annotations

import json
from functools import cache
from typing import Any

from proxy.client_dialect import ClientMapping
from proxy.config.client_dialects import load_client_dialects
from proxy.dialect import Dialect
from proxy.mapping.context import Context
from tests.clientdialects.responses.select import FILE


@cache
def mapping() -> ClientMapping:
    """How Responses are served by a chat."""
    return load_client_dialects().mappings["responses"]


def canonical(body: dict[str, Any], dialect: Dialect, model: str) -> tuple[dict[str, Any], tuple[str, ...]]:
    """The chat that a request becomes for a model of an upstream dialect, and what it reports as dropped."""
    document = json.loads(json.dumps(body | {"model": model}))
    return mapping().request(document, Context(model=model, traits=dialect.traits(model), req=document, stream=bool(body.get("stream"))))


def recorded() -> list[tuple[str, dict[str, Any]]]:
    """Recorded requests: where each comes from, and its body."""
    rows = [json.loads(line) for line in FILE.read_text("utf-8").splitlines()]
    return [(row["case"], row["body"]) for row in rows]
