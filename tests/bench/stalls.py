"""The longest pass of Samewire's event loop: idle, while an image of 5 MB passes through, while /metrics is scraped."""

from __future__ import annotations

import signal
import sys
import time
import urllib.request
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

from tests.bench import payloads
from tests.bench.contenders import Samewire
from tests.bench.ends import Ends, Upstream
from tests.bench.plan import Scale, Step
from tests.bench.processes import BenchError
from tests.bench.results import Results

SECTION = "stall"
IMAGE, SERIES = 5_000_000, 1_500
IDLE, LARGE, SCRAPE = "no request", "a request with an image of 5 MB", f"a scrape of {SERIES:,} series"
#: A model that was asked for makes some 69 lines in the text of a scrape.
MODELS = 24


class Probed(Samewire):
    """Everything on, many models, and the probe."""

    def config(self) -> dict[str, Any]:
        config = super().config()
        target = f"openai-burst/{payloads.MODELS['openai']}"
        config["routes"] += [{"model": f"model-{number}", "to": target} for number in range(MODELS)]
        return config

    def command(self) -> list[str]:
        path = Path(super().command()[-1])
        return [sys.executable, "-m", "tests.bench.probe", str(path)]

    def longest(self) -> float:
        """µs, since the last time this was asked."""
        assert self.process is not None
        log, known = self.process.log, len(self._told())
        self.process.send(signal.SIGUSR1)
        deadline = time.monotonic() + 10
        while len(self._told()) == known:
            if time.monotonic() > deadline:
                raise BenchError(f"the probe says nothing: {log.read_text(errors='replace')[-500:]}")
            time.sleep(0.005)
        return float(self._told()[-1])

    def _told(self) -> list[str]:
        """The probe's lines; the request log's begin with a brace."""
        assert self.process is not None
        return [line for line in self.process.log.read_text().splitlines() if line[:1].isdigit()]


def steps(ends: Ends, scale: Scale, results: Results) -> Iterator[Step]:
    yield Step(f"{SECTION}: Samewire", 3 + scale.blocks * 0.4, partial(_measure, ends, scale.blocks, results))


def _measure(ends: Ends, times: int, results: Results) -> None:
    upstream = ends.upstreams["openai-burst"]
    with Probed(ends) as contender:
        _ask_for_each(contender, upstream)
        rest: dict[str, Callable[[], object]] = {
            IDLE: lambda: time.sleep(0.1),
            LARGE: lambda: _send_image(contender, upstream),
            SCRAPE: lambda: _scrape(contender, upstream),
        }
        for name, act in rest.items():
            act()  # once before it counts
            for _ in range(times):
                contender.longest()
                act()
                results.add("stall", name, contender.longest())


def _ask_for_each(contender: Probed, upstream: Upstream) -> None:
    port = contender.port(upstream)
    for number in range(MODELS):
        contender.ends.load(port, payloads.request(f"model-{number}", False, port), 1, 0.01, pieces=payloads.WHOLE_PIECES)


def _send_image(contender: Probed, upstream: Upstream) -> None:
    request = contender.request(upstream, False, image=IMAGE)
    contender.ends.load(contender.port(upstream), request, 1, 0.001, pieces=payloads.WHOLE_PIECES)


def _scrape(contender: Probed, upstream: Upstream) -> None:
    url = f"http://127.0.0.1:{contender.port(upstream)}/metrics"
    with urllib.request.urlopen(urllib.request.Request(url, headers={"authorization": f"Bearer {payloads.KEY}"}), timeout=30) as answer:
        text = answer.read().decode()
    series = sum(1 for line in text.splitlines() if line and not line.startswith("#"))
    if series < SERIES:
        raise BenchError(f"the scrape has {series} series, too few")
