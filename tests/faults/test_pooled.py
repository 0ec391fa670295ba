"""A POST is never sent twice to one target, but where nothing of it can have been processed: asked of the whole gateway."""

from __future__ import annotations

import asyncio

import pytest

from tests.exchange.wire import CHAT, COMPLETION, STREAM, json_answer, serving
from tests.upstream.scripted import Step, after, hang, request, reset, times

GOOD = [request, json_answer(COMPLETION)]
DEAD: dict[str, list[Step]] = {"reset": [*GOOD, request, reset], "closed": [*GOOD, request]}
BYTES = [b"H", b"HTTP/1.1 100 Continue\r\n\r\n", b"HTTP/1.1 200 OK\r\ncontent-length: 5\r\n"]


@pytest.mark.parametrize("script", DEAD.values(), ids=DEAD)
async def test_a_dead_connection_is_replaced(script: list[Step]) -> None:
    async with serving(script, times(2, *GOOD)) as served:
        assert [(await served.ask(CHAT)).status for _ in range(3)] == [200] * 3
        assert [len(peer.requests) for peer in served.upstream.peers] == [2, 2]
        assert "samewire_upstream_errors_total{" not in await served.metrics()


@pytest.mark.parametrize("script", DEAD.values(), ids=DEAD)
async def test_never_a_third_time(script: list[Step]) -> None:
    async with serving(script, [request, *script[3:]], times(9, *GOOD)) as served:
        assert (await served.ask(CHAT)).status == 200
        reply = await served.ask(CHAT)
        assert (reply.status, reply.error["code"]) == (502, "upstream_truncated")
        assert [len(peer.requests) for peer in served.upstream.peers] == [2, 1]


@pytest.mark.parametrize("end", [[], [reset]], ids=["closed", "reset"])
@pytest.mark.parametrize("byte", BYTES)
async def test_never_after_a_byte(byte: bytes, end: list[Step]) -> None:
    async with serving([*GOOD, request, byte, *end], times(9, *GOOD)) as served:
        assert (await served.ask(CHAT)).status == 200
        reply = await served.ask(CHAT)
        assert (reply.status, reply.error["code"]) == (502, "upstream_truncated")
        assert [len(peer.requests) for peer in served.upstream.peers] == [2]


@pytest.mark.parametrize("end", [[], [reset]], ids=["closed", "reset"])
async def test_never_after_a_while(end: list[Step], monkeypatch: pytest.MonkeyPatch) -> None:
    """It was not dead: it may have worked on the request, and broken down over it."""
    monkeypatch.setattr("proxy.upstream.call.STALE", 0.05)
    later = asyncio.Event()
    async with serving([*GOOD, request, after(later), *end], times(9, *GOOD)) as served, await served.client() as client:
        assert (await served.ask(CHAT)).status == 200
        client.send(CHAT)
        asyncio.get_running_loop().call_later(0.2, later.set)
        reply = await client.reply()
        assert (reply.status, reply.error["code"]) == (502, "upstream_truncated")
        assert [len(peer.requests) for peer in served.upstream.peers] == [2]


@pytest.mark.parametrize("asked", [CHAT, STREAM], ids=["whole", "stream"])
async def test_never_after_a_deadline(asked: object) -> None:
    async with serving([*GOOD, request, hang], times(9, *GOOD), providers={"p0": {"timeouts": {"first_event": 0.1}}}) as served:
        assert (await served.ask(CHAT)).status == 200
        reply = await served.ask(asked)
        assert (reply.status, reply.error["code"]) == (504, "upstream_timeout")
        assert [len(peer.requests) for peer in served.upstream.peers] == [2]
