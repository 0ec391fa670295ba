"""The plot: CPU of each contender on a log scale, as an SVG that is legible on light and dark ground alike (test_report.py computes it)."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Any
from xml.sax.saxutils import escape

from tests.bench.contenders import Samewire
from tests.bench.report import CONTENDERS, number
from tests.bench.results import Results

#: No background of its own: each has at least 4 : 1 (text) or 3 : 1 (marks) against white and against a dark page.
TEXT, GRID, OURS, OTHERS = "#6e7b8a", "#6e7b8a", "#e8590c", "#748ca3"
WIDTH, LEFT, RIGHT, ROW, TOP = 760, 130, 640, 24, 30
PANELS = [("a whole answer", "whole"), ("a piece of a stream, one each 10 ms", "paced"), ("a piece of a stream, all at once", "burst")]


class Scale:
    """Decades from left to right."""

    def __init__(self, values: list[float]) -> None:
        self.low = math.floor(math.log10(min(values)))
        self.high = math.ceil(math.log10(max(values)))

    def x(self, value: float) -> float:
        return LEFT + (math.log10(value) - self.low) / (self.high - self.low) * (RIGHT - LEFT)

    @property
    def decades(self) -> list[float]:
        return [10.0**power for power in range(self.low, self.high + 1)]


def draw(stored: dict[str, Any]) -> str:
    """From result.json's content. Raises ValueError when there is nothing of what it shows."""
    results = Results.from_json(stored)
    names = [kind.name for kind in CONTENDERS if results.best("whole.cpu", kind.name) is not None]
    wanted = [f"{work}{suffix}.cpu" for _, work in PANELS for suffix in ("", "-blocks")]
    scale = Scale([value for measure in wanted for name in names for value in results.samples.get(measure, {}).get(name, [])])
    bottom = TOP + len(PANELS) * (len(names) + 1.4) * ROW
    body = [*_axis(scale, bottom), *_legend()]
    for panel, (title, work) in enumerate(PANELS):
        y = TOP + panel * (len(names) + 1.4) * ROW
        body.append(_text(8, y + 17, f"CPU for {title}, µs", weight="bold"))
        for row, name in enumerate(names):
            body += _row(results, work, name, y + (row + 1.5) * ROW, scale)
    label = "CPU time of each proxy for a whole answer and for a piece of a stream; the table has the figures"
    box = f'viewBox="0 0 {WIDTH} {bottom + 30:.0f}" width="{WIDTH}"'
    head = f'<svg xmlns="http://www.w3.org/2000/svg" {box} role="img" aria-label="{label}"'
    font = 'font-family="system-ui, -apple-system, \'Segoe UI\', Helvetica, Arial, sans-serif" font-size="13"'
    return "\n".join([f"{head} {font}>", *body, "</svg>\n"])


def _axis(scale: Scale, bottom: float) -> Iterator[str]:
    for value in scale.decades:
        x = scale.x(value)
        yield f'<line x1="{x:.1f}" y1="{TOP + 22}" x2="{x:.1f}" y2="{bottom:.1f}" stroke="{GRID}" stroke-opacity="0.3"/>'
        yield _text(x, bottom + 18, f"{value:,g} µs" if value < 1000 else f"{value / 1000:,g} ms", anchor="middle")


def _legend() -> Iterator[str]:
    yield f'<circle cx="14" cy="13" r="5" fill="{OTHERS}"/>' + _text(26, 17, "passed through")
    yield f'<circle cx="154" cy="13" r="4.5" fill="none" stroke="{OTHERS}" stroke-width="2"/>'
    yield _text(166, 17, "translated from Anthropic's Messages")
    yield f'<line x1="440" y1="13" x2="462" y2="13" stroke="{OTHERS}" stroke-width="2" stroke-opacity="0.6"/>'
    yield _text(470, 17, "best to worst round; log scale")


def _row(results: Results, work: str, name: str, y: float, scale: Scale) -> Iterator[str]:
    """A name, a dot and a ring, and their figures right of both."""
    colour, weight = (OURS, "bold") if name == Samewire.name else (OTHERS, "normal")
    yield _text(LEFT - 12, y + 4, name, anchor="end", weight=weight)
    shown, end = [], 0.0
    for suffix in ("", "-blocks"):
        measure = f"{work}{suffix}.cpu"
        best = results.best(measure, name)
        if best is None:
            continue
        low, _, high = results.spread(measure, name)
        fill = f'fill="{colour}"' if not suffix else f'fill="none" stroke="{colour}" stroke-width="2"'
        ends = f'x1="{scale.x(low):.1f}" y1="{y:.1f}" x2="{scale.x(high):.1f}" y2="{y:.1f}"'
        yield f'<line {ends} stroke="{colour}" stroke-width="2" stroke-opacity="0.6"/>'
        yield f'<circle cx="{scale.x(best):.1f}" cy="{y:.1f}" r="{4.5 if suffix else 5}" {fill}/>'
        shown.append(number(best))
        end = max(end, scale.x(high))
    yield _text(end + 10, y + 4, " · ".join(shown), weight=weight)


def _text(x: float, y: float, text: str, anchor: str = "start", weight: str = "normal") -> str:
    return f'<text x="{x:.1f}" y="{y:.1f}" fill="{TEXT}" text-anchor="{anchor}" font-weight="{weight}">{escape(text)}</text>'
