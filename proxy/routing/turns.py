"""After a failure: whom to ask next, when, and when to give up."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Generic

from proxy.config.policy import LOCAL
from proxy.routing.choosing import W, in_order, rotated
from proxy.routing.policy import OF_THE_KEY, Failure, pause_before
from proxy.routing.router import Resolution


@dataclass(slots=True)
class _Asked:
    """How often one way was asked, and when it may be asked once more; None: not at all."""

    times: int
    again: float | None


@dataclass(frozen=True, slots=True)
class Asking:
    """What may be asked of others: `whole`: no stream; `safe`: its method changes nothing, so it may be asked twice (RFC 9110 §9.2.1)."""

    whole: bool = False
    safe: bool = False


class Turns(Generic[W]):
    """The attempts of one request, from its first failure on. `spent`: the budget is used up, so that its client should not go on."""

    def __init__(
        self, resolution: Resolution[W], key: bytes | None, asking: Asking, arrived: float, pick: Callable[[], float] = random.random
    ) -> None:
        self._route = resolution.route
        self._groups = [rotated(group, key, pick) for group in in_order(resolution, key, pick)]
        self._asking = asking
        self._end = arrived + resolution.route.retry.seconds
        self._pick = pick
        self._asked: dict[int, _Asked] = {}  # by the way's id
        self._over: set[str] = set()  # targets that failed whatever the key
        self._worked: set[str] = set()  # targets that may have worked on the request, by whichever key
        self.attempts = 0
        self.spent = False

    def failed(self, way: W, failure: Failure, now: float) -> None:
        """Notes an attempt and what came of it."""
        asked = self._asked.setdefault(id(way), _Asked(0, None))
        if failure.reason not in LOCAL:
            self.attempts += 1
            asked.times += 1
        pause = max(pause_before(self._route.retry, asked.times, self._pick), failure.wait or 0.0)
        asked.again = now + pause if failure.passing else None
        if failure.reason not in OF_THE_KEY:
            self._over.add(way.choice.name)
        if not failure.unprocessed:
            self._worked.add(way.choice.name)

    def next(self, failure: Failure, now: float) -> tuple[W, float] | None:
        """Whom to ask after this failure, and in how many seconds; then ask again, for another request may have been quicker."""
        if self.attempts >= self._route.retry.attempts or now >= self._end:
            self.spent = True
            return None
        fresh = next(self._fresh(failure, now), None)
        return (fresh, 0.0) if fresh is not None else self._repeated(failure, now)

    def _fresh(self, failure: Failure, now: float) -> Iterator[W]:
        """What nobody asked yet and this failure opens: another key, then a target that is there for just this, then any other."""
        found: list[tuple[W, ...]] = []
        if failure.reason in OF_THE_KEY:
            found += [group for group in self._groups if any(id(way) in self._asked for way in group)]
        if self._may_leave(failure):
            found += [group for group in self._groups if group[0].choice.target.after.include(failure.reason, failure.status)]
            if self._leaves(failure):
                found += [group for group in self._groups if not group[0].choice.target.after]
        for group in found:
            if group[0].choice.name not in self._over:
                yield from (way for way in group if id(way) not in self._asked and way.standing.usable(now))

    def _leaves(self, failure: Failure) -> bool:
        """The route lets the next target try."""
        own = failure.reason == "auth" and self._route.credential == "client"  # nobody else's key will make it good
        return not own and self._route.failover.on.include(failure.reason, failure.status)

    def _may_leave(self, failure: Failure) -> bool:
        """What may have been worked on is asked of another only where the route says so."""
        if not failure.maybe_processed or self._asking.safe:
            return True
        policy = self._route.failover.maybe_processed
        return policy == "always" or (policy == "streams" and not self._asking.whole)

    def _repeated(self, failure: Failure, now: float) -> tuple[W, float] | None:
        """The way that took nothing of the request and can be asked once more the soonest."""
        if not (failure.passing or (self._may_leave(failure) and self._leaves(failure))):
            return None
        retry = self._route.retry
        waiting = [
            (max(asked.again, way.standing.back_at(now)), way)
            for group in self._groups
            if group[0].choice.name not in self._worked
            for way in group
            if (asked := self._asked.get(id(way))) is not None and asked.again is not None
        ]
        left = [(at, way) for at, way in waiting if self._asked[id(way)].times <= retry.again]
        if not left:
            self.spent = bool(waiting) and retry.again > 0
            return None
        at, way = min(left, key=lambda one: one[0])
        if at >= self._end:
            self.spent = True
            return None
        return (way, at - now) if at - now <= retry.longest else None
