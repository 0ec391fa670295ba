"""A gateway between a scripted upstream and a client that sees bytes: what the tests of the exchange stand on."""

from __future__ import annotations

import asyncio
import contextlib
import json
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Self

import yaml

from proxy.app import RunningServer, start
from proxy.config import load
from tests.upstream.scripted import Step, Upstream, chunked

#: Longer than anything here may take, shorter than anybody's patience.
DEADLINE = 30.0

CHAT = {"model": "m", "messages": [{"role": "user", "content": "Hi"}]}
STREAM = CHAT | {"stream": True}

EVENT_HEAD = b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\n\r\n"


def event(document: Any) -> bytes:
    """One nameless event."""
    return b"data: %b\n\n" % (document if isinstance(document, bytes) else json.dumps(document, separators=(",", ":")).encode())


def delta(content: str, finish: str | None = None, model: str = "up-1") -> bytes:
    """A chunk of a chat stream."""
    choice = {"index": 0, "delta": {"content": content} if content else {}, "finish_reason": finish}
    return event({"id": "c1", "object": "chat.completion.chunk", "created": 1, "model": model, "choices": [choice]})


USAGE = {"prompt_tokens": 3, "completion_tokens": 2, "total_tokens": 5}
USAGE_EVENT = event({"id": "c1", "object": "chat.completion.chunk", "created": 1, "model": "up-1", "choices": [], "usage": USAGE})
DONE = event(b"[DONE]")
FINISH = delta("", "stop")


def sse(*events: bytes, end: bool = True) -> bytes:
    """A stream's answer, each event a chunk of its own."""
    return EVENT_HEAD + chunked(*events, end=end)


def json_answer(document: Any, status: bytes = b"200 OK", *headers: bytes) -> bytes:
    """A whole JSON answer."""
    body = document if isinstance(document, bytes) else json.dumps(document, separators=(",", ":")).encode()
    lines = b"".join(header + b"\r\n" for header in (b"content-type: application/json", *headers))
    return b"HTTP/1.1 %b\r\n%bcontent-length: %d\r\n\r\n%b" % (status, lines, len(body), body)


COMPLETION = {"id": "c1", "object": "chat.completion", "created": 1, "model": "up-1", "choices": [], "usage": USAGE}


@dataclass(frozen=True, slots=True)
class Reply:
    """An answer as it came. `chunks`: the pieces of a chunked body; `whole`: it came to its proper end; `closed`: so did the connection."""

    status: int
    headers: dict[str, str]
    body: bytes
    chunks: tuple[bytes, ...] = ()
    whole: bool = True
    closed: bool = False

    def json(self) -> Any:
        return json.loads(self.body)

    @property
    def error(self) -> dict[str, Any]:
        """The envelope's content, of an answer or of a stream's last event."""
        text = self.body.rpartition(b"data: ")[2] if self.headers["content-type"].startswith("text/event-stream") else self.body
        found: dict[str, Any] = json.loads(text)["error"]
        return found


class Client:
    """One connection to the gateway."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader = reader
        self.writer = writer

    @classmethod
    async def connect(cls, address: tuple[str, int], limit: int = 2**20) -> Client:
        return cls(*await asyncio.open_connection(*address, limit=limit))

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        self.leave()
        with contextlib.suppress(OSError):
            await self.writer.wait_closed()

    def leave(self) -> None:
        """Close at once, whatever is on its way."""
        self.writer.transport.abort()

    def send(
        self, body: Any = CHAT, path: str = "/v1/chat/completions", headers: Mapping[str, str] | None = None, method: str = "POST"
    ) -> None:
        """Write one request; a body that is no bytes is JSON."""
        data = body if isinstance(body, bytes) else json.dumps(body).encode()
        given = {"host": "gateway", "content-type": "application/json", "content-length": str(len(data)), **(headers or {})}
        lines = "".join(f"{name}: {value}\r\n" for name, value in given.items() if value)
        self.writer.write(f"{method} {path} HTTP/1.1\r\n{lines}\r\n".encode() + data)

    async def head(self) -> tuple[int, dict[str, str]]:
        """Status and headers of the next answer."""
        async with asyncio.timeout(DEADLINE):
            head = (await self.reader.readuntil(b"\r\n\r\n")).decode("latin-1")
        line, *lines = head.strip().split("\r\n")
        return int(line.split(" ")[1]), {name: value for name, _, value in (item.partition(": ") for item in lines)}

    async def chunk(self) -> bytes:
        """The next piece of a chunked body; empty at its end. Raises IncompleteReadError when the connection ends instead."""
        async with asyncio.timeout(DEADLINE):
            size = int(await self.reader.readuntil(b"\r\n"), 16)
            return (await self.reader.readexactly(size + 2))[:-2]

    async def reply(self) -> Reply:
        """The next answer, read to its end."""
        status, headers = await self.head()
        if "transfer-encoding" in headers:
            return await self.chunked(Reply(status, headers, b""))
        async with asyncio.timeout(DEADLINE):
            if "content-length" not in headers:
                return Reply(status, headers, b"" if status == 204 else await self.reader.read(), closed=status != 204)
            length = int(headers["content-length"])
            try:
                return Reply(status, headers, await self.reader.readexactly(length))
            except asyncio.IncompleteReadError as cut:
                return Reply(status, headers, cut.partial, whole=False, closed=True)

    async def chunked(self, reply: Reply) -> Reply:
        """The rest of a chunked answer; `reply` is what there is of it already."""
        chunks: list[bytes] = []
        whole = False
        try:
            while piece := await self.chunk():
                chunks.append(piece)
            whole = True
        except asyncio.IncompleteReadError:
            pass
        return replace(reply, body=reply.body + b"".join(chunks), chunks=tuple(chunks), whole=whole, closed=not whole)

    async def ended(self) -> bool:
        """Waits until the gateway closes the connection; True when nothing more came before."""
        async with asyncio.timeout(DEADLINE):
            return await self.reader.read() == b""


@dataclass(frozen=True, slots=True)
class Served:
    """A running gateway and the upstreams behind it, in order."""

    running: RunningServer
    upstreams: tuple[Upstream, ...]

    @property
    def address(self) -> tuple[str, int]:
        return self.running.addresses[0]

    @property
    def upstream(self) -> Upstream:
        return self.upstreams[0]

    async def client(self, limit: int = 2**20) -> Client:
        return await Client.connect(self.address, limit)

    async def ask(
        self, body: Any = CHAT, path: str = "/v1/chat/completions", headers: Mapping[str, str] | None = None, method: str = "POST"
    ) -> Reply:
        """One request on a connection of its own."""
        async with await self.client() as client:
            client.send(body, path, headers, method)
            return await client.reply()

    async def metrics(self) -> str:
        """The text of a scrape."""
        return (await self.ask(b"", "/metrics", method="GET")).body.decode()

    async def counted(self, line: str) -> None:
        """Waits until a scrape shows this: what the gateway notes once a client is gone can be seen nowhere else."""
        async with asyncio.timeout(DEADLINE):
            while line not in await self.metrics():  # noqa: ASYNC110
                await asyncio.sleep(0.02)


@asynccontextmanager
async def serving(*scripts: Sequence[Step], others: Sequence[Sequence[Step]] = (), **changes: Any) -> AsyncIterator[Served]:
    """A gateway whose model `m` is `up` of an OpenAI-shaped upstream that follows `scripts`, one for each connection.

    Each of `others` is the script of one more upstream, the next targets of `m`. `changes` are merged into the configuration.
    """
    async with contextlib.AsyncExitStack() as stack:
        upstreams = [await stack.enter_async_context(Upstream(*scripts))] if scripts else []
        upstreams += [await stack.enter_async_context(Upstream(script)) for script in others]
        running = await stack.enter_async_context(await start(configured([upstream.port for upstream in upstreams] or [1], changes)))
        yield Served(running, tuple(upstreams))


def configured(ports: Sequence[int], changes: Mapping[str, Any]) -> Any:
    """A loaded configuration with providers p0, p1, … on these ports."""
    providers = {
        f"p{at}": {"base_url": f"http://127.0.0.1:{port}/v1", "dialect": "openai", "key": f"sk-secret-{at}"}
        for at, port in enumerate(ports)
    }
    document = {
        "version": 1,
        "server": {"port": 0, "log": {"requests": "off"}},
        "providers": providers,
        "routes": [{"model": "m", "to": [f"{name}/up" for name in providers]}],
    }
    with TemporaryDirectory() as folder:
        path = Path(folder) / "routes.yaml"
        path.write_text(yaml.safe_dump(merged(document, changes)))
        return load(path, {})


def merged(one: Any, other: Any) -> Any:
    """Maps are merged deeply, everything else is replaced."""
    if isinstance(one, dict) and isinstance(other, Mapping):
        return one | {key: merged(one.get(key), value) for key, value in other.items()}
    return other
