"""Calls that go well: whole and pushed answers, bodies in one piece and in many, pausing, connections used again."""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from proxy.errors import UpstreamError
from proxy.upstream import Origin, Pool

from .calls import BODY, HEAD, MIB, Gathering, exchange, later, origin_of, soon, until
from .scripted import (
    CHUNKED_HEAD,
    Step,
    Upstream,
    after,
    answer,
    chunked,
    drip,
    flood,
    hang,
    in_pieces,
    request,
    request_head,
    reset,
    sets,
    times,
)


async def pieces_of(*pieces: bytes) -> AsyncIterator[bytes]:
    for piece in pieces:
        yield piece


async def test_a_whole_answer(pool: Pool) -> None:
    async with Upstream([request, answer(b'{"ok":1}', b"X-Request-Id: r1"), hang]) as upstream:
        call, body = await exchange(pool, origin_of(upstream))
        assert (call.status, body, call.reused) == (200, b'{"ok":1}', False)
        assert call.headers == {b"x-request-id": b"r1", b"content-length": b"8"}
        assert upstream.requests == [HEAD + b"content-length: 13\r\n\r\n" + BODY]


async def test_a_pushed_answer(pool: Pool) -> None:
    go = asyncio.Event()
    script: list[Step] = [
        request,
        CHUNKED_HEAD + chunked(b"data: 1\n\n", end=False),
        after(go),
        chunked(b"data: 2\n\n", b"data: 3\n\n"),
        request,
        answer(),
        hang,
    ]
    async with Upstream(script) as upstream:
        call = await pool.send(origin_of(upstream), HEAD, BODY, connect=20)
        await call.head(later())
        sink = Gathering()
        call.pipe(sink)
        await soon(sink.came)
        go.set()
        await soon(sink.over)
        assert sink.body == b"data: 1\n\ndata: 2\n\ndata: 3\n\n"
        assert sink.error is None
        call.abort()  # a finished call has nothing to give up: its connection serves on
        again, body = await exchange(pool, origin_of(upstream))
        assert (body, again.reused) == (b"ok", True)
        assert len(upstream.peers) == 1


async def test_chunks_of_one_read_come_as_one_piece(pool: Pool) -> None:
    async with Upstream([request, CHUNKED_HEAD + chunked(*[b"x"] * 500), hang]) as upstream:
        call = await pool.send(origin_of(upstream), HEAD, BODY, connect=20)
        await call.head(later())
        sink = Gathering()
        call.pipe(sink)
        await soon(sink.over)
        assert sink.body == b"x" * 500
        assert len(sink.pieces) < 10


async def test_what_came_before_the_sink_goes_first(pool: Pool) -> None:
    async with Upstream([request, answer(b"all of it"), hang]) as upstream:
        call = await pool.send(origin_of(upstream), HEAD, BODY, connect=20)
        await call.head(later())
        sink = Gathering()
        call.pipe(sink)
        await soon(sink.over)
        assert sink.body == b"all of it"


@pytest.mark.parametrize("message", [answer(b"hello"), CHUNKED_HEAD + chunked(b"he", b"llo", trailers=b"X-Sum: 1\r\n")])
async def test_one_byte_at_a_time(pool: Pool, message: bytes) -> None:
    async with Upstream(times(2, request, in_pieces(message))) as upstream:
        for reused in (False, True):
            call, body = await exchange(pool, origin_of(upstream))
            assert (call.status, body, call.reused) == (200, b"hello", reused)


@pytest.mark.parametrize("message", [b"HTTP/1.1 200 OK\r\n\r\nhello", b"HTTP/1.0 200 OK\r\nContent-Type: x\r\n\r\nhello"])
async def test_a_body_that_ends_with_the_connection(pool: Pool, message: bytes) -> None:
    async with Upstream([request, message]) as upstream:
        for _ in range(2):
            call, body = await exchange(pool, origin_of(upstream))
            assert (body, call.reused) == (b"hello", False)


async def test_bodiless_answers(pool: Pool) -> None:
    script: list[Step] = [
        request,
        b"HTTP/1.1 204 No Content\r\n\r\n",
        request,
        b"HTTP/1.1 304 Not Modified\r\ncontent-length: 7\r\n\r\n",
        hang,
    ]
    async with Upstream(script) as upstream:
        for status in (204, 304):
            call, body = await exchange(pool, origin_of(upstream))
            assert (call.status, body) == (status, b"")
        assert len(upstream.peers) == 1


async def test_informational_answers_are_skipped(pool: Pool) -> None:
    hints = b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\nlink: x\r\n\r\n"
    async with Upstream([request, hints, answer(b"ok"), hang]) as upstream:
        call, body = await exchange(pool, origin_of(upstream))
        assert (call.status, body) == (200, b"ok")


@pytest.mark.parametrize("size", [0, 1, 65536, 65537, 3 * MIB])
async def test_bodies_of_any_size_arrive(pool: Pool, size: int) -> None:
    body = os.urandom(size)
    async with Upstream(times(2, request, answer())) as upstream:
        for _ in range(2):
            await exchange(pool, origin_of(upstream), body)
        assert [message.partition(b"\r\n\r\n")[2] for message in upstream.requests] == [body, body]
        assert len(upstream.peers) == 1


async def test_a_body_in_pieces_is_chunked(pool: Pool) -> None:
    async with Upstream(times(2, request, answer())) as upstream:
        for _ in range(2):  # never on a used connection: it could not be sent again
            call, _ = await exchange(pool, origin_of(upstream), pieces_of(b"hello ", b"", b"world"))
            assert not call.reused
        expected = HEAD + b"transfer-encoding: chunked\r\n\r\n6\r\nhello \r\n5\r\nworld\r\n0\r\n\r\n"
        assert upstream.requests == [expected, expected]
        call, _ = await exchange(pool, origin_of(upstream))
        assert call.reused


async def test_an_early_refusal_stops_the_body(pool: Pool) -> None:
    answered = asyncio.Event()
    taken = 0

    async def endless() -> AsyncIterator[bytes]:
        nonlocal taken
        while taken < 1000:
            taken += 1
            yield b"x" * 1000
            if taken == 5:
                await answered.wait()

    refusal = answer(b"too large", status=b"413 Content Too Large")
    async with Upstream([request_head, refusal, sets(answered), hang]) as upstream:
        call, body = await exchange(pool, origin_of(upstream), endless())
        assert (call.status, body) == (413, b"too large")
        assert taken < 1000
        await soon((await upstream.peer()).closed)  # half a request was sent: never used again


@pytest.mark.parametrize("then", [hang, reset], ids=["open", "reset"])
async def test_an_early_refusal_of_a_large_body(pool: Pool, then: Step) -> None:
    """The answer counts although most of the body is still unsent, and even when the upstream throws the rest away."""
    refusal = answer(b"too large", b"Connection: close", status=b"413 Content Too Large")
    async with Upstream([request_head, refusal, then]) as upstream:
        call, body = await exchange(pool, origin_of(upstream), bytes(32 * MIB))
        assert (call.status, body) == (413, b"too large")
        await until(lambda: not pool._connections)


async def test_an_answer_before_the_request_was_sent_ends_the_connection(pool: Pool) -> None:
    async with Upstream([request_head, answer(b"early"), hang]) as upstream:
        _, body = await exchange(pool, origin_of(upstream), bytes(32 * MIB))
        assert body == b"early"
        await until(lambda: not pool._connections)


async def test_a_body_that_raises_closes_the_connection(pool: Pool) -> None:
    async def broken() -> AsyncIterator[bytes]:
        yield b"x"
        raise LookupError("the client left")

    async with Upstream([request_head, hang]) as upstream:
        with pytest.raises(LookupError, match="the client left"):
            await pool.send(origin_of(upstream), HEAD, broken(), connect=20)
        await soon((await upstream.peer()).closed)


async def test_a_limit_on_whole_bodies(pool: Pool) -> None:
    async with Upstream([request, answer(b"x" * 1000), request, b"HTTP/1.1 200 OK\r\n\r\n", flood]) as upstream:
        for limit in (999, MIB):
            call = await pool.send(origin_of(upstream), HEAD, BODY, connect=20)
            await call.head(later())
            with pytest.raises(UpstreamError, match=f"more than {limit} bytes"):
                await call.read(limit, 2)
        await soon((await upstream.peer()).closed)


async def test_a_sink_may_abort_from_inside(pool: Pool) -> None:
    class Aborting(Gathering):
        def data(self, piece: bytes) -> None:
            super().data(piece)
            call.abort()

    for rest in (chunked(b"a"), chunked(b"a", end=False) + b"zz\r\n"):
        go = asyncio.Event()
        async with Upstream([request, CHUNKED_HEAD, after(go), rest, hang]) as upstream:
            call = await pool.send(origin_of(upstream), HEAD, BODY, connect=20)
            await call.head(later())
            sink = Aborting()
            call.pipe(sink)
            go.set()
            await soon((await upstream.peer()).closed)
            assert sink.pieces == [b"a"]
            assert not sink.over.is_set()
            with pytest.raises(UpstreamError, match="given up"):
                await call.read(10, 1)


async def test_a_sink_that_raises_fails(pool: Pool) -> None:
    class Raising(Gathering):
        def data(self, piece: bytes) -> None:
            raise LookupError("a fault of the sink")

    told: list[dict[str, object]] = []
    asyncio.get_running_loop().set_exception_handler(lambda loop, context: told.append(context))
    go = asyncio.Event()
    async with Upstream([request, CHUNKED_HEAD, after(go), chunked(b"a", end=False), hang]) as upstream:
        call = await pool.send(origin_of(upstream), HEAD, BODY, connect=20)
        await call.head(later())
        sink = Raising()
        call.pipe(sink)
        go.set()
        await soon(sink.over)
        assert sink.error is not None
        assert isinstance(told[0]["exception"], LookupError)


async def test_a_unix_socket(pool: Pool, tmp_path: Path) -> None:
    path = str(tmp_path / "s")
    async with Upstream(times(2, request, answer()), path=path):
        origin = Origin("http", "localhost", 80, uds=path)
        for reused in (False, True):
            call, body = await exchange(pool, origin)
            assert (body, call.reused) == (b"ok", reused)
        with pytest.raises(UpstreamError) as caught:
            await pool.send(Origin("http", "localhost", 80, uds=path + "-missing"), HEAD, BODY, connect=20)
        assert caught.value.detail == "cannot connect to localhost at its Unix socket: No such file or directory"
        assert (caught.value.kind, caught.value.unprocessed) == ("connect", True)


async def test_an_answer_in_the_very_turn_of_its_deadline(pool: Pool) -> None:
    async with Upstream([request, hang]) as upstream:
        call = await pool.send(origin_of(upstream), HEAD, BODY, connect=20)
        waiting = asyncio.create_task(call.head(later()))
        await soon((await upstream.peer()).asked)
        assert call._connection is not None
        asyncio.get_running_loop().call_soon(call._connection.data_received, answer(b"ok"))
        asyncio.get_running_loop().call_soon(call.expired)
        await waiting
        assert (call.status, await call.read(10, 1)) == (200, b"ok")


async def test_endless_drip_of_a_body_is_the_callers_to_stop(pool: Pool) -> None:
    async with Upstream([request, b"HTTP/1.1 200 OK\r\n\r\n", drip(b"x", 0.01)]) as upstream:
        call = await pool.send(origin_of(upstream), HEAD, BODY, connect=20)
        await call.head(later())
        with pytest.raises(UpstreamError, match="more than 5 bytes"):
            await call.read(5, 2)
        await soon((await upstream.peer()).closed)
