"""What an error is to routing: tables."""

from __future__ import annotations

import pytest

from proxy.config.policy import REASONS, Retry
from proxy.errors import ClientError, ClientGone, ExchangeError, GatewayError, UpstreamError
from proxy.routing.policy import Failure, failure_of, pause_before, retry_after

WALL = 1_700_000_000.0  # Tue, 14 Nov 2023 22:13:20 GMT

FAILURES: list[tuple[ExchangeError, Failure | None]] = [
    (UpstreamError("", kind="connect", unprocessed=True), Failure("connect", unprocessed=True)),
    (UpstreamError("", kind="tls", unprocessed=True), Failure("connect", unprocessed=True)),
    (UpstreamError("", kind="timeout", status=504), Failure("timeout")),
    (UpstreamError("", kind="timeout", status=504, unprocessed=True), Failure("timeout", unprocessed=True)),
    (UpstreamError("", kind="truncated"), Failure("broken")),
    (UpstreamError("", kind="protocol"), Failure("broken")),
    (UpstreamError("", kind="invalid"), Failure("broken")),
    (UpstreamError("", kind="stream"), Failure("broken", told=True)),
    (UpstreamError("", kind="status", status=400), Failure("refused", 400, told=True)),
    (UpstreamError("", kind="status", status=400, reason="context_length"), Failure("context_length", 400, told=True)),
    (UpstreamError("", kind="status", status=400, reason="a vendor's own word"), Failure("refused", 400, told=True)),
    (UpstreamError("", kind="status", status=401), Failure("auth", 401, unprocessed=True, told=True)),
    (UpstreamError("", kind="status", status=403), Failure("auth", 403, unprocessed=True, told=True)),
    (UpstreamError("", kind="status", status=402), Failure("quota", 402, unprocessed=True, told=True)),
    (UpstreamError("", kind="status", status=404), Failure("refused", 404, told=True)),
    (
        UpstreamError("", kind="status", status=429, headers={"retry-after": "3"}),
        Failure("rate_limit", 429, wait=3, unprocessed=True, told=True),
    ),
    (UpstreamError("", kind="status", status=429, reason="quota"), Failure("quota", 429, unprocessed=True, told=True)),
    (UpstreamError("", kind="status", status=500), Failure("server", 500, told=True)),
    (UpstreamError("", kind="status", status=502), Failure("server", 502, told=True)),
    (UpstreamError("", kind="status", status=503), Failure("overload", 503, unprocessed=True, told=True)),
    (ClientError("", reason="unsupported"), Failure("unsupported", unprocessed=True)),
    (GatewayError("", reason="busy"), Failure("busy", unprocessed=True)),
    (ClientError(""), None),
    (ClientGone(), None),
    (GatewayError(""), None),
]


@pytest.mark.parametrize(("error", "failure"), FAILURES)
def test_failures(error: ExchangeError, failure: Failure | None) -> None:
    assert failure_of(error, WALL) == failure
    assert failure is None or failure.reason in REASONS


MAYBE = {"timeout", "broken"}
PASSING = {"connect", "rate_limit", "overload"}


@pytest.mark.parametrize(("error", "failure"), [(error, failure) for error, failure in FAILURES if failure])
def test_what_may_have_been_worked_on_is_never_what_can_be_asked_again(error: ExchangeError, failure: Failure) -> None:
    refused = failure.unprocessed or failure.told
    assert failure.maybe_processed is (failure.reason in MAYBE and not refused)
    assert failure.passing is (failure.unprocessed and failure.reason in PASSING | {"timeout"})
    assert not (failure.maybe_processed and failure.passing)


@pytest.mark.parametrize(
    ("headers", "seconds"),
    [
        ({}, None),
        ({"retry-after": "0"}, 0.0),
        ({"retry-after": "7"}, 7.0),
        ({"retry-after": "0.5"}, 0.5),
        ({"retry-after-ms": "250", "retry-after": "1"}, 0.25),
        ({"retry-after-ms": "soon", "retry-after": "1"}, 1.0),
        ({"retry-after": "Tue, 14 Nov 2023 22:13:30 GMT"}, 10.0),
        ({"retry-after": "Tue, 14 Nov 2023 22:13:10 GMT"}, 0.0),
        ({"retry-after": "-1"}, None),
        ({"retry-after": "nan"}, None),
        ({"retry-after": "inf"}, None),
        ({"retry-after": "soon"}, None),
        ({"retry-after": ""}, None),
        ({"retry-after": "Tue, 99 Nov 99999 99:99:99 GMT"}, None),
    ],
)
def test_retry_after(headers: dict[str, str], seconds: float | None) -> None:
    assert retry_after(headers, WALL) == seconds


def test_pauses_double_up_to_the_longest_and_half_of_each_is_chance() -> None:
    retry = Retry(pause=0.5, longest=3)
    assert [pause_before(retry, times, lambda: 1.0) for times in (1, 2, 3, 4, 50)] == [0.5, 1, 2, 3, 3]
    assert [pause_before(retry, times, lambda: 0.0) for times in (1, 2, 3, 4, 50)] == [0.25, 0.5, 1, 1.5, 1.5]
