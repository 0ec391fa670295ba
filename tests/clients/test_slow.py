"""Clients that are slow on purpose, or send without end: each is bounded in time and memory, and others are served meanwhile."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import os
import zlib
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from functools import cache
from pathlib import Path

import pytest

from proxy.app import server
from proxy.exchange import body
from proxy.exchange.body import BodyLimits
from tests.clients.test_leaving import reset
from tests.clients.test_malformed_http import BODY, CHUNKED, LENGTH, OK, post
from tests.exchange.test_clients import flood
from tests.exchange.wire import CHAT, EVENT_HEAD, STREAM, Client, Served, delta, serving, sse
from tests.upstream.scripted import hang, request, times

MB = 2**20
FORM = b'--B\r\ncontent-disposition: form-data; name="model"\r\n\r\nm\r\n--B\r\ncontent-disposition: form-data; name="file"\r\n\r\n'
FORM_LINES = (b"content-type: multipart/form-data; boundary=B", b"content-length: 99999999")
UPLOAD = post(*FORM_LINES, body=FORM, first=b"POST /v1/audio/transcriptions HTTP/1.1")


def memory() -> int:
    """Bytes of this process that lie in memory."""
    return int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")


def descriptors() -> int:
    return len(list(Path("/proc/self/fd").iterdir()))


@asynccontextmanager
async def nothing_left(served: Served) -> AsyncIterator[None]:
    """Descriptors and tasks are as many afterwards as before, and no request is in flight."""
    await served.ask(b"", "/healthz", method="GET")
    tasks, files = len(asyncio.all_tasks()), descriptors()
    yield
    async with asyncio.timeout(20):
        while len(asyncio.all_tasks()) > tasks or descriptors() > files:  # noqa: ASYNC110
            await asyncio.sleep(0.02)
    assert "samewire_requests_in_flight 0.0" in await served.metrics()


class Peak:
    """The most that has lain in memory beyond what lay there before; looked at every few milliseconds."""

    def __init__(self) -> None:
        gc.collect()
        self.before = memory()
        self.grown = 0

    async def watch(self) -> None:
        while True:
            self.grown = max(self.grown, memory() - self.before)
            await asyncio.sleep(0.003)


async def write(client: Client, data: bytes, seconds: float = 5) -> bool:
    """Writes as much as is taken; False when the other side has closed."""
    client.writer.write(data)
    try:
        async with asyncio.timeout(seconds):
            await client.writer.drain()
    except (ConnectionError, TimeoutError):
        return False
    return True


async def drip(client: Client, data: bytes, every: float = 0.01) -> None:
    """Sends byte after byte until the other side closes or the test ends."""
    with contextlib.suppress(ConnectionError):
        for byte in data:
            client.writer.write(bytes([byte]))
            await client.writer.drain()
            await asyncio.sleep(every)


# ── deadlines ──

DRIPPED = {
    "a body": (post(LENGTH, body=BODY[:5]), b" " * 9999),
    "a chunked body": (post(CHUNKED, body=b""), b"1\r\n \r\n" * 9999),
    "a form whose model is not there yet": (UPLOAD.partition(b"\r\nm\r\n")[0], b"m" * 999),
}


@pytest.mark.parametrize(("first", "rest"), DRIPPED.values(), ids=DRIPPED)
async def test_a_dripping_body_is_given_up(first: bytes, rest: bytes, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each byte comes in time, and all of them would take for ever."""
    monkeypatch.setattr(BodyLimits.__init__, "__defaults__", (MB, 0.2, 60.0))
    async with serving(OK) as served, await served.client() as client:
        client.writer.write(first)
        dripping = asyncio.create_task(drip(client, rest))
        reply = await client.reply()
        assert (reply.status, reply.error["code"], reply.headers["connection"]) == (408, "request_timeout", "close")
        dripping.cancel()
        assert served.upstream.peers == []


async def test_a_dripping_upload_is_given_up_and_its_upstream_let_go(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(BodyLimits.__init__, "__defaults__", (MB, 0.2, 60.0))
    async with serving([hang]) as served, await served.client() as client:
        client.writer.write(UPLOAD)
        peer = await served.upstream.peer()
        dripping = asyncio.create_task(drip(client, b"x" * 9999))
        assert (await client.reply()).status == 408
        dripping.cancel()
        async with asyncio.timeout(20):
            await peer.closed.wait()


async def test_a_slow_body_that_keeps_its_rate_is_read(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(BodyLimits.__init__, "__defaults__", (MB, 1.5, 60.0))
    monkeypatch.setattr(body, "SLOWEST", 100)
    async with serving(OK) as served, await served.client() as client:
        client.writer.write(post(b"content-length: %d" % (len(BODY) + 600), body=BODY))
        for _ in range(60):
            client.writer.write(b" " * 10)
            await asyncio.sleep(0.03)
        assert (await client.reply()).status == 200


SILENT = {"nothing": b"", "half a request line": b"POST /v1/ch", "half a head": b"POST / HTTP/1.1\r\nhost: x\r\nx-a: "}


@pytest.mark.parametrize("said", SILENT.values(), ids=SILENT)
@pytest.mark.parametrize("dripping", [False, True])
async def test_a_head_that_does_not_come_is_given_up(said: bytes, dripping: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(server, "HEAD_TIMEOUT", 0.2)
    async with serving(OK) as served, await served.client() as client:
        client.writer.write(said)
        task = asyncio.create_task(drip(client, (b"" if said else b"GET /") + b"a" * 999 if dripping else b""))
        with contextlib.suppress(ConnectionResetError):
            assert await client.ended()
        task.cancel()


async def test_a_second_head_that_drips_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    """The time of keep-alive is counted from the last answer, whatever comes meanwhile."""
    monkeypatch.setattr(server, "KEEPALIVE_TIMEOUT", 0.3)
    async with serving(OK) as served, await served.client() as client:
        client.writer.write(post(LENGTH))
        assert (await client.reply()).status == 200
        task = asyncio.create_task(drip(client, b"GET /" + b"a" * 999))
        with contextlib.suppress(ConnectionResetError):
            assert await client.ended()
        task.cancel()


# ── without end ──


async def endless_headers(client: Client) -> None:
    client.writer.write(b"GET / HTTP/1.1\r\nhost: x\r\n")
    while await write(client, b"x-a: %b\r\n" % (b"a" * 8000)):
        pass


async def endless_request_line(client: Client) -> None:
    client.writer.write(b"GET /")
    while await write(client, b"a" * MB):
        pass


async def endless_chunks(client: Client) -> None:
    client.writer.write(post(CHUNKED, body=b""))
    while await write(client, b"100000\r\n" + b" " * MB + b"\r\n"):
        pass


async def endless_extension(client: Client) -> None:
    client.writer.write(post(CHUNKED, body=b"5;"))
    while await write(client, b"a" * MB):
        pass


async def endless_trailers(client: Client) -> None:
    client.writer.write(post(CHUNKED, body=b"0\r\n"))
    while await write(client, b"x-a: %b\r\n" % (b"a" * 8000)):
        pass


async def two_gigabytes(client: Client) -> None:
    client.writer.write(post(b"content-length: 2000000000", body=b""))
    while await write(client, b" " * MB):
        pass


@cache
def bomb() -> bytes:
    """400 MB in 400 kB."""
    packer = zlib.compressobj(1, wbits=31)
    return b"".join([*(packer.compress(bytes(MB)) for _ in range(400)), packer.flush()])


async def gzip_bomb(client: Client) -> None:
    client.writer.write(post(b"connection: close", b"content-encoding: gzip", b"content-length: %d" % len(bomb()), body=bomb()))


async def garbage(client: Client) -> None:
    while await write(client, b"garbage\r\n\r\n" * 10000):
        pass


ENDLESS: dict[str, tuple[Callable[[Client], Awaitable[None]], int]] = {
    "headers": (endless_headers, 431),
    "request line": (endless_request_line, 431),
    "chunks": (endless_chunks, 413),
    "chunk extension": (endless_extension, 400),
    "trailers": (endless_trailers, 400),
    "2 GB declared": (two_gigabytes, 413),
    "gzip bomb": (gzip_bomb, 413),
    "garbage": (garbage, 400),
}


@pytest.mark.parametrize(("send", "status"), ENDLESS.values(), ids=ENDLESS)
async def test_what_has_no_end_is_ended(send: Callable[[Client], Awaitable[None]], status: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """With the limits as they are by default, and no more memory than a body may have."""
    monkeypatch.setattr(server, "LINGERING_TIME", 0.3)
    bomb()
    async with serving(OK) as served, nothing_left(served):
        async with await served.client() as client:
            peak = Peak()
            watching = asyncio.create_task(peak.watch())
            sending = asyncio.create_task(send(client))
            assert (await client.reply()).status == status
            with contextlib.suppress(ConnectionError):
                async with asyncio.timeout(20):
                    await client.reader.read()
            sending.cancel()
            watching.cancel()
            await asyncio.wait([sending, watching])
            client.leave()
            with contextlib.suppress(OSError):
                await client.writer.wait_closed()
        assert peak.grown < 100 * MB
        assert served.upstream.peers == []


# ── many at once ──

MANY = 500
OPENINGS = {
    "silent": b"",
    "half a head": b"POST /v1/chat/completions HTTP/1.1\r\nhost: x\r\n",
    "half a body": post(LENGTH, body=BODY[:9]),
}


@pytest.mark.parametrize("opening", OPENINGS.values(), ids=OPENINGS)
async def test_others_are_served_meanwhile_and_nothing_is_left(opening: bytes) -> None:
    """500 connections that stay as they are, then 500 that are reset."""
    async with serving(times(4, *OK)) as served:
        assert (await served.ask(CHAT)).status == 200
        await stay_and_leave(served, opening)


async def stay_and_leave(served: Served, opening: bytes) -> None:
    async with nothing_left(served):
        before = memory()
        clients = await asyncio.gather(*(served.client() for _ in range(MANY)))
        for client in clients:
            client.writer.write(opening)
        async with asyncio.timeout(server.HEAD_TIMEOUT / 2):  # not only when the others have been given up
            assert (await served.ask(CHAT)).status == 200
        assert memory() - before < 64 * MB
        for client in clients:
            reset(client)
        assert (await served.ask(CHAT)).status == 200
        del clients, client


async def test_many_streams_dropped_at_once() -> None:
    async with serving([request, sse(delta("Hello"), end=False), hang]) as served, nothing_left(served):
        clients = await asyncio.gather(*(served.client() for _ in range(200)))
        for client in clients:
            client.send(STREAM)
        for client in clients:
            await client.head()
        for client in clients:
            reset(client)
        async with asyncio.timeout(20):
            await asyncio.gather(*(peer.closed.wait() for peer in served.upstream.peers))
        assert len(served.upstream.peers) == 200
        del clients, client


async def test_slow_readers_are_not_hurried_and_nothing_is_heaped_up() -> None:
    """20 of them, each with an upstream that writes as much as is taken."""
    async with serving([request, EVENT_HEAD, flood]) as served, nothing_left(served):
        before = memory()
        clients = [await served.client(limit=2**14) for _ in range(20)]
        for client in clients:
            client.send(STREAM)
        for number in range(20):
            async with asyncio.timeout(10):
                await (await served.upstream.peer(number)).stuck.wait()
        assert max(peer.written for peer in served.upstream.peers) < 16 * MB
        assert memory() - before < 128 * MB
        assert (await served.ask(b"", "/healthz", method="GET")).status == 200
        for client in clients:
            reset(client)
        async with asyncio.timeout(20):
            await asyncio.gather(*(peer.closed.wait() for peer in served.upstream.peers))
        del clients, client
