"""A deadline that is pushed back often and fires seldom."""

from __future__ import annotations

import asyncio
from collections.abc import Callable


class Watch:
    """Calls `expire` once nothing has touched it for the armed number of seconds.

    `touch` only stores a time, so it may be called for every piece of a stream; the one timer looks at that time
    when it fires, and sleeps on if something came meanwhile. `expire` runs once per `arm`, from the loop.
    """

    __slots__ = ("_deadline", "_expire", "_loop", "_seconds", "_timer")

    def __init__(self, loop: asyncio.AbstractEventLoop, expire: Callable[[], None]) -> None:
        self._loop = loop
        self._expire = expire
        self._seconds = 0.0
        self._deadline = 0.0
        self._timer: asyncio.TimerHandle | None = None

    def arm(self, seconds: float) -> None:
        """Start, or start anew with another number of seconds."""
        self.cancel()
        self._seconds = seconds
        self._deadline = self._loop.time() + seconds
        self._timer = self._loop.call_at(self._deadline, self._check)

    def touch(self) -> None:
        """Something came: count from now."""
        self._deadline = self._loop.time() + self._seconds

    def cancel(self) -> None:
        """Stop; `arm` starts again."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _check(self) -> None:
        if self._loop.time() < self._deadline:
            self._timer = self._loop.call_at(self._deadline, self._check)
        else:
            self._timer = None
            self._expire()
