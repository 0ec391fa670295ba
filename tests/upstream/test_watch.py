"""The lazily re-armed deadline, on a clock of its own."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

import pytest

from proxy.upstream import Watch


class Clock:
    """The two functions of an event loop that a Watch uses; time passes only in `run`."""

    def __init__(self) -> None:
        self.now = 100.0
        self.timers: list[Timer] = []
        self.made = 0

    def time(self) -> float:
        return self.now

    def call_at(self, when: float, callback: Callable[[], None]) -> Timer:
        self.made += 1
        timer = Timer(self, when, callback)
        self.timers.append(timer)
        return timer

    def run(self, seconds: float) -> None:
        end = self.now + seconds
        while due := [timer for timer in self.timers if timer.when <= end]:
            timer = min(due, key=lambda each: each.when)
            self.timers.remove(timer)
            self.now = max(self.now, timer.when)
            timer.callback()
        self.now = end


class Timer:
    def __init__(self, clock: Clock, when: float, callback: Callable[[], None]) -> None:
        self.clock, self.when, self.callback = clock, when, callback

    def cancel(self) -> None:
        self.clock.timers.remove(self)


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def expired(clock: Clock) -> list[float]:
    return []


@pytest.fixture
def watch(clock: Clock, expired: list[float]) -> Watch:
    return Watch(clock, lambda: expired.append(clock.now))  # type: ignore[arg-type]


def test_expires_once(clock: Clock, watch: Watch, expired: list[float]) -> None:
    watch.arm(5)
    clock.run(4.9)
    assert expired == []
    clock.run(100)
    assert expired == [105.0]


def test_touching_pushes_it_back_without_timers(clock: Clock, watch: Watch, expired: list[float]) -> None:
    watch.arm(5)
    for _ in range(1000):
        clock.run(0.01)
        watch.touch()
    assert clock.made <= 4
    assert expired == []
    clock.run(100)
    assert expired == [pytest.approx(115.0)]


def test_armed_anew_with_another_time(clock: Clock, watch: Watch, expired: list[float]) -> None:
    watch.arm(50)
    clock.run(1)
    watch.arm(2)
    clock.run(10)
    assert expired == [103.0]
    watch.arm(1)
    clock.run(10)
    assert expired == [103.0, 112.0]


def test_cancelled(clock: Clock, watch: Watch, expired: list[float]) -> None:
    watch.cancel()
    watch.arm(5)
    watch.cancel()
    watch.cancel()
    clock.run(100)
    assert expired == []
    assert clock.timers == []


async def test_on_a_real_loop() -> None:
    loop = asyncio.get_running_loop()
    fired = asyncio.Event()
    watch = Watch(loop, fired.set)
    start = loop.time()
    watch.arm(0.05)
    async with asyncio.timeout(20):
        await fired.wait()
    assert loop.time() - start >= 0.045
