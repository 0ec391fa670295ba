"""The goals, each with the figure that decides it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from tests.bench import stalls, starts, workers
from tests.bench.contenders import BareApp, Nginx, Samewire
from tests.bench.results import CLIENT_WORKS, Results
from tests.bench.rivals import LiteLlm, Portkey

Figure = Callable[[Results], float | None]
_TRANSLATED = {"blocks": "Messages translated", "parts": "generateContent translated"}
#: The events that the goal for the transform means.
HOT = ("anthropic: text", "anthropic: thinking", "anthropic: tool arguments", "gemini: text")


@dataclass(frozen=True)
class Goal:
    """`bound`: the figure is at most that; with `more`: at least."""

    title: str
    figure: Figure
    bound: float
    unit: str = "×"
    more: bool = False

    def verdict(self, results: Results) -> str:
        """met, missed, or not measured."""
        figure = self.figure(results)
        if figure is None:
            return "not measured"
        return "met" if (figure >= self.bound if self.more else figure <= self.bound) else "missed"


def quotient(above: float | None, below: float | None) -> float | None:
    return None if above is None or below is None or below <= 0 else above / below


def _ratio(measure: str, other: str, plain: str = "") -> Figure:
    """Samewire's figure as a ratio to the other's, of the same measure or of `plain`."""
    return lambda results: quotient(results.best(measure, Samewire.name), results.best(plain or measure, other))


def _added(measure: str, other: str) -> Figure:
    return lambda results: quotient(results.added(measure, Samewire.name), results.added(measure, other))


def _lag(measure: str) -> Figure:
    return lambda results: results.added(measure, Samewire.name)


def _less(measures: tuple[str, ...], other: str) -> Figure:
    """How many times more the other takes: the smallest ratio over these measures."""

    def figure(results: Results) -> float | None:
        found = [quotient(results.best(measure, other), results.best(measure, Samewire.name)) for measure in measures]
        known = [ratio for ratio in found if ratio is not None]
        return min(known) if len(known) == len(found) else None

    return figure


def _best(measure: str, contender: str) -> Figure:
    return lambda results: results.best(measure, contender)


def _quotient(above: tuple[str, str], below: tuple[str, str]) -> Figure:
    return lambda results: quotient(results.best(*above), results.best(*below))


def _own(measure: str, other: str) -> Figure:
    """Samewire's figure as a ratio to its own of another measure."""
    return _quotient((measure, Samewire.name), (other, Samewire.name))


def _slowest_event(results: Results) -> float | None:
    known = [figure for figure in (results.best("transform", event) for event in HOT) if figure is not None]
    return max(known) if len(known) == len(HOT) else None


def _largest_body(results: Results) -> float | None:
    bodies = results.samples.get("body", {})
    known = [quotient(results.best("body", name), results.best("body.json", name)) for name in bodies]
    return max((ratio for ratio in known if ratio is not None), default=None)


_BURSTS = ("burst-blocks.cpu", "burst-parts.cpu")
_BARE, _NGINX = BareApp.name, Nginx.name

GOALS: list[Goal] = [
    Goal("whole answer passed through, CPU: × bare aiohttp", _ratio("whole.cpu", _BARE), 0.40),
    Goal("whole answer passed through, CPU: × nginx", _ratio("whole.cpu", _NGINX), 3.3),
    *(
        Goal(f"whole answer, {title}, CPU: × bare aiohttp's passed through", _ratio(f"whole-{key}.cpu", _BARE, "whole.cpu"), 0.50)
        for key, title in _TRANSLATED.items()
    ),
    Goal("LiteLLM's CPU for a whole answer: × Samewire's", _less(("whole.cpu",), LiteLlm.name), 120, more=True),
    Goal("Portkey's CPU for a whole answer: × Samewire's", _less(("whole.cpu",), Portkey.name), 20, more=True),
    Goal("LiteLLM's CPU for a translated piece of a burst: × Samewire's", _less(_BURSTS, LiteLlm.name), 150, more=True),
    Goal("Portkey's CPU for a translated piece of a burst: × Samewire's", _less(_BURSTS, Portkey.name), 10, more=True),
    Goal("requests per second on one core: × bare aiohttp", _ratio("whole.rate", _BARE), 2, more=True),
    Goal("latency added at 200 requests/s, p50: × bare aiohttp's", _added("latency.time_p50", _BARE), 0.5),
    Goal("latency added at 200 requests/s, p50: × nginx's", _added("latency.time_p50", _NGINX), 2.5),
    Goal("paced stream passed through, CPU a piece: × nginx", _ratio("paced.cpu", _NGINX), 1.5),
    Goal("paced stream passed through, CPU a piece: × bare aiohttp", _ratio("paced.cpu", _BARE), 0.8),
    *(
        Goal(f"paced stream, {title}, CPU a piece: × bare aiohttp's passed through", _ratio(f"paced-{key}.cpu", _BARE, "paced.cpu"), 1.2)
        for key, title in _TRANSLATED.items()
    ),
    *(
        Goal(f"paced stream, {title}: added lag of a piece, p50", _lag(f"paced-{key}.time_p50"), 100, "µs")
        for key, title in _TRANSLATED.items()
    ),
    *(
        Goal(f"burst, {title}, CPU a piece: × bare aiohttp's passed through", _ratio(f"burst-{key}.cpu", _BARE, "burst.cpu"), 1.5)
        for key, title in _TRANSLATED.items()
    ),
    *(
        Goal(f"burst, {CLIENT_WORKS[client, source]}, CPU a piece: × {other}", _own(f"clients-{client}-{source}.cpu", f"{chat}.cpu"), bound)
        for client, source, chat, other, bound in (
            ("responses", "items", "burst", "chat passed through", 1.1),
            ("messages", "blocks", "burst", "chat passed through", 1.1),
            ("responses", "blocks", "burst-blocks", "chat onto it", 1.6),
            ("responses", "parts", "burst-parts", "chat onto it", 1.6),
            ("messages", "parts", "burst-parts", "chat onto it", 1.6),
            ("responses", "openai", "burst", "chat onto it", 1.6),
            ("messages", "openai", "burst", "chat onto it", 1.6),
        )
    ),
    Goal("transform alone: the slowest of text, thinking, tool arguments, Gemini's text", _slowest_event, 1.5, "µs"),
    Goal("a request's body of 100 messages with tools, translated: × a JSON decode and encode of it", _largest_body, 2),
    Goal("1,000 open streams: memory of each", _best("memory.stream", Samewire.name), 25, "kB"),
    Goal("1,000 open streams: memory in all", _best("memory.peak", Samewire.name), 90, "MB"),
    Goal(
        "start to first answer: × a bare `import aiohttp.web` and its first answer",
        _quotient(("start.seconds", Samewire.name), ("start.seconds", starts.BARE)),
        2,
    ),
    Goal(
        "start to first answer with the routes.yaml that comes with it: × the same",
        _quotient(("start.seconds", starts.SHIPPED), ("start.seconds", starts.BARE)),
        2,
    ),
    Goal("a request with an image of 5 MB passed through: the loop stands still for", _best("stall", stalls.LARGE), 1000, "µs"),
    Goal("a scrape of 1,500 series: the loop stands still for", _best("stall", stalls.SCRAPE), 1000, "µs"),
    Goal(
        "second worker, CPU per request: × one worker",
        _quotient(("workers.cpu", workers.TwoWorkers.name), ("workers.cpu", workers.OneWorker.name)),
        1.1,
    ),
    Goal(
        "second worker, CPU per request: × two gateways of one worker side by side",
        _quotient(("workers.cpu", workers.TwoWorkers.name), ("workers.cpu", workers.SIDE_BY_SIDE)),
        1.1,
    ),
    Goal("second worker: the smaller share of the work", _best("workers.share", workers.TwoWorkers.name), 40, "%", more=True),
]
