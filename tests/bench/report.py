"""The report of a run, from what result.json holds: the whole one, and the short table that the README shows."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from tests.bench.contenders import BareApp, Contender, Nginx, Samewire
from tests.bench.goals import GOALS, quotient
from tests.bench.results import DIRECT, MEASURES, Results
from tests.bench.rivals import LiteLlm, Portkey
from tests.bench.rounds import SLOW_RATE

CONTENDERS: list[type[Contender]] = [Samewire, Nginx, BareApp, Portkey, LiteLlm]
BEGIN, END = "<!-- measured: begin -->\n", "<!-- measured: end -->\n"
#: (what the README calls it, measure)
SHORT = [
    ("whole answer: CPU, µs", "whole.cpu"),
    ("… translated from Anthropic's Messages", "whole-blocks.cpu"),
    ("whole answers a second on one core", "whole.rate"),
    ("latency added at 200 requests/s, p50, µs", "latency.time_p50"),
    ("stream, a piece each 10 ms: CPU a piece, µs", "paced.cpu"),
    ("… translated from Anthropic's Messages", "paced-blocks.cpu"),
    ("stream, all pieces at once: CPU a piece, µs", "burst.cpu"),
    ("… translated from Anthropic's Messages", "burst-blocks.cpu"),
    ("an open stream: memory, kB", "memory.stream"),
    ("start to first answer, s", "start.seconds"),
]


def number(value: float | None) -> str:
    """Three significant digits, thousands set off."""
    if value is None:
        return ""
    if abs(value) >= 1000:
        return f"{value:,.0f}"
    return f"{value:.0f}" if abs(value) >= 100 else f"{value:.1f}" if abs(value) >= 10 else f"{value:.2f}"


def _figure(results: Results, measure: str, contender: str) -> float | None:
    return results.added(measure, contender) if "time_" in measure else results.best(measure, contender)


def short(stored: dict[str, Any]) -> str:
    """The README's table, with a line on where it was measured."""
    results = Results.from_json(stored)
    shown = [kind.name for kind in CONTENDERS if results.best("whole.cpu", kind.name) is not None]
    versions = [f"{name} {stored['versions'][name]}" for name in shown]
    lines = [f"| | {' | '.join(shown)} |", f"|---|{'---:|' * len(shown)}"]
    lines += [f"| {title} | {' | '.join(number(_figure(results, measure, name)) for name in shown)} |" for title, measure in SHORT]
    machine = stored["machine"]
    place = f"{stored['date'][:10]}, {machine['processor']}, {machine['cores']} cores, Python {stored['versions']['Python']}"
    slow = " and ".join(kind.name for kind in CONTENDERS if kind.slow and kind.name in shown)
    rate = f" For the latency {slow} were asked {SLOW_RATE} times a second: more than some eighty is too much for LiteLLM." if slow else ""
    return "\n".join(lines) + f"\n\n{place}; {', '.join(versions)}.{rate}{_left_out(results)}\n"


def _left_out(results: Results) -> str:
    return "".join(f" Left out: {what} ({why})." for what, why in results.left_out.items())


def whole(stored: dict[str, Any]) -> str:
    """Everything: machine, versions, goals and verdicts, every measure."""
    results = Results.from_json(stored)
    machine, versions = stored["machine"], stored["versions"]
    size = f"{machine['cores']} cores, {machine['memory_gb']} GB, Linux {machine['kernel']}"
    used = [f"- {name} {versions[name]}" + (f": {stored['notes'][name]}" if name in stored["notes"] else "") for name in versions]
    missing = [f"**Left out:** {what}: {why}.\n" for what, why in results.left_out.items()]
    parts = [
        "# Measured\n",
        "Written by `python -m tests.bench.run`; how to read it: [README](../README.md). Only ratios within one run mean anything.\n",
        *(["**A smoke run: it shows that all runs, its figures mean nothing.**\n"] if stored["smoke"] else []),
        f"{stored['date']}; {machine['processor']} ({machine['architecture']}), {size}; load average {machine['load_before']:.2f}.\n",
        "\n".join(used) + "\n",
        *missing,
        "## Goals\n",
        goals(results),
        "## Every measure\n",
        measures(results),
    ]
    return "\n".join(parts)


def goals(results: Results) -> str:
    lines = ["| goal | wanted | measured | verdict |", "|---|---:|---:|---|"]
    for goal in GOALS:
        figure, unit = goal.figure(results), "" if goal.unit == "×" else f" {goal.unit}"
        shown = "" if figure is None else f"{number(figure)}{unit}"
        lines.append(f"| {goal.title} | {'≥' if goal.more else '≤'} {goal.bound:g}{unit} | {shown} | {goal.verdict(results)} |")
    return "\n".join(lines) + "\n"


def measures(results: Results) -> str:
    """A row for each contender; ratios are of the best samples, to the passed-through work of the same kind."""
    lines = ["| measure | of | min | median | max | unit | × bare aiohttp | × nginx |", "|---|---|---:|---:|---:|---|---:|---:|"]
    for measure, kind in MEASURES.items():
        names = list(results.samples.get(measure, {}))
        timed = "time_" in measure
        for name in names:
            ratios = _ratios(results, measure, name) if measure.startswith(_COMPARED) and not timed else ["", ""]
            lines.append(_row(kind.title, name, *map(number, results.spread(measure, name)), kind.unit, *ratios))
        for name in names if timed else []:
            if name != DIRECT:
                added = number(results.added(measure, name))
                lines.append(_row(f"{kind.title}, added", name, added, "", "", kind.unit, *_ratios(results, measure, name)))
    return "\n".join(lines) + "\n"


_COMPARED = ("whole", "latency", "paced", "burst", "memory", "start")


def _ratios(results: Results, measure: str, name: str) -> list[str]:
    plain = measure.replace("-blocks", "").replace("-parts", "")
    others = [other if other != name else "" for other in (BareApp.name, Nginx.name)]
    return [number(quotient(_figure(results, measure, name), _figure(results, plain, other))) for other in others]


def _row(*cells: str) -> str:
    return f"| {' | '.join(cells)} |"


def summary(results: Results) -> list[dict[str, Any]]:
    """The goals for machines."""
    return [
        {
            "goal": goal.title,
            "at_least" if goal.more else "at_most": goal.bound,
            "figure": goal.figure(results),
            "verdict": goal.verdict(results),
        }
        for goal in GOALS
    ]


def put_into(readme: Path, table: str) -> None:
    """Between the two marks."""
    text = readme.read_text("utf-8")
    before, _, rest = text.partition(BEGIN)
    _, _, after = rest.partition(END)
    readme.write_text(f"{before}{BEGIN}{table}{END}{after}", "utf-8")


def taken_from(readme: Path) -> str:
    """What `put_into` has put there."""
    return readme.read_text("utf-8").partition(BEGIN)[2].partition(END)[0]
