"""Fixtures for tests on the stage: one upstream and one gateway for a whole session, on the session's event loop."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from typing import Any

import pytest_asyncio

from tests.corpus.facts import Facts
from tests.corpus.grammar import judge
from tests.corpus.readings import OPENAI
from tests.stage.client import Served, call
from tests.stage.gateway import PROVIDERS, Gateway, routes
from tests.stage.upstream import Script, Upstream


@dataclass(slots=True)
class Play:
    """A gateway before a scripted upstream, with what tests do to both."""

    upstream: Upstream
    address: tuple[str, int]
    headers: dict[str, str] = field(default_factory=dict)

    async def ask(self, model: str, *scripts: Script, **body: Any) -> Served:
        """Ask a model, or any model of a provider, the upstream answering so. `usage=True` asks for the usage chunk of a stream."""
        self.upstream.answer(*scripts)
        usage = body.pop("usage", None)
        if usage is not None:
            body["stream_options"] = {"include_usage": usage}
        asked = {"model": f"{model}/m" if model in PROVIDERS else model, "messages": [{"role": "user", "content": "Hi"}]} | body
        return await call(self.address, asked, headers=self.headers)

    async def stream(self, model: str, *scripts: Script, usage: bool = True, **body: Any) -> Facts:
        """The same for a stream that must be right in form; what it says."""
        served = await self.ask(model, *scripts, stream=True, usage=usage, **body)
        assert served.status == 200, served.body
        breaches = judge(served.body, usage_asked=usage, complete=served.complete)
        assert not breaches, (breaches, served.body)
        return OPENAI.stream(served.body.decode())

    async def broken(self, model: str, *scripts: Script, **body: Any) -> tuple[Facts, str]:
        """The same for a stream that must break off with an error event; what it says until then, and the bytes."""
        served = await self.ask(model, *scripts, stream=True, usage=True, **body)
        assert served.status == 200, served.body
        assert not judge(served.body, usage_asked=True, complete=served.complete), served.body
        facts = OPENAI.stream(served.body.decode())
        assert facts.error is not None, served.body
        return facts, served.body.decode()

    async def answer(self, model: str, *scripts: Script, **body: Any) -> Facts:
        """The same for a whole answer; what it says."""
        served = await self.ask(model, *scripts, **body)
        assert served.status == 200, served.body
        return OPENAI.answer(200, served.json())

    def sent(self) -> Any:
        """The body that went upstream last."""
        return self.upstream.last.json()


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def play() -> AsyncIterator[Play]:
    """All dialects, nothing special."""
    async with Upstream() as upstream, Gateway(routes(upstream.port)) as gateway:
        yield Play(upstream, gateway.address)
