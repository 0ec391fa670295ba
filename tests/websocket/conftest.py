"""A gateway that does nothing but relay, between a real client and a real upstream on loopback."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import replace
from typing import Any

import aiohttp
import pytest
import uvloop
from aiohttp import web

from proxy.errors import ExchangeError
from proxy.websocket import RealtimeLimits, RealtimeOutcome, RealtimeUpstream, relay

DEADLINE = 30


def pytest_asyncio_loop_factories() -> dict[str, Callable[[], asyncio.AbstractEventLoop]]:
    """Every test on both event loops."""
    return {"asyncio": asyncio.new_event_loop, "uvloop": uvloop.new_event_loop}


async def serve(handler: Callable[[web.BaseRequest], Awaitable[web.StreamResponse]]) -> tuple[web.ServerRunner, str]:
    """A server on a port of its own, and its address without a scheme."""
    runner = web.ServerRunner(web.Server(handler, handler_cancellation=True), shutdown_timeout=0.1)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    host, port = runner.addresses[0][:2]
    return runner, f"{host}:{port}"


class Far:
    """The upstream: runs `script` on each connection and keeps what it saw."""

    def __init__(self) -> None:
        self.script: Callable[[web.WebSocketResponse], Awaitable[object]] = echo
        self.options: dict[str, Any] = {"autoclose": True}
        self.requests: list[web.BaseRequest] = []
        self.ended: asyncio.Queue[int | None] = asyncio.Queue()

    async def handle(self, request: web.BaseRequest) -> web.StreamResponse:
        self.requests.append(request)
        socket = web.WebSocketResponse(compress=False, **self.options)
        await socket.prepare(request)
        try:
            await self.script(socket)
            async for _ in socket:
                pass
        finally:
            self.ended.put_nowait(socket.close_code)
        return socket


async def echo(socket: web.WebSocketResponse) -> None:
    async for message in socket:
        await socket.send_frame(message.data.encode() if isinstance(message.data, str) else message.data, message.type)


class Gateway:
    def __init__(self, upstream: RealtimeUpstream) -> None:
        self.address = ""
        self.upstream = upstream
        self.limits = RealtimeLimits(open=2, close=0.5, message=2**21)
        self.failed: list[ExchangeError] = []
        self.ended: asyncio.Queue[RealtimeOutcome] = asyncio.Queue()
        self.tasks: list[asyncio.Task[object]] = []

    async def handle(self, request: web.BaseRequest) -> web.StreamResponse:
        outcome = RealtimeOutcome()
        self.tasks.append(asyncio.current_task())
        try:
            return await relay(request, self.upstream, self.limits, outcome, {"x-request-id": "req_1"})
        except ExchangeError as error:
            self.failed.append(error)
            return web.json_response(error.envelope(), status=error.status, headers=error.headers)
        finally:
            self.ended.put_nowait(outcome)

    def set(self, **limits: Any) -> None:
        self.limits = replace(self.limits, **limits)

    async def outcome(self) -> RealtimeOutcome:
        return await asyncio.wait_for(self.ended.get(), DEADLINE)


@pytest.fixture
async def far() -> AsyncIterator[Far]:
    far = Far()
    runner, far.address = await serve(far.handle)
    yield far
    await runner.cleanup()


@pytest.fixture
async def gateway(far: Far) -> AsyncIterator[Gateway]:
    gateway = Gateway(RealtimeUpstream(f"ws://{far.address}/v1/realtime?model=m", {"authorization": "Bearer upstream-key"}))
    runner, gateway.address = await serve(gateway.handle)
    yield gateway
    await runner.cleanup()


@pytest.fixture
async def session() -> AsyncIterator[aiohttp.ClientSession]:
    async with aiohttp.ClientSession() as session:
        yield session
