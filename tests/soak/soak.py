"""Starts everything, lets it run, looks at memory and descriptors, and draws up the balance."""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import os
import random
import re
import signal
import sys
import tempfile
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

from tests.soak.crowd import KEY, Client, draw
from tests.soak.faults import ANSWERS, FaultyUpstream
from tests.soak.ledger import Kind, Ledger, read_log
from tests.stage.client import Connection

ROOT = Path(__file__).parent.parent.parent
CLIENTS = 40
#: Seconds between reloads of the configuration, scrapes, and restarts of the upstream.
RELOAD, SCRAPE, RESTART = 5.0, 1.0, 7.0
#: Megabytes by which memory may grow once it is warm.
GROWTH = 12.0
START = 30.0

_ADDRESS = re.compile(r"base_url +http://([^:/]+):(\d+)/v1")


@dataclass(slots=True)
class Sample:
    """The gateway's process at one moment. `memory` in MB."""

    second: float
    memory: float
    descriptors: int
    ended: int


@dataclass(slots=True)
class Balance:
    """What a soak found. `faults`: everything that should not be."""

    seconds: float
    sent: int
    kinds: dict[str, int]
    samples: list[Sample]
    idle: tuple[int, int]  # descriptors before and after
    exit_code: int
    reloads: int
    table: Mapping[tuple[str, str, Kind], int]
    faults: list[str] = field(default_factory=list)

    def judge(self) -> None:
        """Adds what memory, descriptors and exit say."""
        warm = [sample.memory for sample in self.samples if self.seconds / 4 <= sample.second < self.seconds / 2]
        late = [sample.memory for sample in self.samples if sample.second >= self.seconds * 3 / 4]
        if warm and late and max(late) > max(warm) + GROWTH:
            self.faults.append(f"memory grew from {max(warm):.1f} to {max(late):.1f} MB")
        before, after = self.idle
        if after > before:
            self.faults.append(f"{before} descriptors before, {after} after")
        if self.exit_code != 0:
            self.faults.append(f"the gateway left with {self.exit_code}")


async def soak(seconds: float, rate: float, seed: int, tell: Callable[[str], None] = lambda _: None) -> Balance:
    """Lets some clients send `rate` requests a second, all in all, for so long."""
    with tempfile.TemporaryDirectory() as name:
        async with FaultyUpstream() as upstream:
            folder = Path(name)
            (folder / "routes.yaml").write_text(yaml.safe_dump(configuration(upstream.ports)), "utf-8")
            with (folder / "requests.log").open("wb") as requests, (folder / "messages.log").open("wb") as messages:
                process = await asyncio.create_subprocess_exec(
                    *(sys.executable, "-m", "proxy", "serve"),
                    cwd=folder,
                    env=os.environ | {"PYTHONPATH": str(ROOT)},
                    stdout=requests,
                    stderr=messages,
                )
            try:
                async with asyncio.timeout(START):
                    address = await listening(folder / "messages.log", process)
                run = _Run(process, address, upstream, folder)
                return await run.through(seconds, rate, random.Random(seed), tell)
            finally:
                with contextlib.suppress(ProcessLookupError):
                    process.kill()


def configuration(ports: dict[str, int]) -> dict[str, Any]:
    """Deadlines short enough for silences to be part of the load."""
    return {
        "version": 1,
        "server": {"port": 0, "keys": [{"name": "crowd", "sha256": hashlib.sha256(KEY.encode()).hexdigest()}], "heartbeat": 1, "drain": 5},
        "providers": {
            dialect: {
                "base_url": f"http://127.0.0.1:{ports[dialect]}",
                "dialect": dialect,
                "key": f"key-of-{dialect}",
                "timeouts": {"first_event": 8, "idle": 8, "write": 8},
            }
            for dialect in ANSWERS
        },
        "provider_prefix": True,
    }


async def listening(messages: Path, process: asyncio.subprocess.Process) -> tuple[str, int]:
    """The address that the gateway says it listens on."""
    while process.returncode is None:
        if found := _ADDRESS.search(_read(messages)):
            return found[1], int(found[2])
        await asyncio.sleep(0.02)
    raise RuntimeError(_read(messages))


def _read(path: Path) -> str:
    return path.read_text("utf-8")


class _Run:
    def __init__(self, process: asyncio.subprocess.Process, address: tuple[str, int], upstream: FaultyUpstream, folder: Path) -> None:
        self._process = process
        self._address = address
        self._upstream = upstream
        self._folder = folder
        self._ledger = Ledger()
        self._samples: list[Sample] = []
        self._numbers = iter(range(1, 10**9))
        self._reloads = 0

    async def through(self, seconds: float, rate: float, chance: random.Random, tell: Callable[[str], None]) -> Balance:
        begun = time.monotonic()
        await self._metrics()
        before = self._sample(0.0).descriptors
        async with asyncio.TaskGroup() as group:
            for _ in range(CLIENTS):
                group.create_task(self._client(begun + seconds, CLIENTS / rate, random.Random(chance.random())))
            group.create_task(self._watch(begun, seconds, tell))
        async with asyncio.timeout(START):
            # What clients left is still being cleared away, in another process.
            while " 0.0" not in (text := await self._metrics()).partition("\nsamewire_requests_in_flight")[2][:5]:  # noqa: ASYNC110  only a scrape tells
                await asyncio.sleep(0.05)
        self._upstream.hang_up()
        after = await self._settled(before)
        self._process.send_signal(signal.SIGTERM)
        code = await self._process.wait()
        ledger = self._ledger
        found = ledger.breaches + ledger.compare(read_log(_read(self._folder / "requests.log")), text)
        found += self._messages()
        balance = Balance(
            seconds,
            len(ledger.outcomes),
            dict(ledger.kinds),
            self._samples,
            (before, after),
            code,
            self._reloads,
            dict(ledger.table),
            found,
        )
        balance.judge()
        return balance

    async def _client(self, until: float, period: float, chance: random.Random) -> None:
        client = Client(self._address, self._ledger, chance)
        while time.monotonic() < until:
            await client.ask(draw(chance, next(self._numbers)))
            await asyncio.sleep(chance.random() * 2 * period)
        client.leave()

    async def _watch(self, begun: float, seconds: float, tell: Callable[[str], None]) -> None:
        """Samples and scrapes each second, reloads and restarts now and then."""
        next_reload, next_restart = RELOAD, RESTART
        while (now := time.monotonic() - begun) < seconds:
            await self._metrics()
            sample = self._sample(now)
            kinds = self._ledger.kinds
            counts = ", ".join(f"{kinds[kind]} {kind}" for kind in ("answered", "failed", "cancelled", "lost"))
            tell(f"{now:6.0f} of {seconds:.0f} s: {counts}; {sample.memory:.1f} MB, {sample.descriptors} descriptors")
            if now >= next_reload:
                next_reload += RELOAD
                self._reloads += 1
                self._process.send_signal(signal.SIGHUP)
            if now >= next_restart:
                next_restart += RESTART
                self._upstream.hang_up(idle=True)
            await asyncio.sleep(SCRAPE)

    def _sample(self, second: float) -> Sample:
        own = Path(f"/proc/{self._process.pid}")
        pages = int((own / "statm").read_text().split()[1])
        sample = Sample(second, pages * os.sysconf("SC_PAGE_SIZE") / 1e6, len(list((own / "fd").iterdir())), len(self._ledger.outcomes))
        self._samples.append(sample)
        return sample

    async def _settled(self, before: int) -> int:
        """Descriptors once the closed connections have been noticed."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(5):
                while self._sample(0.0).descriptors > before:  # noqa: ASYNC110  only a look tells
                    await asyncio.sleep(0.05)
        return self._samples.pop().descriptors

    async def _metrics(self) -> str:
        async with asyncio.timeout(START), Connection(self._address) as connection:
            connection.send("GET", "/metrics", b"", {"authorization": f"Bearer {KEY}", "connection": "close"})
            _, headers = await connection.head()
            return (await connection.body(headers))[0].decode()

    def _messages(self) -> list[str]:
        """What the gateway said that it should not have had to say."""
        lines = _read(self._folder / "messages.log").splitlines()
        return [line for line in lines if '"level":"error"' in line or "Traceback" in line]
