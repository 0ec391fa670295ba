"""What an upstream's failure is to routing, by the code or the words of each vendor. Messages as recorded, where a recording had them."""

from __future__ import annotations

from functools import cache
from typing import Any

import pytest

from proxy.config.dialects import Shelf
from proxy.config.policy import REASONS
from proxy.dialect import Dialect
from proxy.exchange.faults import reported
from proxy.mapping.context import Context
from proxy.routing import failure_of

Case = tuple[str, int, Any, str]

CASES: list[Case] = [
    ("openai", 400, {"error": {"message": "…", "type": "invalid_request_error", "code": "context_length_exceeded"}}, "context_length"),
    ("openai", 400, {"error": {"message": "…", "type": "exceed_context_size_error", "code": 400}}, "context_length"),
    ("openai", 400, {"object": "error", "message": "This model's maximum context length is 4096 tokens.", "code": 400}, "context_length"),
    ("openai", 400, {"error": {"message": "…", "code": "content_filter"}}, "content_filter"),
    ("openai", 400, {"error": {"message": "…", "code": "content_policy_violation"}}, "content_filter"),
    ("openai", 429, {"error": {"message": "…", "type": "insufficient_quota", "code": "insufficient_quota"}}, "quota"),
    ("openai", 429, {"error": {"message": "…", "type": "insufficient_quota", "code": None}}, "quota"),
    ("openai", 429, {"error": {"message": "…", "type": "requests", "code": "rate_limit_exceeded"}}, "rate_limit"),
    ("openai", 401, {"error": {"message": "…", "code": "invalid_api_key"}}, "auth"),
    ("openai", 403, {"error": {"message": "…", "code": "unsupported_country_region_territory"}}, "auth"),
    ("openai", 400, {"error": {"message": "…", "code": "invalid_value"}}, "refused"),
    ("openai", 400, {"error": {"message": {"not": "a text"}, "code": ["neither"]}}, "refused"),
    ("openai", 404, {"error": {"message": "…", "code": "model_not_found"}}, "refused"),
    ("openai", 500, {"error": {"message": "…"}}, "server"),
    ("openai", 503, {"error": {"message": "…"}}, "overload"),
    (
        "deepseek",
        400,
        {"error": {"message": "This model's maximum context length is 1048565 tokens. However, you requested 1250025 tokens"}},
        "context_length",
    ),
    ("deepseek", 402, {"error": {"message": "Insufficient Balance", "type": "unknown_error", "code": "invalid_request_error"}}, "quota"),
    (
        "mistral",
        400,
        {"object": "error", "message": "Prompt contains 9 tokens, too large for model with 8 maximum context length", "code": "3051"},
        "context_length",
    ),
    (
        "anthropic",
        400,
        {"type": "error", "error": {"type": "invalid_request_error", "message": "prompt is too long: 3333404 tokens > 200000 maximum"}},
        "context_length",
    ),
    (
        "anthropic",
        400,
        {"type": "error", "error": {"type": "invalid_request_error", "message": "Your credit balance is too low to access the API."}},
        "quota",
    ),
    ("anthropic", 402, {"type": "error", "error": {"type": "billing_error", "message": "…"}}, "quota"),
    ("anthropic", 529, {"type": "error", "error": {"type": "overloaded_error", "message": "Overloaded"}}, "overload"),
    ("anthropic", 200, {"type": "error", "error": {"type": "overloaded_error", "message": "Overloaded"}}, "overload"),
    ("anthropic", 429, {"type": "error", "error": {"type": "rate_limit_error", "message": "…"}}, "rate_limit"),
    ("anthropic", 401, {"type": "error", "error": {"type": "authentication_error", "message": "…"}}, "auth"),
    (
        "gemini",
        400,
        {"error": {"code": 400, "message": "The input token count (1250074) exceeds the maximum number of tokens allowed (1048576)."}},
        "context_length",
    ),
    (
        "gemini",
        400,
        {"error": {"code": 400, "message": "API key not valid.", "details": [{"reason": "API_KEY_INVALID"}]}},
        "auth",
    ),
    ("gemini", 429, [{"error": {"code": 429, "message": "…", "status": "RESOURCE_EXHAUSTED"}}], "rate_limit"),
    ("gemini", 400, {"error": {"code": 400, "message": "…", "status": "INVALID_ARGUMENT"}}, "refused"),
    ("ollama", 500, {"error": "model runner has stopped"}, "server"),
    ("think-tags", 200, {"base_resp": {"status_code": 1026, "status_msg": "…"}}, "content_filter"),
    ("think-tags", 200, {"base_resp": {"status_code": 1008, "status_msg": "…"}}, "quota"),
    ("think-tags", 200, {"base_resp": {"status_code": 1002, "status_msg": "…"}}, "rate_limit"),
]


@cache
def dialect(name: str) -> Dialect:
    spec = Shelf({}).spec(name)
    assert spec is not None
    return spec.compile(frozenset())


@pytest.mark.parametrize(("name", "status", "body", "reason"), CASES)
def test_reasons(name: str, status: int, body: Any, reason: str) -> None:
    errors = dialect(name).errors
    report = errors.read(body, Context(model="m", status=status))
    if status != 200:  # the answer's own status is the surer one
        report.pop("status", None)
    error = reported(report, status=errors.statuses.get(status, status), kind="status")
    failure = failure_of(error, 0.0)
    assert failure is not None
    assert failure.reason == reason
    assert reason in REASONS
