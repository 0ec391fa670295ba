"""A scripted upstream, the gateway on a Unix socket, nginx before it: one of each for all tests here."""

from __future__ import annotations

import tempfile
from collections.abc import AsyncIterator
from pathlib import Path

import pytest_asyncio
from aiohttp import web

from tests.deploy.processes import gateway, nginx
from tests.stage.fixtures import Play
from tests.stage.gateway import routes
from tests.stage.upstream import Upstream


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def folder() -> AsyncIterator[Path]:
    """Short enough for the address of a Unix socket."""
    with tempfile.TemporaryDirectory(prefix="samewire-") as name:
        yield Path(name)


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def upstream() -> AsyncIterator[Upstream]:
    async with Upstream() as upstream:
        yield upstream


async def echo(request: web.BaseRequest) -> web.WebSocketResponse:
    """Answers each text with itself."""
    socket = web.WebSocketResponse()
    await socket.prepare(request)
    async for message in socket:
        await socket.send_str(message.data)
    return socket


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def talker() -> AsyncIterator[int]:
    """The port of an upstream that speaks WebSocket."""
    runner = web.ServerRunner(web.Server(echo), shutdown_timeout=0.1)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    yield runner.addresses[0][1]
    await runner.cleanup()


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def served(folder: Path, upstream: Upstream, talker: int) -> AsyncIterator[str]:
    """The running gateway's address, as nginx writes it."""
    document = routes(upstream.port, providers={"talker": {"base_url": f"http://127.0.0.1:{talker}/v1"}})
    socket = str(folder / "samewire.sock")
    document["server"] = {"socket": socket, "log": {"level": "error", "requests": "off"}}
    async with gateway(document, folder):
        yield f"unix:{socket}"


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def front(folder: Path, upstream: Upstream, served: str) -> AsyncIterator[Play]:
    """All of it, as deploy/nginx.conf has it."""
    async with nginx(served, folder) as address:
        yield Play(upstream, address)
