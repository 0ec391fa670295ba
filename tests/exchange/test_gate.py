"""The gate: never more inside than its limit, first come first served, and who leaves leaves nothing behind."""

from __future__ import annotations

import asyncio

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from proxy.config.policy import Concurrency
from proxy.errors import GatewayError
from proxy.exchange.gate import Gate, Gates

STEP = st.one_of(
    st.just(("come", 0)),
    st.tuples(st.just("leave"), st.integers(0, 9)),
    st.tuples(st.just("cancel"), st.integers(0, 9)),
    st.tuples(st.just("leave, cancel"), st.integers(0, 9)),
    st.tuples(st.just("resize"), st.integers(1, 4)),
    st.just(("turn", 0)),
)


class Crowd:
    """Requests at a gate: each enters, stays until it is told to leave, and leaves."""

    def __init__(self, gate: Gate) -> None:
        self.gate = gate
        self.inside: list[int] = []  # in the order in which they came in
        self.tasks: dict[int, asyncio.Task[None]] = {}
        self.go: dict[int, asyncio.Event] = {}

    def come(self) -> int:
        number = len(self.go)
        self.go[number] = asyncio.Event()
        self.tasks[number] = asyncio.get_running_loop().create_task(self._stay(number))
        return number

    async def _stay(self, number: int) -> None:
        await self.gate.enter()
        self.inside.append(number)
        try:
            await self.go[number].wait()
        finally:
            self.inside.remove(number)
            self.gate.leave()


async def turn() -> None:
    """Everybody who can go on goes on."""
    for _ in range(5):
        await asyncio.sleep(0)


@settings(max_examples=150)
@given(st.lists(STEP, max_size=40), st.integers(1, 3), st.integers(0, 4))
def test_any_crowd(steps: list[tuple[str, int]], limit: int, queue: int) -> None:
    asyncio.run(_any_crowd(steps, limit, queue))


async def _any_crowd(steps: list[tuple[str, int]], limit: int, queue: int) -> None:
    gate = Gate(Concurrency(limit, queue, wait=60))
    crowd = Crowd(gate)
    most, admitted = limit, []
    for step, which in steps:
        alive = [number for number, task in crowd.tasks.items() if not task.done()]
        chosen = alive[which % len(alive)] if alive else None
        if step == "come":
            crowd.come()
        elif step == "resize":
            limit = which
            most = max(limit, gate.inside)
            gate.resize(Concurrency(limit, queue, wait=60))
        elif step == "leave" and chosen is not None:
            crowd.go[chosen].set()
        elif step == "cancel" and chosen is not None:
            crowd.tasks[chosen].cancel()
        elif step == "leave, cancel" and chosen is not None:  # a place is given to somebody who is cancelled in the same turn
            for number in crowd.inside:
                crowd.go[number].set()
            await asyncio.sleep(0)
            crowd.tasks[chosen].cancel()
        await turn()
        most = max(limit, min(most, gate.inside))
        assert gate.inside == len(crowd.inside) <= most
        assert gate.waiting <= queue
        assert not gate.waiting or gate.inside >= limit, "a place is free, and somebody waits"
        admitted += [number for number in crowd.inside if number not in admitted]
    assert admitted == sorted(admitted), "somebody overtook"
    while crowd.inside:  # nobody is lost: who is not cancelled or turned away comes in at last
        for number in list(crowd.inside):
            crowd.go[number].set()
        await turn()
    results = await asyncio.gather(*crowd.tasks.values(), return_exceptions=True)
    assert (gate.inside, gate.waiting) == (0, 0)
    assert gate.rejected == sum(isinstance(result, GatewayError) for result in results)


async def waiting(count: int) -> tuple[Crowd, Gate]:
    """One inside, and so many in the queue."""
    crowd = Crowd(Gate(Concurrency(1, 9, wait=60)))
    for _ in range(count + 1):
        crowd.come()
    await turn()
    assert (crowd.inside, crowd.gate.waiting) == ([0], count)
    return crowd, crowd.gate


async def test_a_place_given_to_somebody_who_is_cancelled_in_the_same_turn_goes_to_the_next() -> None:
    crowd, gate = await waiting(2)
    crowd.go[0].set()
    await asyncio.sleep(0)
    assert gate.waiting == 1
    crowd.tasks[1].cancel()  # the place is its, and it does not know yet
    await turn()
    assert (crowd.inside, gate.inside, gate.waiting) == ([2], 1, 0)
    crowd.tasks[2].cancel()
    await turn()
    assert gate.inside == 0


async def test_no_place_is_given_to_somebody_who_has_been_cancelled() -> None:
    crowd, gate = await waiting(2)
    crowd.tasks[0].cancel()  # runs first, and finds the other in the queue
    crowd.tasks[1].cancel()
    await turn()
    assert (crowd.inside, gate.inside, gate.waiting) == ([2], 1, 0)
    crowd.tasks[2].cancel()
    await turn()
    assert gate.inside == 0


async def test_a_limit_that_grows_while_the_only_one_who_waits_is_being_cancelled() -> None:
    crowd, gate = await waiting(1)
    crowd.tasks[1].cancel()  # still in the queue: it has had no turn yet
    gate.resize(Concurrency(3, 9, wait=60))
    await turn()
    assert (crowd.inside, gate.inside, gate.waiting) == ([0], 1, 0)
    crowd.go[0].set()
    await turn()
    assert gate.inside == 0


async def test_a_limit_that_grows_lets_as_many_in() -> None:
    crowd, gate = await waiting(4)
    gate.resize(Concurrency(3, 9, wait=60))
    await turn()
    assert (crowd.inside, gate.inside, gate.waiting) == ([0, 1, 2], 3, 2)
    for task in crowd.tasks.values():
        task.cancel()
    await turn()
    assert (gate.inside, gate.waiting) == (0, 0)


async def test_who_waits_too_long_is_turned_away() -> None:
    gate = Gate(Concurrency(1, 5, wait=0.05))
    await gate.enter()
    with pytest.raises(GatewayError) as caught:
        await gate.enter()
    assert (caught.value.status, caught.value.reason, caught.value.headers) == (503, "busy", {"retry-after": "1"})
    assert (gate.inside, gate.waiting, gate.rejected) == (1, 0, 1)


async def test_a_full_queue_turns_away_at_once() -> None:
    gate = Gate(Concurrency(1, 0, wait=60))
    await gate.enter()
    async with asyncio.timeout(20):
        with pytest.raises(GatewayError):
            await gate.enter()


def test_a_providers_gate_is_one_whatever_is_loaded_meanwhile() -> None:
    gates = Gates()
    gate = gates.of("p", Concurrency(2))
    assert gates.of("p", Concurrency(5)) is gate
    assert [gate.try_enter() for _ in range(6)] == [True] * 5 + [False]
    assert dict(gates.all()) == {"p": gate}


@pytest.mark.parametrize(("workers", "limit", "admitted"), [(1, 8, 8), (3, 8, 2), (4, 8, 2), (16, 8, 1)])
def test_workers_share_the_limit(workers: int, limit: int, admitted: int) -> None:
    gate = Gates(workers).of("p", Concurrency(limit))
    assert [gate.try_enter() for _ in range(limit + 1)].count(True) == admitted
