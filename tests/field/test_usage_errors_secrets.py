"""Token counts, error bodies and their headers, what must never be shown, schemas that vendors refuse."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import pytest

from tests.corpus.asking.accepted import gemini_faults
from tests.corpus.facts import Usage
from tests.corpus.schemas import faults
from tests.stage.client import call
from tests.stage.fixtures import Play
from tests.stage.gateway import PROVIDERS, Gateway, routes
from tests.stage.upstream import Script, Upstream, whole
from tests.stage.wires import claude_answer, claude_stream, gemini, gemini_stream, openai_answer, say

pytestmark = pytest.mark.asyncio(loop_scope="session")

# ── usage ──

CACHED = {"input_tokens": 10, "cache_read_input_tokens": 100, "cache_creation_input_tokens": 20, "output_tokens": 33}
THOUGHT = {"promptTokenCount": 10, "candidatesTokenCount": 5, "thoughtsTokenCount": 7, "cachedContentTokenCount": 4, "totalTokenCount": 22}
TEXT = {"type": "text", "text": "Hi"}
USAGES: dict[str, tuple[str, Script, Script, Usage]] = {
    "Claude, cache read and written": (
        "anthropic",
        claude_answer(TEXT, usage=CACHED),
        claude_stream(TEXT, usage=CACHED),
        Usage(130, 33, 163, 100, 20),
    ),
    "Gemini, thoughts and cache": (
        "gemini",
        whole(gemini({"text": "Hi"}, usage=THOUGHT)),
        gemini_stream(gemini({"text": "H"}, finish=None, usage={"candidatesTokenCount": 1}), gemini({"text": "i"}, usage=THOUGHT)),
        Usage(10, 12, 22, 4, None, 7),
    ),
}


@pytest.mark.parametrize("name", USAGES)
async def test_cached_tokens_are_inside_prompt_and_reasoning_inside_completion(play: Play, name: str) -> None:
    provider, answer, stream, expected = USAGES[name]
    for facts in (await play.answer(provider, answer), await play.stream(provider, stream)):
        got = facts.usage
        assert got is not None
        assert (got.prompt, got.completion, got.total) == (expected.prompt, expected.completion, expected.total)
        assert (got.cached, got.cache_write or 0, got.reasoning or 0) == (
            expected.cached,
            expected.cache_write or 0,
            expected.reasoning or 0,
        )


# ── errors ──


def _claude(kind: str, message: str) -> Any:
    return {"type": "error", "error": {"type": kind, "message": message}, "request_id": "req_1"}


def _google(status: str, code: int, **more: Any) -> Any:
    return {"error": {"code": code, "message": "No", "status": status} | more}


RETRY = [{"@type": "type.googleapis.com/google.rpc.RetryInfo", "retryDelay": "27s"}]
#: provider, their status, their body and headers → our status, code or type that must be kept, headers
ERRORS: dict[str, tuple[str, int, Any, dict[str, str], int, str, dict[str, str]]] = {
    "Claude 400": ("anthropic", 400, _claude("invalid_request_error", "No"), {}, 400, "invalid_request_error", {}),
    "Claude 401": ("anthropic", 401, _claude("authentication_error", "No"), {}, 401, "authentication_error", {}),
    "Claude 404": ("anthropic", 404, _claude("not_found_error", "No"), {}, 404, "not_found_error", {}),
    "Claude 413": ("anthropic", 413, _claude("request_too_large", "No"), {}, 413, "request_too_large", {}),
    "Claude 429": (
        "anthropic",
        429,
        _claude("rate_limit_error", "No"),
        {"retry-after": "17", "anthropic-ratelimit-requests-remaining": "0", "anthropic-ratelimit-tokens-limit": "1000"},
        429,
        "rate_limit_error",
        {"retry-after": "17", "x-ratelimit-remaining-requests": "0", "x-ratelimit-limit-tokens": "1000"},
    ),
    "Claude 529": (
        "anthropic",
        529,
        _claude("overloaded_error", "No"),
        {"retry-after": "3"},
        503,
        "overloaded_error",
        {"retry-after": "3"},
    ),
    "Gemini 400": ("gemini", 400, _google("INVALID_ARGUMENT", 400), {}, 400, "INVALID_ARGUMENT", {}),
    "Gemini 403": ("gemini", 403, _google("PERMISSION_DENIED", 403), {}, 403, "PERMISSION_DENIED", {}),
    "Gemini 429": ("gemini", 429, _google("RESOURCE_EXHAUSTED", 429, details=RETRY), {}, 429, "RESOURCE_EXHAUSTED", {"retry-after": "27"}),
    "Gemini 429 in a list": (
        "gemini",
        429,
        [_google("RESOURCE_EXHAUSTED", 429, details=RETRY)],
        {},
        429,
        "RESOURCE_EXHAUSTED",
        {"retry-after": "27"},
    ),
    "Gemini 503": ("gemini", 503, _google("UNAVAILABLE", 503), {}, 503, "UNAVAILABLE", {}),
    "OpenAI 401": (
        "openai",
        401,
        {"error": {"message": "No", "type": "invalid_request_error", "param": None, "code": "invalid_api_key"}},
        {},
        401,
        "invalid_api_key",
        {},
    ),
    "OpenAI 429": (
        "openai",
        429,
        {"error": {"message": "No", "type": "tokens", "param": None, "code": "rate_limit_exceeded"}},
        {"retry-after": "1", "retry-after-ms": "900", "x-ratelimit-remaining-tokens": "0", "x-should-retry": "true"},
        429,
        "rate_limit_exceeded",
        {"retry-after": "1", "retry-after-ms": "900", "x-ratelimit-remaining-tokens": "0", "x-should-retry": "true"},
    ),
    "OpenAI 500, nothing in it": ("openai", 500, None, {}, 500, "", {}),
    "a host's number for a code": ("openai", 404, {"error": {"message": "No", "code": 404}}, {}, 404, "404", {}),
    "a host's plain text": ("openai", 422, {"detail": "No"}, {}, 422, "", {}),
    "Mistral flat": (
        "mistral",
        400,
        {"object": "error", "message": "No", "type": "invalid_request", "param": None, "code": "3051"},
        {},
        400,
        "3051",
        {},
    ),
    "Mistral 401": ("mistral", 401, {"detail": "No"}, {}, 401, "", {}),
    "Mistral 422": ("mistral", 422, {"detail": [{"loc": ["body", "messages"], "msg": "No", "type": "missing"}]}, {}, 422, "", {}),
    "Ollama 404": ("ollama", 404, {"error": "No"}, {}, 404, "", {}),
    "DeepSeek 402": (
        "deepseek",
        402,
        {"error": {"message": "No", "type": "unknown_error", "param": None, "code": "invalid_request_error"}},
        {},
        402,
        "invalid_request_error",
        {},
    ),
}


@pytest.mark.parametrize("streamed", [True, False])
@pytest.mark.parametrize("name", ERRORS)
async def test_a_vendors_error_keeps_what_it_says(play: Play, name: str, streamed: bool) -> None:
    provider, status, body, headers, expected, word, kept = ERRORS[name]
    pieces = [] if body is None else [json.dumps(body).encode()]
    script = Script(pieces, status, {"content-type": "application/json"} | headers)
    served = await play.ask(provider, script, **({"stream": True} if streamed else {}))
    assert served.status == expected
    assert not faults("error", served.json())
    error = served.json()["error"]
    assert body is None or error["message"] == "No"
    assert word in (error["code"] or "", error["type"], "")
    assert kept.items() <= served.headers.items()
    assert served.headers["x-request-id"]


@pytest.mark.parametrize("text", ["<html><body>Bad gateway</body></html>", "upstream connect error", ""])
@pytest.mark.parametrize("provider", PROVIDERS)
async def test_an_error_that_is_no_json_gets_the_envelope(play: Play, provider: str, text: str) -> None:
    served = await play.ask(provider, Script([text.encode()] if text else [], 502, {"content-type": "text/html"}))
    assert served.status == 502
    assert not faults("error", served.json())
    assert "<html" not in served.json()["error"]["message"]


CLIENTS_FAULTS: list[tuple[Any, int]] = [
    (b"{", 400),
    (b"[]", 400),
    (b'{"messages": []}', 400),
    ({"model": 5, "messages": []}, 400),
    ({"model": "nobody/knows", "messages": []}, 404),
    ({"model": "anthropic/m", "messages": [{"role": "user", "content": "Hi"}], "n": 2}, 400),
    ({"model": "anthropic/m", "messages": "Hi"}, 400),
]


@pytest.mark.parametrize(("body", "status"), CLIENTS_FAULTS)
async def test_a_clients_fault_is_said_in_the_envelope(play: Play, body: Any, status: int) -> None:
    play.upstream.answer(claude_answer(TEXT))
    served = await call(play.address, body)
    assert served.status == status, served.body
    assert not faults("error", served.json())
    assert not play.upstream.asked


# ── secrets ──

SENT = {
    "authorization": "Bearer client-secret-1",
    "cookie": "session=client-secret-2",
    "x-api-key": "client-secret-3",
    "api-key": "client-secret-4",
    "x-forwarded-for": "127.0.0.1",
    "x-internal": "client-secret-5",
    "connection": "keep-alive, x-internal",
    "te": "trailers",
    "proxy-authorization": "client-secret-6",
    "x-stainless-lang": "python",
}


@pytest.mark.parametrize("provider", PROVIDERS)
async def test_no_header_of_the_clients_goes_up_unasked(play: Play, provider: str) -> None:
    with_headers = Play(play.upstream, play.address, SENT)
    await with_headers.ask(provider, say(provider, "Hi"), stream=True)
    shown = json.dumps(play.upstream.last.headers) + play.upstream.last.path
    assert "client-secret" not in shown
    assert not {"cookie", "x-forwarded-for", "x-stainless-lang", "te", "proxy-authorization"} & play.upstream.last.headers.keys()
    keys = [value for value in play.upstream.last.headers.values() if f"key-of-{provider}" in value]
    assert len(keys) == 1


async def test_a_redirect_is_not_followed(play: Play) -> None:
    served = await play.ask("anthropic", Script([], 307, {"location": f"http://127.0.0.1:{play.upstream.port}/elsewhere"}))
    assert served.status == 502
    assert len(play.upstream.asked) == 1


async def test_an_upstreams_cookie_is_nobodys(play: Play) -> None:
    good = openai_answer({"content": "Hi"})
    served = await play.ask("openai", replace(good, headers={**good.headers, "set-cookie": "a=b"}))
    assert "set-cookie" not in served.headers
    await play.ask("openai", openai_answer({"content": "Hi"}))
    assert "cookie" not in play.upstream.last.headers


@pytest.mark.parametrize("provider", PROVIDERS)
async def test_a_key_that_an_upstream_echoes_is_not_shown(play: Play, provider: str, capfd: pytest.CaptureFixture[str]) -> None:
    key = f"key-of-{provider}"
    body = {"error": {"message": f"Incorrect API key provided: {key}", "type": "invalid_request_error", "param": key, "code": key}}
    for script in (whole(body, 401), Script([b"data: %s\n\n" % json.dumps(body).encode()], headers={"content-type": "text/event-stream"})):
        served = await play.ask(provider, script, stream=True)
        assert key not in served.body.decode()
        assert key not in json.dumps(served.headers)
    written = capfd.readouterr()
    assert key not in written.out + written.err


async def test_what_is_written_holds_no_secret_and_no_talk(capfd: pytest.CaptureFixture[str]) -> None:
    key = "key-of-anthropic"
    async with Upstream() as upstream:
        document = routes(
            upstream.port,
            server={"log": {"level": "debug", "requests": "stdout"}},
            providers={"nowhere": {"base_url": "http://127.0.0.1:1", "key": key}},
        )
        async with Gateway(document) as gateway:
            talker = Play(upstream, gateway.address, {"authorization": "Bearer client-secret-1"})
            said = {"messages": [{"role": "user", "content": "private words"}]}
            await talker.ask("anthropic", claude_answer({"type": "text", "text": "private answer"}), **said)
            await talker.ask("anthropic", whole(_claude("authentication_error", f"bad key {key}"), 401), **said)
            await talker.ask("nowhere/m", whole({}), **said)
    written = capfd.readouterr()
    assert len(written.out.splitlines()) == 3
    for line in written.out.splitlines():
        assert json.loads(line)
    for secret in (key, "client-secret", "private"):
        assert secret not in written.out + written.err


# ── schemas ──

SCHEMAS: dict[str, Any] = {
    "pydantic": {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "$defs": {"Leg": {"type": "object", "properties": {"to": {"type": "string"}}, "additionalProperties": False}},
        "type": "object",
        "properties": {
            "legs": {"type": "array", "items": {"$ref": "#/$defs/Leg"}},
            "limit": {"anyOf": [{"type": "integer", "exclusiveMinimum": 0}, {"type": "null"}], "default": None},
            "kind": {"const": "trip"},
        },
        "required": ["legs"],
        "additionalProperties": False,
    },
    "recursive": {
        "$defs": {"Node": {"type": "object", "properties": {"next": {"anyOf": [{"$ref": "#/$defs/Node"}, {"type": "null"}]}}}},
        "$ref": "#/$defs/Node",
    },
    "zod": {"type": "object", "properties": {"a": {"type": ["string", "null"]}, "b": {"oneOf": [{"type": "string"}, {"type": "number"}]}}},
}


@pytest.mark.parametrize("name", SCHEMAS)
async def test_gemini_gets_plain_json_schema(play: Play, name: str) -> None:
    tool = {"type": "function", "function": {"name": "f", "description": "F", "parameters": SCHEMAS[name], "strict": True}}
    form = {"type": "json_schema", "json_schema": {"name": "x", "schema": SCHEMAS[name], "strict": True}}
    script = whole(gemini({"text": "{}"}))
    served = await play.ask("gemini", script, tools=[tool], response_format=form, stream_options=None)
    assert served.status == 200, served.body
    declared = play.sent()["tools"][0]["functionDeclarations"][0]
    assert declared["parametersJsonSchema"]["properties" if name != "recursive" else "$ref"] == SCHEMAS[name].get(
        "properties", "#/$defs/Node"
    )
    assert play.sent()["generationConfig"]["responseJsonSchema"]
    assert "stream_options" not in play.sent()
    assert not gemini_faults(play.sent())
