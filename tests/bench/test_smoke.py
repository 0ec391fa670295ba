"""The short form of the benchmark: each measure once, of every contender that needs no install. Its figures are not judged."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from xml.etree import ElementTree

import pytest

from tests.bench import payloads, report, rounds, stalls, starts, workers
from tests.bench.contenders import BareApp, Direct, Nginx, Samewire
from tests.bench.ends import HERE, Ends
from tests.bench.goals import GOALS
from tests.bench.plan import SMOKE
from tests.bench.processes import BenchError
from tests.bench.results import MEASURES, Results
from tests.deploy.programs import program

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="it reads /proc and pins processes to cores")


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run's files."""
    for name, package in (("cc", "gcc"), ("taskset", "util-linux"), ("setpriv", "util-linux"), ("nginx", "nginx")):
        program(name, package)
    out = tmp_path_factory.mktemp("bench")
    command = [sys.executable, "-m", "tests.bench.run", "--smoke", "--out", str(out)]
    done = subprocess.run(command, cwd=HERE.parents[1], capture_output=True, text=True, timeout=290, check=False)
    assert done.returncode == 0, done.stderr
    return out


@pytest.fixture(scope="module")
def results(folder: Path) -> Results:
    return Results.from_json(json.loads((folder / "result.json").read_text("utf-8")))


def expected(left_out: Mapping[str, str]) -> set[tuple[str, str]]:
    """(measure, contender) for each that needs no install; `memory` and `start` have more than one measure each."""
    both = {work.name for work in rounds.WORKS}
    found = {(f"{work}.cpu", Samewire.name) for work in both}
    found |= {(f"{work}.cpu", kind.name) for work in both if "-" not in work for kind in (BareApp, Nginx)}
    for name in (Samewire.name, BareApp.name, Nginx.name):
        found |= {(measure, name) for measure in MEASURES if measure.startswith(("memory.", "start.", "latency."))}
        found |= {("whole.rate", name), ("burst.rate", name), ("paced.time_p50", name), ("paced.time_p99", name)}
    found |= {("start.seconds", name) for name in (starts.BARE, starts.SHIPPED)}
    found |= {("stall", name) for name in (stalls.IDLE, stalls.LARGE, stalls.SCRAPE)}
    found |= {
        ("body", "anthropic"),
        ("body.json", "gemini"),
        ("transform", "anthropic: tool arguments"),
        ("transform.json", "gemini: text"),
    }
    if "second worker" not in left_out:
        found |= {("workers.cpu", name) for name in (workers.OneWorker.name, workers.TwoWorkers.name, workers.SIDE_BY_SIDE)}
    return found


def test_every_measure_is_taken_of_every_contender_that_needs_no_install(results: Results) -> None:
    samples = {(measure, name) for measure, of in results.samples.items() for name, values in of.items() if values and min(values) >= 0}
    assert expected(results.left_out) - samples == set()


def test_what_is_left_out_is_named(results: Results) -> None:
    assert {"LiteLLM", "Portkey"} <= set(results.left_out)


def test_every_goal_is_judged_but_those_that_need_what_is_left_out(folder: Path) -> None:
    stored = json.loads((folder / "result.json").read_text("utf-8"))
    unjudged = {goal["goal"] for goal in stored["goals"] if goal["verdict"] == "not measured"}
    assert len(stored["goals"]) == len(GOALS)
    assert {title for title in unjudged if not title.startswith(("LiteLLM", "Portkey", "second worker"))} == set()


def test_the_report_has_each_goal_and_each_measure(folder: Path, results: Results) -> None:
    text = (folder / "report.md").read_text("utf-8")
    assert [goal.title for goal in GOALS if f"| {goal.title} |" not in text] == []
    assert [measure for measure in results.samples if f"| {MEASURES[measure].title} |" not in text] == []
    assert "A smoke run" in text


def test_the_plot_is_an_svg_with_each_contender(folder: Path) -> None:
    texts = [node.text for node in ElementTree.parse(folder / "cost.svg").iter("{http://www.w3.org/2000/svg}text")]
    assert {"Samewire", "bare aiohttp", "nginx"} <= set(texts)


def test_a_smoke_run_cannot_become_what_the_readme_shows() -> None:
    command = [sys.executable, "-m", "tests.bench.run", "--smoke", "--write"]
    assert subprocess.run(command, cwd=HERE.parents[1], capture_output=True, timeout=280, check=False).returncode == 2


@pytest.fixture(scope="module")
def direct(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Direct]:
    program("cc", "gcc")
    with Ends(tmp_path_factory.mktemp("ends"), SMOKE) as ends:
        yield Direct(ends)


@pytest.mark.parametrize("stream", [False, True], ids=["whole", "stream"])
def test_an_answer_that_lacks_pieces_fails_the_run(direct: Direct, stream: bool) -> None:
    upstream = direct.ends.upstreams["openai-burst"]
    pieces = upstream.pieces if stream else payloads.WHOLE_PIECES
    request = direct.request(upstream, stream)
    assert direct.ends.load(upstream.port, request, 2, 0.5, pieces=pieces)["requests"] > 0
    with pytest.raises(BenchError, match="not every answer was right and whole"):
        direct.ends.load(upstream.port, request, 2, 0.5, pieces=pieces + 1)


def test_the_load_generator_keeps_to_a_rate_and_reads_the_stamps(direct: Direct) -> None:
    upstream = direct.ends.upstreams["openai-paced"]
    found = direct.ends.load(upstream.port, direct.request(upstream, True), 8, 0.3, pieces=upstream.pieces, rate=20)
    assert 1 <= found["requests"] <= 6  # 20 a second, for 0.3 s
    assert found["stamps"] == found["marks"] == found["requests"] * upstream.pieces
    assert 0 < found["lag_p50_us"] <= found["lag_p99_us"]


def test_the_readmes_table_says_what_was_left_out() -> None:
    stored = {"date": "2026-01-01 00:00", "machine": {"processor": "P", "cores": 2}, "versions": {"Samewire": "1", "Python": "3"}}
    samples = {"samples": {"whole.cpu": {"Samewire": [120.0, 100.0]}}, "left_out": {"Portkey": "not installed"}}
    table = report.short({**stored, **samples})
    assert "| whole answer: CPU, µs | 100 |" in table
    assert "Left out: Portkey (not installed)." in table
