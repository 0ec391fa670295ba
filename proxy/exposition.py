"""The part of a scrape that prometheus-client writes: the process's own figures, and gauges. Loaded when the first scrape is made, or
before it when there is time: importing the library takes as long as a twentieth of a start."""

from __future__ import annotations

import platform
from collections.abc import Callable, Mapping

from prometheus_client import CollectorRegistry, Gauge, GCCollector, Info, ProcessCollector, generate_latest
from prometheus_client.utils import floatToGoString

#: A figure as the text has it.
number: Callable[[float], str] = floatToGoString


class Exposition:
    """`gauges`: what to say of each, and how to read it, by name."""

    def __init__(self, version: str, gauges: Mapping[str, tuple[str, Callable[[], float]]]) -> None:
        self._registry = CollectorRegistry()
        ProcessCollector(registry=self._registry)
        GCCollector(registry=self._registry)
        for name, (text, read) in gauges.items():
            Gauge(name, text, registry=self._registry).set_function(read)
        Info("samewire_build", "What runs here.", registry=self._registry).info({"version": version, "python": platform.python_version()})

    def text(self) -> bytes:
        """In the classic text format."""
        return generate_latest(self._registry)
