"""What runs in a worker: a server on inherited sockets, told by its parent what to do."""

from __future__ import annotations

import asyncio
import logging
import os
import signal
import socket
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise

import msgspec

from proxy.app import Part, RunningServer, start
from proxy.app.listeners import Place
from proxy.config.model import Config
from proxy.errors import GatewayError
from proxy.workers.channel import Channel
from proxy.workers.handing import receive
from proxy.workers.process import Ends

logger = logging.getLogger(__name__)

#: Reads the configuration again, off the event loop; the demo servers' ports are the parent's.
LoadAgain = Callable[[Mapping[str, int]], Awaitable[Config]]


@dataclass(frozen=True, slots=True)
class Inheritance:
    """What a worker has from its parent: its sockets, a lock for whole lines of the log, how many it is one of."""

    sockets: Mapping[Place, Sequence[socket.socket]]
    lock: int
    workers: int

    def enter(self, ends: Ends) -> None:
        """Leaves the parent's world, before there is an event loop: its signals, and every descriptor but these and the standard ones.

        While a descriptor is open here, nobody sees its end.
        """
        signal.set_wakeup_fd(-1)
        for number in (signal.SIGINT, signal.SIGHUP, signal.SIGUSR1):
            signal.signal(number, signal.SIG_IGN)  # the parent hands on what they say
        signal.signal(signal.SIGTERM, signal.SIG_DFL)  # which a supervisor may send to all of us
        signal.pthread_sigmask(signal.SIG_SETMASK, ())
        sockets = [one.fileno() for bound in self.sockets.values() for one in bound]
        kept = sorted({2, self.lock, ends.channel.fileno(), ends.hand.fileno(), *sockets})
        for one, other in pairwise([*kept, 2**20]):
            os.closerange(one + 1, other)


async def work(config: Config, inheritance: Inheritance, ends: Ends, load: LoadAgain) -> int:
    """Serves until it is told to stop, or until the parent is gone. Returns the exit code: 1 when it could not start."""
    worker = _Worker(config, load)
    await worker.channel.open(ends.channel)
    try:
        worker.server = await start(config, worker.load, Part(inheritance.workers, inheritance.sockets, worker.sum, inheritance.lock))
    except OSError as error:
        await worker.channel.ask("failed", str(error).encode())
        return 1
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, worker.stop.set)
    orphaned = asyncio.create_task(worker.channel.closed.wait())
    orphaned.add_done_callback(lambda _: worker.stop.set())
    receive(ends.hand, worker.server.take)
    await worker.channel.ask("ready")
    await worker.stop.wait()
    if worker.retirement is None:
        await worker.server.close(worker.grace)
    else:
        await worker.server.retire(worker.retirement)
    if orphaned.done():  # the parent died; what it had promised is kept
        return 0
    await worker.channel.ask("farewell", await worker.server.own_measure())
    orphaned.cancel()
    return 0


class _Worker:
    """A worker's answers to its parent."""

    def __init__(self, config: Config, load: LoadAgain) -> None:
        self.channel = Channel(self.answer)
        self.server: RunningServer
        self.stop = asyncio.Event()
        self.grace: float | None = None
        self.retirement: float | None = None
        self._config = config
        self._load = load
        self._ports: Mapping[str, int] = {}

    async def load(self) -> Config:
        return await self._load(self._ports)

    async def sum(self) -> bytes:
        """The text of a scrape: all workers' together."""
        try:
            return await self.channel.ask("sum")
        except ConnectionError:
            raise GatewayError("The gateway is shutting down.", code="shutting_down") from None

    async def answer(self, name: str, body: bytes) -> bytes:
        if name == "measure":
            return await self.server.own_measure()
        if name == "reload":
            self._ports = msgspec.json.decode(body, type=dict[str, int])
            return (await self.server.reload()).failure.encode()
        if name == "reopen":
            self.server.reopen_log()
        if name == "retire":
            self.retirement = msgspec.json.decode(body, type=float)
            self.stop.set()
        if name == "stop":
            self.grace = msgspec.json.decode(body, type=float | None)
            self.stop.set()
        return b""
