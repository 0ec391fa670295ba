"""The real OpenAI SDK before the running gateway."""

from __future__ import annotations

from collections.abc import AsyncIterator

import openai
import pytest_asyncio

from tests.stage.fixtures import Play, play

__all__ = ["client", "play"]


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def client(play: Play) -> AsyncIterator[openai.AsyncOpenAI]:
    """A client that never retries: what the gateway says is what a test sees."""
    host, port = play.address
    async with openai.AsyncOpenAI(base_url=f"http://{host}:{port}/v1", api_key="any", max_retries=0, timeout=20) as client:
        yield client
