"""Which way a request is tried first, and which after it: by the file's order, by weight, by load, or by who asks."""

from __future__ import annotations

import hashlib
import math
import random
from collections.abc import Callable, Sequence
from typing import Protocol, TypeVar

from proxy.routing.health import Standing
from proxy.routing.router import Choice, Resolution


class Way(Protocol):
    """One target with one key."""

    @property
    def choice(self) -> Choice: ...

    @property
    def standing(self) -> Standing: ...


W = TypeVar("W", bound=Way)


def in_order(resolution: Resolution[W], key: bytes | None, pick: Callable[[], float] = random.random) -> list[tuple[W, ...]]:
    """The targets (each with its keys) in the order to try them in. `key`: what the client is known by, where the route is sticky."""
    groups = list(resolution.groups)
    if len(groups) == 1:
        return groups
    match resolution.route.order:
        case "weighted":
            return _by_score(groups, lambda way: _drawn(pick(), way))
        case "least_loaded":
            return sorted(groups, key=lambda group: (group[0].standing.target.load + 1) / group[0].choice.target.weight)
        case "sticky":
            return _by_score(groups, lambda way: _drawn(pick() if key is None else _hashed(key, way), way))
    return groups


def rotated(ways: tuple[W, ...], key: bytes | None, pick: Callable[[], float] = random.random) -> tuple[W, ...]:
    """A target's keys, beginning with any of them; for a client that is to stay, always with the same (its prompts are cached there)."""
    if len(ways) == 1:
        return ways
    start = int((pick() if key is None else _hashed(key, ways[0])) * len(ways)) % len(ways)
    return ways[start:] + ways[:start]


def first(resolution: Resolution[W], key: bytes | None, now: float, pick: Callable[[], float] = random.random) -> W:
    """The best that is usable. When all are set aside, the one that is back soonest is asked all the same."""
    ordered = in_order(resolution, key, pick)
    groups = [group for group in ordered if not group[0].choice.target.after] or ordered  # those may be all that has a key
    rejected: list[W] = []
    for group in groups:
        for way in rotated(group, key, pick):
            if way.standing.usable(now):
                return way
            rejected.append(way)
    return min(rejected, key=lambda way: way.standing.back_at(now))


def _by_score(groups: Sequence[tuple[W, ...]], score: Callable[[W], float]) -> list[tuple[W, ...]]:
    scores = [score(group[0]) for group in groups]
    return [groups[at] for at in sorted(range(len(groups)), key=scores.__getitem__, reverse=True)]


def _drawn(number: float, way: Way) -> float:
    """The key u ** (1 / weight) of a u between 0 and 1, as its logarithm; sorting by it draws without replacement, each by its weight
    (Efraimidis, Spirakis 2006). With a u that is a hash of client and target it is weighted rendezvous hashing (Thaler, Ravishankar
    1998): when a target leaves, only its own clients move.
    """
    return math.log(number or 5e-324) / way.choice.target.weight


def _hashed(key: bytes, way: Way) -> float:
    """A number between 0 and 1 that this client has at this target, in every process."""
    name = way.choice.name.encode("utf-8", "surrogateescape")
    digest = hashlib.blake2b(b"%d:%b%b" % (len(key), key, name), digest_size=7).digest()
    return (int.from_bytes(digest, "big") + 1) / (2**56 + 1)
