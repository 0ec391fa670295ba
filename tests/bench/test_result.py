"""What is kept of the last whole run: the README's table, the report and the plot are those of result.json."""

from __future__ import annotations

import json
import re
from typing import Any

import pytest

from tests.bench import plot, report
from tests.bench.goals import GOALS, Goal
from tests.bench.results import Results
from tests.bench.run import KEPT, README, SECTIONS, main


@pytest.fixture(scope="module")
def stored() -> dict[str, Any]:
    kept: dict[str, Any] = json.loads((KEPT / "result.json").read_text("utf-8"))
    return kept


def test_the_readme_shows_the_kept_results_table_and_plot(stored: dict[str, Any]) -> None:
    assert report.taken_from(README) == report.short(stored)
    assert "(tests/bench/result/cost.svg)" in README.read_text("utf-8")


def test_the_kept_report_and_plot_are_made_of_the_kept_result(stored: dict[str, Any]) -> None:
    assert (KEPT / "report.md").read_text("utf-8") == report.whole(stored)
    assert (KEPT / "cost.svg").read_text("utf-8") == plot.draw(stored)


def test_the_kept_result_is_of_a_whole_run_and_names_machine_and_versions(stored: dict[str, Any]) -> None:
    assert not stored["smoke"]
    assert stored["machine"]["processor"]
    assert {"Samewire", "bare aiohttp", "nginx", "Python", "aiohttp"} <= set(stored["versions"])
    assert [kind.name for kind in report.CONTENDERS if kind.name not in stored["versions"] and kind.name not in stored["left_out"]] == []


def test_the_table_goes_between_the_marks(tmp_path: Any) -> None:
    readme = tmp_path / "README.md"
    readme.write_text(f"before\n{report.BEGIN}old\n{report.END}after\n")
    report.put_into(readme, "new\n")
    assert readme.read_text() == f"before\n{report.BEGIN}new\n{report.END}after\n"
    assert report.taken_from(readme) == "new\n"


def luminance(colour: str) -> float:
    """Of #rrggbb, as WCAG 2 defines it."""
    parts = [int(colour[at : at + 2], 16) / 255 for at in (1, 3, 5)]
    red, green, blue = (part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts)
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


@pytest.mark.parametrize("ground", ["#ffffff", "#0d1117"], ids=["light", "dark"])
@pytest.mark.parametrize(("colour", "wanted"), [(plot.TEXT, 4), (plot.OURS, 3), (plot.OTHERS, 3)], ids=["text", "ours", "others"])
def test_the_plot_is_legible_on_light_and_dark_ground(colour: str, wanted: float, ground: str) -> None:
    one, other = sorted((luminance(colour), luminance(ground)))
    assert (other + 0.05) / (one + 0.05) >= wanted


def test_the_plot_uses_no_other_colours(stored: dict[str, Any]) -> None:
    assert set(re.findall(r"#[0-9a-f]{6}", plot.draw(stored))) <= {plot.TEXT, plot.GRID, plot.OURS, plot.OTHERS}


@pytest.mark.parametrize(
    ("value", "text"), [(0.4, "0.40"), (1.234, "1.23"), (12.34, "12.3"), (123.4, "123"), (1234.5, "1,234"), (None, "")], ids=str
)
def test_figures_have_three_digits(value: float | None, text: str) -> None:
    assert report.number(value) == text


@pytest.mark.parametrize(
    ("figure", "more", "verdict"),
    [(2.0, False, "met"), (2.01, False, "missed"), (2.0, True, "met"), (1.99, True, "missed"), (None, False, "not measured")],
)
def test_a_goal_is_met_at_its_bound(figure: float | None, more: bool, verdict: str) -> None:
    assert Goal("", lambda results: figure, 2, more=more).verdict(Results()) == verdict


def test_ratios_are_of_the_least_disturbed_samples() -> None:
    results = Results()
    for name, values in {"Samewire": (50.0, 40.0), "bare aiohttp": (100.0, 160.0), "nginx": (20.0,)}.items():
        for value in values:
            results.add("whole.cpu", name, value)
            results.add("whole.rate", name, 1e6 / value)
    for name, value in {"direct": 100.0, "Samewire": 300.0, "bare aiohttp": 500.0}.items():
        results.add("latency.time_p50", name, value)
    figures = {goal.title: goal.figure(results) for goal in GOALS}
    assert figures["whole answer passed through, CPU: × bare aiohttp"] == 0.4
    assert figures["whole answer passed through, CPU: × nginx"] == 2.0
    assert figures["requests per second on one core: × bare aiohttp"] == 2.5
    assert figures["latency added at 200 requests/s, p50: × bare aiohttp's"] == 0.5
    assert figures["LiteLLM's CPU for a whole answer: × Samewire's"] is None


def test_a_part_of_the_sections_cannot_be_kept(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--write", "--only", SECTIONS[0]]) == 2
    assert "--write" in capsys.readouterr().err
