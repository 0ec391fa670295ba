"""Memory of many open streams: a fresh process, what it holds before, and the most it holds while all are open."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from functools import partial

from tests.bench.contenders import Contender
from tests.bench.ends import Ends
from tests.bench.plan import Scale, Step
from tests.bench.processes import BenchError
from tests.bench.results import Results

SECTION = "memory"


def steps(kinds: Sequence[type[Contender]], ends: Ends, scale: Scale, results: Results) -> Iterator[Step]:
    pieces, every = scale.slow_stream
    for kind in kinds:
        length = pieces * every / 1000 + (15 if kind.slow else 2)
        streams = scale.slow_streams if kind.slow else scale.streams
        yield Step(f"{SECTION}: {kind.name}", length, partial(_measure, kind, ends, streams, results), kind.slow)


def _measure(kind: type[Contender], ends: Ends, streams: int, results: Results) -> None:
    slow, burst = ends.upstreams["openai-slow"], ends.upstreams["openai-burst"]
    with kind(ends) as contender:
        assert contender.process is not None
        contender.load(burst, True, 1, 0.01)  # whatever it loads with its first request is there
        time.sleep(0.5)
        idle = contender.process.resident_kb()
        contender.process.reset_peak()
        found = contender.load(slow, True, streams, 0.01)
        peak = contender.process.resident_kb("VmHWM")
    if found["together"] != streams:
        raise BenchError(f"{kind.name}: only {found['together']} of {streams} streams were open at once")
    results.add("memory.idle", kind.name, idle / 1000)
    results.add("memory.peak", kind.name, peak / 1000)
    results.add("memory.stream", kind.name, (peak - idle) / found["together"])
