"""How a dialect reports failures."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import msgspec

from proxy.mapping.context import Context


class ErrorMapping(msgspec.Struct, frozen=True):
    """`when`: the condition for a failure, as written; `failed`: whether a document fits it. `read` gives message, type, code,
    param, status and retry_after, as far as they are told. `statuses`: the upstream's HTTP statuses that stand for another of ours.
    """

    when: Any
    failed: Callable[[Any, Context], bool]
    read: Callable[[Any, Context], dict[str, Any]]
    statuses: Mapping[int, int] = {}
