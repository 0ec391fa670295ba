"""The two ends of the wire: upstreams and the load generator, both wire.c, compiled here with cc."""

from __future__ import annotations

import itertools
import json
import os
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from tests.bench import payloads
from tests.bench.plan import Scale
from tests.bench.processes import ENDS, BenchError, Process, free_port

HERE = Path(__file__).parent


@dataclass(frozen=True)
class Upstream:
    """`every`: ms between two pieces of a stream; 0: all at once."""

    name: str
    source: str
    pieces: int
    every: int
    port: int


def upstreams(scale: Scale) -> Iterator[tuple[str, str, int, int]]:
    """(name, source, pieces, every) of each: two for each language of chats, one of Responses, one that keeps many streams open."""
    for source in payloads.CHATS:
        yield f"{source}-burst", source, payloads.PIECES, 0
        yield f"{source}-paced", source, scale.paced_pieces, 10
    yield "items-burst", "items", payloads.PIECES, 0
    yield "openai-slow", "openai", *scale.slow_stream


class Ends:
    """The upstreams run while this is entered. `folder` is for everyone's files."""

    def __init__(self, folder: Path, scale: Scale) -> None:
        self._scale = scale
        self.folder = folder
        self.upstreams: dict[str, Upstream] = {}
        self._wire = str(folder / "wire")
        self._processes: list[Process] = []
        self._asked = itertools.count()

    def __enter__(self) -> Self:
        subprocess.run([os.environ.get("CC", "cc"), "-O2", "-o", self._wire, str(HERE / "wire.c")], check=True)
        try:
            for name, source, pieces, every in upstreams(self._scale):
                self._start(Upstream(name, source, pieces, every, free_port()))
        except BaseException:
            self.__exit__(None, None, None)
            raise
        return self

    def _start(self, upstream: Upstream) -> None:
        files = [self.folder / f"{upstream.name}.{kind}" for kind in ("json", "sse")]
        for file, text in zip(files, payloads.SOURCES[upstream.source](upstream.pieces), strict=True):
            file.write_text(text)
        command = [self._wire, "upstream", str(upstream.port), *map(str, files), *([str(upstream.every)] if upstream.every else [])]
        process = Process(command, self.folder / f"{upstream.name}.log", cores=ENDS)
        self._processes.append(process)
        process.wait_for(upstream.port)
        self.upstreams[upstream.name] = upstream

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        for process in self._processes:
            process.stop()

    def load(self, port: int, request: bytes, connections: int, seconds: float, *, pieces: int, rate: float = 0) -> dict[str, Any]:
        """What the load generator found. Raises BenchError when not each answer was there, whole and right, with all its pieces."""
        asked = self.folder / f"request-{next(self._asked)}"  # several may ask at once
        asked.write_bytes(request)
        command = ["taskset", "-c", ENDS, self._wire, "load", str(port), str(asked), str(connections), str(seconds), payloads.MARK]
        done = subprocess.run([*command, str(rate)] if rate else command, capture_output=True, text=True, check=False)
        if done.returncode:
            raise BenchError(f"the load generator failed: {done.stderr.strip()}")
        found: dict[str, Any] = json.loads(done.stdout)
        if found["bad"] or found["unfinished"] or not found["requests"] or found["marks"] != pieces * found["requests"]:
            counts = f"{found['requests']} answers, {found['bad']} bad, {found['unfinished']} unfinished"
            raise BenchError(f"not every answer was right and whole: {counts}, {found['marks']} pieces instead of {pieces} in each")
        return found
