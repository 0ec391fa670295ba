"""What each generation of Claude and Gemini takes, and the words their failures and ends are told in: tables against the dialects."""

from __future__ import annotations

import msgspec
import pytest
from test_golden import dialect

from proxy.cli.cases import NOW
from proxy.exchange.faults import reported
from proxy.mapping.chunks import ChunkWriter
from proxy.mapping.context import Context
from proxy.mapping.stream import StreamFault

# model: how thinking is asked for, what switches it off, temperature taken, tool calls can be demanded, JSON schemas taken, default limit
CLAUDES = """
claude-sonnet-5-5           adaptive between_tools no  no  yes 64000
claude-opus-5-5             adaptive lowest        no  no  yes 64000
claude-fable-5-1            adaptive lowest        no  no  yes 64000
claude-fable-5-2            adaptive lowest        no  no  yes 64000
claude-mythos-5-1           adaptive lowest        no  no  yes 64000
claude-fable-5              adaptive lowest        no  yes yes 64000
claude-mythos-preview       adaptive lowest        no  yes yes 64000
claude-haiku-5-5            adaptive disabled      no  yes yes 64000
claude-opus-5               adaptive disabled      no  yes yes 64000
claude-sonnet-5             adaptive disabled      no  yes yes 64000
claude-opus-4-8             adaptive disabled      no  yes yes 64000
claude-opus-4-7             adaptive disabled      no  yes yes 64000
claude-opus-4-6             adaptive disabled      yes yes yes 64000
claude-sonnet-4-6           adaptive disabled      yes yes yes 64000
claude-opus-4-5-20251101    budget   disabled      yes yes yes 64000
claude-sonnet-4-5           budget   disabled      yes yes yes 64000
claude-haiku-4-5-20251001   budget   disabled      yes yes yes 64000
anthropic/claude-haiku-4.5  budget   disabled      yes yes yes 64000
claude-opus-4-1-20250805    budget   disabled      yes yes no  32000
claude-sonnet-4-20250514    budget   disabled      yes yes no  32000
claude-sonnet-4-0           budget   disabled      yes yes no  32000
claude-sonnet-4@20250514    budget   disabled      yes yes no  32000
claude-3-7-sonnet-latest    budget   disabled      yes yes no  32000
claude-3-5-haiku-latest     none     disabled      yes yes no  8192
claude-3-haiku-20240307     none     disabled      yes yes no  4096
claude-something-6          adaptive lowest        no  no  yes 64000
"""

# model: how thinking is asked for, the level of minimal and of medium effort, smallest budget, temperature taken, several candidates,
# signatures demanded, media in results
GEMINIS = """
gemini-4-argon               level  LOW     MEDIUM -   no  no  yes yes
gemini-4-neon                level  LOW     MEDIUM -   no  no  yes yes
gemini-3.8-flash             level  LOW     MEDIUM -   no  yes yes yes
gemini-3.6-flash             level  MINIMAL MEDIUM -   no  yes yes yes
gemini-3.5-flash-lite        level  MINIMAL MEDIUM -   no  yes yes yes
gemini-3.5-flash             level  MINIMAL MEDIUM -   yes yes yes yes
gemini-3.1-pro-preview       level  LOW     MEDIUM -   yes yes yes yes
gemini-3-pro-preview         level  LOW     HIGH   -   yes yes yes yes
gemini-3-flash-preview       level  MINIMAL MEDIUM -   yes yes yes yes
gemini-2.5-pro               budget LOW     MEDIUM 128 yes yes no  no
gemini-2.5-flash             budget LOW     MEDIUM 0   yes yes no  no
gemini-2.5-flash-image       none   LOW     MEDIUM 0   yes yes no  no
gemini-2.5-flash-preview-tts none   LOW     MEDIUM 0   yes yes no  no
models/gemini-2.0-flash      none   LOW     MEDIUM -   yes yes no  no
gemini-flash-latest          level  LOW     MEDIUM -   no  no  yes yes
"""


def rows(table: str) -> list[list[str]]:
    return [line.split() for line in table.strip().splitlines()]


def said(value: object) -> str:
    return {True: "yes", False: "no", None: "-"}.get(value, str(value)) if value is None or isinstance(value, bool) else str(value)


@pytest.mark.parametrize("row", rows(CLAUDES), ids=lambda row: row[0])
def test_claude(row: list[str]) -> None:
    traits = dialect("anthropic").traits(row[0])
    assert [said(traits[name]) for name in ("thinking", "off", "sampling", "forced_tools", "format", "max_tokens")] == row[1:]


@pytest.mark.parametrize("row", rows(GEMINIS), ids=lambda row: row[0])
def test_gemini(row: list[str]) -> None:
    traits = dialect("gemini").traits(row[0])
    asked = ("thinking", "minimal", "medium", "least", "sampling", "choices", "signatures", "media")
    assert [said(traits.get(name)) for name in asked] == row[1:]


@pytest.mark.parametrize(
    ("model", "effort", "thinking"),
    [
        ("claude-sonnet-4-5", "minimal", 2048),
        ("claude-sonnet-4-5", "low", 2048),
        ("claude-sonnet-4-5", "medium", 8192),
        ("claude-sonnet-4-5", "high", 16384),
        ("claude-sonnet-4-5", "xhigh", 24576),
        ("claude-sonnet-4-5", "max", 32000),
        ("gemini-2.5-flash", "none", 0),
        ("gemini-2.5-flash", "minimal", 512),
        ("gemini-2.5-flash", "low", 2048),
        ("gemini-2.5-flash", "medium", 8192),
        ("gemini-2.5-flash", "max", 24576),
        ("gemini-4-argon", "low", "LOW"),
        ("gemini-4-argon", "high", "HIGH"),
        ("gemini-4-argon", "max", "HIGH"),
    ],
)
def test_effort(model: str, effort: str, thinking: object) -> None:
    spoken = dialect("anthropic" if model.startswith("claude") else "gemini")
    mapping = spoken.operations["chat"].request
    assert mapping is not None
    request = {"model": model, "messages": [{"role": "user", "content": "Hi"}], "reasoning_effort": effort}
    body, dropped = mapping(request, Context(model=model, traits=spoken.traits(model)))
    asked = body["thinking"] if "thinking" in body else body["generationConfig"]["thinkingConfig"]
    assert thinking in asked.values()
    assert dropped == ()


def failure(name: str, event: object) -> tuple[int, str, str | None]:
    """Status, type and code of an error that comes as the first event of a stream."""
    mapping = dialect(name).operations["chat"].stream
    assert mapping is not None
    stream = mapping.open(Context(model="m"), ChunkWriter("", NOW))
    with pytest.raises(StreamFault) as fault:
        stream.event("", msgspec.json.encode(event))
    error = reported(fault.value.report)
    return error.status, error.type, error.code


@pytest.mark.parametrize(
    ("kind", "status", "ours"),
    [
        ("invalid_request_error", 400, "invalid_request_error"),
        ("authentication_error", 401, "authentication_error"),
        ("billing_error", 402, "insufficient_quota"),
        ("permission_error", 403, "permission_error"),
        ("not_found_error", 404, "not_found_error"),
        ("request_too_large", 413, "invalid_request_error"),
        ("rate_limit_error", 429, "rate_limit_error"),
        ("api_error", 502, "server_error"),
        ("timeout_error", 504, "server_error"),
        ("overloaded_error", 503, "server_error"),
        ("unheard_of_error", 502, "unheard_of_error"),
    ],
)
def test_claude_errors(kind: str, status: int, ours: str) -> None:
    assert failure("anthropic", {"type": "error", "error": {"type": kind, "message": "m"}}) == (status, ours, kind)


@pytest.mark.parametrize(
    ("code", "status", "ours"),
    [
        (400, "INVALID_ARGUMENT", "invalid_request_error"),
        (400, "FAILED_PRECONDITION", "invalid_request_error"),
        (401, "UNAUTHENTICATED", "authentication_error"),
        (403, "PERMISSION_DENIED", "permission_error"),
        (404, "NOT_FOUND", "not_found_error"),
        (429, "RESOURCE_EXHAUSTED", "rate_limit_error"),
        (500, "INTERNAL", "server_error"),
        (503, "UNAVAILABLE", "server_error"),
        (504, "DEADLINE_EXCEEDED", "server_error"),
    ],
)
def test_gemini_errors(code: int, status: str, ours: str) -> None:
    assert failure("gemini", {"error": {"code": code, "message": "m", "status": status}}) == (code, ours, status)


CLEAN = "STOP OTHER FINISH_REASON_UNSPECIFIED MALFORMED_FUNCTION_CALL UNEXPECTED_TOOL_CALL TOO_MANY_TOOL_CALLS MISSING_THOUGHT_SIGNATURE"
CLEAN += " MALFORMED_RESPONSE NO_IMAGE IMAGE_OTHER"
FILTERED = "SAFETY RECITATION LANGUAGE BLOCKLIST PROHIBITED_CONTENT SPII MODEL_ARMOR ESCALATION PUP_LIMITED_DISABLED"
FILTERED += " IMAGE_SAFETY IMAGE_PROHIBITED_CONTENT IMAGE_RECITATION"
ENDS = {name: reason for names, reason in ((CLEAN, "stop"), (FILTERED, "content_filter")) for name in names.split()}
ENDS |= {"MAX_TOKENS": "length", "CONTINUATION": "length"}


@pytest.mark.parametrize(("theirs", "ours"), ENDS.items())
def test_gemini_finish_reasons(theirs: str, ours: str) -> None:
    """Every value of google-genai's FinishReason."""
    mapping = dialect("gemini").operations["chat"].response
    assert mapping is not None
    answer = mapping({"candidates": [{"content": {"parts": [{"text": "Hi"}]}, "finishReason": theirs}]}, Context(model="m"))
    assert answer["choices"][0]["finish_reason"] == ours


@pytest.mark.parametrize(
    ("name", "operation", "whole", "streamed"),
    [
        ("anthropic", "chat", "/v1/messages", "/v1/messages"),
        ("anthropic", "messages", "/v1/messages", "/v1/messages"),
        ("anthropic", "count_tokens", "/v1/messages/count_tokens", "/v1/messages/count_tokens"),
        ("gemini", "chat", "/v1beta/models/m-1:generateContent", "/v1beta/models/m-1:streamGenerateContent?alt=sse"),
        ("gemini", "embeddings", "/v1beta/models/m-1:batchEmbedContents", "/v1beta/models/m-1:batchEmbedContents"),
    ],
)
def test_addresses(name: str, operation: str, whole: str, streamed: str) -> None:
    spoken = dialect(name).operations[operation]
    assert (spoken.path.fill({"model": "m-1"}), spoken.stream_path.fill({"model": "m-1"})) == (whole, streamed)


def test_operations_that_a_vendor_lacks_are_not_there() -> None:
    assert set(dialect("anthropic").operations) == {"chat", "messages", "count_tokens"}
    native = {"generate_content", "stream_generate_content", "count_content_tokens", "embed_content", "batch_embed_contents"}
    assert set(dialect("gemini").operations) == {"chat", "embeddings", *native}


def test_the_key_and_the_version_have_their_places() -> None:
    claude, gemini = dialect("anthropic"), dialect("gemini")
    assert (claude.auth_header, claude.auth_prefix, gemini.auth_header, gemini.auth_prefix) == ("x-api-key", "", "x-goog-api-key", "")
    assert claude.headers == {"anthropic-version": "2023-06-01"}
    assert claude.forward == {"anthropic-beta"}
    assert claude.operations["messages"].forward == claude.operations["count_tokens"].forward == {"anthropic-version"}
    assert claude.rate_limits["anthropic-ratelimit-tokens-remaining"] == "x-ratelimit-remaining-tokens"
    assert (claude.provider, gemini.provider) == ("anthropic", "gcp.gemini")
