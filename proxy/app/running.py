"""Opens everything a server needs, in order; closes it in the other."""

from __future__ import annotations

import asyncio
import errno
import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from types import TracebackType
from typing import Self

from proxy import __version__
from proxy.app.gateway import Gateway
from proxy.app.pages import Readiness
from proxy.app.server import Server
from proxy.app.serving import Lasting, model_names, serving
from proxy.app.standing import observe
from proxy.config.model import Config
from proxy.exchange.gate import Gates
from proxy.exchange.operation import load_client_dialect
from proxy.log import RequestLog
from proxy.metrics import Metrics
from proxy.routing import Standings
from proxy.upstream import Pool

_BACKLOG = 4096
_DESCRIPTORS = {"stdout": 1, "stderr": 2}


class RunningServer:
    """A server that listens until `close`. `addresses`: host and port of each TCP listener."""

    def __init__(self, gateway: Gateway, server: Server, pool: Pool, log: RequestLog | None, drain: float) -> None:
        self._gateway = gateway
        self._server = server
        self._pool = pool
        self._log = log
        self._drain = drain
        self._listeners: list[asyncio.Server] = []
        self.addresses: Sequence[tuple[str, int]] = ()

    async def listen(self, hosts: Sequence[str], port: int, socket: str | None) -> None:
        """Raises OSError, whose `filename` is the address. With port 0 all hosts share the port that the first one gets."""
        loop = asyncio.get_running_loop()
        addresses = []
        for host in hosts:
            with _named(f"[{host}]:{port}" if ":" in host else f"{host}:{port}"):
                listener = await loop.create_server(self._server, host, port, backlog=_BACKLOG)
            self._listeners.append(listener)
            port = listener.sockets[0].getsockname()[1]
            addresses.append((host, port))
        if socket is not None:
            with _named(socket):
                await _leave_alone(socket)
                self._listeners.append(await loop.create_unix_server(self._server, socket, backlog=_BACKLOG))
        self.addresses = addresses

    async def close(self, grace: float | None = None) -> None:
        """Stops listening, lets running answers end within `grace` seconds (default: the configuration's), closes everything."""
        for listener in self._listeners:
            listener.close()
        self._server.close_idle()
        await self._gateway.drain(self._drain if grace is None else grace)
        await self._server.shutdown(0.1)
        await self._pool.close()
        if self._log is not None:
            await self._log.close()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        await self.close(0.0)


async def start(config: Config) -> RunningServer:
    """Serves `config` on its addresses. Raises OSError when one of them cannot be listened on."""
    settings = config.server
    metrics = Metrics(__version__)
    metrics.models = frozenset(model_names(config))
    pool = Pool()
    lasting = Lasting(load_client_dialect("openai"), metrics, pool, Readiness(), Standings(), Gates())
    observe(metrics, lasting.standings, lasting.gates)
    target = settings.log.requests
    log = None if target == "off" else RequestLog(_DESCRIPTORS[target])
    gateway = Gateway(serving(config, lasting), lasting.readiness, metrics, log)
    running = RunningServer(gateway, Server(gateway.handle, settings.limits.headers), pool, log, settings.drain)
    try:
        await running.listen(settings.hosts, settings.port, settings.socket)
    except OSError:
        await running.close(0.0)
        raise
    return running


@contextmanager
def _named(address: str) -> Iterator[None]:
    """Puts the address into an OSError, and one sentence of the system's."""
    try:
        yield
    except OSError as error:
        number = error.errno or 0  # those of name resolution are negative
        raise OSError(number, os.strerror(number) if number > 0 else error.strerror, address) from error


async def _leave_alone(socket: str) -> None:
    """Raises OSError when a server listens at this path: binding would take its place without a word, as if it had died."""
    try:
        _, writer = await asyncio.open_unix_connection(socket)
    except OSError:
        return
    writer.close()
    raise OSError(errno.EADDRINUSE, "")
