"""A deadline that is pushed back often and fires seldom."""

from __future__ import annotations

import asyncio
from collections.abc import Callable


class Watch:
    """Calls `expire` once nothing has touched it for the armed number of seconds.

    `touch` only stores a time, so it may be called for every piece of a stream; the one timer looks at that time when it fires, and
    sleeps on if something came meanwhile. So does `arm` while a timer is there that fires early enough: who watches one thing after
    another makes a timer once in a while. `expire` runs at most once per `arm`, from the loop.
    """

    __slots__ = ("_deadline", "_expire", "_loop", "_seconds", "_timer", "_timer_at")

    def __init__(self, loop: asyncio.AbstractEventLoop, expire: Callable[[], None]) -> None:
        self._loop = loop
        self._expire = expire
        self._seconds = 0.0
        self._deadline = 0.0
        self._timer: asyncio.TimerHandle | None = None
        self._timer_at = 0.0

    def arm(self, seconds: float) -> None:
        """Start, or start anew with another number of seconds."""
        self._seconds = seconds
        self.arm_at(self._loop.time() + seconds)

    def arm_at(self, deadline: float) -> None:
        """Start, or start anew, with a time of the loop's clock."""
        self._deadline = deadline
        if self._timer is None:
            self._set(deadline)
        elif deadline < self._timer_at:
            self._timer.cancel()
            self._set(deadline)

    def touch(self) -> None:
        """Something came: count from now."""
        self._deadline = self._loop.time() + self._seconds

    def cancel(self) -> None:
        """Stop, timer and all; `arm` starts again."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _set(self, deadline: float) -> None:
        self._timer_at = deadline
        self._timer = self._loop.call_at(deadline, self._check)

    def _check(self) -> None:
        self._timer = None
        if self._loop.time() < self._deadline:
            self._set(self._deadline)
        else:
            self._expire()
