"""A caller that is cancelled, in any phase, leaves no connection open: the upstream sees the close within a second."""

from __future__ import annotations

import asyncio
import contextlib
import select
import socket
from collections.abc import AsyncIterator
from typing import Any

import pytest
from aiohappyeyeballs import start_connection

from proxy.errors import UpstreamError
from proxy.upstream import Origin, Pool

from .calls import BODY, HEAD, Gathering, exchange, later, origin_of, soon, until
from .scripted import CHUNKED_HEAD, Peer, Step, Upstream, answer, chunked, flood, hang, request, request_head, times


async def cancelled(task: asyncio.Task[object]) -> None:
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        async with asyncio.timeout(20):
            await task


# name: script, after which the whole exchange is waiting for more
WAITING: dict[str, list[Step]] = {
    "before the head": [request, hang],
    "inside the head": [request, b"HTTP/1.1 200 OK\r\nX: ", hang],
    "between head and body": [request, CHUNKED_HEAD, hang],
    "inside the body": [request, CHUNKED_HEAD + chunked(b"piece", end=False), hang],
}


@pytest.mark.parametrize("name", WAITING)
async def test_while_waiting(pool: Pool, name: str) -> None:
    async with Upstream(WAITING[name]) as upstream:
        task = asyncio.create_task(exchange(pool, origin_of(upstream)))
        peer = await upstream.peer()
        await soon(peer.asked)
        await cancelled(task)
        await soon(peer.closed)
        await until(lambda: not pool._connections)


async def test_while_connecting(pool: Pool, monkeypatch: pytest.MonkeyPatch) -> None:
    begun = asyncio.Event()

    async def beginning(*args: Any, **options: Any) -> socket.socket:
        begun.set()
        return await start_connection(*args, **options)

    monkeypatch.setattr("proxy.upstream.connect.start_connection", beginning)
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen(0)
        address = listener.getsockname()
        with contextlib.ExitStack() as fillers:
            for _ in range(4):
                filler = fillers.enter_context(socket.socket())
                filler.setblocking(False)
                filler.connect_ex(address)
            assert not select.select((), (filler,), (), 0)[1], "nobody is accepted any more"
            task = asyncio.create_task(pool.send(Origin("http", *address), HEAD, BODY, connect=30))
            await soon(begun)
            assert not task.done()
            await cancelled(task)
    assert not pool._connections


async def test_while_sending(pool: Pool) -> None:
    async def endless() -> AsyncIterator[bytes]:
        while True:
            yield bytes(65536)

    async with Upstream([request_head, hang]) as upstream:
        task = asyncio.create_task(pool.send(origin_of(upstream), HEAD, endless(), connect=20))
        peer = await upstream.peer()
        await soon(peer.asked)
        await cancelled(task)
        await soon(peer.closed)


async def test_while_the_clients_body_is_awaited(pool: Pool) -> None:
    waiting = asyncio.Event()

    async def stalled() -> AsyncIterator[bytes]:
        yield b"x"
        waiting.set()
        await asyncio.Event().wait()

    async with Upstream([request_head, hang]) as upstream:
        task = asyncio.create_task(pool.send(origin_of(upstream), HEAD, stalled(), connect=20))
        await soon(waiting)
        await cancelled(task)
        await soon((await upstream.peer()).closed)


async def test_while_a_large_body_is_in_the_buffer(pool: Pool) -> None:
    never = asyncio.Event()

    async def refuse_to_read(peer: Peer) -> None:
        await never.wait()

    async with Upstream([request_head, refuse_to_read]) as upstream:
        call = await pool.send(origin_of(upstream), HEAD, bytes(32 * 2**20), connect=20)
        task = asyncio.create_task(call.head(later()))
        await asyncio.sleep(0)
        await cancelled(task)
        await until(lambda: not pool._connections)


async def test_while_pushed(pool: Pool) -> None:
    async with Upstream([request, b"HTTP/1.1 200 OK\r\n\r\n", flood]) as upstream:
        call = await pool.send(origin_of(upstream), HEAD, BODY, connect=20)
        await call.head(later())
        sink = Gathering()
        call.pipe(sink)
        await soon(sink.came)
        call.abort()
        call.abort()
        pieces = len(sink.pieces)
        await soon((await upstream.peer()).closed)
        assert len(sink.pieces) == pieces
        assert not sink.over.is_set()


async def test_an_abort_ends_a_waiting_head_and_read(pool: Pool) -> None:
    async with Upstream([request, hang], [request, CHUNKED_HEAD, hang]) as upstream:
        call = await pool.send(origin_of(upstream), HEAD, BODY, connect=20)
        waiting = asyncio.create_task(call.head(later()))
        await asyncio.sleep(0)
        call.abort()
        with pytest.raises(UpstreamError, match="given up"):
            await waiting
        call = await pool.send(origin_of(upstream), HEAD, BODY, connect=20)
        await call.head(later())
        reading = asyncio.create_task(call.read(100, 2))
        await asyncio.sleep(0)
        call.abort()
        with pytest.raises(UpstreamError, match="given up"):
            await reading
        for number in range(2):
            await soon((await upstream.peer(number)).closed)


@pytest.mark.parametrize("turns", range(16))
@pytest.mark.parametrize("warm", [False, True], ids=["fresh", "reused"])
async def test_at_every_turn_of_the_loop(pool: Pool, turns: int, warm: bool) -> None:
    """Cancelled after so many turns (the host's address is known by then): the connection is in the pool and good, or closed."""
    first = answer(b"", b"Connection: keep-alive" if warm else b"Connection: close")
    async with Upstream([request, first, *times(9, request, answer(b"x" * 1000))], times(9, request, answer(b"x" * 1000))) as upstream:
        origin = origin_of(upstream)
        await exchange(pool, origin)
        await until(lambda: len(pool._connections) == warm)
        task = asyncio.create_task(exchange(pool, origin))
        for _ in range(turns):
            await asyncio.sleep(0)
        task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            async with asyncio.timeout(20):
                await task
        await until(lambda: sum(map(len, pool._idle.values())) == len(pool._connections))
        await until(lambda: sum(not peer.closed.is_set() for peer in upstream.peers) == len(pool._connections))
        _, body = await exchange(pool, origin)
        assert body == b"x" * 1000
