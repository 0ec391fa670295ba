"""What the operating system says: that it is enough, that files have changed."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from typing import Protocol

#: Ends a process that is not ended by it already.
_ENDING = (signal.SIGTERM, signal.SIGINT)


class Told(Protocol):
    """Who is told what signals say."""

    def reload_soon(self) -> None:
        """SIGHUP."""
        ...

    def reopen_log(self) -> None:
        """SIGUSR1."""
        ...

    def kill(self) -> None:
        """A second SIGTERM or SIGINT: this process ends now, and nothing may outlive it."""
        ...


def told_to_stop(server: Told | None = None) -> asyncio.Event:
    """Listens from now on. The event is set at the first SIGTERM or SIGINT, and when the terminal hangs up; a second one ends at once."""
    loop = asyncio.get_running_loop()
    listener = _Listener(loop, server)
    for number in _ENDING:
        loop.add_signal_handler(number, listener.stop)
    if server is not None:
        loop.add_signal_handler(signal.SIGHUP, listener.hang_up)
        loop.add_signal_handler(signal.SIGUSR1, server.reopen_log)
    return listener.told


class _Listener:
    """What each signal means."""

    def __init__(self, loop: asyncio.AbstractEventLoop, server: Told | None) -> None:
        self.told = asyncio.Event()
        self._loop = loop
        self._server = server
        self._terminal = sys.stderr.isatty()

    def stop(self) -> None:
        for number in _ENDING:
            self._loop.remove_signal_handler(number)
            self._loop.add_signal_handler(number, self.end, number)
        self.told.set()

    def end(self, number: signal.Signals) -> None:
        if self._server is not None:
            self._server.kill()
        signal.signal(number, signal.SIG_DFL)
        signal.raise_signal(number)

    def hang_up(self) -> None:
        if self._terminal and not sys.stderr.isatty():
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stderr.fileno())  # nobody is there to read the last words
            self.stop()
        elif self._server is not None:
            self._server.reload_soon()
