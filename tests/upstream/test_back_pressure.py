"""Back-pressure: nobody is made to take bytes faster than they want them, and nothing piles up in between."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import pytest

from proxy.errors import UpstreamError
from proxy.upstream import Pool

from .calls import BODY, HEAD, MIB, Gathering, exchange, later, origin_of, soon
from .scripted import CHUNKED_HEAD, Upstream, after, answer, chunked, flood, hang, request, request_head, times


async def test_a_body_in_pieces_waits_for_the_upstream(pool: Pool) -> None:
    taken = 0
    read_on, stuck = asyncio.Event(), asyncio.Event()

    async def endless() -> AsyncIterator[bytes]:
        nonlocal taken
        while taken < 64 * MIB and not read_on.is_set():
            taken += 65536
            asyncio.get_running_loop().call_later(0.2, check, taken)
            yield bytes(65536)

    def check(then: int) -> None:
        if then == taken:
            stuck.set()

    async with Upstream([request_head, after(read_on), *times(1, hang)]) as upstream:
        sending = asyncio.create_task(pool.send(origin_of(upstream), HEAD, endless(), connect=20))
        await soon(stuck)
        assert taken < 16 * MIB
        read_on.set()
        async with asyncio.timeout(20):
            call = await sending
        call.abort()


async def test_an_upstream_that_takes_nothing_of_a_body() -> None:
    async def endless() -> AsyncIterator[bytes]:
        while True:
            yield bytes(65536)

    pool = Pool(stall=0.1)
    never = asyncio.Event()
    async with Upstream([request_head, after(never)]) as upstream:
        with pytest.raises(UpstreamError) as caught:
            await pool.send(origin_of(upstream), HEAD, endless(), connect=20)
        assert (caught.value.kind, caught.value.status) == ("timeout", 504)
        await pool.close()


async def test_pausing_stops_the_upstream(pool: Pool) -> None:
    head = b"HTTP/1.1 200 OK\r\n\r\n"
    async with Upstream([request, head, flood]) as upstream:
        call = await pool.send(origin_of(upstream), HEAD, BODY, connect=20)
        await call.head(later())
        sink = Gathering()
        call.pause()
        call.pause()
        call.pipe(sink)
        before = len(sink.body)
        peer = await upstream.peer()
        await soon(peer.stuck)
        assert peer.written < 16 * MIB
        assert len(sink.body) == before  # nothing came while paused
        written = peer.written
        call.resume()
        call.resume()
        async with asyncio.timeout(20):
            while len(sink.body) <= written:
                sink.came.clear()
                await sink.came.wait()
        call.abort()
        await soon(peer.closed)


async def test_a_sink_may_pause_from_inside(pool: Pool) -> None:
    class Pausing(Gathering):
        def data(self, piece: bytes) -> None:
            super().data(piece)
            call.pause()

    async with Upstream([request, b"HTTP/1.1 200 OK\r\n\r\n", flood]) as upstream:
        call = await pool.send(origin_of(upstream), HEAD, BODY, connect=20)
        await call.head(later())
        sink = Pausing()
        call.pipe(sink)
        await soon((await upstream.peer()).stuck)
        for pieces in range(1, 10):
            await soon(sink.came)
            assert len(sink.pieces) == pieces
            sink.came.clear()
            call.resume()
        call.abort()


async def test_an_answer_that_nobody_takes_is_not_gathered(pool: Pool) -> None:
    async with Upstream([request, b"HTTP/1.1 200 OK\r\n\r\n", flood]) as upstream:
        call = await pool.send(origin_of(upstream), HEAD, BODY, connect=20)
        await call.head(later())
        peer = await upstream.peer()
        await soon(peer.stuck)
        assert peer.written < 16 * MIB
        sink = Gathering()
        call.pipe(sink)  # reads on by itself
        assert len(sink.body) < MIB
        async with asyncio.timeout(20):
            while len(sink.body) < 16 * MIB:
                sink.came.clear()
                await sink.came.wait()
        call.abort()


async def test_a_pause_before_the_sink_holds(pool: Pool) -> None:
    async with Upstream([request, b"HTTP/1.1 200 OK\r\n\r\n", flood]) as upstream:
        call = await pool.send(origin_of(upstream), HEAD, BODY, connect=20)
        await call.head(later())
        peer = await upstream.peer()
        await soon(peer.stuck)
        call.pause()
        sink = Gathering()
        call.pipe(sink)
        before = len(sink.body)
        assert before > 0
        for _ in range(20):
            await asyncio.sleep(0)
        assert len(sink.body) == before
        sink.came.clear()
        call.resume()
        await soon(sink.came)
        call.abort()


async def test_a_paused_answer_that_ends_leaves_a_good_connection(pool: Pool) -> None:
    class Pausing(Gathering):
        def data(self, piece: bytes) -> None:
            super().data(piece)
            call.pause()

    go = asyncio.Event()
    async with Upstream([request, CHUNKED_HEAD, after(go), chunked(b"ok"), request, answer(b"ok"), hang]) as upstream:
        call = await pool.send(origin_of(upstream), HEAD, BODY, connect=20)
        await call.head(later())
        sink = Pausing()
        call.pipe(sink)
        go.set()
        await soon(sink.over)
        call, body = await exchange(pool, origin_of(upstream))
        assert (body, call.reused) == (b"ok", True)
