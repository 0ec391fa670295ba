"""An event loop whose time can be moved, so that every deadline can run out in a test that never waits."""

from __future__ import annotations

import asyncio
import socket
from typing import Any

#: Turns of the loop after which nothing more happens by itself: loopback sockets are ready at once.
_TURNS = 24


class MovableLoop(asyncio.SelectorEventLoop):
    """asyncio's loop with a clock that `move` sets forward. `troubles`: what its exception handler was told."""

    def __init__(self) -> None:
        super().__init__()
        self._moved = 0.0
        self.troubles: list[str] = []
        self.set_exception_handler(lambda _, context: self.troubles.append(repr(context)))

    def time(self) -> float:
        return super().time() + self._moved

    def move(self, seconds: float) -> None:
        """Lets so much time pass, and everything that is due then happen."""
        self._moved += seconds
        self.settle()

    def settle(self) -> None:
        """Runs until all that can happen now has happened."""
        self.run_until_complete(_turns())

    async def getaddrinfo(self, host: Any, port: Any, **more: Any) -> Any:
        """In this thread: addresses here are numbers, and a thread would come when it likes."""
        return socket.getaddrinfo(host, port, **more)


async def _turns() -> None:
    for _ in range(_TURNS):
        await asyncio.sleep(0)
