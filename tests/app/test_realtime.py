"""Realtime through the whole gateway: routed by ?model=, paid with the provider's key, counted, refused by status."""

from __future__ import annotations

import asyncio
import hashlib
import json
import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import aiohttp
import pytest
from aiohttp import web

from tests.exchange.wire import DEADLINE, Served, serving

DONE = {"type": "response.done", "response": {"usage": {"input_tokens": 7, "output_tokens": 5, "total_tokens": 12}}}


class Far:
    """An upstream that answers each text with itself, `usage` with the end of a response, `expire` and `break` by going away."""

    def __init__(self) -> None:
        self.requests: list[web.BaseRequest] = []
        self.closed = asyncio.Event()
        self.code: int | None = None
        self.port = 0

    async def handle(self, request: web.BaseRequest) -> web.StreamResponse:
        self.requests.append(request)
        if "refused" in request.path_qs:
            return web.json_response({"error": {"message": "no sk-secret-0", "code": "nope"}}, status=403, headers={"retry-after": "3"})
        socket = web.WebSocketResponse(protocols=("realtime",))
        await socket.prepare(request)
        async for message in socket:
            if message.data == "break":
                request.transport.abort()  # type: ignore[union-attr]
                break
            if message.data == "expire":
                await socket.close(code=4001, message=b"key sk-secret-0 has expired")
                break
            await socket.send_str(json.dumps(DONE) if message.data == "usage" else message.data)
        self.code = socket.close_code
        self.closed.set()
        return socket


@asynccontextmanager
async def realtime(**changes: Any) -> AsyncIterator[tuple[Far, Served, aiohttp.ClientSession]]:
    far = Far()
    runner = web.ServerRunner(web.Server(far.handle), shutdown_timeout=0.1)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    far.port = runner.addresses[0][1]
    providers = {"p0": {"base_url": f"http://127.0.0.1:{far.port}/v1"}}
    try:
        async with (
            serving(providers=providers, **changes) as served,
            aiohttp.ClientSession(f"http://127.0.0.1:{served.address[1]}") as session,
        ):
            yield far, served, session
    finally:
        await runner.cleanup()


async def test_frames_pass_and_usage_counts() -> None:
    async with realtime() as (far, served, session):
        async with session.ws_connect("/v1/realtime?model=m&intent=x", protocols=("realtime",), headers={"cookie": "a=b"}) as socket:
            await socket.send_str("hello")
            assert await socket.receive_str(timeout=DEADLINE) == "hello"
            await socket.send_str("usage")
            assert json.loads(await socket.receive_str(timeout=DEADLINE)) == DONE
            assert socket.protocol == "realtime"
            assert "samewire_requests_in_flight 1.0" in await served.metrics()
        asked = far.requests[0]
        assert asked.path_qs == "/v1/realtime?model=up&intent=x"
        assert asked.headers["authorization"] == "Bearer sk-secret-0"
        assert "cookie" not in asked.headers
        assert asked.headers["traceparent"]
        await served.counted('gen_ai_operation_name="realtime"')
        await served.counted('gen_ai_token_type="input",samewire_estimated="false"} 7')
        figures = await served.metrics()
        assert "samewire_requests_in_flight 0.0" in figures
        assert re.search(r'samewire_overhead_seconds_sum\{gen_ai_operation_name="realtime"[^}]*\} (?!0\.0\n)', figures)


async def test_an_upstream_that_breaks_off_is_counted() -> None:
    async with realtime() as (_, served, session), session.ws_connect("/v1/realtime?model=m") as socket:
        await socket.send_str("break")
        assert (await socket.receive(timeout=DEADLINE)).type is aiohttp.WSMsgType.CLOSE
        assert socket.close_code == 1011
        await served.counted('samewire_upstream_errors_total{gen_ai_provider_name="p0",kind="truncated"} 1')


async def test_a_key_in_a_subprotocol() -> None:
    keys = [{"name": "me", "sha256": hashlib.sha256(b"sk-1").hexdigest()}]
    async with realtime(server={"keys": keys}) as (far, _, session):
        async with session.ws_connect("/v1/realtime?model=m", protocols=("realtime", "openai-insecure-api-key.sk-1")) as socket:
            assert socket.protocol == "realtime"
        assert far.requests[0].headers["sec-websocket-protocol"] == "realtime"
        with pytest.raises(aiohttp.WSServerHandshakeError) as caught:
            await session.ws_connect("/v1/realtime?model=m", protocols=("realtime", "openai-insecure-api-key.sk-2"))
        assert caught.value.status == 401


@pytest.mark.parametrize(
    ("query", "headers", "status"),
    [("model=nobody", {}, 404), ("", {}, 400), ("model=m", {"origin": "https://evil.example"}, 403), ("model=m&refused=1", {}, 403)],
)
async def test_refused_by_status(query: str, headers: dict[str, str], status: int) -> None:
    async with realtime() as (_, _, session):
        with pytest.raises(aiohttp.WSServerHandshakeError) as caught:
            await session.ws_connect(f"/v1/realtime?{query}", headers=headers)
        assert caught.value.status == status


async def test_an_upstreams_last_words_are_told_without_its_secrets() -> None:
    async with realtime() as (_, _, session), session.ws_connect("/v1/realtime?model=m") as socket:
        await socket.send_str("expire")
        message = await socket.receive()
        assert (message.type, message.data, message.extra) == (aiohttp.WSMsgType.CLOSE, 4001, "key *** has expired")


async def test_an_upstreams_refusal_is_told_without_its_secrets() -> None:
    async with realtime() as (_, served, _):
        upgrade = {
            "connection": "upgrade",
            "upgrade": "websocket",
            "sec-websocket-version": "13",
            "sec-websocket-key": "dGhlIHNhbXBsZSBub25jZQ==",
        }
        reply = await served.ask(b"", "/v1/realtime?model=m&refused=1", {"content-type": "", "content-length": "", **upgrade}, "GET")
        assert (reply.status, reply.error["code"], reply.headers["retry-after"]) == (403, "nope", "3")
        assert b"sk-secret-0" not in reply.body


async def test_a_request_without_an_upgrade() -> None:
    async with realtime() as (_, served, _):
        reply = await served.ask(b"", "/v1/realtime?model=m", {"content-type": "", "content-length": ""}, "GET")
        assert (reply.status, reply.headers["upgrade"]) == (426, "websocket")


async def test_the_next_target_is_asked_before_the_upgrade() -> None:
    routes = [{"model": "m", "to": ["gone/up", "p0/up"]}]
    far = Far()
    runner = web.ServerRunner(web.Server(far.handle), shutdown_timeout=0.1)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    providers = {"gone": {"base_url": "http://127.0.0.1:1"}, "p0": {"base_url": f"http://127.0.0.1:{runner.addresses[0][1]}/v1"}}
    async with (
        serving(providers=providers, routes=routes) as served,
        aiohttp.ClientSession(f"http://127.0.0.1:{served.address[1]}") as session,
        session.ws_connect("/v1/realtime?model=m") as socket,
    ):
        await socket.send_str("hello")
        assert await socket.receive_str(timeout=DEADLINE) == "hello"
    await runner.cleanup()


async def test_when_the_server_stops_both_sides_are_closed() -> None:
    async with realtime() as (far, served, session), session.ws_connect("/v1/realtime?model=m") as socket:
        await socket.send_str("hello")
        await socket.receive_str(timeout=DEADLINE)
        closing = asyncio.create_task(served.running.close(0.05))
        assert (await socket.receive(timeout=DEADLINE)).type is aiohttp.WSMsgType.CLOSE
        await closing
        async with asyncio.timeout(DEADLINE):
            await far.closed.wait()
        assert (socket.close_code, far.code) == (1001, 1001)


async def test_a_client_that_breaks_off() -> None:
    async with realtime() as (far, served, session):
        socket = await session.ws_connect("/v1/realtime?model=m")
        await socket.send_str("hello")
        await socket.receive_str(timeout=DEADLINE)
        transport = socket._response.connection.transport  # type: ignore[union-attr]
        transport.abort()  # type: ignore[union-attr]
        async with asyncio.timeout(20):
            await far.closed.wait()
        await served.counted('samewire_client_disconnects_total{gen_ai_operation_name="realtime"} 1')
