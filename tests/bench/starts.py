"""From `exec` to the first answer, beside the smallest aiohttp program there is. What pip installs has its bytecode, so these have."""

from __future__ import annotations

import socket
import sys
import time
from collections.abc import Iterator, Sequence
from functools import partial
from pathlib import Path

import yaml

from proxy.demo.flavour import RECORDINGS
from tests.bench import payloads
from tests.bench.contenders import Contender, Samewire
from tests.bench.ends import HERE, Ends
from tests.bench.plan import Scale, Step
from tests.bench.processes import BenchError, Process, free_port
from tests.bench.results import Results

SECTION = "start"
BARE, SHIPPED = "import aiohttp.web", "Samewire, the routes.yaml that comes with it"


def steps(kinds: Sequence[type[Contender]], ends: Ends, scale: Scale, results: Results) -> Iterator[Step]:
    """In turn, so that no one has the better minutes. Contenders that take many seconds have fewer goes."""
    yield Step(f"{SECTION}: bytecode", 5, partial(_warm, kinds, ends))
    for number in range(scale.starts):
        yield Step(f"{SECTION}: {BARE}", 0.5, partial(_bare, ends.folder, results))
        yield Step(f"{SECTION}: {SHIPPED}", 0.8, partial(_shipped, ends.folder, results))
        for kind in kinds:
            if number == 0 or not kind.slow:
                yield Step(f"{SECTION}: {kind.name}", 12 if kind.slow else 0.6, partial(_contender, kind, ends, results), kind.slow)


def _warm(kinds: Sequence[type[Contender]], ends: Ends) -> None:
    """Each once, not to be counted: it leaves its bytecode."""
    unread = Results()
    _bare(ends.folder, unread)
    _shipped(ends.folder, unread)
    for kind in kinds:
        if not kind.slow:
            _contender(kind, ends, unread)


def _bare(folder: Path, results: Results) -> None:
    port = free_port()
    _time(BARE, [sys.executable, str(HERE / "first_answer.py"), str(port)], port, payloads.request("any", False, port), folder, results)


def _shipped(folder: Path, results: Results) -> None:
    """As it starts without any configuration: some thirty hosts, the demo models. What the one that answers makes believe to think for is
    not counted."""
    port, thought = free_port(), _pace("claude")["first"]
    command = [sys.executable, "-m", "proxy", "serve", "--config", str(HERE.parents[1] / "routes.yaml"), "--port", str(port)]
    _time(SHIPPED, command, port, payloads.request("demo-claude", False, port), folder, results, thought=thought)


def _pace(flavour: str) -> dict[str, float]:
    found: dict[str, float] = yaml.safe_load((RECORDINGS / flavour / "flavour.yaml").read_text("utf-8"))["pace"]
    return found


def _contender(kind: type[Contender], ends: Ends, results: Results) -> None:
    contender, upstream = kind(ends), ends.upstreams["openai-burst"]
    command = contender.command()
    _time(kind.name, command, contender.port(upstream), contender.request(upstream, False), ends.folder, results, kind)


def _time(
    name: str,
    command: list[str],
    port: int,
    request: bytes,
    folder: Path,
    results: Results,
    kind: type[Contender] = Samewire,
    *,
    thought: float = 0,
) -> None:
    bytecode = {} if kind.slow else {"PYTHONPYCACHEPREFIX": str(folder / "bytecode"), "PYTHONDONTWRITEBYTECODE": ""}
    begun = time.perf_counter()
    process = Process(command, folder / "start.log", environ={**bytecode, **kind.environ}, cwd=HERE.parents[1])
    try:
        process.wait_for(port, kind.ready_in)
        with socket.create_connection(("127.0.0.1", port), 60) as client:
            client.sendall(request)
            head = client.recv(65536)
        seconds = time.perf_counter() - begun - thought
        cpu = sum(process.cpu_ns().values()) / 1e9
    finally:
        process.stop()
    if not head.startswith(b"HTTP/1.1 200"):
        raise BenchError(f"{name}: its first answer was {head[:300]!r}")
    results.add("start.seconds", name, seconds)
    results.add("start.cpu", name, cpu)
