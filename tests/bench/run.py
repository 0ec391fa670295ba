"""`python -m tests.bench.run`: what Samewire costs, beside a bare aiohttp proxy, nginx, LiteLLM and Portkey (README.md: how to read it)."""

from __future__ import annotations

import argparse
import contextlib
import json
import resource
import sys
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import asdict, replace
from functools import partial
from pathlib import Path
from typing import Any

from tests.bench import bodies, memory, plot, report, rivals, rounds, stalls, starts, transform, workers
from tests.bench.contenders import Contender, Direct
from tests.bench.ends import HERE, Ends
from tests.bench.machine import describe
from tests.bench.plan import SMOKE, STANDARD, Scale, Step, carry_out
from tests.bench.processes import BenchError
from tests.bench.results import Results

#: What the README shows, kept in git; and where a run's files go else.
KEPT, OUT = HERE / "result", HERE / "out"
README = HERE.parents[1] / "README.md"
SECTIONS = (*rounds.SECTIONS, "transform", "body", memory.SECTION, starts.SECTION, stalls.SECTION, workers.SECTION)


def main(arguments: Sequence[str] | None = None) -> int:
    """0, or 1 when something did not start or answer as it must."""
    options = parser().parse_args(arguments)
    if options.setup:
        rivals.setup()
        return 0
    if options.redraw:
        keep(json.loads((KEPT / "result.json").read_text("utf-8")), KEPT, True)
        return 0
    sections = options.only or SECTIONS
    if options.write and (options.smoke or set(sections) != set(SECTIONS)):
        print("--write keeps a whole run only: without --smoke and --only", file=sys.stderr)
        return 2
    scale = SMOKE if options.smoke else replace(STANDARD, rounds=options.rounds or STANDARD.rounds)
    results, kinds = chosen(options)
    stored = describe(kinds)
    try:
        sound = measure(kinds, sections, scale, results)
    except BenchError as error:
        print(error, file=sys.stderr)
        return 1
    stored |= {"smoke": options.smoke, "scale": asdict(scale), **results.to_json(), "goals": report.summary(results)}
    keep(stored, KEPT if options.write and sound else options.out, options.write and sound)
    print(report.goals(results))
    print(report.measures(results))
    for what, why in results.left_out.items():
        print(f"left out: {what}: {why}")
    return 0 if sound else 1


def parser() -> argparse.ArgumentParser:
    made = argparse.ArgumentParser(prog="python -m tests.bench.run", description=__doc__)
    made.add_argument("--setup", action="store_true", help=f"install LiteLLM and Portkey into {rivals.cache()} and end")
    made.add_argument("--redraw", action="store_true", help="write report, plot and README anew from the kept result.json and end")
    made.add_argument("--only", action="append", choices=SECTIONS, help="this section; may be given again")
    made.add_argument("--without", action="append", default=[], metavar="NAME", help="leave this contender out; may be given again")
    made.add_argument("--rounds", type=int, help=f"of what goes over the wire ({STANDARD.rounds})")
    made.add_argument("--smoke", action="store_true", help="does it run at all? In seconds, without what --setup installs")
    made.add_argument("--out", type=Path, default=OUT, help="folder for result.json, report.md and cost.svg (tests/bench/out)")
    made.add_argument("--write", action="store_true", help="keep the result in tests/bench/result and show it in the README")
    return made


def chosen(options: argparse.Namespace) -> tuple[Results, list[type[Contender]]]:
    """The contenders that can run, and why the others cannot."""
    results, kinds = Results(), []
    for kind in report.CONTENDERS:
        why = "not wanted" if kind.name in options.without else "not in a smoke run" if options.smoke and kind.slow else kind.lacks()
        if why:
            results.left_out[kind.name] = why
        else:
            kinds.append(kind)
    return results, kinds


def measure(kinds: Sequence[type[Contender]], sections: Sequence[str], scale: Scale, results: Results) -> bool:
    """Whether no contender but a rival failed. Raises BenchError when something does not start."""
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))  # two descriptors for each of the streams
    with tempfile.TemporaryDirectory(prefix="bench-") as name, contextlib.ExitStack() as stack:
        ends = stack.enter_context(Ends(Path(name), scale))
        contenders = []
        if set(sections) & set(rounds.SECTIONS):
            for kind in kinds:
                print(f"starting {kind.name} {kind.version()}", file=sys.stderr)
                contenders.append(stack.enter_context(kind(ends)))
                contenders[-1].freeze()
        return carry_out(list(steps(contenders, kinds, ends, sections, scale, results)), results.left_out)


def steps(
    contenders: Sequence[Contender], kinds: Sequence[type[Contender]], ends: Ends, sections: Sequence[str], scale: Scale, results: Results
) -> Iterator[Step]:
    """Everything there is to do, in order."""
    if contenders:
        yield from rounds.steps(contenders, Direct(ends), sections, scale, results)
    if "transform" in sections:
        yield Step("transform", 12, partial(_transform, scale, results))
    if "body" in sections:
        yield Step("body", 5, partial(_body, scale, results))
    if memory.SECTION in sections:
        yield from memory.steps(kinds, ends, scale, results)
    if starts.SECTION in sections:
        yield from starts.steps(kinds, ends, scale, results)
    if stalls.SECTION in sections:
        yield from stalls.steps(ends, scale, results)
    if workers.SECTION in sections:
        why = workers.lacks(ends)
        if why:
            results.left_out["second worker"] = why
        else:
            yield from workers.steps(ends, scale, results)


def _transform(scale: Scale, results: Results) -> None:
    for figure in transform.figures(scale.loops):
        results.add("transform", f"{figure.provider}: {figure.kind}", figure.transform)
        results.add("transform.json", f"{figure.provider}: {figure.kind}", figure.json)


def _body(scale: Scale, results: Results) -> None:
    for figure in bodies.figures(scale.loops):
        results.add("body", figure.provider, figure.translated)
        results.add("body.json", figure.provider, figure.json)


def keep(stored: dict[str, Any], folder: Path, shown: bool) -> None:
    """result.json, report.md and cost.svg; `shown`: the README's table too."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "result.json").write_text(json.dumps(stored, indent=1, ensure_ascii=False) + "\n", "utf-8")
    (folder / "report.md").write_text(report.whole(stored), "utf-8")
    with contextlib.suppress(ValueError):
        (folder / "cost.svg").write_text(plot.draw(stored), "utf-8")
    if shown:
        report.put_into(README, report.short(stored))
    print(f"result.json, report.md and cost.svg are in {folder}", file=sys.stderr)


if __name__ == "__main__":
    sys.exit(main())
