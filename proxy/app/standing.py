"""How the providers stand, as metrics: who is left alone, who waits for whom. Read at each scrape."""

from __future__ import annotations

from collections.abc import Iterator
from time import monotonic

from proxy.exchange.gate import Gates
from proxy.metrics import Metrics, Reading
from proxy.routing import Standings


def observe(metrics: Metrics, standings: Standings, gates: Gates) -> None:
    """Adds them to the metrics."""

    def aside() -> Iterator[Reading]:
        seen: dict[tuple[str, str, str], int] = {}
        for found in standings.aside(monotonic()):
            labels = (found.provider, metrics.known(found.model) if found.model else "*", str(found.number or "*"))
            seen[labels] = seen.get(labels, 0) + 1
        yield from seen.items()

    metrics.table(
        "samewire_set_aside",
        "gauge",
        "Models of a provider, and keys, that are left alone for now; * is any.",
        ("provider", "model", "key"),
        aside,
    )
    metrics.table(
        "samewire_provider_in_flight",
        "gauge",
        "Requests in work at a provider that has a limit.",
        ("provider",),
        lambda: (((name,), gate.inside) for name, gate in gates.all()),
    )
    metrics.table(
        "samewire_provider_queue",
        "gauge",
        "Requests that wait for a place at a provider.",
        ("provider",),
        lambda: (((name,), gate.waiting) for name, gate in gates.all()),
    )
    metrics.table(
        "samewire_provider_rejections_total",
        "counter",
        "Requests that found no place at a provider.",
        ("provider",),
        lambda: (((name,), gate.rejected) for name, gate in gates.all()),
    )
