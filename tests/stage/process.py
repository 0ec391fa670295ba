"""`samewire serve` as a process of its own, and what an operator does with it."""

from __future__ import annotations

import asyncio
import json
import os
import re
import resource
import signal
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Self

import yaml

from tests.stage.client import Connection, Served

ROOT = Path(__file__).parent.parent.parent
DEADLINE = 30.0  # seconds for anything: the machine may be busy


class Program:
    """An async context: the process, from the moment it serves until it has ended. `said`: the lines of stderr."""

    python: Sequence[str] = ("-m", "proxy")  # what the interpreter is told to run

    def __init__(self, folder: Path, document: Mapping[str, Any], *argv: str, descriptors: int | None = None, stdout: Any = None) -> None:
        self.folder = folder
        self.said: list[str] = []
        self.write(document)
        self._argv = argv
        self._descriptors = descriptors
        self._stdout = subprocess.DEVNULL if stdout is None else stdout
        self._more = asyncio.Condition()
        self.process: asyncio.subprocess.Process
        self._reading: asyncio.Task[None]

    def write(self, document: Mapping[str, Any] | str) -> None:
        """The configuration."""
        text = document if isinstance(document, str) else yaml.safe_dump(dict(document), sort_keys=False)
        (self.folder / "routes.yaml").write_text(text, "utf-8")

    async def start(self) -> None:
        """Starts it, without waiting for anything."""
        environ = {name: value for name, value in os.environ.items() if not name.startswith("SAMEWIRE")} | {"PYTHONPATH": str(ROOT)}
        self.process = await asyncio.create_subprocess_exec(
            sys.executable, *self.python, *self._argv, cwd=self.folder, env=environ, stdout=self._stdout, stderr=subprocess.PIPE,
            preexec_fn=self._limit if self._descriptors else None,
        )  # fmt: skip
        self._reading = asyncio.create_task(self._read())

    async def __aenter__(self) -> Self:
        await self.start()
        await self.says("base_url")
        await self.says("api_key")
        return self

    async def __aexit__(self, *_: object) -> None:
        if self.process.returncode is None:
            self.process.kill()
        await self.ended()

    def _limit(self) -> None:
        resource.setrlimit(resource.RLIMIT_NOFILE, (self._descriptors or 0, self._descriptors or 0))

    async def _read(self) -> None:
        assert self.process.stderr is not None
        while line := await self.process.stderr.readline():
            async with self._more:
                self.said.append(line.decode().rstrip("\n"))
                self._more.notify_all()

    async def says(self, text: str, times: int = 1) -> None:
        """Returns when so many lines of stderr have this in them."""
        async with asyncio.timeout(DEADLINE), self._more:
            await self._more.wait_for(lambda: sum(text in line for line in self.said) >= times or self._reading.done())
            assert sum(text in line for line in self.said) >= times, self.said

    async def ended(self) -> int:
        """The exit code, once it has ended."""
        async with asyncio.timeout(DEADLINE):
            await self._reading
            return await self.process.wait()

    def signal(self, number: int = signal.SIGTERM) -> None:
        """Sends a signal to the process alone."""
        self.process.send_signal(number)

    def _address(self, word: str) -> tuple[str, int]:
        found = re.search(rf"^  {word} +http://([\d.]+):(\d+)", "\n".join(self.said), re.MULTILINE)
        assert found is not None, self.said
        return found[1], int(found[2])

    @property
    def address(self) -> tuple[str, int]:
        """Where clients are served."""
        return self._address("base_url")

    @property
    def admin(self) -> tuple[str, int]:
        """Where the operator is."""
        return self._address("admin")

    async def ask(self, method: str, path: str, address: tuple[str, int] | None = None, body: bytes = b"") -> Served:
        """One request on a connection of its own."""
        async with asyncio.timeout(DEADLINE), Connection(address or self.address) as connection:
            connection.send(method, path, body, {"connection": "close", "content-type": "application/json"})
            status, answered = await connection.head()
            return Served(status, answered, *await connection.body(answered))

    async def chat(self, model: str) -> int:
        """The status of a small chat."""
        body = {"model": model, "messages": [{"role": "user", "content": "Hi"}]}
        return (await self.ask("POST", "/v1/chat/completions", body=json.dumps(body).encode())).status

    async def metric(self, name: str, address: tuple[str, int] | None = None) -> float:
        """The sum of all samples whose line begins so."""
        text = (await self.ask("GET", "/metrics", address or self.admin)).body.decode()
        return sum(float(line.rpartition(" ")[2]) for line in text.splitlines() if line.startswith(name))

    async def shows(self, name: str, value: float) -> None:
        """Returns when the metric has that value."""
        async with asyncio.timeout(DEADLINE):
            while await self.metric(name) != value:  # noqa: ASYNC110 - a page tells of no change
                await asyncio.sleep(0.02)

    async def workers(self) -> set[int]:
        """The process' children, but for those that have ended and are not reaped yet."""
        columns = ("-o", "pid=", "-o", "state=")
        done = await asyncio.create_subprocess_exec("ps", *columns, "--ppid", str(self.process.pid), stdout=subprocess.PIPE)
        out, _ = await done.communicate()
        return {int(pid) for pid, state in map(str.split, out.decode().splitlines()) if state != "Z"}


async def gone(pids: set[int]) -> None:
    """Returns when none of these processes is left."""
    async with asyncio.timeout(DEADLINE):
        while any(_lives(pid) for pid in pids):  # noqa: ASYNC110 - nobody tells of processes that are not ours
            await asyncio.sleep(0.01)


def _lives(pid: int) -> bool:
    try:
        return "\nState:\tZ" not in Path(f"/proc/{pid}/status").read_text("utf-8")
    except (FileNotFoundError, ProcessLookupError):
        return False
