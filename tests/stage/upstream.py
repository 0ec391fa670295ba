"""An upstream that answers what a test tells it to, byte for byte, piece for piece, and remembers what it was asked."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal, Self, cast

#: How an answer's body ends: properly; cut without its last chunk (or short of its length); never (until the other side leaves).
End = Literal["whole", "cut", "hang"]


@dataclass(slots=True)
class Asked:
    """One request that arrived. Header names are in lower case; `gone` is set when the gateway has closed the connection."""

    method: str
    path: str
    headers: dict[str, str]
    body: bytes
    gone: asyncio.Event = field(default_factory=asyncio.Event)

    def json(self) -> Any:
        """The body, decoded."""
        return json.loads(self.body)


@dataclass(slots=True)
class Script:
    """What to answer. Every piece is written on its own, so that the gateway reads it on its own."""

    pieces: Iterable[bytes] = ()
    status: int = 200
    headers: Mapping[str, str] = field(default_factory=lambda: {"content-type": "application/json"})
    end: End = "whole"
    head: bool = True  # False: nothing at all is answered before `end`
    gate: asyncio.Event | None = None  # waited for after the first piece
    steps: asyncio.Semaphore | None = None  # one is taken before each piece


def whole(document: Any, status: int = 200, **headers: str) -> Script:
    """A whole JSON answer."""
    return Script([json.dumps(document).encode()], status, {"content-type": "application/json"} | headers)


def events(*documents: Any, end: End = "whole", done: bool = True) -> Script:
    """A stream of nameless events, [DONE] at its end if `done`."""
    pieces = [b"data: %s\n\n" % (document if isinstance(document, bytes) else json.dumps(document).encode()) for document in documents]
    return Script([*pieces, *([b"data: [DONE]\n\n"] if done else [])], headers={"content-type": "text/event-stream"}, end=end)


def named(*documents: dict[str, Any], end: End = "whole") -> Script:
    """A stream of events called after their `type` (Anthropic's way)."""
    pieces = [b"event: %s\ndata: %s\n\n" % (document["type"].encode(), json.dumps(document).encode()) for document in documents]
    return Script(pieces, headers={"content-type": "text/event-stream"}, end=end)


class Upstream:
    """An async context: a server on loopback that asks `play` what to answer to each request."""

    def __init__(self, play: Callable[[Asked], Script] | None = None) -> None:
        self.play = play
        self.asked: list[Asked] = []
        self.arrived = asyncio.Event()  # a request has come since `answer`
        self.port = 0
        self.connections: set[_Connection] = set()
        self._server: asyncio.Server | None = None

    def answer(self, *scripts: Script) -> None:
        """Answer the coming requests with these, in order; the last one again and again. Forgets what was asked before."""
        self.asked.clear()
        self.arrived.clear()
        self.play = lambda asked: scripts[min(len(self.asked), len(scripts)) - 1]

    @property
    def last(self) -> Asked:
        """The request that came last."""
        return self.asked[-1]

    async def __aenter__(self) -> Self:
        self._server = await asyncio.get_running_loop().create_server(lambda: _Connection(self), "127.0.0.1", 0)
        self.port = self._server.sockets[0].getsockname()[1]
        return self

    async def __aexit__(self, *_: object) -> None:
        assert self._server is not None
        self._server.close()
        for connection in list(self.connections):
            connection.transport.abort()
        await asyncio.sleep(0)  # their connection_lost


class _Connection(asyncio.Protocol):
    """One connection of the gateway's: requests in turn, each answered by a task."""

    transport: asyncio.Transport

    def __init__(self, upstream: Upstream) -> None:
        self.upstream = upstream
        self.received = b""
        self.current: Asked | None = None
        self.task: asyncio.Task[None] | None = None
        self.writable = asyncio.Event()
        self.writable.set()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast(asyncio.Transport, transport)  # uvloop's own is none by birth
        self.upstream.connections.add(self)

    def connection_lost(self, exc: Exception | None) -> None:
        self.upstream.connections.discard(self)
        if self.current is not None:
            self.current.gone.set()
        if self.task is not None:
            self.task.cancel()

    def pause_writing(self) -> None:
        self.writable.clear()

    def resume_writing(self) -> None:
        self.writable.set()

    def data_received(self, data: bytes) -> None:
        self.received += data
        self._next()

    def _next(self) -> None:
        if self.current is None and (found := _request(self.received)) is not None:
            self.current, self.received = found
            self.upstream.asked.append(self.current)
            self.upstream.arrived.set()
            assert self.upstream.play is not None
            self.task = asyncio.get_running_loop().create_task(self._answer(self.upstream.play(self.current)))

    async def _answer(self, script: Script) -> None:
        if script.head:
            lines = [f"HTTP/1.1 {script.status} Replayed", *(f"{name}: {value}" for name, value in script.headers.items())]
            self.transport.write("\r\n".join([*lines, "transfer-encoding: chunked", "", ""]).encode("latin-1"))
        for number, piece in enumerate(script.pieces):
            if number == 1 and script.gate is not None:
                await script.gate.wait()
            if script.steps is not None:
                await script.steps.acquire()
            self.transport.write(b"%x\r\n%s\r\n" % (len(piece), piece))
            await asyncio.sleep(0)  # the gateway, on the same loop, reads this before the next
            await self.writable.wait()
        if script.end == "cut":
            self.transport.close()
        elif script.end == "whole":
            self.transport.write(b"0\r\n\r\n")
            self.current = None
            self._next()


def _request(received: bytes) -> tuple[Asked, bytes] | None:
    """The first request, if it is all there, and what follows it."""
    head, found, rest = received.partition(b"\r\n\r\n")
    if not found:
        return None
    first, *lines = head.decode("latin-1").split("\r\n")
    method, path, _ = first.split(" ")
    headers = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in lines)}
    body = b""
    if "chunked" in headers.get("transfer-encoding", ""):
        while True:
            size, found, rest = rest.partition(b"\r\n")
            length = int(size or b"-1", 16) if found else -1
            if length < 0 or len(rest) < length + 2:
                return None
            body, rest = body + rest[:length], rest[length + 2 :]
            if not length:
                return Asked(method, path, headers, body), rest
    length = int(headers.get("content-length", "0"))
    return (Asked(method, path, headers, rest[:length]), rest[length:]) if len(rest) >= length else None
