"""What was measured: samples by measure and contender, and how they are summed up and kept."""

from __future__ import annotations

import statistics
from dataclasses import dataclass, field
from typing import Any

#: The contender that is none: the load generator asks the upstream itself.
DIRECT = "direct"


@dataclass(frozen=True)
class Measure:
    """`more`: a larger figure is better."""

    title: str
    unit: str
    more: bool = False


def _kinds(name: str, title: str) -> dict[str, str]:
    """Passed through, and from two other languages."""
    return {name: title, f"{name}-blocks": f"{title}, Messages translated", f"{name}-parts": f"{title}, generateContent translated"}


_WHOLE, _PACED, _BURST = _kinds("whole", "whole answer"), _kinds("paced", "paced stream"), _kinds("burst", "burst stream")

#: Clients that speak another language → what their upstream speaks: passed through where it is the same.
CLIENT_WORKS = {
    ("responses", "items"): "Responses passed through",
    ("responses", "openai"): "Responses onto chat",
    ("responses", "blocks"): "Responses onto Messages",
    ("responses", "parts"): "Responses onto generateContent",
    ("messages", "blocks"): "Messages passed through",
    ("messages", "openai"): "Messages onto chat",
    ("messages", "parts"): "Messages onto generateContent",
}

#: In the order of the report.
MEASURES: dict[str, Measure] = {
    **{f"{key}.cpu": Measure(f"{title}: CPU per request", "µs") for key, title in _WHOLE.items()},
    **{f"{key}.rate": Measure(f"{title}: requests per second on one core", "/s", more=True) for key, title in _WHOLE.items()},
    "latency.cpu": Measure("200 requests/s: CPU per request", "µs"),
    "latency.time_p50": Measure("200 requests/s: time of an answer, p50", "µs"),
    "latency.time_p99": Measure("200 requests/s: time of an answer, p99", "µs"),
    **{f"{key}.cpu": Measure(f"{title}: CPU per piece", "µs") for key, title in _PACED.items()},
    **{f"{key}.time_p50": Measure(f"{title}: age of a piece on arrival, p50", "µs") for key, title in _PACED.items()},
    **{f"{key}.time_p99": Measure(f"{title}: age of a piece on arrival, p99", "µs") for key, title in _PACED.items()},
    **{f"{key}.cpu": Measure(f"{title}: CPU per piece", "µs") for key, title in _BURST.items()},
    **{f"{key}.rate": Measure(f"{title}: pieces per second on one core", "/s", more=True) for key, title in _BURST.items()},
    **{
        f"clients-{client}-{source}.{what}": Measure(f"burst stream, {title}: {said}", unit, more)
        for what, said, unit, more in (("cpu", "CPU per piece", "µs", False), ("rate", "pieces per second on one core", "/s", True))
        for (client, source), title in CLIENT_WORKS.items()
    },
    "transform": Measure("transform alone, an event", "µs"),
    "transform.json": Measure("JSON decode and encode of that event", "µs"),
    "body": Measure("a request's body translated", "µs"),
    "body.json": Measure("JSON decode and encode of that body", "µs"),
    "memory.stream": Measure("memory of an open stream", "kB"),
    "memory.idle": Measure("memory before", "MB"),
    "memory.peak": Measure("memory with all streams open", "MB"),
    "start.seconds": Measure("start to first answer", "s"),
    "start.cpu": Measure("start to first answer, CPU time", "s"),
    "stall": Measure("longest pass of the event loop", "µs"),
    "workers.cpu": Measure("CPU per request, both cores allowed", "µs"),
    "workers.share": Measure("smaller share of the work", "%", more=True),
}


@dataclass
class Results:
    """`samples[measure][contender]`; `left_out[what] = why`."""

    samples: dict[str, dict[str, list[float]]] = field(default_factory=dict)
    left_out: dict[str, str] = field(default_factory=dict)

    def add(self, measure: str, contender: str, value: float) -> None:
        if measure not in MEASURES:
            raise KeyError(measure)
        self.samples.setdefault(measure, {}).setdefault(contender, []).append(value)

    def best(self, measure: str, contender: str) -> float | None:
        """The least disturbed sample: the smallest, or largest where more is better."""
        values = self.samples.get(measure, {}).get(contender)
        if not values:
            return None
        return max(values) if MEASURES[measure].more else min(values)

    def added(self, measure: str, contender: str) -> float | None:
        """How much longer than without anyone in between; `measure` is one of those whose name ends in time_pNN."""
        time = self.best(measure, contender)
        direct = self.best(measure.replace("-blocks", "").replace("-parts", ""), DIRECT)
        return None if time is None or direct is None else time - direct

    def spread(self, measure: str, contender: str) -> tuple[float, float, float]:
        """Minimum, median, maximum."""
        values = self.samples[measure][contender]
        return min(values), statistics.median(values), max(values)

    def to_json(self) -> dict[str, Any]:
        samples = {
            measure: {contender: [round(value, 3) for value in values] for contender, values in self.samples[measure].items()}
            for measure in MEASURES
            if measure in self.samples
        }
        return {"left_out": self.left_out, "samples": samples}

    @classmethod
    def from_json(cls, stored: dict[str, Any]) -> Results:
        return cls(stored["samples"], stored["left_out"])
