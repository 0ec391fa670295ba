"""How a dialect reports failures."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from proxy.mapping.context import Context


@dataclass(frozen=True, slots=True)
class ErrorMapping:
    """`when`: the condition for a failure, as written; `failed`: whether a document fits it. `read` gives message, type, code,
    param, status and retry_after, as far as they are told. `statuses`: the upstream's HTTP statuses that stand for another of ours.
    """

    when: Any
    failed: Callable[[Any, Context], bool]
    read: Callable[[Any, Context], dict[str, Any]]
    statuses: Mapping[int, int] = field(default_factory=dict)
