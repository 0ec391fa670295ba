"""An upstream made of raw sockets and scripts: it sends exactly the bytes it is told to, when it is told to.

    async with Upstream([request, b"HTTP/1.1 200 OK\\r\\ncontent-length: 2\\r\\n\\r\\nok"]) as upstream:
        ... upstream.port, upstream.peers[0].requests ...

A script is what happens on one connection, a list of steps: bytes to write, or an async function of the Peer. Connections take
the scripts in turn; the last one serves all that follow. After its last step a connection is closed (FIN).
"""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import re
import socket
import ssl
import struct
from collections.abc import Awaitable, Callable, Sequence
from typing import Self

Step = bytes | Callable[["Peer"], Awaitable[None]]

_LENGTH = re.compile(rb"^content-length: *(\d+)", re.IGNORECASE | re.MULTILINE)
_CHUNKED = re.compile(rb"^transfer-encoding: *chunked", re.IGNORECASE | re.MULTILINE)


class Peer:
    """One accepted connection.

    requests: what has been asked on it; asked: at least one is there. written: bytes written (or waiting to be).
    stuck: the other side has stopped reading (see `flood`). closed: the other side has closed. shown: the test says that what
    was written has arrived where it belongs (see `until_shown`).
    """

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader = reader
        self.writer = writer
        self.requests: list[bytes] = []
        self.asked = asyncio.Event()
        self.written = 0
        self.stuck = asyncio.Event()
        self.closed = asyncio.Event()
        self.shown = asyncio.Event()

    async def write(self, data: bytes) -> None:
        self.written += len(data)
        self.writer.write(data)
        await self.writer.drain()

    async def run(self, script: Sequence[Step]) -> None:
        try:
            for step in script:
                await (self.write(step) if isinstance(step, bytes) else step(self))
        except (ConnectionError, asyncio.IncompleteReadError):
            self.closed.set()
        except asyncio.CancelledError:  # the test is over; nobody may be reading what is left to send
            self.writer.transport.abort()
            raise
        finally:
            self.writer.close()
            with contextlib.suppress(OSError):
                await self.writer.wait_closed()


async def request(peer: Peer) -> None:
    """Read one whole request, its body too."""
    head = await peer.reader.readuntil(b"\r\n\r\n")
    body = b""
    if length := _LENGTH.search(head):
        body = await peer.reader.readexactly(int(length[1]))
    elif _CHUNKED.search(head):
        body = await peer.reader.readuntil(b"0\r\n\r\n")
    peer.requests.append(head + body)
    peer.asked.set()


async def request_head(peer: Peer) -> None:
    """Read a request's head and nothing of its body."""
    peer.requests.append(await peer.reader.readuntil(b"\r\n\r\n"))
    peer.asked.set()


async def hang(peer: Peer) -> None:
    """Say nothing more; read until the other side closes."""
    while await peer.reader.read(65536):
        pass
    peer.closed.set()


async def reset(peer: Peer) -> None:
    """Close with a RST."""
    sock = peer.writer.get_extra_info("socket")
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    peer.writer.transport.abort()


async def flood(peer: Peer) -> None:
    """Write until the other side stops reading: then `stuck` is set. Goes on when it reads again."""
    block = b"x" * 65536
    while True:
        peer.written += len(block)
        peer.writer.write(block)
        try:
            async with asyncio.timeout(1):
                await peer.writer.drain()
        except TimeoutError:
            peer.stuck.set()
            await peer.writer.drain()


async def until_shown(peer: Peer) -> None:
    """Go on when the test has set `shown`: a reset would take back what is still on its way."""
    await peer.shown.wait()


def after(event: asyncio.Event) -> Step:
    """Wait until the test says so."""

    async def step(peer: Peer) -> None:
        await event.wait()

    return step


def sets(event: asyncio.Event) -> Step:
    """Tell the test that the script came this far."""

    async def step(peer: Peer) -> None:
        event.set()

    return step


def drip(data: bytes, every: float) -> Step:
    """Write `data` byte by byte, again and again, until the other side closes."""

    async def step(peer: Peer) -> None:
        for number in itertools.cycle(data):
            await peer.write(bytes([number]))
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(every):
                    if not await peer.reader.read(1):
                        raise ConnectionResetError

    return step


def in_pieces(data: bytes, size: int = 1) -> Step:
    """Write `data` in small writes, giving the other side a turn between them."""

    async def step(peer: Peer) -> None:
        for at in range(0, len(data), size):
            await peer.write(data[at : at + size])
            await asyncio.sleep(0)

    return step


def times(count: int, *steps: Step) -> list[Step]:
    """The same steps again and again on one connection."""
    return list(steps) * count


def answer(body: bytes = b"ok", *headers: bytes, status: bytes = b"200 OK") -> bytes:
    """A plain answer with a length."""
    lines = b"".join(header + b"\r\n" for header in headers)
    return b"HTTP/1.1 %b\r\n%bcontent-length: %d\r\n\r\n%b" % (status, lines, len(body), body)


def chunked(*pieces: bytes, end: bool = True, trailers: bytes = b"") -> bytes:
    """A body in chunks."""
    chunks = b"".join(b"%x\r\n%b\r\n" % (len(piece), piece) for piece in pieces)
    return chunks + (b"0\r\n" + trailers + b"\r\n" if end else b"")


CHUNKED_HEAD = b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n"


class Upstream:
    """Listens on a loopback port (or a Unix socket) while its block runs. A given `port` may be held by a socket that does not listen."""

    def __init__(self, *scripts: Sequence[Step], path: str | None = None, tls: ssl.SSLContext | None = None, port: int = 0) -> None:
        self._scripts = scripts
        self._path = path
        self._tls = tls
        self._tasks: set[asyncio.Task[None]] = set()
        self._arrival = asyncio.Event()
        self.peers: list[Peer] = []
        self.port = port

    async def __aenter__(self) -> Self:
        if self._path is not None:
            self._server = await asyncio.start_unix_server(self._accept, self._path, ssl=self._tls)
        else:
            self._server = await asyncio.start_server(self._accept, "127.0.0.1", self.port, ssl=self._tls, reuse_port=bool(self.port))
            self.port = self._server.sockets[0].getsockname()[1]
        return self

    async def __aexit__(self, *error: object) -> None:
        self._server.close()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        async with asyncio.timeout(20):
            await self._server.wait_closed()

    def stop_listening(self) -> None:
        """Refuse further connections."""
        self._server.close()

    async def peer(self, number: int = 0) -> Peer:
        """The connection with this number, once it is there."""
        async with asyncio.timeout(20):
            while len(self.peers) <= number:
                self._arrival.clear()
                await self._arrival.wait()
        return self.peers[number]

    @property
    def requests(self) -> list[bytes]:
        """All requests read so far, over all connections."""
        return [message for peer in self.peers for message in peer.requests]

    async def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        peer = Peer(reader, writer)
        script = self._scripts[min(len(self.peers), len(self._scripts) - 1)]
        self.peers.append(peer)
        self._arrival.set()
        with contextlib.suppress(asyncio.CancelledError):  # the block is over
            await peer.run(script)
