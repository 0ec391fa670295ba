"""Clients that leave, in each phase, and clients that do not read."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import pytest

from tests.exchange.wire import CHAT, DONE, EVENT_HEAD, FINISH, STREAM, Served, delta, json_answer, serving, sse
from tests.upstream.scripted import Peer, Step, after, chunked, hang, request

GONE_WITHIN = 1.0
HELLO = delta("Hello")


async def gone(served: Served) -> None:
    """The upstream sees its connection closed within a second, and it is counted as the client's."""
    async with asyncio.timeout(GONE_WITHIN):
        await served.upstream.peers[0].closed.wait()
    text = await served.metrics()
    assert 'samewire_client_disconnects_total{gen_ai_operation_name="chat"} 1' in text
    assert "samewire_upstream_errors_total{" not in text
    assert "samewire_requests_in_flight 0.0" in text


PHASES: dict[str, tuple[list[Step], Any, bool]] = {
    "waiting for the head of a whole answer": ([request, hang], CHAT, False),
    "waiting for the body of a whole answer": ([request, b"HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\n{", hang], CHAT, False),
    "waiting for the head of a stream": ([request, hang], STREAM, False),
    "waiting for the first event": ([request, EVENT_HEAD, hang], STREAM, False),
    "in the middle of a stream": ([request, sse(HELLO, end=False), hang], STREAM, True),
}


@pytest.mark.parametrize("leave", ["abort", "close"])
@pytest.mark.parametrize(("script", "asked", "read"), PHASES.values(), ids=PHASES)
async def test_the_upstream_is_let_go_when_the_client_leaves(script: list[Step], asked: Any, read: bool, leave: str) -> None:
    async with serving(script) as served, await served.client() as client:
        client.send(asked)
        await (await served.upstream.peer()).asked.wait()
        if read:
            await client.head()
        client.writer.transport.abort() if leave == "abort" else client.writer.close()
        await gone(served)


async def test_a_client_that_leaves_while_connecting() -> None:
    # The port accepts and says nothing, so that TLS stays in its handshake.
    async with serving([request, hang]) as plain:
        base_url = f"https://127.0.0.1:{plain.upstream.port}"
        async with serving([hang], providers={"p0": {"base_url": base_url}}) as served, await served.client() as client:
            client.send(CHAT)
            peer = await plain.upstream.peer()
            client.leave()
            async with asyncio.timeout(GONE_WITHIN):
                await peer.closed.wait()


async def test_a_client_that_leaves_in_its_own_body() -> None:
    async with serving([request, hang]) as served, await served.client() as client:
        client.send(b'{"model":', headers={"content-length": "99"})
        await client.writer.drain()
        client.leave()
        await served.counted('samewire_client_disconnects_total{gen_ai_operation_name="chat"} 1')
        assert served.upstream.peers == []


async def flood(peer: Peer) -> None:
    """Writes events until the gateway stops reading, then says so; goes on when it reads again."""
    block = chunked(delta("x" * 60000), end=False)
    while True:
        peer.written += len(block)
        peer.writer.write(block)
        try:
            async with asyncio.timeout(0.3):
                await peer.writer.drain()
        except TimeoutError:
            peer.stuck.set()
            await peer.writer.drain()


async def test_a_slow_reader_stops_the_upstream_and_is_cut_off_in_the_end() -> None:
    script = [request, EVENT_HEAD, flood]
    async with serving(script, providers={"p0": {"timeouts": {"write": 2}}}) as served, await served.client(limit=2**14) as client:
        client.send(STREAM)
        peer = await served.upstream.peer()
        async with asyncio.timeout(20):
            await peer.stuck.wait()
        assert peer.written < 16 * 2**20
        await served.counted('samewire_client_disconnects_total{gen_ai_operation_name="chat"} 1')


async def test_a_slow_reader_that_reads_on_gets_everything() -> None:
    words = [delta("x" * 60000) for _ in range(200)]
    async with serving([request, sse(*words, FINISH, DONE)]) as served, await served.client(limit=2**14) as client:
        client.send(STREAM)
        status, _ = await client.head()
        assert status == 200
        size = 0
        while piece := await client.chunk():
            size += len(piece)
        assert size == sum(map(len, words)) + len(FINISH) + len(DONE) - 201 * len("up-1") + 201 * len("m")


async def test_a_slow_reader_of_a_whole_answer_is_cut_off() -> None:
    body = json_answer({"model": "up", "text": "x" * 2**25})
    changes = {"server": {"limits": {"answer": "64MiB"}}, "providers": {"p0": {"timeouts": {"write": 0.2}}}}
    async with serving([request, body], **changes) as served, await served.client(limit=2**14) as client:
        client.send(CHAT)
        await client.head()
        await served.counted('samewire_client_disconnects_total{gen_ai_operation_name="chat"} 1')


async def test_many_clients_that_leave_at_once_leave_nothing() -> None:
    async with serving([request, sse(HELLO, end=False), hang]) as served:
        clients = [await served.client() for _ in range(50)]
        for client in clients:
            client.send(STREAM)
        for client in clients:
            await client.head()
        for client in clients:
            client.leave()
        async with asyncio.timeout(20):
            await asyncio.gather(*(peer.closed.wait() for peer in served.upstream.peers))
        assert "samewire_requests_in_flight 0.0" in await served.metrics()
        assert len(served.upstream.peers) == 50


# ── the server is told to stop ──


async def stopped(served: Served, grace: float) -> asyncio.Task[None]:
    task = asyncio.create_task(served.running.close(grace))
    await asyncio.sleep(0)
    return task


async def test_running_streams_end_within_their_grace() -> None:
    gate = asyncio.Event()
    async with serving([request, sse(HELLO, end=False), after(gate), chunked(FINISH, DONE)]) as served, await served.client() as client:
        client.send(STREAM)
        await client.head()
        await client.chunk()
        closing = await stopped(served, 5)
        gate.set()
        rest = await client.chunk()
        assert rest.endswith(DONE)
        assert await client.chunk() == b""
        assert await client.ended()
        await closing


@pytest.mark.parametrize(
    ("script", "asked"), [([request, sse(HELLO, end=False), hang], STREAM), ([request, hang], CHAT)], ids=["stream", "whole"]
)
async def test_after_the_grace_everybody_is_told(script: list[Step], asked: Any) -> None:
    async with serving(script) as served, await served.client() as client:
        client.send(asked)
        await (await served.upstream.peer()).asked.wait()
        if asked is STREAM:
            await client.head()
            await client.chunk()
            closing = await stopped(served, 0.02)
            last = await client.chunk()
            assert json.loads(last.removeprefix(b"data: "))["error"]["code"] == "shutting_down"
            with pytest.raises(asyncio.IncompleteReadError):
                await client.chunk()
        else:
            closing = await stopped(served, 0.02)
            reply = await client.reply()
            assert (reply.status, reply.error["code"], reply.headers["connection"]) == (503, "shutting_down", "close")
        await closing
        assert served.upstream.peers[0].closed.is_set()


async def test_while_it_ends_idle_connections_are_closed() -> None:
    gate = asyncio.Event()
    async with serving([request, after(gate), json_answer({"model": "up"})]) as served:
        idle, waiting = await served.client(), await served.client()
        idle.send(b"", "/healthz", method="GET")
        assert (await idle.reply()).status == 200
        waiting.send(CHAT)
        await (await served.upstream.peer()).asked.wait()
        closing = await stopped(served, 5)
        assert await idle.ended()
        with pytest.raises(OSError):
            await served.client()
        gate.set()
        reply = await waiting.reply()
        assert reply.status == 200
        await closing
        idle.leave()
        waiting.leave()


async def test_while_it_ends_it_is_alive_and_not_ready() -> None:
    """Who is connected already is told so; others can no longer connect."""
    async with serving([hang]) as served:
        await served.running._gateway.drain(0)
        alive = await served.ask(b"", "/healthz", {"content-type": ""}, "GET")
        ready = await served.ask(b"", "/readyz", {"content-type": ""}, "GET")
        chat = await served.ask(CHAT)
        assert (alive.status, ready.status, chat.status) == (200, 503, 503)
        assert ready.error["code"] == chat.error["code"] == "shutting_down"
        assert chat.headers["retry-after"] == "1"
        assert not served.upstream.requests
