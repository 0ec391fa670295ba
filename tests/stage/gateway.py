"""The gateway, running: a configuration written for a test, the real server on a free port of loopback."""

from __future__ import annotations

import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Self

import yaml

from proxy.app import RunningServer, start
from proxy.config import load

#: Every provider of the five wire families, all leading to one port.
PROVIDERS = ("openai", "anthropic", "gemini", "deepseek", "mistral", "ollama")


def routes(port: int, **more: Any) -> dict[str, Any]:
    """A configuration in which `provider/model` reaches a scripted upstream on `port`, for every dialect. `more` is added, deeply."""
    document: dict[str, Any] = {
        "version": 1,
        "server": {"port": 0, "log": {"level": "error", "requests": "off"}},
        "providers": {name: {"base_url": f"http://127.0.0.1:{port}", "dialect": name, "key": f"key-of-{name}"} for name in PROVIDERS},
        "provider_prefix": True,
    }
    return _merged(document, more)


def _merged(one: dict[str, Any], more: dict[str, Any]) -> dict[str, Any]:
    both = {key: _merged(one[key], value) for key, value in more.items() if isinstance(one.get(key), dict) and isinstance(value, dict)}
    return one | more | both


class Gateway:
    """An async context: the server, running on `address`."""

    def __init__(self, document: Mapping[str, Any], environ: Mapping[str, str] | None = None) -> None:
        self.document = document
        self.environ = environ or {}
        self.address = ("127.0.0.1", 0)
        self._running: RunningServer | None = None

    async def __aenter__(self) -> Self:
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / "routes.yaml"
            path.write_text(yaml.safe_dump(dict(self.document), sort_keys=False), encoding="utf-8")
            self._running = await start(load(path, self.environ))
        self.address = self._running.addresses[0]
        return self

    async def __aexit__(self, *_: object) -> None:
        assert self._running is not None
        await self._running.close(0.0)
