"""A second worker: does a request cost the same, and do both work? Both cores are allowed, for the ends too."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from functools import partial
from typing import Any, ClassVar

from tests.bench.contenders import Samewire
from tests.bench.ends import Ends
from tests.bench.plan import Scale, Step
from tests.bench.processes import BOTH, BenchError
from tests.bench.results import Results

SECTION = "workers"


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
    for number in range(scale.worker_rounds):
        for kind in (OneWorker, TwoWorkers):
            label = f"{SECTION}: round {number + 1}, {kind.name}"
            yield Step(label, 1.2 + scale.seconds, partial(_measure, kind, ends, scale.seconds, results))


def _measure(kind: type[Samewire], ends: Ends, seconds: float, results: Results) -> None:
    upstream = ends.upstreams["openai-burst"]
    with kind(ends) as contender:
        contender.load(upstream, False, 32, seconds / 4)
        found = contender.load(upstream, False, 32, seconds)
    spent = sorted(found["cpu_us"].values(), reverse=True)
    results.add("workers.cpu", kind.name, sum(spent) / found["requests"])
    if kind is TwoWorkers:
        results.add("workers.share", kind.name, 100 * spent[1] / sum(spent))
