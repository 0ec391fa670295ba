"""Opens everything a server needs, in order; exchanges its configuration while it runs; closes everything in the other order."""

from __future__ import annotations

import asyncio
import logging
import socket
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from types import TracebackType
from typing import Self

from proxy import __version__
from proxy.app.admin import AdminServer
from proxy.app.gateway import Gateway
from proxy.app.listeners import CannotListen, Listeners, Place, places
from proxy.app.pages import Measure, Readiness
from proxy.app.reload import Load, Reloaded, Reloader, needing_restart
from proxy.app.server import Server
from proxy.app.serving import Lasting, model_names, serving
from proxy.app.standing import observe
from proxy.config.client_dialects import load_client_dialects
from proxy.config.model import Config
from proxy.exchange.gate import Gates
from proxy.exchange.held import Memory
from proxy.log import RequestLog
from proxy.metrics import Metrics
from proxy.routing import Standings
from proxy.upstream import Pool

#: Seconds in which a request that is on its way to a worker that is replaced has to come.
_PARTING = 1.0
_DESCRIPTORS = {"stdout": 1, "stderr": 2}


@dataclass(frozen=True, slots=True)
class Part:
    """What makes a server one of several `workers`: sockets that are bound already, and what their parent does for all of them.

    `measure` makes the text of a scrape; `lock` keeps lines of the log whole (`RequestLog`). The parent is the operator's address, too.
    """

    workers: int
    sockets: Mapping[Place, Sequence[socket.socket]]
    measure: Measure
    lock: int

    def share(self, config: Config) -> Config:
        """The configuration with this worker's part of the limits that are for all."""
        limits = replace(config.server.limits, in_flight=max(1, config.server.limits.in_flight // self.workers))
        return replace(config, server=replace(config.server, limits=limits))


class RunningServer:
    """A server that listens until `close`. `config`: the configuration in force."""

    def __init__(self, config: Config, lasting: Lasting, load: Load, part: Part | None) -> None:
        self.config = config
        self._lasting = lasting
        self._part = part
        self._log = self._open_log(config.server.log.requests)
        self._lost = 0
        self._closing: set[asyncio.Task[None]] = set()
        self._gateway = Gateway(serving(config, lasting), lasting.readiness, lasting.metrics, self._log)
        self._server = Server(self._gateway.handle, config.server.limits.headers)
        self._admin = AdminServer(self, config.server.limits.headers)
        self._listeners = Listeners(self._server, part.sockets if part else None)
        self._reloader = Reloader(config, load, self.apply)
        self._reloading: asyncio.Task[None] | None = None
        lasting.metrics.watch(
            "samewire_config_last_reload_successful",
            "Whether the configuration was last read without a fault.",
            lambda: self._reloader.ok,
        )
        lasting.metrics.table(
            "samewire_log_lines_lost_total", "counter", "Requests whose line could not be written.", (), lambda: [((), self._lines_lost())]
        )

    @property
    def addresses(self) -> Sequence[tuple[str, int]]:
        """Host and port of each TCP listener."""
        return self._listeners.addresses

    @property
    def admin_addresses(self) -> Sequence[tuple[str, int]]:
        """The same of the operator's."""
        return self._admin.addresses

    @property
    def ready(self) -> bool:
        """Whether it takes requests."""
        return self._lasting.readiness.ready

    async def measure(self) -> bytes:
        """The text of a scrape."""
        return await self._lasting.measure()

    async def own_measure(self) -> bytes:
        """The same of this process alone."""
        return await self._lasting.metrics.render()

    def listen(self) -> None:
        """Opens the configured addresses, and follows its files (a worker's parent does that). Raises CannotListen."""
        self._move(self.config)
        if self._part is not None:
            return
        self._reloading = asyncio.create_task(self._reloader.serve(lambda: self.config.server.watch))

    async def reload(self) -> Reloaded:
        """Loads the configuration again; a faulty one leaves everything as it is."""
        return await self._reloader.reload()

    def reload_soon(self) -> None:
        """The same for a signal."""
        self._reloader.ask()

    def reopen_log(self) -> None:
        """Takes up the request log's file by its name again."""
        if self._log is not None:
            self._log.reopen()

    def kill(self) -> None:
        """Nothing here outlives the process."""

    async def apply(self, config: Config) -> tuple[str, ...]:
        """Puts a configuration in force: for requests that come from now on. Returns the settings that need a restart.

        Raises CannotListen, or OSError for the log, with everything as it was.
        """
        config = config if self._part is None else self._part.share(config)
        old = self.config.server
        fresh = serving(config, self._lasting)
        log = self._log if config.server.log.requests == old.log.requests else self._open_log(config.server.log.requests)
        try:
            self._move(config)
        except CannotListen:
            if log is not None and log is not self._log:
                await log.close()
            raise
        self._lasting.metrics.models = frozenset(model_names(config))
        self._gateway.serving = fresh
        self._server.header_limit = config.server.limits.headers
        logging.getLogger().setLevel(config.server.log.level.upper())
        self._write_to(log)
        self.config = config
        return needing_restart(old, config.server)

    def take(self, accepted: socket.socket) -> None:
        """Serves a connection that was accepted elsewhere."""
        self._listeners.take(accepted)

    async def retire(self, grace: float) -> None:
        """Ends for another that has its sockets: who is connected gets one more answer, then `close`."""
        self._listeners.close()
        self._gateway.part()
        await asyncio.sleep(_PARTING)
        await self.close(grace)

    async def close(self, grace: float | None = None) -> None:
        """Stops listening, lets running answers end within `grace` seconds (default: the configuration's), closes everything."""
        self._lasting.readiness.ready = False
        if self._reloading is not None:
            self._reloading.cancel()
        self._listeners.close()
        await self._listeners.settled()
        self._server.close_idle()
        await self._gateway.drain(self.config.server.drain if grace is None else grace)
        await self._server.shutdown(0.1)
        await self._admin.close()
        await self._lasting.pool.close()
        self._write_to(None)
        await asyncio.gather(*self._closing)

    def _move(self, config: Config) -> None:
        """Opens what is new, then closes what is gone."""
        wanted = places(config.server)
        fresh = self._listeners.open(wanted)
        try:
            if self._part is None:
                self._admin.move(config.server.admin)
        except CannotListen:
            self._listeners.close(fresh)
            raise
        self._listeners.keep(wanted)

    def _open_log(self, target: str) -> RequestLog | None:
        """Raises OSError, whose text is a sentence, for a file that cannot be written."""
        try:
            return (
                None if target == "off" else RequestLog(_DESCRIPTORS.get(target) or Path(target), self._part.lock if self._part else None)
            )
        except OSError as error:
            raise OSError(f"cannot write the request log {target}: {error.strerror}") from error

    def _write_to(self, log: RequestLog | None) -> None:
        former, self._log = self._log, log
        self._gateway.log = log
        if former is not None and former is not log:
            closing = asyncio.create_task(self._retire(former))
            self._closing.add(closing)
            closing.add_done_callback(self._closing.discard)

    async def _retire(self, log: RequestLog) -> None:
        await log.close()
        self._lost += log.lost

    def _lines_lost(self) -> int:
        return self._lost + (self._log.lost if self._log is not None else 0)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        await self.close(0.0)


async def start(config: Config, load: Load | None = None, part: Part | None = None) -> RunningServer:
    """Serves `config` on its addresses. `load`: reads it again; `part`: this is one of several workers.

    Raises OSError, whose text is a sentence, for an address or a log that cannot be had.
    """
    config = config if part is None else part.share(config)
    metrics = Metrics(__version__)
    metrics.models = frozenset(model_names(config))
    measure, workers = (part.measure, part.workers) if part else (metrics.render, 1)
    lasting = Lasting(load_client_dialects(), metrics, measure, Pool(), Readiness(), Standings(), Gates(workers), Memory())
    observe(metrics, lasting.standings, lasting.gates)
    running = RunningServer(config, lasting, load or _unchanged(config), part)
    try:
        running.listen()
    except OSError:
        await running.close(0.0)
        raise
    return running


def _unchanged(config: Config) -> Load:
    async def load() -> Config:
        return config

    return load
