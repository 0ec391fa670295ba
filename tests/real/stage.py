"""The stage: `samewire serve` as a process of its own, before the pretended vendor in each of its dialects."""

from __future__ import annotations

import asyncio
import hashlib
from pathlib import Path
from typing import Any, Self

from tests.real.vendor import vendor
from tests.stage.process import DEADLINE, Program
from tests.stage.upstream import Upstream

KEY = "sk-real-clients"
#: Upstream dialect ─▶ a model of that vendor. Clients ask for `on-DIALECT`.
UPSTREAMS = {
    "openai": "gpt-5",
    "anthropic": "claude-sonnet-5",
    "gemini": "gemini-3.5-flash",
    "deepseek": "deepseek-chat",
    "mistral": "magistral-medium-latest",
    "ollama": "qwen3",
}
#: The models that docs/clients ask for.
PAGES = {"demo-claude": "anthropic", "demo-gemini": "gemini", "demo-deepseek": "deepseek", "demo-ollama": "ollama"}
#: What a vendor does not have, whoever asks.
WITHOUT = {
    "anthropic": {"embeddings": "Anthropic has no embeddings"},
    "deepseek": {"embeddings": "DeepSeek has no embeddings", "vision": "DeepSeek's models see nothing"},
}


def routes(port: int, log: Path) -> dict[str, Any]:
    """The configuration: one listed key, one route for each dialect, every request noted in `log`."""
    return {
        "version": 1,
        "server": {
            "port": 0,
            "keys": [{"name": "real", "sha256": hashlib.sha256(KEY.encode()).hexdigest()}],
            "cors": ["https://page.example"],
            "log": {"level": "debug", "requests": str(log)},
        },
        "providers": {
            name: {"base_url": f"http://127.0.0.1:{port}/{name}", "dialect": name, "key": f"key-of-{name}"} for name in UPSTREAMS
        },
        "routes": [
            *({"model": f"on-{name}", "to": f"{name}/{model}"} for name, model in UPSTREAMS.items()),
            *({"model": asked, "to": name} for asked, name in PAGES.items()),
        ],
    }


class Stage:
    """An async context: the vendor and the server, which keeps its files in `folder`."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._log = folder / "requests.log"
        self.upstream = Upstream(vendor)

    async def __aenter__(self) -> Self:
        await self.upstream.__aenter__()
        self._program = Program(self._folder, routes(self.upstream.port, self._log))
        await self._program.__aenter__()
        return self

    async def __aexit__(self, *error: object) -> None:
        await self._program.__aexit__(*error)
        await self.upstream.__aexit__(*error)

    def logged(self, text: str) -> list[str]:
        """The lines that have this in them, of all that the server has said and noted."""
        return [line for line in (*self._program.said, *self._log.read_text("utf-8").splitlines()) if text in line]

    async def noted(self, request_id: str) -> None:
        """Returns when the request has been noted."""
        async with asyncio.timeout(DEADLINE):
            while not self.logged(request_id):  # noqa: ASYNC110 - another process writes it
                await asyncio.sleep(0.01)

    @property
    def address(self) -> tuple[str, int]:
        """Where clients are served."""
        return self._program.address

    @property
    def url(self) -> str:
        """The same as a URL, without `/v1`."""
        return "http://{}:{}".format(*self.address)
