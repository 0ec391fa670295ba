"""A running program with several workers, and the upstream that it leads to."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from tests.stage.client import Connection
from tests.stage.process import DEADLINE, Program
from tests.stage.upstream import Upstream, events
from tests.stage.wires import chunk, openai_answer

HELLO = {"content": "Hello"}
STREAM = json.dumps({"model": "m", "stream": True, "messages": [{"role": "user", "content": "Hi"}]}).encode()
CHAT = json.dumps({"model": "m", "messages": [{"role": "user", "content": "Hi"}]}).encode()
JSON = {"content-type": "application/json"}


def document(upstream: Upstream, model: str = "m", **server: Any) -> dict[str, Any]:
    settings = {"port": 0, "admin": 0, "workers": 2, "log": {"requests": "off"}} | server
    settings = {name: value for name, value in settings.items() if value is not None}
    up = {"base_url": f"http://127.0.0.1:{upstream.port}"}
    return {"version": 1, "server": settings, "providers": {"up": up}, "routes": [{"model": model, "to": "up"}]}


class Site(Program):
    """A running program and the upstream it leads to."""

    upstream: Upstream

    def configure(self, **changes: Any) -> None:
        self.write(document(self.upstream, **changes))

    @asynccontextmanager
    async def streaming(self) -> AsyncIterator[tuple[Connection, asyncio.Event]]:
        """A stream of which the first piece is here; the rest comes after the event."""
        script = events(chunk(HELLO), chunk({"content": " there"}), chunk(finish="stop"))
        script.gate = asyncio.Event()
        self.upstream.answer(script)
        async with asyncio.timeout(DEADLINE), Connection(self.address) as client:
            client.send("POST", "/v1/chat/completions", STREAM, JSON)
            assert (await client.head())[0] == 200
            assert b"Hello" in await client.chunk()
            yield client, script.gate


@asynccontextmanager
async def site(folder: Path, *argv: str, stdout: Any = None, before: str = "", **server: Any) -> AsyncIterator[Site]:
    """`before`: Python that runs first in the process, to shorten a time that is not configured."""
    async with Upstream() as upstream:
        upstream.answer(openai_answer(HELLO))
        program = Site(folder, document(upstream, **server), *argv, stdout=stdout)
        program.upstream = upstream
        if before:
            program.python = ("-c", f"{before}\nfrom proxy.__main__ import main\nmain()")
        async with program:
            yield program
