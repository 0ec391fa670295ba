"""Connections handed from the parent to a worker: over a socket pair, one byte and one descriptor each.

The worker answers a byte for each that it has taken. Until then the parent keeps its own descriptor, so that nothing is lost with a worker
that dies with connections on their way to it.
"""

from __future__ import annotations

import asyncio
import socket
from collections import deque
from collections.abc import Callable
from contextlib import suppress

#: Seconds until a connection that no worker can take is offered again.
_AGAIN = 0.05
_MANY = 4096


class Hand:
    """The parent's end of one worker's pair."""

    def __init__(self, end: socket.socket) -> None:
        end.setblocking(False)
        self._end = end
        self._given: deque[socket.socket] = deque()
        self._loop = asyncio.get_running_loop()
        self._loop.add_reader(end, self._taken)

    def give(self, connection: socket.socket) -> bool:
        """Whether it is on its way to the worker; then it is not the caller's any more."""
        try:
            socket.send_fds(self._end, [b"\0"], [connection.fileno()])
        except OSError:  # the worker is gone, or takes nothing
            return False
        self._given.append(connection)
        return True

    def close(self) -> list[socket.socket]:
        """The worker is gone. Returns the connections that it has not taken."""
        self._taken()
        self._loop.remove_reader(self._end)
        self._end.close()
        return list(self._given)

    def _taken(self) -> None:
        with suppress(BlockingIOError, ConnectionResetError):  # reset: it left descriptors unread
            while taken := len(self._end.recv(_MANY)):
                for _ in range(taken):
                    self._given.popleft().close()
            self._loop.remove_reader(self._end)


def receive(end: socket.socket, take: Callable[[socket.socket], None]) -> None:
    """The worker's end: `take` gets each connection from now on."""
    loop = asyncio.get_running_loop()

    def read() -> None:
        with suppress(BlockingIOError):
            data, descriptors, _flags, _address = socket.recv_fds(end, 1, 1)
            for descriptor in descriptors:
                connection = socket.socket(fileno=descriptor)
                connection.setblocking(False)
                take(connection)
            if data:
                end.send(data)
            else:  # the parent is gone, as its channel says, too
                loop.remove_reader(end)
                end.close()

    end.setblocking(False)
    loop.add_reader(end, read)


class Giver:
    """Gives connections to whichever worker `hands` says can take one, in turns; one that nobody can take waits."""

    def __init__(self, hands: Callable[[], list[Hand]]) -> None:
        self._hands = hands
        self._turn = 0
        self._giving: set[asyncio.Task[None]] = set()

    def give(self, connection: socket.socket) -> None:
        """Takes it over."""
        task = asyncio.create_task(self._give(connection))
        self._giving.add(task)
        task.add_done_callback(self._giving.discard)

    def close(self) -> None:
        """Nobody takes any more."""
        for task in self._giving:
            task.cancel()

    async def _give(self, connection: socket.socket) -> None:
        given = False
        try:
            while not (given := self._has_given(connection)):  # noqa: ASYNC110 - a worker may come, or take more than it did
                await asyncio.sleep(_AGAIN)
        finally:
            if not given:
                connection.close()

    def _has_given(self, connection: socket.socket) -> bool:
        self._turn += 1
        hands = self._hands()
        first = self._turn % len(hands) if hands else 0
        return any(hand.give(connection) for hand in hands[first:] + hands[:first])
