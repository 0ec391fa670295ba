"""Clients that leave while nothing is read from them: the upstream is let go within a second all the same."""

from __future__ import annotations

import asyncio
import socket
import struct
from collections.abc import Callable

import pytest

from proxy.exchange.exchange import Exchange
from tests.exchange.wire import CHAT, COMPLETION, STREAM, Client, Served, delta, json_answer, serving, sse
from tests.upstream.scripted import after, hang, request, request_head

WITHIN = 1.0
STARTED = [request, sse(delta("Hello"), end=False), hang]


async def gone(served: Served, operation: str = "chat") -> None:
    """The upstream sees its connection closed within a second, and it is counted as the client's."""
    peer = await served.upstream.peer()
    async with asyncio.timeout(WITHIN):
        await peer.closed.wait()
    text = await served.metrics()
    assert f'samewire_client_disconnects_total{{gen_ai_operation_name="{operation}"}} 1' in text
    assert "samewire_upstream_errors_total{" not in text
    assert "samewire_requests_in_flight 0.0" in text


def reset(client: Client) -> None:
    """Close with a RST, as the system does for a process that dies with unread data."""
    client.writer.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    client.writer.transport.abort()


def half_close(client: Client) -> None:
    client.writer.write_eof()


def close(client: Client) -> None:
    client.writer.close()


Leave = Callable[[Client], None]
LEAVE = [reset, close, half_close]
AHEAD = {
    "a small request": b"GET /healthz HTTP/1.1\r\nhost: x\r\n\r\n",
    "many small requests": b"GET /healthz HTTP/1.1\r\nhost: x\r\n\r\n" * 2000,
    "a large body": b"POST /v1/chat/completions HTTP/1.1\r\nhost: x\r\ncontent-length: 5000000\r\n\r\n" + b" " * 5_000_000,
    "endless headers": b"GET / HTTP/1.1\r\n" + b"".join(b"x-%d: %b\r\n" % (at, b"a" * 10000) for at in range(100)),
    "garbage": b"garbage\r\n\r\n" * 100_000,
}


@pytest.mark.parametrize("leave", LEAVE)
@pytest.mark.parametrize("ahead", AHEAD.values(), ids=AHEAD)
async def test_behind_requests_sent_ahead(ahead: bytes, leave: Leave) -> None:
    async with serving(STARTED) as served, await served.client() as client:
        client.send(STREAM)
        await client.head()
        client.writer.write(ahead)
        async with asyncio.timeout(20):
            await client.writer.drain()
        leave(client)
        await gone(served)


FORM = b'--B\r\ncontent-disposition: form-data; name="model"\r\n\r\nm\r\n--B\r\ncontent-disposition: form-data; name="file"\r\n\r\n'


async def paused(served: Served) -> bool:
    """Whether the gateway has stopped reading its client: the upstream takes no more, and everything on the way is full."""
    await asyncio.sleep(0.01)
    return any(connection._reading_paused for connection in served.running._server.connections)


@pytest.mark.parametrize("leave", LEAVE)
async def test_in_an_upload_whose_upstream_takes_nothing(leave: Leave) -> None:
    left = asyncio.Event()
    async with serving([request_head, after(left), hang]) as served, await served.client() as client:
        headers = {"content-type": "multipart/form-data; boundary=B", "content-length": "50000000"}
        client.send(FORM, "/v1/audio/transcriptions", headers)
        peer = await served.upstream.peer()
        await peer.asked.wait()
        peer.writer.transport.pause_reading()  # type: ignore[attr-defined]
        while not await paused(served):
            client.writer.write(b"x" * 200_000)
            async with asyncio.timeout(20):
                await client.writer.drain()
        leave(client)
        async with asyncio.timeout(WITHIN):
            await served.counted('samewire_client_disconnects_total{gen_ai_operation_name="transcription"} 1')
        peer.writer.transport.resume_reading()  # type: ignore[attr-defined]
        left.set()
        await gone(served, "transcription")


async def test_what_fails_after_an_answer_closes_the_connection(monkeypatch: pytest.MonkeyPatch) -> None:
    """No second answer follows the first: the client would take it for that of its next request."""

    def broken(self: Exchange) -> None:
        raise ZeroDivisionError

    async with serving([request, json_answer(COMPLETION)]) as served, await served.client() as client:
        monkeypatch.setattr(Exchange, "account", broken)
        client.send(CHAT)
        assert (await client.reply()).status == 200
        assert await client.ended()
