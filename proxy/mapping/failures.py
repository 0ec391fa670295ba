"""How a dialect reports failures."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import msgspec

from proxy.mapping.context import Context


class Later:
    """A function that is compiled when it is first called."""

    def __init__(self, compiled: Callable[[], Callable[..., Any]]) -> None:
        self._compiled = compiled
        self._function: Callable[..., Any] | None = None

    def __call__(self, *arguments: Any) -> Any:
        self._function = self._function or self._compiled()
        return self._function(*arguments)


class ErrorMapping(msgspec.Struct, frozen=True):
    """`when`: the condition for a failure, as written; `failed`: whether a document fits it. `read` gives message, type, code,
    param, status and retry_after, as far as they are told. `statuses`: the upstream's HTTP statuses that stand for another of ours.
    """

    when: Any
    failed: Callable[[Any, Context], bool]
    read: Callable[[Any, Context], dict[str, Any]]
    statuses: Mapping[int, int] = {}
