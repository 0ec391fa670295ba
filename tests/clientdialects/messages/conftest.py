"""One gateway for all that is asked and replayed here: every provider of the recordings' tests, and Claude models by way of chat alone."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager

import pytest

from tests.corpus.conftest import Theatre
from tests.corpus.replay import Stage, hosts
from tests.stage.gateway import Gateway, routes
from tests.stage.upstream import Upstream


@asynccontextmanager
async def stage() -> AsyncIterator[Stage]:
    async with Upstream() as upstream:
        here = {"base_url": f"http://127.0.0.1:{upstream.port}", "key": "a-key-of-theirs"}
        by_chat = {"model": "by-chat/*", "to": "anthropic/*", "operations": ["chat"]}
        document = routes(upstream.port, providers={name: entry | here for name, entry in hosts().items()}, routes=[by_chat])
        async with Gateway(document) as gateway:
            yield Stage(gateway.address, upstream)


@pytest.fixture(scope="session")
def messages() -> Iterator[Theatre]:
    with asyncio.Runner() as runner:
        context = stage()
        yield Theatre(runner, runner.run(context.__aenter__()))
        runner.run(context.__aexit__(None, None, None))
