"""After a failure: whom to ask next. Each case plays one request against scripted failures, on a clock of its own."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from proxy.config.policy import REASONS, Causes, Cooldown, Failover, Retry
from proxy.routing import Asking, Failure, Resolution, Standings, Turns, first
from proxy.routing.policy import _UNPROCESSED
from tests.routing.ways import Plain, resolution

CONNECT = Failure("connect", unprocessed=True)
BROKEN = Failure("broken")
SERVER = Failure("server", 500, told=True)
LIMIT = Failure("rate_limit", 429, unprocessed=True, told=True)
WAIT_2 = Failure("rate_limit", 429, wait=2, unprocessed=True, told=True)
WAIT_60 = Failure("rate_limit", 429, wait=60, unprocessed=True, told=True)
DEAD = Failure("auth", 401, unprocessed=True, told=True)
LONG = Failure("context_length", 400, told=True)
REFUSED = Failure("refused", 400, told=True)
BUSY = Failure("busy", unprocessed=True)


def play(found: Resolution[Plain], *failures: Failure, asking: Asking | None = None) -> tuple[list[str], bool]:
    """Who is asked, `+seconds` before what is waited for, when these failures come in turn; and whether the budget is spent."""
    now, trail = 0.0, []
    turns = Turns(found, None, asking or Asking(), now, lambda: 1.0)  # pauses are whole, and the first key is the first
    way = first(found, None, now, lambda: 1.0)
    for failure in failures:
        trail.append(way.text)
        way.standing.failed(failure, now, now, Cooldown())
        turns.failed(way, failure, now)
        step = turns.next(failure, now)
        if step is None:
            return [*trail, "told"], turns.spent
        way, pause = step
        if pause:
            trail.append(f"+{pause:g}")
        now += pause
        assert way.standing.usable(now)
    return [*trail, way.text], turns.spent


def on(*reasons: str) -> Failover:
    return Failover(on=Causes(frozenset(reasons)))


TWO = ("a/x", "b/y")
AGAIN = Retry(again=2)
CASES: dict[str, tuple[Resolution[Plain], tuple[Failure, ...], list[str], bool]] = {
    "another target at once": (resolution(*TWO), (CONNECT,), ["a/x", "b/y"], False),
    "nobody is left": (resolution(*TWO), (CONNECT, SERVER), ["a/x", "b/y", "told"], False),
    "the client's fault": (resolution(*TWO), (REFUSED,), ["a/x", "told"], False),
    "a reason that the route does not name": (resolution(*TWO, failover=on("connect")), (SERVER,), ["a/x", "told"], False),
    "never twice the same name": (resolution("a/x", "a/x", "b/y"), (SERVER,), ["a/x", "b/y"], False),
    "a dead key": (resolution(*TWO, keys=2), (DEAD,), ["a/x", "a/x#2"], False),
    "two dead keys": (resolution(*TWO, keys=2), (DEAD, DEAD), ["a/x", "a/x#2", "b/y"], False),
    "a key's failure whatever the route says": (resolution(*TWO, keys=2, failover=on()), (LIMIT,), ["a/x", "a/x#2"], False),
    "and then the route's word counts": (resolution(*TWO, keys=2, failover=on()), (LIMIT, LIMIT), ["a/x", "a/x#2", "told"], False),
    "a host's failure is none of a key": (resolution(*TWO, keys=2), (CONNECT,), ["a/x", "b/y"], False),
    "for a longer prompt": (resolution("a/x", "b/y", "c/z?context_length"), (LONG,), ["a/x", "c/z"], False),
    "only for a longer prompt": (resolution("a/x", "c/z?context_length", "b/y"), (CONNECT,), ["a/x", "b/y"], False),
    "not even as the last": (resolution("a/x", "c/z?context_length"), (CONNECT,), ["a/x", "told"], False),
    "after another": (resolution("a/x", "b/y", "c/z?context_length"), (CONNECT, LONG), ["a/x", "b/y", "c/z"], False),
    "a client's own dead key": (resolution(*TWO, credential="client"), (DEAD,), ["a/x", "told"], False),
    "no target is asked again by default": (resolution("a/x"), (CONNECT,), ["a/x", "told"], False),
    "again after pauses": (resolution("a/x", retry=AGAIN), (CONNECT,) * 3, ["a/x", "+0.5", "a/x", "+1", "a/x", "told"], True),
    "others before pauses": (resolution(*TWO, retry=AGAIN), (CONNECT,) * 2, ["a/x", "b/y", "+0.5", "a/x"], False),
    "what was worked on is not asked again": (resolution("a/x", retry=AGAIN), (SERVER,), ["a/x", "told"], False),
    "what may have been worked on neither": (resolution("a/x", retry=AGAIN), (BROKEN,), ["a/x", "told"], False),
    "a short Retry-After is waited for": (resolution("a/x", retry=AGAIN), (WAIT_2,), ["a/x", "+2", "a/x"], False),
    "a long one is not": (resolution("a/x", retry=AGAIN), (WAIT_60,), ["a/x", "told"], False),
    "a long one moves on": (resolution(*TWO, retry=AGAIN), (WAIT_60,), ["a/x", "b/y"], False),
    "the attempts are spent": (resolution("a/x", "b/y", "c/z", retry=Retry(attempts=2)), (CONNECT,) * 2, ["a/x", "b/y", "told"], True),
    "the seconds are spent": (resolution("a/x", retry=Retry(again=9, seconds=2)), (WAIT_2,), ["a/x", "told"], True),
    "a full queue is no attempt": (
        resolution("a/x", "b/y", "c/z", retry=Retry(attempts=2)),
        (BUSY, CONNECT, CONNECT),
        ["a/x", "b/y", "c/z", "told"],
        True,
    ),
}


@pytest.mark.parametrize("name", CASES)
def test_turns(name: str) -> None:
    found, failures, trail, spent = CASES[name]
    assert play(found, *failures) == (trail, spent)


WORKED_ON: list[tuple[str, Asking, bool]] = [
    ("streams", Asking(), True),
    ("streams", Asking(whole=True), False),
    ("streams", Asking(whole=True, safe=True), True),
    ("always", Asking(whole=True), True),
    ("never", Asking(), False),
]


@pytest.mark.parametrize(("policy", "asking", "moves_on"), WORKED_ON)
def test_what_may_have_been_worked_on(policy: Any, asking: Asking, moves_on: bool) -> None:
    found = resolution(*TWO, failover=Failover(maybe_processed=policy))
    assert play(found, BROKEN, asking=asking)[0] == ["a/x", "b/y" if moves_on else "told"]
    assert play(resolution(*TWO, failover=Failover(maybe_processed=policy)), SERVER, asking=asking)[0] == ["a/x", "b/y"]


def test_what_is_left_alone_is_not_asked_second() -> None:
    standings = Standings()
    found = resolution("a/x", "b/y", "c/z", standings=standings)
    standings.of("b", "y", 1).failed(WAIT_60, 0.0, 0.0, Cooldown())
    assert play(found, CONNECT)[0] == ["a/x", "c/z"]


@example(
    [Failure(reason, unprocessed=reason in _UNPROCESSED) for reason in ("unsupported", "rate_limit", "timeout", "connect")],
    Retry(3, 1.0, 1),
    2,
)
@given(
    st.lists(
        st.sampled_from([*(Failure(reason, unprocessed=reason in _UNPROCESSED) for reason in REASONS), WAIT_2, DEAD, SERVER]), max_size=30
    ),
    st.builds(Retry, attempts=st.integers(1, 6), seconds=st.floats(0.1, 30), again=st.integers(0, 3)),
    st.integers(1, 3),
)
def test_every_request_comes_to_an_end_within_its_budget(failures: list[Failure], retry: Retry, keys: int) -> None:
    """However it fails: no more attempts than allowed, none too late, and none at a target that may have worked on the request."""
    found = resolution("a/x", "b/y", "c/z?refused", keys=keys, retry=retry)
    turns, now, way = Turns(found, None, Asking(), 0.0), 0.0, first(found, None, 0.0)
    asked: list[tuple[str, Failure]] = []
    for failure in failures:
        assert not [one for name, one in asked if name == way.choice.name and not one.unprocessed]
        asked.append((way.choice.name, failure))
        turns.failed(way, failure, now)
        step = turns.next(failure, now)
        if step is None:
            break
        now += step[1]
        assert now < retry.seconds
        way = step[0]
    assert len([1 for _, failure in asked if failure.reason not in ("busy", "unsupported")]) <= retry.attempts
