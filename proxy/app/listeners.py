"""Listening sockets: bound in one place, whether this process listens itself or hands them to its workers.

TCP sockets have SO_REUSEPORT, so that workers share an address and a reload may open one that overlaps an old one (0.0.0.0 after
127.0.0.1). A probe without it comes first: another server that has the address is found, not joined.
"""

from __future__ import annotations

import asyncio
import errno
import os
import socket
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from proxy.app.accepting import Acceptor
from proxy.config.model import Admin, Server

#: Host and port, or the path of a Unix socket.
Place = tuple[str, int] | str

_REUSE_PORT = getattr(socket, "SO_REUSEPORT", None)


class CannotListen(OSError):
    """An address or a file that a server needs and cannot have; `str()` is a sentence."""

    def __str__(self) -> str:
        return f"cannot listen on {self.filename}: {self.strerror}"


def places(settings: Server) -> tuple[Place, ...]:
    """Where clients are served."""
    return (*((host, settings.port) for host in settings.hosts), *([settings.socket] if settings.socket else []))


def admin_places(admin: Admin | None) -> tuple[Place, ...]:
    """Where the operator is."""
    return () if admin is None else (admin.socket or (admin.host, admin.port),)


def bind(place: Place, own: Sequence[int] = (), port: int = 0) -> list[socket.socket]:
    """The bound sockets of a place: of a host's name, one for each of its addresses. Raises CannotListen.

    `own`: ports that this server has already, which no probe would find free. `port` is taken where the place leaves it open.
    """
    if isinstance(place, str):
        with _named(place):
            return [_bind_unix(place)]
    host, wanted = place[0], place[1] or port
    bound: list[socket.socket] = []
    with _named(_written((host, wanted))):
        found = dict.fromkeys((info[0], info[4]) for info in socket.getaddrinfo(host, wanted, type=socket.SOCK_STREAM))
        for family, address in found:
            full = address if wanted else (address[0], bound[0].getsockname()[1] if bound else 0, *address[2:])
            try:
                bound.append(_bind_tcp(family, full, wanted not in own))
            except OSError as error:
                if error.errno not in (errno.EADDRNOTAVAIL, errno.EAFNOSUPPORT) or len(found) == 1:
                    for one in bound:
                        one.close()
                    raise
        if not bound:
            raise OSError(errno.EADDRNOTAVAIL, "")
    return bound


def share(bound: Sequence[socket.socket]) -> list[socket.socket]:
    """Further sockets on the same addresses, for another worker; the same ones where the system cannot spread connections."""
    if _REUSE_PORT is None or bound[0].family == getattr(socket, "AF_UNIX", None):
        return [one.dup() for one in bound]
    return [_bind_tcp(one.family, one.getsockname(), False) for one in bound]


def _bind_tcp(family: int, address: Any, probe: bool) -> socket.socket:
    if probe and address[1]:
        _socket(family, address, None).close()
    return _socket(family, address, _REUSE_PORT)


def _socket(family: int, address: Any, option: int | None) -> socket.socket:
    made = socket.socket(family, socket.SOCK_STREAM)
    try:
        made.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if option is not None:
            made.setsockopt(socket.SOL_SOCKET, option, 1)
        if family == socket.AF_INET6:
            made.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
        made.bind(address)
    except OSError:
        made.close()
        raise
    return made


def _bind_unix(path: str) -> socket.socket:
    """Takes the place of what a dead server left, never that of one that lives."""
    with socket.socket(socket.AF_UNIX) as probe:
        probe.settimeout(1.0)
        with suppress(ConnectionRefusedError, FileNotFoundError):
            probe.connect(path)
            raise OSError(errno.EADDRINUSE, "")
    made = socket.socket(socket.AF_UNIX)
    try:
        with suppress(FileNotFoundError):
            if Path(path).is_socket():
                Path(path).unlink()
        made.bind(path)
    except OSError:
        made.close()
        raise
    return made


def _written(place: Place) -> str:
    if isinstance(place, str):
        return place
    host, port = place
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


@contextmanager
def _named(address: str) -> Iterator[None]:
    """Puts the address into an OSError, and one sentence of the system's."""
    try:
        yield
    except OSError as error:
        number = error.errno or 0  # those of name resolution are negative
        raise CannotListen(number, os.strerror(number) if number > 0 else error.strerror, address) from error


class Listeners:
    """What listens for one server, by place. `given`: sockets that are bound already."""

    def __init__(self, factory: Callable[[], asyncio.BaseProtocol], given: Mapping[Place, Sequence[socket.socket]] | None = None) -> None:
        self._factory = factory
        self._given = dict(given or {})
        self._open: dict[Place, list[Acceptor]] = {}
        self._connecting: set[asyncio.Task[None]] = set()
        #: Host and real port of each TCP place that was opened last.
        self.addresses: list[tuple[str, int]] = []

    def open(self, wanted: Sequence[Place]) -> list[Place]:
        """Opens the places that are not yet open. Returns them. Raises CannotListen, with everything as it was.

        Places with port 0 share the port that the first one gets.
        """
        fresh: list[Place] = []
        port = 0
        try:
            for place in wanted:
                if place not in self._open:
                    sockets = self._given.pop(place, None) or bind(place, self._ports, port)
                    self._open[place] = [Acceptor(one, self.take) for one in sockets]
                    fresh.append(place)
                    with _named(_written(place)):
                        for acceptor in self._open[place]:
                            acceptor.start()
                if not isinstance(place, str) and not place[1]:
                    port = self._port(place)
        except OSError:
            self.close(fresh)
            raise
        return fresh

    def keep(self, wanted: Sequence[Place]) -> None:
        """Closes the places that are not among these."""
        self.close([place for place in self._open if place not in wanted])
        self.addresses = [(place[0], self._port(place)) for place in wanted if not isinstance(place, str)]

    def close(self, closing: Sequence[Place] | None = None) -> None:
        """Closes these places, or all."""
        for place in tuple(self._open) if closing is None else closing:
            for listener in self._open.pop(place):
                listener.close()

    def take(self, accepted: socket.socket) -> None:
        """Serves a connection."""
        task = asyncio.create_task(self._connect(accepted))
        self._connecting.add(task)
        task.add_done_callback(self._connecting.discard)

    async def settled(self) -> None:
        """Returns when each connection that was taken has its protocol."""
        await asyncio.gather(*self._connecting)

    async def _connect(self, accepted: socket.socket) -> None:
        try:
            await asyncio.get_running_loop().connect_accepted_socket(self._factory, accepted)
        except OSError:  # it was gone before it was ours
            accepted.close()

    @property
    def _ports(self) -> list[int]:
        return [self._port(place) for place in self._open if not isinstance(place, str)]

    def _port(self, place: Place) -> int:
        return self._open[place][0].port
