"""Notices that a client has left while nothing is read from it.

While a connection is read, its end is read too. While it is not (an upload whose upstream takes nothing), only the kernel knows.
"""

from __future__ import annotations

import asyncio
import select
from collections.abc import Callable

#: Seconds between two looks.
LOOK_EVERY = 0.5
#: The other side has closed, or at least said that it sends no more. Where the system knows no such event, a reset is still told.
_CLOSED = getattr(select, "POLLRDHUP", 0)


class Lookout:
    """Looks at a connection as long as `paused()`; aborts it when the other side is gone."""

    __slots__ = ("_paused", "_timer", "_transport")

    def __init__(self, paused: Callable[[], bool]) -> None:
        self._paused = paused
        self._timer: asyncio.TimerHandle | None = None
        self._transport: asyncio.Transport | None = None

    def watch(self, transport: asyncio.Transport) -> None:
        """Begins to look, unless that is being done already. Ends by itself when the connection is read again."""
        self._transport = transport
        if self._timer is None:
            self._timer = asyncio.get_running_loop().call_later(LOOK_EVERY, self._look)

    def stop(self) -> None:
        """The connection is lost."""
        self._transport = None
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _look(self) -> None:
        self._timer = None
        transport = self._transport
        if transport is None or not self._paused():
            return
        if has_left(transport):
            transport.abort()
        else:
            self.watch(transport)


def has_left(transport: asyncio.Transport) -> bool:
    """Whether the other side has closed or reset the connection, though not all it sent has been read.

    An end that stands behind more bytes than the kernel takes for us has not arrived yet, and nobody can tell it.
    """
    if not hasattr(select, "poll"):  # Windows
        return False
    poll = select.poll()
    poll.register(transport.get_extra_info("socket").fileno(), _CLOSED)  # resets and hang-ups are told unasked
    return bool(poll.poll(0))
