"""What a configuration says about failures: which let another target try, how often, and how long a failing one is left alone.

As with the rest of the model, defaults live here and the schema repeats them.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Literal

Order = Literal["ordered", "weighted", "least_loaded", "sticky"]

#: Why an attempt failed: the words of `failover` and `after`, of metrics and logs, and what each means.
REASONS: Mapping[str, str] = {
    "connect": "no connection could be made",
    "timeout": "no answer in time",
    "broken": "a torn or senseless answer",
    "auth": "the key was refused (401, 403)",
    "quota": "the account has nothing left (402)",
    "rate_limit": "too many requests for its limit (429)",
    "overload": "the upstream has too much to do (503, 529)",
    "server": "the upstream failed (any other 5xx)",
    "context_length": "the prompt is too long for this model",
    "content_filter": "the upstream's filter refused the prompt",
    "refused": "the upstream refused the request (any other 4xx)",
    "unsupported": "the target cannot serve a parameter of the request",
    "busy": "the provider has as many requests in work as its `concurrency` allows",
}
#: Those that are the gateway's own decision: nothing was sent.
LOCAL = frozenset(("unsupported", "busy"))
CLASSES: Mapping[str, range] = {"4xx": range(400, 500), "5xx": range(500, 600)}


@dataclass(frozen=True, slots=True)
class Causes:
    """Some failures: by reason, and by the status that an upstream told."""

    reasons: frozenset[str] = frozenset()
    statuses: frozenset[int] = frozenset()

    def include(self, reason: str, status: int) -> bool:
        """`status`: 0 when the upstream told none."""
        return reason in self.reasons or status in self.statuses

    def words(self) -> Iterator[str]:
        """As the configuration would say it."""
        yield from (reason for reason in REASONS if reason in self.reasons)
        left = set(self.statuses)
        for name, statuses in CLASSES.items():
            if left.issuperset(statuses):
                left.difference_update(statuses)
                yield name
        yield from map(str, sorted(left))

    def __bool__(self) -> bool:
        return bool(self.reasons or self.statuses)


@dataclass(frozen=True, slots=True)
class Failover:
    """Which failures before the first byte let the next target try.

    `maybe_processed`: whether that holds when the request may have been worked on all the same (reset, deadline, empty stream).
    """

    on: Causes = Causes(
        frozenset(("connect", "timeout", "broken", "auth", "quota", "unsupported", "busy")),
        frozenset((429, *CLASSES["5xx"])),
    )
    maybe_processed: Literal["streams", "always", "never"] = "streams"


@dataclass(frozen=True, slots=True)
class Retry:
    """The budget of one request, and the pauses before a target that took nothing of it is asked once more."""

    attempts: int = 4  # over all targets
    seconds: float = 600.0  # from the request's arrival; clients' own patience ends here too
    again: int = 0  # for one target
    pause: float = 0.5  # seconds before the second time; doubled for each further one, with jitter
    longest: float = 10.0  # seconds that a pause may take, and a Retry-After that is waited for


@dataclass(frozen=True, slots=True)
class Sticky:
    """What keeps a client at one target: the first of these headers, then of these members of the body, that a request has."""

    headers: tuple[str, ...] = ()
    fields: tuple[str, ...] = ("prompt_cache_key", "user")


@dataclass(frozen=True, slots=True)
class Cooldown:
    """When a target is set aside, and for how many seconds."""

    after: int = 5  # failures in a row; 0: never
    seconds: float = 10.0  # doubled each time the request that tries it again fails; the most for a key at a limit without Retry-After
    longest: float = 300.0  # also for a key that is refused


@dataclass(frozen=True, slots=True)
class Concurrency:
    """How many requests a provider gets at once, and how many wait for it, for how many seconds."""

    limit: int
    queue: int = 100
    wait: float = 10.0
