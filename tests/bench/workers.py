"""A second worker: does a request cost the same, and do both work? Both cores are allowed, for the ends too.

Two that work at once are in each other's way, and in that of the ends: they share caches, memory and perhaps a core. What that costs by
itself is told by two gateways of one worker side by side, which have nothing to do with each other.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import Any, ClassVar

from tests.bench import payloads
from tests.bench.contenders import Samewire
from tests.bench.ends import Ends
from tests.bench.plan import Scale, Step
from tests.bench.processes import BOTH, BenchError
from tests.bench.results import Results

SECTION = "workers"
SIDE_BY_SIDE = "Samewire twice, 1 worker each"
#: Load generators at once.
LOADS = 2


class OneWorker(Samewire):
    """Without a word about workers."""

    name = "Samewire, 1 worker"
    cores = BOTH


class TwoWorkers(Samewire):
    name = "Samewire, 2 workers"
    cores = BOTH
    server: ClassVar[dict[str, Any]] = {"workers": 2}


def lacks(ends: Ends) -> str:
    """Why it cannot be measured; "": it can."""
    with contextlib.suppress(BenchError), TwoWorkers(ends) as contender:
        assert contender.process is not None
        if len(contender.process.pids) > 1:
            return ""
    return "this version starts no second worker"


def steps(ends: Ends, scale: Scale, results: Results) -> Iterator[Step]:
    kinds = ((OneWorker,), (TwoWorkers,), (OneWorker, OneWorker))
    for number in range(scale.worker_rounds):
        for kind in kinds[number % 3 :] + kinds[: number % 3]:
            label = f"{SECTION}: round {number + 1}, {_name(kind)}"
            yield Step(label, (1.2 + scale.seconds) * len(kind), partial(_measure, kind, ends, scale.seconds, results))


def _name(kind: tuple[type[Samewire], ...]) -> str:
    return kind[0].name if len(kind) == 1 else SIDE_BY_SIDE


def _measure(kind: tuple[type[Samewire], ...], ends: Ends, seconds: float, results: Results) -> None:
    """Two load generators ask: one gateway both, or of two gateways each its own."""
    upstream = ends.upstreams["openai-burst"]
    with contextlib.ExitStack() as stack, ThreadPoolExecutor(LOADS) as pool:
        gateways = [stack.enter_context(each(ends)) for each in kind]

        def load(seconds: float) -> int:
            asked = [(gateway.port(upstream), gateway.request(upstream, False)) for gateway in gateways * (LOADS // len(gateways))]
            run = partial(ends.load, connections=32 // LOADS, seconds=seconds, pieces=payloads.WHOLE_PIECES)
            return sum(found["requests"] for found in pool.map(lambda each: run(*each), asked))

        load(seconds / 4)
        before = _spent(gateways)
        requests = load(seconds)
        spent = sorted((now - before.get(pid, 0) for pid, now in _spent(gateways).items()), reverse=True)
    results.add("workers.cpu", _name(kind), sum(spent) / requests)
    if kind[0] is TwoWorkers:
        results.add("workers.share", TwoWorkers.name, 100 * spent[1] / sum(spent))


def _spent(gateways: list[Samewire]) -> dict[int, float]:
    """µs of CPU that each process has had."""
    return {pid: ns / 1000 for gateway in gateways if gateway.process for pid, ns in gateway.process.cpu_ns().items()}
