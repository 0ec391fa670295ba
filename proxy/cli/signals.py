"""Waiting for the operating system to say that it is enough."""

from __future__ import annotations

import asyncio
import signal


async def until_told() -> None:
    """Returns at the first SIGTERM or SIGINT. A second one ends the process at once."""
    told = asyncio.Event()
    loop = asyncio.get_running_loop()

    def stop() -> None:
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.remove_signal_handler(number)
        told.set()

    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop)
    await told.wait()
