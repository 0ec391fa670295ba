"""Counters and histograms, and their text for Prometheus. (What prometheus-client writes of it: `proxy.exposition`.)

Names and attributes are OpenTelemetry's for generative AI in their Prometheus spelling
(github.com/open-telemetry/semantic-conventions-genai), with longer buckets added for models that reason for minutes; what has no standard
is called samewire_*. A Series is bound once for each set of labels; a request adds its figures to plain integers at its end. The text
of a scrape is made in slices that let the event loop go on in between.
"""

from __future__ import annotations

import asyncio
import importlib
from bisect import bisect_left
from collections.abc import Callable, Iterable, Iterator, Mapping
from functools import cache, cached_property
from typing import TYPE_CHECKING, Any, Literal, Protocol

from proxy.config.policy import REASONS
from proxy.record import Failed, Record, Usage

if TYPE_CHECKING:
    from proxy.exposition import Exposition

#: The classic text format.
CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"

#: The label of everything the configuration does not name.
OTHER = "_other"

#: Lines made before the event loop has its turn: some 0.2 ms.
SLICE = 200

_DURATION = (0.01, 0.02, 0.04, 0.08, 0.16, 0.32, 0.64, 1.28, 2.56, 5.12, 10.24, 20.48, 40.96, 81.92, 120, 300, 600)
_FIRST_TOKEN = (0.001, 0.005, 0.01, 0.02, 0.04, 0.06, 0.08, 0.1, 0.25, 0.5, 0.75, 1, 2.5, 5, 7.5, 10, 15, 20, 30, 45, 60, 120, 300)
_PER_TOKEN = (0.01, 0.025, 0.05, 0.075, 0.1, 0.15, 0.2, 0.3, 0.4, 0.5, 0.75, 1, 2.5)
_TOKENS = tuple(4**power for power in range(14))
_OVERHEAD = (0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 1)

#: Values of labels, and a figure.
Reading = tuple[tuple[str, ...], float]

#: UpstreamError's kinds.
_KINDS = frozenset(("connect", "tls", "timeout", "protocol", "truncated", "status", "invalid", "stream"))


class Histogram:
    """How many values fell into each bucket (an upper bound is part of it; the last has none), and their sum."""

    __slots__ = ("bounds", "counts", "total")

    def __init__(self, bounds: tuple[float, ...]) -> None:
        self.bounds = bounds
        self.counts = [0] * (len(bounds) + 1)
        self.total: float = 0

    def add(self, value: float) -> None:
        self.counts[bisect_left(self.bounds, value)] += 1
        self.total += value


class _Metric(Protocol):
    """One metric of the text: its head, then what belongs to one moment in one list."""

    def lines(self) -> Iterator[list[str]]: ...


class _Histograms:
    """One metric: a histogram for each set of labels."""

    def __init__(self, name: str, text: str, bounds: tuple[float, ...]) -> None:
        self._head = f"# HELP {name} {text}\n# TYPE {name} histogram\n"
        self._name = name
        self._bounds = bounds
        self._members: dict[str, Histogram] = {}

    def bind(self, labels: str) -> Histogram:
        """The histogram with these labels (written as the text has them)."""
        histogram = self._members.get(labels)
        if histogram is None:
            histogram = self._members[labels] = Histogram(self._bounds)
        return histogram

    def lines(self) -> Iterator[list[str]]:
        """The lines of each histogram that has a value, as one list, so that they belong to one moment."""
        yield [self._head]
        number = load_exposition().number
        ends = [f',le="{number(bound)}"}} ' for bound in (*self._bounds, float("inf"))]
        for labels, histogram in list(self._members.items()):
            if not any(histogram.counts):
                continue
            lines = []
            count = 0
            for end, more in zip(ends, histogram.counts, strict=True):
                count += more
                lines.append(f"{self._name}_bucket{{{labels}{end}{count}\n")
            lines.append(f"{self._name}_count{{{labels}}} {count}\n")
            lines.append(f"{self._name}_sum{{{labels}}} {number(histogram.total)}\n")
            yield lines


class _Counters:
    """One metric: a count for each set of labels."""

    def __init__(self, name: str, text: str) -> None:
        self._head = f"# HELP {name} {text}\n# TYPE {name} counter\n"
        self._name = name
        self._counts: dict[str, int] = {}

    def add(self, labels: str, more: int = 1) -> None:
        self._counts[labels] = self._counts.get(labels, 0) + more

    def lines(self) -> Iterator[list[str]]:
        yield [self._head]
        for labels, count in list(self._counts.items()):
            yield [f"{self._name}{{{labels}}} {count}\n"]


class _Tokens(dict[str, Histogram]):
    """Histograms of token counts by token type, under one set of labels; made when they have something to count."""

    __slots__ = ("_estimated", "_labels", "_metrics")

    def __init__(self, metrics: Metrics, labels: str, *, estimated: bool) -> None:
        self._metrics = metrics
        self._labels = labels
        self._estimated = _label("samewire_estimated", str(estimated).lower())

    def __missing__(self, kind: str) -> Histogram:
        histogram = self[kind] = self._metrics.tokens.bind(f"{self._labels},{_label('gen_ai_token_type', kind)},{self._estimated}")
        return histogram

    def count(self, usage: Usage) -> None:
        if usage.input:
            self["input"].add(usage.input)
        if usage.output:
            self["output"].add(usage.output)
        if usage.cached_input:
            self["cached_input"].add(usage.cached_input)
        if usage.cache_creation_input:
            self["cache_creation_input"].add(usage.cache_creation_input)
        if usage.reasoning:
            self["reasoning"].add(usage.reasoning)


class Series:
    """Everything counted under one set of labels. Made by `Metrics.series`; whoever counts keeps it."""

    __slots__ = ("_durations", "_first_token", "_labels", "_metrics", "_operation", "_overhead", "_per_token", "_provider", "_tokens")

    def __init__(self, metrics: Metrics, operation: str, provider: str, labels: str) -> None:
        self._metrics = metrics
        self._operation = _label("gen_ai_operation_name", operation)
        self._provider = _label("gen_ai_provider_name", provider)
        self._labels = labels
        self._durations: dict[str, Histogram] = {}  # by error type, "" without
        self._tokens = (_Tokens(metrics, labels, estimated=False), _Tokens(metrics, labels, estimated=True))
        self._first_token = metrics.first_token.bind(labels)
        self._per_token = metrics.per_token.bind(labels)
        self._overhead = metrics.overhead.bind(labels)

    def observe(self, record: Record) -> None:
        """Adds an exchange that has ended."""
        error = _error_type(record) if record.error_type or record.status >= 400 else ""
        duration = self._durations.get(error) or self._bind_duration(error)
        duration.add(record.end - record.start)
        self._overhead.add(record.overhead)
        usage = record.usage
        if usage is not None:
            self._tokens[record.estimated].count(usage)
        if record.first_token:
            self._first_token.add(record.first_token - record.start)
            if usage is not None and usage.output > 1 and not error:
                self._per_token.add((record.end - record.first_token) / (usage.output - 1))
        if record.failures or record.client_gone or record.dropped:
            self._count_troubles(record)

    def _bind_duration(self, error: str) -> Histogram:
        labels = f"{self._labels},{_label('error_type', error)}" if error else self._labels
        duration = self._durations[error] = self._metrics.duration.bind(labels)
        return duration

    def _count_troubles(self, record: Record) -> None:
        metrics = self._metrics
        for failed in record.failures:
            self._count_failure(failed)
        if record.client_gone:
            metrics.disconnects.add(self._operation)
        if record.dropped:
            metrics.dropped.add(f"{self._operation},{self._provider}", len(record.dropped))

    def _count_failure(self, failed: Failed) -> None:
        metrics, provider = self._metrics, _label("gen_ai_provider_name", failed.provider)
        if failed.kind:
            metrics.upstream_errors.add(f"{provider},{_label('kind', failed.kind if failed.kind in _KINDS else OTHER)}")
        reason = failed.reason if failed.reason in REASONS else OTHER
        metrics.failed_attempts.add(f"{provider},{_label('outcome', reason)}")
        if failed.set_aside:
            metrics.ejections.add(f"{provider},{_label('reason', reason)}")
        if failed.risked:
            metrics.risked.add(provider)

    @property
    def ended_well(self) -> int:
        """Requests without an error."""
        durations = self._durations.get("")
        return sum(durations.counts) if durations else 0


class _Attempts(_Counters):
    """Attempts by outcome: those that failed are counted here; each request that ended well had one that did not."""

    def __init__(self, series: Mapping[tuple[str, str, str, str], Series]) -> None:
        super().__init__("samewire_attempts_total", "Upstream attempts by what came of them.")
        self._series = series

    def lines(self) -> Iterator[list[str]]:
        well: dict[str, int] = {}
        for (_, provider, _, _), series in list(self._series.items()):
            if provider:
                well[provider] = well.get(provider, 0) + series.ended_well
        yield from super().lines()
        for provider, count in well.items():
            yield [f"{self._name}{{{_label('gen_ai_provider_name', provider)},{_label('outcome', 'ok')}}} {count}\n"]


class _Table:
    """One metric whose lines are read at a scrape."""

    def __init__(self, name: str, kind: str, text: str, names: tuple[str, ...], read: Callable[[], Iterable[Reading]]) -> None:
        self._head = f"# HELP {name} {text}\n# TYPE {name} {kind}\n"
        self._name = name
        self._names = names
        self._read = read

    def lines(self) -> Iterator[list[str]]:
        yield [self._head]
        for values, count in list(self._read()):
            labels = ",".join(_label(name, value) for name, value in zip(self._names, values, strict=True))
            yield [f"{self._name}{{{labels}}} {count}\n"]


class Metrics:
    """All counts of one process.

    `in_flight` is read at a scrape. `models` are the names that the configuration knows, of routes and of
    targets: any other becomes `_other`, so that clients cannot make labels.
    """

    def __init__(self, version: str) -> None:
        self.in_flight = 0
        self.models: frozenset[str] = frozenset()
        self._series: dict[tuple[str, str, str, str], Series] = {}
        self.duration = _Histograms("gen_ai_server_request_duration_seconds", "From a request to the end of its answer.", _DURATION)
        self.first_token = _Histograms(
            "gen_ai_server_time_to_first_token_seconds", "From a request to the first token of its stream.", _FIRST_TOKEN
        )
        self.per_token = _Histograms("gen_ai_server_time_per_output_token_seconds", "Mean time between a stream's tokens.", _PER_TOKEN)
        self.tokens = _Histograms("gen_ai_client_token_usage", "Tokens a request used.", _TOKENS)
        self.overhead = _Histograms("samewire_overhead_seconds", "Time a request spent in this process, waiting for nobody.", _OVERHEAD)
        self.upstream_errors = _Counters("samewire_upstream_errors_total", "Upstream attempts that failed.")
        self.disconnects = _Counters("samewire_client_disconnects_total", "Clients that left before their answer was whole.")
        self.dropped = _Counters("samewire_dropped_parameters_total", "Request parameters that the upstream has no place for.")
        self.failed_attempts = _Attempts(self._series)
        self.ejections = _Counters("samewire_ejections_total", "Targets and keys that were set aside, by what they failed of.")
        self.risked = _Counters(
            "samewire_maybe_processed_retries_total", "Requests asked of another although this provider may have worked on them."
        )
        self._tables: list[_Table] = []
        self._version = version
        self._gauges: dict[str, tuple[str, Callable[[], float]]] = {}
        self.watch("samewire_requests_in_flight", "Requests being served.", lambda: self.in_flight)

    def watch(self, name: str, text: str, read: Callable[[], float]) -> None:
        """A gauge read at each scrape. All are named before the first."""
        self._gauges[name] = (text, read)

    @cached_property
    def _exposition(self) -> Exposition:
        return load_exposition().Exposition(self._version, self._gauges)  # type: ignore[no-any-return]  # a module's attribute

    def table(
        self, name: str, kind: Literal["gauge", "counter"], text: str, names: tuple[str, ...], read: Callable[[], Iterable[Reading]]
    ) -> None:
        """A metric with labels `names`, read at each scrape."""
        self._tables.append(_Table(name, kind, text, names, read))

    def series(self, operation: str, provider: str, public_model: str, target_model: str) -> Series:
        """The series with these labels. `operation` and `provider` come from the configuration; "" is `_other`."""
        key = (operation, provider, self.known(public_model), self.known(target_model))
        series = self._series.get(key)
        if series is None:
            names = ("gen_ai_operation_name", "gen_ai_provider_name", "gen_ai_request_model", "gen_ai_response_model")
            labels = ",".join(_label(name, value) for name, value in zip(names, key, strict=True))
            series = self._series[key] = Series(self, operation, provider, labels)
        return series

    async def render(self) -> bytes:
        """The text of a scrape (CONTENT_TYPE)."""
        slices = []
        for text in self.slices():
            slices.append(text)
            await asyncio.sleep(0)
        return b"".join(slices)

    def slices(self) -> Iterator[bytes]:
        """The text in pieces of some SLICE lines; counting may go on between them."""
        yield self._exposition.text()
        lines: list[str] = []
        metrics: tuple[_Metric, ...] = (
            self.duration,
            self.first_token,
            self.per_token,
            self.tokens,
            self.overhead,
            self.upstream_errors,
            self.disconnects,
            self.dropped,
            self.failed_attempts,
            self.ejections,
            self.risked,
            *self._tables,
        )
        for metric in metrics:
            for more in metric.lines():
                lines += more
                if len(lines) >= SLICE:
                    yield "".join(lines).encode()
                    lines = []
        yield "".join(lines).encode()

    def known(self, model: str) -> str:
        """The name of a model as a label."""
        return model if model in self.models else OTHER


@cache
def load_exposition() -> Any:
    """The module that knows prometheus-client."""
    return importlib.import_module("proxy.exposition")


def _error_type(record: Record) -> str:
    """The `error.type` attribute of a failure: UpstreamError's kind or the status."""
    if record.error_kind in _KINDS and record.error_kind != "status":
        return record.error_kind
    return str(record.status) if record.status >= 400 else OTHER


def _label(name: str, value: str) -> str:
    """One label as the text has it."""
    value = (value or OTHER).replace("\\", r"\\").replace("\n", r"\n").replace('"', r"\"")
    return f'{name}="{value}"'
