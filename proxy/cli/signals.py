"""What the operating system says: that it is enough, that files have changed."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from collections.abc import Callable

#: Ends a process that is not ended by it already.
_ENDING = (signal.SIGTERM, signal.SIGINT)


def told_to_stop(reload: Callable[[], None] | None = None, reopen: Callable[[], None] | None = None) -> asyncio.Event:
    """Listens from now on. The event is set at the first SIGTERM or SIGINT; a second one ends the process at once.

    SIGHUP calls `reload`, unless it is the terminal that hung up: that ends, too. SIGUSR1 calls `reopen`.
    """
    told = asyncio.Event()
    loop = asyncio.get_running_loop()
    terminal = sys.stderr.isatty()

    def stop() -> None:
        for number in _ENDING:
            loop.remove_signal_handler(number)
        told.set()

    def hang_up() -> None:
        if terminal and not sys.stderr.isatty():
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stderr.fileno())  # nobody is there to read the last words
            stop()
        elif reload is not None:
            reload()

    for number in _ENDING:
        loop.add_signal_handler(number, stop)
    if reload is not None:
        loop.add_signal_handler(signal.SIGHUP, hang_up)
    if reopen is not None:
        loop.add_signal_handler(signal.SIGUSR1, reopen)
    return told
