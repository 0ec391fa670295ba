"""The parent: keeps as many workers alive as it should, hands on what the operator says, adds up what they count."""

from __future__ import annotations

import asyncio
import logging
import os
import socket
import tempfile
from collections.abc import Callable, Coroutine, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

import msgspec

from proxy.app.accepting import Acceptor
from proxy.app.admin import AdminServer
from proxy.app.listeners import Place, bind, places, share
from proxy.app.reload import Load, Reloaded, Reloader
from proxy.config.model import Config
from proxy.workers.handing import Giver, Hand
from proxy.workers.process import Ends, Process, fork
from proxy.workers.summing import Families, add, parse, written
from proxy.workers.worker import Inheritance

logger = logging.getLogger(__name__)

#: Seconds that a worker has for its part of a scrape; who is late is counted as it last was.
SCRAPE = 2.0
#: Seconds that a worker gets for its running answers when another has taken its place.
RETIREMENT = 3600.0
#: Seconds beyond the grace after which a worker that does not end is killed.
PATIENCE = 10.0
#: A worker that lived shorter than this failed at once; the next ones wait longer and longer, up to a bound.
SHORT_LIFE = 10.0
BACK_OFF = 0.5
LONGEST = 30.0

#: Where a container's bound on processor time is told.
QUOTA = Path("/sys/fs/cgroup/cpu.max")

#: What runs in a worker. Returns its exit code.
Run = Callable[[Config, Inheritance, Ends], int]


class CannotStart(OSError):
    """No worker came up."""


@dataclass(eq=False)
class Slot:
    """A worker's place: its sockets outlive it, so that who waits to be accepted gets the next one. `changing`: one at a time.

    `relaying`: what accepts connections for the other workers while this one has to wait for its next.
    """

    sockets: dict[Place, list[socket.socket]]
    worker: Process | None = None
    failures: int = 0
    restarting: set[asyncio.Task[None]] = field(default_factory=set)
    changing: asyncio.Lock = field(default_factory=asyncio.Lock)
    relaying: list[Acceptor] = field(default_factory=list)

    def relay(self, give: Callable[[socket.socket], None]) -> None:
        """From now on each connection is given away."""
        self.relaying = [Acceptor(one.dup(), give) for bound in self.sockets.values() for one in bound]
        for acceptor in self.relaying:
            acceptor.start()

    def occupy(self, worker: Process) -> None:
        """It has a worker again."""
        self.worker = worker
        self._end_relaying()

    def _end_relaying(self) -> None:
        for acceptor in self.relaying:
            acceptor.close()
        self.relaying = []

    def close(self) -> None:
        """Closes its sockets here; a worker has its own."""
        self._end_relaying()
        for bound in self.sockets.values():
            for one in bound:
                one.close()
        self.sockets = {}


class Supervisor:
    """Workers that serve until `close`. Lives in the parent's event loop."""

    def __init__(self, config: Config, load: Load, run: Run) -> None:
        self.config = config
        self.ready = True
        self.restarts = 0
        self._run = run
        self._bound: dict[Place, list[socket.socket]] = {}  # never listened on: they hold the addresses
        self._lock = tempfile.TemporaryFile()  # noqa: SIM115 - for lines of the log, as long as we live
        self._slots: list[Slot] = []
        self._giver = Giver(self._hands)
        self._living: set[Process] = set()
        self._gone: Families = {}
        self._watching: set[asyncio.Task[None]] = set()
        self._measuring = asyncio.Lock()
        self._started = False
        self._admin = AdminServer(self, config.server.limits.headers)
        self._reloader = Reloader(config, load, self.apply)
        self._reloading: asyncio.Task[None] | None = None

    @property
    def addresses(self) -> Sequence[tuple[str, int]]:
        """Host and port of each TCP place."""
        return [(place[0], bound[0].getsockname()[1]) for place, bound in self._bound.items() if not isinstance(place, str)]

    @property
    def admin_addresses(self) -> Sequence[tuple[str, int]]:
        """The same of the operator's."""
        return self._admin.addresses

    async def start(self) -> None:
        """Raises CannotListen, or CannotStart when not one worker comes up."""
        self._bind(self.config)
        self._admin.move(self.config.server.admin)
        self._slots = [self._slot() for _ in range(worker_count(self.config))]
        workers = [await self._occupy(slot) for slot in self._slots]
        await asyncio.gather(*(worker.settled() for worker in workers))
        if not any(worker.ready.is_set() for worker in workers):
            raise CannotStart(next((worker.failure for worker in workers if worker.failure), "no worker could start"))
        self._started = True
        for slot, worker in zip(self._slots, workers, strict=True):
            if worker.channel.closed.is_set():
                _keep(slot.restarting, self._restart(slot, worker))
        self._reloading = asyncio.create_task(self._reloader.serve(lambda: self.config.server.watch))

    async def measure(self) -> bytes:
        """The text of a scrape: all workers together, those that are gone included where a count may not fall."""
        async with self._measuring:
            living = [worker for worker in self._living if worker.ready.is_set()]
            await asyncio.gather(*(worker.measure(SCRAPE) for worker in living))
            total: Families = {}
            for worker in self._living:  # who died meanwhile is among those that are gone
                add(total, worker.measured)
            add(total, self._gone)
            add(total, parse(self._own()))
            return written(total).encode()

    async def reload(self) -> Reloaded:
        """Loads the configuration again, here first; a faulty one reaches no worker."""
        return await self._reloader.reload()

    def reload_soon(self) -> None:
        """The same for a signal."""
        self._reloader.ask()

    def reopen_log(self) -> None:
        """Has every worker take up the request log's file by its name again."""
        for worker in self._living:
            worker.tell("reopen")

    def kill(self) -> None:
        """Ends all workers at once."""
        for worker in self._living:
            worker.kill()

    async def apply(self, config: Config) -> tuple[str, ...]:
        """Puts a configuration in force: in the running workers, or in new ones, one after another, where a running one cannot follow.

        Raises OSError with everything as it was.
        """
        former = self.config
        if "/" in config.server.log.requests:
            os.close(os.open(config.server.log.requests, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o640))
        fresh = self._bind(config)
        try:
            self._admin.move(config.server.admin)
        except OSError:
            self._release(fresh)
            raise
        self.config = config
        logging.getLogger().setLevel(config.server.log.level.upper())
        if _shape(former) == _shape(config):
            for slot in self._slots:
                await self._reload(slot)
        else:
            await self._roll(config)
        return ()

    async def close(self, grace: float | None = None) -> None:
        """Lets running answers end within `grace` seconds (default: the configuration's), then ends all workers."""
        self.ready = False
        grace = self.config.server.drain if grace is None else grace
        if self._reloading is not None:
            self._reloading.cancel()
        for slot in self._slots:
            for task in slot.restarting:
                task.cancel()
            slot.close()
        self._release(tuple(self._bound))
        living = tuple(self._living)
        for worker in living:
            worker.tell("stop", msgspec.json.encode(grace))
        await asyncio.gather(*(worker.end(grace + PATIENCE) for worker in living))
        self._giver.close()
        await self._admin.close()
        self._lock.close()

    def _own(self) -> str:
        """What the parent itself has to say."""
        living = sum(worker.ready.is_set() for worker in self._living)
        return (
            "# HELP samewire_workers Processes that serve.\n# TYPE samewire_workers gauge\n"
            f"samewire_workers {living}\n"
            "# HELP samewire_worker_restarts_total Workers that ended by themselves and were replaced.\n"
            f"# TYPE samewire_worker_restarts_total counter\nsamewire_worker_restarts_total {self.restarts}\n"
            "# TYPE samewire_config_last_reload_successful gauge\n"
            f"samewire_config_last_reload_successful {float(self._reloader.ok)}\n"
        )

    # ── workers ──

    async def _occupy(self, slot: Slot) -> Process:
        """A new worker in a slot that has none."""
        worker = await self._new(slot)
        slot.occupy(worker)
        return worker

    async def _new(self, slot: Slot) -> Process:
        """A worker with a slot's sockets. Raises CannotStart while all are told to stop."""
        if not self.ready:
            raise CannotStart("the gateway is shutting down")
        inheritance = Inheritance(slot.sockets, self._lock.fileno(), worker_count(self.config))
        worker = await fork(partial(self._run, self.config, inheritance), self.measure)
        self._living.add(worker)
        _keep(self._watching, self._watch(slot, worker))
        return worker

    async def _watch(self, slot: Slot, worker: Process) -> None:
        """Sees a worker to its end."""
        await worker.attend()
        code = await worker.reaped()
        for connection in worker.hand.close():
            self._giver.give(connection)
        self._living.discard(worker)
        add(self._gone, worker.measured, lasting=True)
        if self.ready and self._started and slot.worker is worker:
            logger.error("the worker %d ended (%s); another takes its place", worker.pid, worker.failure or code)
            _keep(slot.restarting, self._restart(slot, worker))

    async def _restart(self, slot: Slot, worker: Process) -> None:
        """Another worker for one that ended by itself: at once, or later and later while they do not live long."""
        self.restarts += 1
        slot.failures = slot.failures + 1 if worker.age() < SHORT_LIFE else 0
        if slot.failures > 1:
            async with slot.changing:
                if slot.worker is worker:
                    slot.relay(self._giver.give)
            await asyncio.sleep(min(LONGEST, BACK_OFF * 2 ** (slot.failures - 2)))
        async with slot.changing:
            if slot.worker is worker:  # else a reload has brought another one
                await self._occupy(slot)

    async def _reload(self, slot: Slot) -> None:
        """The running worker loads what was found good here; one that cannot is replaced."""
        ports = {provider.demo: provider.port for provider in self.config.providers.values() if provider.demo}
        async with slot.changing:
            worker = slot.worker
            if worker is None:
                return
            try:
                async with asyncio.timeout(PATIENCE * 3):
                    await worker.settled()  # it may have been forked a moment ago, with the former configuration
                    failure = (await worker.channel.ask("reload", msgspec.json.encode(ports))).decode()
            except TimeoutError:
                failure = "it does not answer"
            except ConnectionError:
                return  # it is gone; the next one has the configuration of its own time
        if failure:
            logger.warning("the worker %d did not take the configuration (%s) and is replaced", worker.pid, failure)
            await self._replace(slot)

    async def _replace(self, slot: Slot) -> None:
        """A new worker takes the place of one that goes on with what it has in work."""
        async with slot.changing:
            fresh = await self._new(slot)
            await fresh.settled()
            if not fresh.ready.is_set() or fresh not in self._living:
                logger.error("no new worker came up: %s", fresh.failure or "it ended at once")
                return
            former = slot.worker
            slot.occupy(fresh)
            if former is not None:
                self._retire(former)

    async def _roll(self, config: Config) -> None:
        wanted = places(config.server)
        count = worker_count(config)
        surplus, self._slots = self._slots[count:], self._slots[:count]
        for slot in self._slots:
            former = slot.sockets
            slot.sockets = {place: former[place] if place in former else share(self._bound[place]) for place in wanted}
            await self._replace(slot)
            Slot({place: bound for place, bound in former.items() if place not in wanted}).close()
        while len(self._slots) < count:
            slot = self._slot()
            self._slots.append(slot)
            await (await self._occupy(slot)).settled()
        for slot in surplus:
            worker, slot.worker = slot.worker, None
            for task in slot.restarting:
                task.cancel()
            slot.close()
            if worker is not None:
                self._retire(worker)
        self._release([place for place in self._bound if place not in wanted])

    def _retire(self, worker: Process) -> None:
        worker.tell("retire", msgspec.json.encode(RETIREMENT))
        _keep(self._watching, worker.end(RETIREMENT + PATIENCE))

    # ── sockets ──

    def _bind(self, config: Config) -> list[Place]:
        """Binds the places that are not bound yet. Raises CannotListen, with everything as it was."""
        fresh: list[Place] = []
        port = 0
        try:
            for place in places(config.server):
                if place not in self._bound:
                    self._bound[place] = bind(place, [at for _, at in self.addresses], port)
                    fresh.append(place)
                if not isinstance(place, str) and not place[1]:
                    port = self._bound[place][0].getsockname()[1]
        except OSError:
            self._release(fresh)
            raise
        return fresh

    def _release(self, closing: Sequence[Place]) -> None:
        for place in closing:
            for one in self._bound.pop(place):
                one.close()

    def _hands(self) -> list[Hand]:
        """Those of the workers that serve, and are not about to be replaced."""
        workers = [slot.worker for slot in self._slots if slot.worker is not None]
        return [worker.hand for worker in workers if worker.ready.is_set() and not worker.channel.closed.is_set()]

    def _slot(self) -> Slot:
        return Slot({place: share(bound) for place, bound in self._bound.items()})


def worker_count(config: Config) -> int:
    """How many workers a configuration wants. `auto`: one for each processor that this process may use."""
    if config.server.workers != "auto":
        return config.server.workers
    usable = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return max(1, min(usable, _quota(QUOTA)))


def _quota(file: Path) -> int:
    """The processors that a container may use (cgroup v2: microseconds in each period), rounded up."""
    try:
        quota, period = file.read_text("ascii").split()
        return -(-int(quota) // int(period))
    except (OSError, ValueError):  # no such group, or `max`
        return 2**16


def _shape(config: Config) -> tuple[object, ...]:
    """What a running worker cannot change."""
    return places(config.server), config.server.event_loop, worker_count(config)


def _keep(tasks: set[asyncio.Task[None]], doing: Coroutine[None, None, None]) -> None:
    """Starts a task that is known until it ends."""
    task = asyncio.create_task(doing)
    tasks.add(task)
    task.add_done_callback(tasks.discard)
