"""The clients of clients.yaml: installed where they are not yet, run against a stage, and what came of it."""

from __future__ import annotations

import asyncio
import hashlib
import importlib.metadata
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

from tests.real.stage import KEY, UPSTREAMS, WITHOUT, Stage

HERE = Path(__file__).parent
#: Where clients are installed; may be deleted at any time.
CACHE = Path(os.environ.get("SAMEWIRE_CLIENTS") or Path.home() / ".cache" / "samewire-clients")
CAPABILITIES = (
    "models", "chat", "stream", "tool", "tools", "round trip", "structured", "vision", "embeddings", "reasoning", "reasoning kept",
    "401", "404", "429", "broken stream",
)  # fmt: skip
DEADLINE = 1800.0  # seconds for all that one client does


@dataclass(frozen=True, slots=True)
class Client:
    """One entry of clients.yaml."""

    name: str
    title: str
    dialect: str
    page: str
    file: str
    package: str
    light: bool = False
    install: Mapping[str, list[str]] = field(default_factory=dict)
    without: Mapping[str, str] = field(default_factory=dict)
    upstreams: tuple[str, ...] = tuple(UPSTREAMS)

    @property
    def node(self) -> bool:
        """Whether it runs on Node."""
        return self.file.startswith("node/") or "node" in self.install

    @property
    def folder(self) -> Path:
        """Where it is installed: another place for each set of pinned packages."""
        if self.light and self.node:
            pins = (HERE / "node" / "package-lock.json").read_bytes()
            return CACHE / f"node-{hashlib.sha256(pins).hexdigest()[:12]}"
        return CACHE / f"{self.package.rpartition('/')[2]}-{hashlib.sha256(json.dumps(self.install).encode()).hexdigest()[:12]}"

    @property
    def version(self) -> str:
        """Of its package, as it is installed."""
        if self.node:
            return str(json.loads((self.folder / "node_modules" / self.package / "package.json").read_text("utf-8"))["version"])
        if self.light:
            return importlib.metadata.version(self.package)
        (found,) = importlib.metadata.distributions(name=self.package, path=[str(path) for path in self.folder.glob("lib/*/site-packages")])
        return found.version


def clients() -> dict[str, Client]:
    """All of clients.yaml, by name."""
    data = yaml.safe_load((HERE / "clients.yaml").read_text("utf-8"))
    return {name: Client(name, **entry) for name, entry in data.items()}


def install(client: Client) -> None:
    """Installs it, if it is not there. Raises CalledProcessError with what the installer said."""
    done = client.folder / "installed"
    if done.exists() or (client.light and not client.node):
        return
    client.folder.mkdir(parents=True, exist_ok=True)
    if client.light:
        for name in ("package.json", "package-lock.json"):
            shutil.copy(HERE / "node" / name, client.folder)
        _call("npm", "ci", "--no-audit", "--no-fund", cwd=client.folder)
    elif client.node:
        install(next(other for other in clients().values() if other.light and other.node))  # which brings Node itself
        (client.folder / "package.json").write_text('{"private": true, "type": "module"}', "utf-8")
        _call("npm", "install", "--no-audit", "--no-fund", *client.install["node"], cwd=client.folder)
    else:
        python = str(client.folder / "bin" / "python")
        _call(sys.executable, "-m", "venv", str(client.folder), cwd=client.folder)
        pip = ["uv", "pip", "install", "--python", python] if shutil.which("uv") else [python, "-m", "pip", "install", "-q"]
        _call(*pip, *client.install["python"], cwd=client.folder)
    done.touch()


def _call(*argv: str, cwd: Path) -> None:
    done = subprocess.run(argv, cwd=cwd, capture_output=True, text=True, check=False)
    if done.returncode:
        raise subprocess.CalledProcessError(done.returncode, argv, done.stdout, done.stderr[-2000:])


def environment(stage: Stage) -> dict[str, str]:
    """What a scenario file is told. Nothing of this machine's own keys and addresses gets through."""
    kept = {name: value for name, value in os.environ.items() if name in ("PATH", "HOME", "LANG", "TMPDIR", "SAMEWIRE_TRACE")}
    without = {f"SAMEWIRE_WITHOUT_{name.upper()}": ",".join(lacks) for name, lacks in WITHOUT.items()}
    return kept | without | {"SAMEWIRE_URL": stage.url, "SAMEWIRE_KEY": KEY}


def command(client: Client) -> list[str]:
    """The program that runs its scenarios."""
    file, *more = client.file.split()
    if client.file.startswith("node/"):
        return [str(node()), str(client.folder / Path(file).name), *more]
    python = client.folder / "bin" / "python" if "python" in client.install and client.file.startswith("python/") else Path(sys.executable)
    return [str(python), str(HERE / file), *more]


def node() -> Path:
    """The Node that came with the light packages: clients want 22, systems often have less."""
    return next(next(client.folder for client in clients().values() if client.light and client.node).glob("node_modules/node-*/bin/node"))


async def run(client: Client, stage: Stage) -> dict[str, dict[str, str]]:
    """Runs all its scenarios: upstream ─▶ capability ─▶ "ok", or "failed: why", or "not offered: why"."""
    more = {"SAMEWIRE_CLIENT": str(client.folder), "PYTHONDONTWRITEBYTECODE": "1", "SAMEWIRE_UPSTREAMS": ",".join(client.upstreams)}
    if client.node:
        more["SAMEWIRE_NODE"] = str(node().parent)
    if client.file.startswith("node/"):  # modules are looked for beside the file
        for file in (HERE / "node").glob("*.mjs"):
            shutil.copy(file, client.folder)
        more["SAMEWIRE_WORDS"] = str(HERE / "plays.json")
    process = await asyncio.create_subprocess_exec(
        *command(client), env=environment(stage) | more, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE
    )
    try:
        async with asyncio.timeout(DEADLINE):
            out, said = await process.communicate()
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
    if process.returncode:
        raise RuntimeError(f"{client.name} ended with {process.returncode}: {said.decode()[-2000:]}")
    if "SAMEWIRE_TRACE" in os.environ:
        print(said.decode(), file=sys.stderr)
    told = [json.loads(line) for line in out.decode().splitlines() if line.startswith('{"upstream"')]
    return {upstream: dict(_outcomes(client, upstream, told)) for upstream in UPSTREAMS}


def _outcomes(client: Client, upstream: str, told: list[dict[str, str]]) -> Iterator[tuple[str, str]]:
    found: dict[str, Any] = {line["capability"]: line for line in told if line["upstream"] == upstream}
    assert found.keys() <= set(CAPABILITIES), found.keys()
    for capability in CAPABILITIES:
        lacks = (
            client.without.get(capability) or client.without.get(f"{capability}, {upstream}") or WITHOUT.get(upstream, {}).get(capability)
        )
        if upstream not in client.upstreams:
            lacks = "not tried with this upstream: each run takes seconds"
        if lacks:
            yield capability, f"not offered: {lacks}"
        elif line := found.get(capability):
            yield capability, "ok" if line["outcome"] == "ok" else f"failed: {line['why']}"
        else:
            yield capability, "failed: it was not tried"
