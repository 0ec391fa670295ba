"""Samewire with a probe in its event loop: how long is the longest pass? python -m tests.bench.probe ROUTES_YAML

The probe runs once in each pass of the loop and looks at the CPU time of the loop's thread: a pass in which something long was done is a
stop for all others. CPU time, so that it does not count when the machine gives the core to another process. Each SIGUSR1 prints the
longest pass since the last one, in µs, as a line.
"""

from __future__ import annotations

import asyncio
import gc
import importlib
import os
import signal
import sys
import time
from pathlib import Path

from proxy.app import start
from proxy.cli.serve import GC_THRESHOLD
from proxy.config import load


class Probe:
    """Spins: the loop never sleeps while this is on."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop
        self._last = time.thread_time_ns()
        self._longest = 0
        loop.add_signal_handler(signal.SIGUSR1, self._tell)
        loop.call_soon(self._pass)

    def _pass(self) -> None:
        now = time.thread_time_ns()
        self._longest = max(self._longest, now - self._last)
        self._last = now
        self._loop.call_soon(self._pass)

    def _tell(self) -> None:
        print(self._longest / 1000, file=sys.stderr, flush=True)
        self._longest = 0
        self._last = time.thread_time_ns()


async def serve(path: Path) -> None:
    async with await start(load(path, os.environ)):
        gc.collect()
        gc.freeze()
        gc.set_threshold(*GC_THRESHOLD)
        Probe(asyncio.get_running_loop())
        await asyncio.Event().wait()


with asyncio.Runner(loop_factory=importlib.import_module("uvloop").new_event_loop) as runner:
    runner.run(serve(Path(sys.argv[1])))
