"""What a failure is to routing: its reason, whether anything may have been worked on, how long to wait."""

from __future__ import annotations

import random
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from email.utils import parsedate_to_datetime

from proxy.config.policy import REASONS, Retry
from proxy.errors import ExchangeError, UpstreamError

_BY_KIND = {"connect": "connect", "tls": "connect", "timeout": "timeout"}
_BY_STATUS = {401: "auth", 403: "auth", 402: "quota", 429: "rate_limit", 503: "overload", 529: "overload"}
#: The request was turned away at the door.
_UNPROCESSED = frozenset(("connect", "auth", "quota", "rate_limit", "overload", "unsupported", "busy"))
#: The same target may take it a little later.
_PASSING = frozenset(("connect", "timeout", "rate_limit", "overload"))
#: Another key of the same provider may be better off.
OF_THE_KEY = frozenset(("auth", "quota", "rate_limit"))


@dataclass(frozen=True, slots=True)
class Failure:
    """`status`: what the upstream told, 0 for none. `wait`: seconds it asked for.

    `unprocessed`: nothing of the request can have been worked on. `told`: the upstream itself says that it failed.
    """

    reason: str
    status: int = 0
    wait: float | None = None
    unprocessed: bool = False
    told: bool = False

    @property
    def maybe_processed(self) -> bool:
        """Nobody knows whether the request was worked on."""
        return not (self.unprocessed or self.told)

    @property
    def passing(self) -> bool:
        """The same target may be asked the same once more, after a pause."""
        return self.unprocessed and self.reason in _PASSING


def failure_of(error: ExchangeError, wall: float) -> Failure | None:
    """What an error is to routing; None when no other target could do better. `wall`: unix seconds, for a Retry-After that is a date."""
    if not isinstance(error, UpstreamError):
        reason = error.reason
        return Failure(reason, unprocessed=True) if reason in REASONS else None
    told = error.kind in ("status", "stream")
    status = error.status if error.kind == "status" else 0
    reason = error.reason if error.reason in REASONS else _reason(error.kind, status)
    return Failure(reason, status, retry_after(error.headers, wall), error.unprocessed or reason in _UNPROCESSED, told)


def _reason(kind: str, status: int) -> str:
    if not status:
        return _BY_KIND.get(kind, "broken")
    return _BY_STATUS.get(status) or ("server" if status >= 500 else "refused")


def retry_after(headers: Mapping[str, str], wall: float) -> float | None:
    """Seconds to wait, of `retry-after-ms` or `retry-after` (seconds or a date, RFC 9110 §10.2.3); None when neither makes sense."""
    for name, unit in (("retry-after-ms", 1000.0), ("retry-after", 1.0)):
        try:
            seconds = float(headers.get(name, "")) / unit
        except ValueError:
            continue
        if 0 <= seconds < float("inf"):
            return seconds
    try:
        return max(0.0, parsedate_to_datetime(headers.get("retry-after", "")).timestamp() - wall)
    except (ValueError, OverflowError):
        return None


def pause_before(retry: Retry, times: int, pick: Callable[[], float] = random.random) -> float:
    """Seconds before a target that was asked `times` times is asked again: between half of the doubled pause and all of it."""
    return min(retry.pause * 2.0 ** (times - 1), retry.longest) * (1 + pick()) / 2
