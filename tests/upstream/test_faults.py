"""Upstreams that break off, break the protocol, drip or hang: every one ends in an UpstreamError in time, with its connection closed."""

from __future__ import annotations

import asyncio
import socket

import pytest

from proxy.errors import UpstreamError
from proxy.upstream import Origin, Pool
from proxy.upstream.connect import Connector

from .calls import BODY, HEAD, Gathering, exchange, failure, later, origin_of, soon
from .scripted import CHUNKED_HEAD, Peer, Step, Upstream, after, answer, chunked, drip, hang, request, reset, times

OK = b"HTTP/1.1 200 OK\r\n"

# name: (script after the request, kind)
AT_ONCE: dict[str, tuple[list[Step], str]] = {
    "FIN before the head": ([], "truncated"),
    "RST before the head": ([reset], "truncated"),
    "half a status line": ([b"HTTP/1.1 20"], "truncated"),
    "half a head": ([OK + b"Content-Type: appl"], "truncated"),
    "half a head, RST": ([OK + b"Content-Type: appl", reset], "truncated"),
    "garbage": ([b"\x00\xffgarbage", hang], "protocol"),
    "HTTP/0.9": ([b"<html>hello</html>", hang], "protocol"),
    "status 999": ([b"HTTP/1.1 999 ?\r\nContent-Length: 0\r\n\r\n", hang], "protocol"),
    "status 099": ([b"HTTP/1.1 099 ?\r\nContent-Length: 0\r\n\r\n", hang], "protocol"),
    "101 unasked": ([b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\nConnection: upgrade\r\n\r\n", hang], "protocol"),
    "negative length": ([OK + b"Content-Length: -5\r\n\r\nhello", hang], "protocol"),
    "two lengths": ([OK + b"Content-Length: 5\r\nContent-Length: 3\r\n\r\nhello", hang], "protocol"),
    "length and chunks": ([OK + b"Content-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", hang], "protocol"),
    "endless 100s": ([b"HTTP/1.1 100 Continue\r\n\r\n" * 10_000, hang], "protocol"),
    "header flood": ([OK + b"".join(b"X-%d: y\r\n" % n for n in range(100_000)), hang], "protocol"),
    "giant header": ([OK + b"X: " + b"y" * 2_000_000 + b"\r\n\r\n", hang], "protocol"),
    "bad chunk size": ([CHUNKED_HEAD + b"zz\r\nhello\r\n", hang], "protocol"),
    "17-digit chunk size": ([CHUNKED_HEAD + b"1" * 17 + b"\r\nhello\r\n", hang], "protocol"),
    "bad end of a chunk": ([CHUNKED_HEAD + b"5\r\nhelloXX0\r\n\r\n", hang], "protocol"),
    "chunk cut": ([CHUNKED_HEAD + b"ff\r\nhello"], "truncated"),
    "no last chunk": ([CHUNKED_HEAD + chunked(b"hello", end=False)], "truncated"),
    "no end of the last chunk": ([CHUNKED_HEAD + chunked(b"hello", end=False) + b"0\r\n"], "truncated"),
    "no last chunk, RST": ([CHUNKED_HEAD + chunked(b"hello", end=False), reset], "truncated"),
    "short body": ([OK + b"Content-Length: 10\r\n\r\nhello"], "truncated"),
    "short body, RST": ([OK + b"Content-Length: 10\r\n\r\nhello", reset], "truncated"),
    "no body": ([OK + b"Content-Length: 10\r\n\r\n"], "truncated"),
}


@pytest.mark.parametrize("name", AT_ONCE)
async def test_broken_answers(pool: Pool, name: str) -> None:
    script, kind = AT_ONCE[name]
    async with Upstream([request, *script]) as upstream:
        error = await failure(pool, origin_of(upstream))
        assert (error.kind, error.status, error.unprocessed) == (kind, 502, False)
        assert "127.0.0.1" not in error.message
        assert (error.message + error.detail).isprintable()
        assert len(upstream.requests) == 1  # nothing is sent twice
        if hang in script:
            await soon((await upstream.peer()).closed)


# name: what comes in a later read than the head and a first good piece; kind
LATER: dict[str, tuple[list[Step], str]] = {
    "bad chunk size": ([b"zz\r\nhello\r\n", hang], "protocol"),
    "17-digit chunk size": ([b"1" * 17 + b"\r\nhello\r\n", hang], "protocol"),
    "bad end of a chunk": ([b"5\r\nhelloXX", hang], "protocol"),
    "bare LF": ([b"5\nhello\n", hang], "protocol"),
    "giant trailer": ([b"0\r\nX: " + b"y" * 200_000, hang], "protocol"),
    "endless chunk extension": ([b"5;" + b"y" * 1_000_000, hang], "protocol"),
    "FIN": ([], "truncated"),
    "FIN inside a chunk": ([b"ff\r\nhello"], "truncated"),
    "RST": ([reset], "truncated"),
}


@pytest.mark.parametrize("pushed", [False, True], ids=["read", "pushed"])
@pytest.mark.parametrize("name", LATER)
async def test_answers_that_break_in_a_later_read(pool: Pool, name: str, pushed: bool) -> None:
    rest, kind = LATER[name]
    go = asyncio.Event()
    async with Upstream([request, CHUNKED_HEAD + chunked(b"first", end=False), after(go), *rest]) as upstream:
        call = await pool.send(origin_of(upstream), HEAD, BODY, connect=20)
        await call.head(later())
        if pushed:
            sink = Gathering()
            call.pipe(sink)
            await soon(sink.came)
            go.set()
            await soon(sink.over)
            error = sink.error
            assert sink.body.startswith(b"first")
        else:
            go.set()
            with pytest.raises(UpstreamError) as caught:
                await call.read(10**6, 2)
            error = caught.value
        assert error is not None
        assert (error.kind, error.status, error.unprocessed) == (kind, 502, False)
        if hang in rest:
            await soon((await upstream.peer()).closed)


async def test_a_body_framed_by_the_connection_that_is_reset(pool: Pool) -> None:
    async with Upstream([request, OK + b"\r\nhello", reset]) as upstream:
        assert (await failure(pool, origin_of(upstream))).kind == "truncated"


# name: script after the request
HANGING: dict[str, list[Step]] = {
    "silence": [hang],
    "silence in the status line": [b"HTTP/1.1 2", hang],
    "silence in the head": [OK + b"X: y\r\n", hang],
    "dripping headers": [OK, drip(b"X-Header: value\r\n", 0.01)],
    "dripping 100s": [drip(b"HTTP/1.1 100 Continue\r\n\r\n", 0.002)],
}


@pytest.mark.parametrize("name", HANGING)
async def test_a_head_that_does_not_come(pool: Pool, name: str) -> None:
    async with Upstream([request, *HANGING[name]]) as upstream:
        error = await failure(pool, origin_of(upstream), head=0.15)
        assert (error.kind, error.status, error.unprocessed) == ("timeout", 504, False)
        assert "127.0.0.1" not in error.message
        await soon((await upstream.peer()).closed)


@pytest.mark.parametrize(
    "start", [OK + b"Content-Length: 10\r\n\r\n", OK + b"\r\n", CHUNKED_HEAD + b"5\r\nhello\r\n", CHUNKED_HEAD + b"5\r\nh"]
)
async def test_a_body_that_stops(pool: Pool, start: bytes) -> None:
    async with Upstream([request, start, hang]) as upstream:
        error = await failure(pool, origin_of(upstream), idle=0.1)
        assert (error.kind, error.status) == ("timeout", 504)
        await soon((await upstream.peer()).closed)


async def test_a_slow_body_is_not_idle(pool: Pool) -> None:
    body = b"x" * 20

    async def slowly(peer: Peer) -> None:
        for _ in body:
            await asyncio.sleep(0.1)
            await peer.write(b"x")

    async with Upstream([request, OK + b"Content-Length: 20\r\n\r\n", slowly, hang]) as upstream:
        _, received = await exchange(pool, origin_of(upstream), idle=1.5)
        assert received == body


async def test_refused(pool: Pool) -> None:
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        error = await failure(pool, Origin("http", "127.0.0.1", sock.getsockname()[1]))
    assert (error.kind, error.status, error.unprocessed) == ("connect", 502, True)
    assert error.detail == "cannot connect to 127.0.0.1: Connection refused"


async def test_an_upstream_that_does_not_accept(pool: Pool) -> None:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen(0)
        address = listener.getsockname()
        fillers = [socket.socket() for _ in range(4)]
        try:
            for filler in fillers:  # the queue of connections not yet accepted is full after the first or second
                filler.setblocking(False)
                filler.connect_ex(address)
            with pytest.raises(UpstreamError) as caught:
                await pool.send(Origin("http", *address), HEAD, BODY, connect=0.15)
        finally:
            for filler in fillers:
                filler.close()
    assert (caught.value.kind, caught.value.status, caught.value.unprocessed) == ("timeout", 504, True)


class Resolving:
    """A loop whose getaddrinfo knows one host with two addresses, the first of them dead, and counts how often it is asked."""

    def __init__(self) -> None:
        self.loop = asyncio.get_running_loop()
        self.asked = 0

    def __getattr__(self, name: str) -> object:
        return getattr(self.loop, name)

    async def getaddrinfo(self, host: str, port: int, *, type: int) -> list[tuple[int, int, int, str, tuple[str, int]]]:
        self.asked += 1
        await asyncio.sleep(0.01)
        if host != "two.example":
            raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")
        return [(socket.AF_INET, type, 0, "", (address, port)) for address in ("127.0.0.2", "127.0.0.1")]


async def test_one_address_of_two_is_dead(pool: Pool) -> None:
    pool._connector = Connector(Resolving())  # type: ignore[arg-type]
    async with Upstream([request, answer(), hang]) as upstream:
        _, body = await exchange(pool, Origin("http", "two.example", upstream.port))
        assert body == b"ok"


async def test_many_connections_share_one_lookup(pool: Pool) -> None:
    loop = Resolving()
    pool._connector = Connector(loop)  # type: ignore[arg-type]
    async with Upstream(times(9, request, answer(b"", b"Connection: close"))) as upstream:
        origin = Origin("http", "two.example", upstream.port)
        hasty = asyncio.create_task(exchange(pool, origin))
        await asyncio.sleep(0)
        hasty.cancel()  # whoever asked first may leave: the lookup goes on for the others
        await asyncio.gather(*[exchange(pool, origin) for _ in range(20)])
        assert len(upstream.peers) == 20
        assert loop.asked == 1


async def test_a_failed_lookup_is_not_remembered(pool: Pool) -> None:
    loop = Resolving()
    pool._connector = Connector(loop)  # type: ignore[arg-type]
    for asked in (1, 2):
        error = await failure(pool, Origin("http", "unknown.example", 80))
        assert error.detail == "cannot connect to unknown.example: Name or service not known"
        assert (error.kind, error.unprocessed, loop.asked) == ("connect", True, asked)


async def test_addresses_that_refuse_are_not_remembered(pool: Pool) -> None:
    loop = Resolving()
    pool._connector = Connector(loop)  # type: ignore[arg-type]
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        for asked in (1, 2):
            error = await failure(pool, Origin("http", "two.example", unused.getsockname()[1]))
            assert (error.kind, loop.asked) == ("connect", asked)
            assert (error.message + error.detail).isprintable()
