"""A scripted upstream, the gateway on a Unix socket, nginx before it: one of each for all tests here."""

from __future__ import annotations

import tempfile
from collections.abc import AsyncIterator
from pathlib import Path

import pytest_asyncio

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


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def served(folder: Path, upstream: Upstream) -> AsyncIterator[str]:
    """The running gateway's address, as nginx writes it."""
    document = routes(upstream.port)
    socket = str(folder / "samewire.sock")
    document["server"] = {"socket": socket, "log": {"level": "error", "requests": "off"}}
    async with gateway(document, folder):
        yield f"unix:{socket}"


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def front(folder: Path, upstream: Upstream, served: str) -> AsyncIterator[Play]:
    """All of it, as deploy/nginx.conf has it."""
    async with nginx(served, folder) as address:
        yield Play(upstream, address)
