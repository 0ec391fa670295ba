"""Many texts of metrics become one."""

from __future__ import annotations

from proxy import __version__
from proxy.metrics import Metrics
from proxy.record import Record
from proxy.workers.summing import Families, add, parse, written

ONE = """\
# HELP a_total Counted.
# TYPE a_total counter
a_total{x="1 2"} 3
a_total{x="\\"}"} 1.5
# HELP g A gauge.
# TYPE g gauge
g 2.0
# HELP h Spread.
# TYPE h histogram
h_bucket{le="1"} 1
h_bucket{le="+Inf"} 2
h_count 2
h_sum 0.1
# HELP process_start_time_seconds Start.
# TYPE process_start_time_seconds gauge
process_start_time_seconds 1.79e+09
# HELP samewire_config_last_reload_successful Well?
# TYPE samewire_config_last_reload_successful gauge
samewire_config_last_reload_successful 1.0
# HELP samewire_build_info What.
# TYPE samewire_build_info gauge
samewire_build_info{version="1"} 1.0
"""
OTHER = """\
# HELP a_total Counted.
# TYPE a_total counter
a_total{x="1 2"} 9007199254740993
a_total{x="new"} 1
# HELP g A gauge.
# TYPE g gauge
g 5.0
# HELP h Spread.
# TYPE h histogram
h_bucket{le="1"} 4
h_bucket{le="+Inf"} 4
h_count 4
h_sum 0.2
# HELP process_start_time_seconds Start.
# TYPE process_start_time_seconds gauge
process_start_time_seconds 1.78e+09
# HELP samewire_config_last_reload_successful Well?
# TYPE samewire_config_last_reload_successful gauge
samewire_config_last_reload_successful 0.0
# HELP samewire_build_info What.
# TYPE samewire_build_info gauge
samewire_build_info{version="1"} 1.0
"""
BOTH = """\
# HELP a_total Counted.
# TYPE a_total counter
a_total{x="1 2"} 9007199254740996
a_total{x="\\"}"} 1.5
a_total{x="new"} 1
# HELP g A gauge.
# TYPE g gauge
g 7.0
# HELP h Spread.
# TYPE h histogram
h_bucket{le="1"} 5
h_bucket{le="+Inf"} 6
h_count 6
h_sum 0.30000000000000004
# HELP process_start_time_seconds Start.
# TYPE process_start_time_seconds gauge
process_start_time_seconds 1780000000.0
# HELP samewire_config_last_reload_successful Well?
# TYPE samewire_config_last_reload_successful gauge
samewire_config_last_reload_successful 0.0
# HELP samewire_build_info What.
# TYPE samewire_build_info gauge
samewire_build_info{version="1"} 1.0
"""


def test_the_living_are_added_up() -> None:
    total: Families = {}
    add(total, parse(ONE))
    add(total, parse(OTHER))
    assert written(total) == BOTH


def test_of_the_dead_only_what_may_not_fall_is_kept() -> None:
    gone: Families = {}
    add(gone, parse(ONE), lasting=True)
    assert list(gone) == ["a_total", "h"]
    total: Families = {}
    add(total, parse(OTHER))
    add(total, gone)
    text = written(total)
    assert 'a_total{x="1 2"} 9007199254740996\n' in text
    assert "g 5.0\n" in text
    assert "h_count 6\n" in text


def test_adding_changes_no_part() -> None:
    one = parse(ONE)
    total: Families = {}
    add(total, one)
    add(total, parse(OTHER))
    assert written(one) == written(parse(ONE))


async def test_a_real_scrape_comes_through_unchanged() -> None:
    metrics = Metrics(__version__)
    record = Record(operation="chat", request_id="1", time=0.0, start=0.0, end=1.5, status=200)
    metrics.series("chat", "p", 'm "q" \\ x', "m").observe(record)
    text = (await metrics.render()).decode()
    assert parse(written(parse(text))) == parse(text)
    assert [line for line in text.splitlines() if line] == list(text.splitlines())
