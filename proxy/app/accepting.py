"""Accepting connections: the same on each event loop, and in peace when descriptors run out.

The loops' own servers do not manage the latter. Python's tries (and logs) each connection of the backlog. libuv closes a spare descriptor
and drops all who wait; when another thread has taken the spare one (it opens a file, looks up a name), libuv asks again without
a pause: a core burns until a client leaves.
"""

from __future__ import annotations

import asyncio
import logging
import socket
from collections.abc import Callable
from contextlib import suppress

#: Connections that the system keeps for us until they are accepted.
_BACKLOG = 4096
#: Connections accepted in one turn of the event loop: those that are served have their turn, too.
_AT_ONCE = 16
#: Seconds without a try when a connection cannot be accepted: who wants in waits in the backlog.
_REST = 0.2
#: Seconds between two words about that.
_SAID_AGAIN = 10.0

logger = logging.getLogger(__name__)


class Acceptor:
    """Listens on one bound socket, from `start` until `close`. `take` gets each connection, and has to close it."""

    def __init__(self, sock: socket.socket, take: Callable[[socket.socket], None]) -> None:
        self._sock = sock
        self._take = take
        self._loop = asyncio.get_running_loop()
        self._resting: asyncio.TimerHandle | None = None
        self._said = float("-inf")
        self._listening = False

    def start(self) -> None:
        """Raises OSError when another socket of another user has the address."""
        self._sock.setblocking(False)
        self._sock.listen(_BACKLOG)
        self._listening = True
        self._loop.add_reader(self._sock, self._accept)

    @property
    def port(self) -> int:
        """Of a TCP socket."""
        number: int = self._sock.getsockname()[1]
        return number

    def close(self) -> None:
        """No more connections; those that wait are still taken."""
        with suppress(OSError):
            while self._listening:
                self._accept_one()
        self._listening = False
        if self._resting is not None:
            self._resting.cancel()
        self._loop.remove_reader(self._sock)
        self._sock.close()

    def _accept(self) -> None:
        try:
            for _ in range(_AT_ONCE):
                self._accept_one()
        except (BlockingIOError, ConnectionAbortedError):
            return
        except OSError as error:
            self._rest(error)

    def _accept_one(self) -> None:
        accepted, _address = self._sock.accept()
        accepted.setblocking(False)
        self._take(accepted)

    def _rest(self, error: OSError) -> None:
        """The socket stays readable, so that each turn of the loop would try in vain: it is left alone for a while."""
        self._loop.remove_reader(self._sock)
        self._resting = self._loop.call_later(_REST, self._go_on)
        if self._loop.time() > self._said + _SAID_AGAIN:
            self._said = self._loop.time()
            logger.error("connections have to wait: %s", error.strerror)

    def _go_on(self) -> None:
        self._resting = None
        self._loop.add_reader(self._sock, self._accept)
