"""Who is left alone for a while: one small state machine for each target, each key, and each key at each target.

    closed ── failures in a row ──▶ open(until) ── time ──▶ half-open: one request tries ──┬▶ it ends well: closed
                                        ▲                                                  └▶ it fails: open, for twice as long
    closed ── told to wait, or at a limit ──▶ open(until) ── time ──▶ closed

Times are of one monotonic clock in seconds. A probe that never reports (its client left) holds its place for a cool-down only.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from weakref import WeakValueDictionary

from proxy.config.policy import LOCAL, Cooldown
from proxy.routing.policy import OF_THE_KEY, Failure

#: Nobody is believed who says to wait for longer (seconds).
LONGEST_WAIT = 3600.0
#: Seconds that a key at its limit is left alone when nobody says for how long; doubled while that does not help.
_LIMIT = 1.0
#: What a target is to blame for.
_FAULTS = frozenset(("connect", "timeout", "broken", "overload", "server"))
#: Names that are remembered while nobody uses them: clients make up model names.
_KEPT = 4096

#: Provider, model, which key, the key.
_Name = tuple[str, str, int, str]


class Health:
    """`failures`: in a row. `until`: when it may be asked again; 0: now. `load`: requests in work there."""

    __slots__ = ("__weakref__", "_leased", "_probed", "_since", "_span", "failures", "load", "until")

    def __init__(self) -> None:
        self.load = 0
        self._close()

    def _close(self) -> None:
        self.failures = 0
        self.until = 0.0
        self._since = 0.0  # when it was set aside
        self._span = 0.0  # for how long, the last time; 0 after a success
        self._probed = False  # one request has to try first
        self._leased = 0.0  # until when that request has the only place

    def usable(self, now: float) -> bool:
        """Closed, or half-open with its place free."""
        return not self.until or (now >= self.until and now >= self._leased)

    def back_at(self, now: float) -> float:
        """When it will be usable, if nobody reports before."""
        return max(now, self.until, self._leased)

    def take(self, now: float, lease: float) -> None:
        """A request goes there; the first after a cool-down keeps the others out for `lease` seconds."""
        if self.until and now >= self.until:
            if self._probed:
                self._leased = now + lease
            else:
                self.until = 0.0

    def succeeded(self, began: float) -> None:
        """A request that began then ended well. One from before it was set aside proves nothing."""
        if not self.until or began >= self._since:
            self._close()

    def failed(self, now: float, cooldown: Cooldown, *, probed: bool = True) -> bool:
        """A request failed; True when that sets it aside. `probed`: one request has to try first then."""
        self.failures += 1
        if self.until and now < self.until:
            return False
        if not self._span and not 0 < cooldown.after <= self.failures:
            return False
        self._span = min(self._span * 2 or cooldown.seconds, cooldown.longest)
        self._open(now, self._span, probed=probed)
        return True

    def set_aside(self, now: float, seconds: float, *, probed: bool = False) -> bool:
        """Told to wait: True when it was usable until now. `probed`: one request has to try first then."""
        if seconds <= 0:
            return False
        if self.until and now < self.until:
            self.until = max(self.until, now + seconds)
            return False
        self._open(now, seconds, probed=probed)
        return True

    def _open(self, now: float, seconds: float, *, probed: bool) -> None:
        self._since = now
        self._probed = probed
        self._leased = 0.0
        self.until = now + seconds


@dataclass(frozen=True, slots=True)
class Standing:
    """What counts for one way to ask: the target, the key, and this key at this target (limits are often per model).

    `number`: which of the provider's keys, from 1; 0: the client's own, about which nothing is remembered.
    """

    provider: str
    model: str
    number: int
    target: Health
    key: Health
    pair: Health

    @property
    def ailing(self) -> bool:
        """There is something that a success would mend."""
        return bool(self.target.failures or self.target.until or self.key.until or self.pair.failures or self.pair.until)

    def usable(self, now: float) -> bool:
        return self.target.usable(now) and self.key.usable(now) and self.pair.usable(now)

    def back_at(self, now: float) -> float:
        """When it will be usable, if nobody reports before."""
        return max(self.target.back_at(now), self.key.back_at(now), self.pair.back_at(now))

    def take(self, now: float, lease: float) -> None:
        """A request goes there."""
        for health in (self.target, self.key, self.pair):
            health.take(now, lease)

    def succeeded(self, began: float) -> None:
        """A request that began then ended well, or with an answer that is the client's own fault."""
        for health in (self.target, self.key, self.pair):
            health.succeeded(began)

    def failed(self, failure: Failure, now: float, began: float, cooldown: Cooldown) -> bool:
        """Notes a failure where it belongs; True when something was set aside for it."""
        if failure.reason in LOCAL or (failure.reason in OF_THE_KEY and not self.number):
            return False
        if failure.reason in OF_THE_KEY:
            return self._key_failed(failure, now, cooldown)
        if failure.reason == "overload" and failure.wait is not None:
            return self.target.set_aside(now, min(failure.wait, LONGEST_WAIT))
        if failure.reason in _FAULTS:
            return self.target.failed(now, cooldown)
        self.succeeded(began)  # an answer that blames the client is an answer
        return False

    def _key_failed(self, failure: Failure, now: float, cooldown: Cooldown) -> bool:
        if failure.reason == "rate_limit":
            if failure.wait is not None:
                return self.pair.set_aside(now, min(failure.wait, LONGEST_WAIT))
            return self.pair.failed(now, Cooldown(1, min(_LIMIT, cooldown.seconds), cooldown.seconds), probed=False)
        seconds = cooldown.longest if failure.wait is None else min(failure.wait, LONGEST_WAIT)
        refused_here = failure.status == 403  # it may be good for other models
        return (self.pair if refused_here else self.key).set_aside(now, seconds, probed=True)


@dataclass(frozen=True, slots=True)
class Aside:
    """Something that is left alone. `model` "": a key, for all models; `number` 0: whatever the key."""

    provider: str
    model: str
    number: int
    seconds: float  # that are left


class Standings:
    """Every Health by name, so that a configuration that is read anew finds what the one before it knew.

    A key is known by its text: another one in its place starts afresh. What is in use is always found; of the rest, so much is remembered.
    """

    def __init__(self) -> None:
        self._used: WeakValueDictionary[_Name, Health] = WeakValueDictionary()
        self._known: dict[_Name, Health] = {}

    def of(self, provider: str, model: str, number: int, secret: str = "") -> Standing:
        """The standing of a provider's model with its key of this number; 0: with a client's own key."""
        target = self._health(provider, model, 0, "")
        if not number:
            return Standing(provider, model, 0, target, Health(), Health())
        return Standing(
            provider, model, number, target, self._health(provider, "", number, secret), self._health(provider, model, number, secret)
        )

    def aside(self, now: float) -> Iterator[Aside]:
        """What is left alone now."""
        for (provider, model, number, _), health in list(self._used.items()):
            if health.until > now:
                yield Aside(provider, model, number, health.until - now)

    def _health(self, *name: *_Name) -> Health:
        health = self._used.get(name)
        if health is None:
            health = self._used[name] = Health()
        if name not in self._known:
            if len(self._known) >= _KEPT:
                self._forget()
            self._known[name] = health
        return health

    def _forget(self) -> None:
        """Lets go of those that are well, and of all but the newest of those that are not."""
        ailing = [(name, health) for name, health in self._known.items() if health.failures or health.until]
        self._known = dict(ailing[-_KEPT // 2 :])
