"""Metrics: what is counted under which labels, and the text of a scrape."""

import asyncio
import subprocess

import pytest
from prometheus_client import CollectorRegistry, Counter, Histogram, generate_latest
from prometheus_client.parser import text_string_to_metric_families

from proxy.metrics import SLICE, Metrics
from proxy.record import Failed, Record, Usage
from tests.deploy.programs import program

LABELS = {
    "gen_ai_operation_name": "chat",
    "gen_ai_provider_name": "openai",
    "gen_ai_request_model": "fast",
    "gen_ai_response_model": "gpt",
}


def metrics_for(*models: str) -> Metrics:
    metrics = Metrics("1.2.3")
    metrics.models = frozenset(models)
    return metrics


def failed(*attempts: tuple[str, str]) -> list[Failed]:
    return [Failed(provider=provider, kind=kind) for provider, kind in attempts]


def record(**fields) -> Record:
    return Record(**{"operation": "chat", "request_id": "req_1", "time": 0.0, "start": 100.0, "end": 100.5, "status": 200, **fields})


def text(metrics: Metrics) -> str:
    return b"".join(metrics.slices()).decode()


def samples(metrics: Metrics) -> dict[tuple[str, frozenset], float]:
    """Every sample by name and labels, as Prometheus' own client reads the text."""
    families = text_string_to_metric_families(text(metrics))
    return {(s.name, frozenset(s.labels.items())): s.value for family in families for s in family.samples}


def value(metrics: Metrics, name: str, **labels: str) -> float | None:
    return samples(metrics).get((name, frozenset(labels.items())))


def test_a_stream_that_went_well():
    metrics = metrics_for("fast", "gpt")
    usage = Usage(input=1000, output=101, cached_input=300, cache_creation_input=20, reasoning=7)
    series = metrics.series("chat", "openai", "fast", "gpt")
    series.observe(record(stream=True, first_token=100.3, end=102.3, overhead=0.0003, usage=usage))
    for name, total in {
        "gen_ai_server_request_duration_seconds": 2.3,
        "gen_ai_server_time_to_first_token_seconds": 0.3,
        "gen_ai_server_time_per_output_token_seconds": 0.02,
        "samewire_overhead_seconds": 0.0003,
    }.items():
        assert value(metrics, f"{name}_count", **LABELS) == 1
        assert value(metrics, f"{name}_sum", **LABELS) == pytest.approx(total)
    for kind, count in {"input": 1000, "output": 101, "cached_input": 300, "cache_creation_input": 20, "reasoning": 7}.items():
        labels = {**LABELS, "gen_ai_token_type": kind, "samewire_estimated": "false"}
        assert value(metrics, "gen_ai_client_token_usage_sum", **labels) == count


def test_what_did_not_happen_is_not_there():
    metrics = metrics_for("fast", "gpt")
    metrics.series("chat", "openai", "fast", "gpt").observe(record(usage=Usage(input=3)))
    names = {name for name, _ in samples(metrics)}
    assert "gen_ai_server_request_duration_seconds_count" in names
    assert "gen_ai_server_time_to_first_token_seconds_count" not in names
    assert {labels for name, labels in samples(metrics) if name == "gen_ai_client_token_usage_count"} == {
        frozenset({**LABELS, "gen_ai_token_type": "input", "samewire_estimated": "false"}.items())
    }


def test_an_estimate_is_marked():
    metrics = metrics_for("fast", "gpt")
    series = metrics.series("chat", "openai", "fast", "gpt")
    series.observe(record(usage=Usage(output=9), estimated=True))
    series.observe(record(usage=Usage(output=5)))
    labels = {**LABELS, "gen_ai_token_type": "output"}
    assert value(metrics, "gen_ai_client_token_usage_sum", **labels, samewire_estimated="true") == 9
    assert value(metrics, "gen_ai_client_token_usage_sum", **labels, samewire_estimated="false") == 5


@pytest.mark.parametrize(
    ("fields", "error"),
    [
        ({"status": 200}, None),
        ({"status": 401, "error_type": "invalid_request_error"}, "401"),
        ({"status": 429, "error_type": "whatever the upstream says", "error_kind": "status"}, "429"),
        ({"status": 502, "error_type": "upstream_error", "error_kind": "connect"}, "connect"),
        ({"status": 504, "error_type": "upstream_error", "error_kind": "timeout"}, "timeout"),
        ({"status": 200, "error_type": "upstream_error", "error_kind": "truncated"}, "truncated"),
        ({"status": 200, "error_type": "api_error", "error_kind": "made up"}, "_other"),
        ({"status": 499, "error_type": "invalid_request_error", "client_gone": True}, "499"),
    ],
)
def test_error_types(fields, error):
    metrics = metrics_for("fast", "gpt")
    metrics.series("chat", "openai", "fast", "gpt").observe(record(**fields))
    labels = {**LABELS, "error_type": error} if error else LABELS
    assert value(metrics, "gen_ai_server_request_duration_seconds_count", **labels) == 1


def test_troubles():
    metrics = metrics_for()
    series = metrics.series("chat", "openai", "fast", "gpt")
    series.observe(record(failures=failed(("openai", "connect"), ("other", "status"), ("other", "status"), ("other", "new kind"))))
    series.observe(record(client_gone=True, dropped=("top_k", "seed")))
    series.observe(record(dropped=("seed",)))
    assert value(metrics, "samewire_upstream_errors_total", gen_ai_provider_name="openai", kind="connect") == 1
    assert value(metrics, "samewire_upstream_errors_total", gen_ai_provider_name="other", kind="status") == 2
    assert value(metrics, "samewire_upstream_errors_total", gen_ai_provider_name="other", kind="_other") == 1
    assert value(metrics, "samewire_client_disconnects_total", gen_ai_operation_name="chat") == 1
    assert value(metrics, "samewire_dropped_parameters_total", gen_ai_operation_name="chat", gen_ai_provider_name="openai") == 3


def test_clients_cannot_make_labels():
    metrics = metrics_for("fast", "gpt")
    series = {id(metrics.series("chat", "openai", f"model {n}", f"upstream {n}")) for n in range(1000)}
    assert len(series) == 1
    metrics.series("chat", "openai", "x", "y").observe(record())
    assert value(
        metrics,
        "gen_ai_server_request_duration_seconds_count",
        **{**LABELS, "gen_ai_request_model": "_other", "gen_ai_response_model": "_other"},
    )
    assert metrics.series("chat", "", "fast", "gpt") is not metrics.series("chat", "openai", "fast", "gpt")


def test_a_series_is_made_once():
    metrics = metrics_for("fast", "gpt")
    assert metrics.series("chat", "openai", "fast", "gpt") is metrics.series("chat", "openai", "fast", "gpt")


def test_gauges_are_read_at_the_scrape():
    metrics = metrics_for()
    metrics.watch("samewire_lost_log_lines", "Log lines lost.", lambda: 4)
    metrics.in_flight = 3
    assert value(metrics, "samewire_requests_in_flight") == 3
    assert value(metrics, "samewire_lost_log_lines") == 4
    metrics.in_flight = 0
    assert value(metrics, "samewire_requests_in_flight") == 0
    builds = [dict(labels) for name, labels in samples(metrics) if name == "samewire_build_info"]
    assert builds[0]["version"] == "1.2.3"


def test_the_text_is_what_prometheus_client_writes():
    """The same values counted by its own metrics: the same samples, `le` written alike."""
    seconds = [0.0, 0.01, 0.010001, 3, 81.92, 599.0, 600, 601, 1e6]
    counts = [1, 2, 4, 5, 70_000_000]
    model = 'a "quoted"\\ name\nof two lines'
    metrics = metrics_for(model, "gpt")
    series = metrics.series("chat", "openai", model, "gpt")
    for end in seconds:
        series.observe(record(start=0.0, end=end))
    for count in counts:
        series.observe(record(start=0.0, end=0.0, usage=Usage(input=count)))
    series.observe(record(start=0.0, end=0.0, failures=failed(("openai", "tls"))))

    registry = CollectorRegistry()
    labels = {**LABELS, "gen_ai_request_model": model}
    duration = Histogram(
        "gen_ai_server_request_duration_seconds",
        "From a request to the end of its answer.",
        labels,
        registry=registry,
        buckets=[0.01, 0.02, 0.04, 0.08, 0.16, 0.32, 0.64, 1.28, 2.56, 5.12, 10.24, 20.48, 40.96, 81.92, 120, 300, 600],
    )
    for end in [*seconds, *(0.0 for _ in counts), 0.0]:
        duration.labels(**labels).observe(end)
    labels = {**labels, "gen_ai_token_type": "input", "samewire_estimated": "false"}
    tokens = Histogram("gen_ai_client_token_usage", "Tokens a request used.", labels, registry=registry, buckets=[4**n for n in range(14)])
    for count in counts:
        tokens.labels(**labels).observe(count)
    errors = Counter("samewire_upstream_errors", "Upstream attempts that failed.", ["gen_ai_provider_name", "kind"], registry=registry)
    errors.labels("openai", "tls").inc()

    ours = {family.name: family for family in text_string_to_metric_families(text(metrics))}
    for family in text_string_to_metric_families(generate_latest(registry).decode()):
        if not family.name.endswith("_created"):
            mine = ours[family.name]
            assert (mine.type, mine.documentation) == (family.type, family.documentation)
            assert sorted(mine.samples, key=str) == sorted(family.samples, key=str)


def fill(metrics: Metrics, number: int) -> None:
    names = [f"model {n}" for n in range(number)]
    metrics.models = frozenset(names)
    for name in names:
        metrics.series("chat", "openai", name, name).observe(record(stream=True, first_token=100.1, usage=Usage(input=5, output=50)))


def test_a_slice_of_a_scrape_is_bounded():
    """The loop's pause is the work of one slice; one histogram may go beyond."""
    metrics = metrics_for()
    fill(metrics, 20)
    slices = [part.count(b"\n") for part in metrics.slices()]
    assert sum(slices) > 1500
    assert max(slices) < SLICE + 30


async def test_the_loop_goes_on_during_a_scrape():
    metrics = metrics_for()
    fill(metrics, 20)
    turns = 0

    async def others() -> None:
        nonlocal turns
        while True:
            turns += 1
            await asyncio.sleep(0)

    task = asyncio.create_task(others())
    rendered = await metrics.render()
    task.cancel()
    assert turns >= len(list(metrics.slices()))
    assert rendered.count(b"\n") > 1500


def test_counting_goes_on_during_a_scrape():
    metrics = metrics_for("late")
    fill(metrics, 20)
    parts = []
    for part in metrics.slices():
        parts.append(part)
        metrics.models |= {f"late {len(parts)}"}
        metrics.series("chat", "openai", f"late {len(parts)}", "gpt").observe(record(usage=Usage(input=1), client_gone=True))
    families = list(text_string_to_metric_families(b"".join(parts).decode()))
    assert len({family.name for family in families}) == len(families)
    for family in families:
        for sample in family.samples:
            if sample.name.endswith("_bucket") and sample.labels["le"] == "+Inf":
                labels = {name: label for name, label in sample.labels.items() if name != "le"}
                counted = [s.value for s in family.samples if s.name.endswith("_count") and s.labels == labels]
                assert counted == [sample.value]


def test_promtool_has_no_complaint():
    metrics = metrics_for()
    fill(metrics, 2)
    metrics.series("chat", "openai", "x", "y").observe(record(failures=failed(("openai", "tls")), client_gone=True, dropped=("seed",)))
    run = subprocess.run(
        [program("promtool", "prometheus"), "check", "metrics"], input=text(metrics), text=True, capture_output=True, check=False
    )
    assert (run.returncode, run.stdout, run.stderr) == (0, "", "")
