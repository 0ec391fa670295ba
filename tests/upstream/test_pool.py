"""Which connection a request travels on: kept, expired, stale, poisoned, closed."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence

import pytest

from proxy.errors import UpstreamError
from proxy.upstream import Origin, Pool

from .calls import BODY, HEAD, Gathering, exchange, failure, later, origin_of, soon, until
from .scripted import CHUNKED_HEAD, Step, Upstream, after, answer, hang, request, reset, sets, times


async def test_the_connection_used_last_is_used_next(pool: Pool) -> None:
    first, second = asyncio.Event(), asyncio.Event()
    scripts: list[list[Step]] = [
        [request, after(event), answer(name), *times(3, request, answer(name))] for event, name in ((first, b"1"), (second, b"2"))
    ]
    async with Upstream(*scripts) as upstream:
        origin = origin_of(upstream)
        calls = []
        for number in range(2):
            calls.append(asyncio.create_task(exchange(pool, origin)))
            await soon((await upstream.peer(number)).asked)
        second.set()
        await calls[1]
        first.set()
        await calls[0]
        names = [(await exchange(pool, origin))[1] for _ in range(3)]
        assert names == [b"1", b"1", b"1"]
        assert len(upstream.peers) == 2


async def test_equal_origins_share_and_others_do_not(pool: Pool) -> None:
    async with Upstream(times(9, request, answer())) as upstream:
        port = upstream.port
        for _ in range(2):
            await exchange(pool, Origin("http", "127.0.0.1", port))
        assert len(upstream.peers) == 1
        await exchange(pool, Origin("http", "127.0.0.1", port, proxy=f"http://127.0.0.1:{port}"))
        await exchange(pool, Origin("http", "localhost", port))
        assert len(upstream.peers) == 3


NOT_KEPT = {
    "close": answer(b"ok", b"Connection: close"),
    "HTTP/1.0": b"HTTP/1.0 200 OK\r\nContent-Length: 2\r\n\r\nok",
    "chunks in HTTP/1.0": b"HTTP/1.0 200 OK\r\nConnection: keep-alive\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n\r\n",
    "garbage behind": answer(b"ok") + b"garbage",
    "a second answer behind": answer(b"ok") + answer(b"poison"),
    "more body than it says": b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nokpoison",
}


@pytest.mark.parametrize("name", NOT_KEPT)
async def test_answers_after_which_a_connection_is_closed(pool: Pool, name: str) -> None:
    async with Upstream([request, NOT_KEPT[name], hang], times(2, request, answer(b"fresh"))) as upstream:
        _, body = await exchange(pool, origin_of(upstream))
        assert body == b"ok"
        await soon((await upstream.peer()).closed)
        call, body = await exchange(pool, origin_of(upstream))
        assert (body, call.reused) == (b"fresh", False)


async def test_kept_by_http_1_0_when_it_says_so(pool: Pool) -> None:
    message = b"HTTP/1.0 200 OK\r\nConnection: keep-alive\r\nContent-Length: 2\r\n\r\nok"
    async with Upstream(times(2, request, message)) as upstream:
        for reused in (False, True):
            call, _ = await exchange(pool, origin_of(upstream))
            assert call.reused is reused


@pytest.mark.parametrize(
    "extra", [b"x", answer(b"poison"), b"HTTP/1.1 408 Request Timeout\r\nConnection: close\r\nContent-Length: 0\r\n\r\n"]
)
async def test_bytes_on_an_idle_connection_close_it(pool: Pool, extra: bytes) -> None:
    go = asyncio.Event()
    async with Upstream([request, answer(b"1"), after(go), extra, hang], times(2, request, answer(b"2"))) as upstream:
        await exchange(pool, origin_of(upstream))
        go.set()
        await soon((await upstream.peer()).closed)
        call, body = await exchange(pool, origin_of(upstream))
        assert (body, call.reused) == (b"2", False)


async def test_closed_while_idle(pool: Pool) -> None:
    async with Upstream(times(1, request, answer(b"1")), times(2, request, answer(b"2"))) as upstream:
        await exchange(pool, origin_of(upstream))
        await until(lambda: not pool._connections)
        assert not any(pool._idle.values())
        call, body = await exchange(pool, origin_of(upstream))
        assert (body, call.reused) == (b"2", False)
        assert len(upstream.requests) == 2


async def test_closing_while_idle(pool: Pool) -> None:
    async with Upstream(times(2, request, answer())) as upstream:
        await exchange(pool, origin_of(upstream))
        (connection,) = pool._connections
        connection.transport.abort()  # the pool has not heard of it yet
        call = await pool.send(origin_of(upstream), HEAD, BODY, connect=20)
        assert not call.reused
        call.abort()


async def test_expired(pool: Pool) -> None:
    short = Pool(keepalive=0.05)
    async with Upstream([request, answer(b"1"), hang], times(2, request, answer(b"2"))) as upstream:
        await exchange(short, origin_of(upstream))
        await soon((await upstream.peer()).closed)
        assert not short._idle
        call, body = await exchange(short, origin_of(upstream))
        assert (body, call.reused) == (b"2", False)
        await short.close()


@pytest.mark.parametrize(("hint", "reused"), [(b"timeout=1", False), (b"timeout=60", True)])
async def test_the_upstream_says_how_long_it_keeps(pool: Pool, hint: bytes, reused: bool) -> None:
    async with Upstream(times(2, request, answer(b"1", b"Keep-Alive: " + hint))) as upstream:
        await exchange(pool, origin_of(upstream))
        call, _ = await exchange(pool, origin_of(upstream))
        assert call.reused is reused


# ── a kept connection that turns out dead when the next request arrives ──


STALE: dict[str, list[Step]] = {"RST": [request, answer(b"1"), request, reset], "FIN": [request, answer(b"1"), request]}


@pytest.mark.parametrize("name", STALE)
async def test_a_stale_connection_sends_the_request_once_more(pool: Pool, name: str) -> None:
    async with Upstream(STALE[name], times(2, request, answer(b"2"))) as upstream:
        await exchange(pool, origin_of(upstream))
        call, body = await exchange(pool, origin_of(upstream))
        assert (body, call.reused) == (b"2", False)
        assert [len(peer.requests) for peer in upstream.peers] == [2, 1]
        assert len(set(upstream.requests)) == 1


@pytest.mark.parametrize("name", STALE)
async def test_never_a_third_time(pool: Pool, name: str) -> None:
    async with Upstream(STALE[name], [request, *STALE[name][3:]]) as upstream:
        await exchange(pool, origin_of(upstream))
        error = await failure(pool, origin_of(upstream))
        assert (error.kind, error.unprocessed) == ("truncated", False)
        assert [len(peer.requests) for peer in upstream.peers] == [2, 1]


@pytest.mark.parametrize("byte", [b"H", b"HTTP/1.1 100 Continue\r\n\r\n", b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhe"])
async def test_never_after_a_byte_of_an_answer(pool: Pool, byte: bytes) -> None:
    async with Upstream([request, answer(b"1"), request, byte, reset], times(2, request, answer(b"2"))) as upstream:
        await exchange(pool, origin_of(upstream))
        error = await failure(pool, origin_of(upstream))
        assert (error.kind, error.unprocessed) == ("truncated", False)
        assert len(upstream.peers) == 1


async def test_never_after_a_timeout(pool: Pool) -> None:
    async with Upstream([request, answer(b"1"), request, hang], times(2, request, answer(b"2"))) as upstream:
        await exchange(pool, origin_of(upstream))
        error = await failure(pool, origin_of(upstream), head=0.1)
        assert (error.kind, error.unprocessed) == ("timeout", False)
        assert len(upstream.peers) == 1


async def test_stale_and_then_refused(pool: Pool) -> None:
    closed = asyncio.Event()
    async with Upstream([request, answer(b"1"), request, after(closed), reset]) as upstream:
        await exchange(pool, origin_of(upstream))
        call = await pool.send(origin_of(upstream), HEAD, BODY, connect=20)
        assert call.reused
        upstream.stop_listening()
        closed.set()
        with pytest.raises(UpstreamError) as caught:
            await call.head(later())
        assert (caught.value.kind, caught.value.unprocessed) == ("connect", True)


@pytest.mark.parametrize("opened_already", [False, True])
async def test_giving_up_while_the_second_connection_opens(pool: Pool, opened_already: bool) -> None:
    """`abort` from outside ends a waiting head at once, also between two connections; the second never carries the request."""
    go, seen, opening, open_now = asyncio.Event(), asyncio.Event(), asyncio.Event(), asyncio.Event()
    connector = pool._connector
    told: list[dict[str, object]] = []
    loop = asyncio.get_running_loop()
    loop.set_exception_handler(lambda _, context: told.append(context))

    class Holding:
        async def connect(self, protocol: Callable[[], asyncio.Protocol], origin: Origin, seconds: float) -> None:
            await connector.connect(protocol, origin, seconds)
            opening.set()
            await open_now.wait()

    async with Upstream([request, answer(b"1"), request, sets(seen), after(go), reset], [request, hang]) as upstream:
        origin = origin_of(upstream)
        await exchange(pool, origin)
        call = await pool.send(origin, HEAD, BODY, connect=30)
        await soon(seen)
        pool._connector = Holding()  # type: ignore[assignment]
        waiting = asyncio.create_task(call.head(later(30)))
        go.set()
        await soon(opening)
        if opened_already:
            open_now.set()
        call.abort()
        loop.call_soon(call.abort)
        with pytest.raises(UpstreamError, match="given up"):
            async with asyncio.timeout(20):
                await waiting
        await until(lambda: not pool._connections or not opened_already)
        assert [len(peer.requests) for peer in upstream.peers] == [2, 0]
        assert not told


# ── closing ──


async def test_close(pool: Pool) -> None:
    """Idle connections are closed; busy calls fail; nothing new is opened."""
    async with Upstream(
        [request, answer(), hang], [request, CHUNKED_HEAD, hang], [request, b"HTTP/1.1 200 OK\r\n\r\n", hang], [request, hang]
    ) as upstream:
        origin = origin_of(upstream)
        calls = []
        await exchange(pool, origin)
        idle = pool._idle.pop(origin)
        for _ in range(3):
            calls.append(await pool.send(origin, HEAD, BODY, connect=20))
        pool._idle[origin] = idle
        sinks: Sequence[Gathering] = [Gathering(), Gathering()]
        for call, sink in zip(calls[:2], sinks, strict=True):
            await call.head(later())
            call.pipe(sink)
        waiting = asyncio.create_task(calls[2].head(later()))
        await asyncio.sleep(0)
        async with asyncio.timeout(20):
            await pool.close()
        for sink in sinks:
            assert sink.error is not None
            assert sink.error.kind == "truncated"
        with pytest.raises(UpstreamError):
            await waiting
        for number in range(4):
            await soon((await upstream.peer(number)).closed)
        error = await failure(pool, origin)
        assert (error.kind, error.unprocessed) == ("connect", True)
