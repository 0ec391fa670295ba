"""Ends of streams: usage, finish, errors on the way, breaks, silence."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import pytest

from tests.corpus.schemas import faults
from tests.stage.fixtures import Play
from tests.stage.gateway import PROVIDERS
from tests.stage.upstream import Script, events, named, whole
from tests.stage.wires import USAGE, chunk, claude_events, gemini, gemini_stream, ollama, ollama_stream, say

pytestmark = pytest.mark.asyncio(loop_scope="session")

# ── usage ──


@pytest.mark.parametrize("usage", [True, False, None])
@pytest.mark.parametrize("provider", PROVIDERS)
async def test_usage_comes_once_and_only_when_asked_for(play: Play, provider: str, usage: bool | None) -> None:
    facts = await play.stream(provider, say(provider, "Hello"), usage=bool(usage))
    assert facts.choices[0].text == "Hello"
    assert facts.choices[0].finish == "stop"
    assert (facts.usage.total if facts.usage else None) == (15 if usage else None)


@pytest.mark.parametrize("asked", [True, False])
@pytest.mark.parametrize("provider", ["deepseek", "mistral"])
async def test_finish_and_usage_in_one_event(play: Play, provider: str, asked: bool) -> None:
    script = events(chunk({"role": "assistant", "content": "Hi"}), chunk({"content": ""}, "stop", usage=USAGE))
    facts = await play.stream(provider, script, usage=asked)
    assert facts.choices[0].finish == "stop"
    assert (facts.usage is not None) is asked


@pytest.mark.parametrize(
    ("provider", "script"),
    [
        ("openai", events(chunk({"role": "assistant", "content": "Hi"}), chunk({}, "stop"))),
        ("deepseek", events(chunk({"role": "assistant", "content": "Hi"}), chunk({}, "stop"))),
        ("gemini", gemini_stream({"candidates": [{"content": {"parts": [{"text": "Hi"}]}, "finishReason": "STOP"}]})),
        ("ollama", ollama_stream(b'{"message":{"content":"Hi"},"done":true,"done_reason":"stop"}\n')),
    ],
)
async def test_no_usage_is_invented(play: Play, provider: str, script: Script) -> None:
    served = await play.ask(provider, script, stream=True, usage=True)
    assert b'"usage":{' not in served.body
    assert served.body.endswith(b"data: [DONE]\n\n")


@pytest.mark.parametrize("provider", PROVIDERS)
async def test_the_upstream_is_always_asked_for_usage(play: Play, provider: str) -> None:
    await play.ask(provider, say(provider, "Hi"), stream=True)
    if provider in ("openai", "deepseek"):  # the others tell without being asked
        assert play.sent()["stream_options"] == {"include_usage": True}
    else:
        assert "stream_options" not in play.sent()


# ── errors ──

CLAUDE_ERROR = {"type": "error", "error": {"type": "overloaded_error", "message": "Overloaded"}}
GEMINI_ERROR = {"error": {"code": 503, "message": "Overloaded", "status": "UNAVAILABLE"}}
OPENAI_ERROR = {"error": {"message": "Overloaded", "type": "server_error", "param": None, "code": "overloaded"}}
FIRST: dict[str, tuple[str, Script, int]] = {
    "Claude": ("anthropic", named(CLAUDE_ERROR), 503),
    "Claude, after its start": ("anthropic", named(claude_events()[0], CLAUDE_ERROR), 503),
    "Gemini": ("gemini", gemini_stream(GEMINI_ERROR), 503),
    "Gemini, as a list": ("gemini", whole([GEMINI_ERROR], 503), 503),
    "Gemini, inside a 200": ("gemini", whole(GEMINI_ERROR), 503),
    "OpenAI": ("openai", events(OPENAI_ERROR, done=False), 502),
    "OpenAI, and [DONE]": ("openai", events(OPENAI_ERROR), 502),
    "OpenAI, whole inside a 200": ("openai", whole(OPENAI_ERROR), 502),
    "DeepSeek": ("deepseek", events(OPENAI_ERROR), 502),
    "Ollama": ("ollama", ollama_stream(b'{"error":"Overloaded"}\n'), 502),
}


@pytest.mark.parametrize("name", FIRST)
async def test_an_error_as_the_first_event_is_a_status(play: Play, name: str) -> None:
    provider, script, status = FIRST[name]
    served = await play.ask(provider, script, stream=True)
    assert (served.status, served.json()["error"]["message"]) == (status, "Overloaded")
    assert not faults("error", served.json())
    assert served.complete


LATER: dict[str, tuple[str, Script]] = {
    "Claude": ("anthropic", named(*claude_events({"type": "text", "text": "Hel"})[:-3], CLAUDE_ERROR)),
    "Gemini": ("gemini", gemini_stream(gemini({"text": "Hel"}, finish=None), GEMINI_ERROR)),
    "OpenAI": ("openai", events(chunk({"role": "assistant", "content": "Hel"}), OPENAI_ERROR)),
    "OpenAI, beside a finish": (
        "openai",
        events(chunk({"role": "assistant", "content": "Hel"}), chunk({}, "error") | OPENAI_ERROR, done=False),
    ),
    "DeepSeek": ("deepseek", events(chunk({"role": "assistant", "content": "Hel"}), OPENAI_ERROR)),
    "Mistral": ("mistral", events(chunk({"role": "assistant", "content": "Hel"}), {"object": "error", "message": "Overloaded"})),
    "Ollama": ("ollama", ollama_stream(ollama({"content": "Hel"}), b'{"error":"Overloaded"}\n')),
}


@pytest.mark.parametrize("name", LATER)
async def test_a_later_error_is_an_event_and_the_last_one(play: Play, name: str) -> None:
    provider, script = LATER[name]
    facts, body = await play.broken(provider, script)
    assert facts.error is not None
    assert "Overloaded" in facts.error.message
    assert facts.choices[0].text == "Hel"
    assert "[DONE]" not in body
    assert facts.choices[0].finish in (None, "error")


async def test_an_errors_code_is_kept(play: Play) -> None:
    _, body = await play.broken("openai", LATER["OpenAI"][1])
    assert json.loads(body.rstrip().rpartition("data: ")[2])["error"]["code"] == "overloaded"


# ── breaks ──


@pytest.mark.parametrize("end", ["cut", "whole"])
@pytest.mark.parametrize("provider", PROVIDERS)
async def test_a_break_is_told(play: Play, provider: str, end: Any) -> None:
    full = say(provider, "Hello you", end=end)
    script = replace(full, pieces=list(full.pieces)[: {"anthropic": 5, "ollama": 2}.get(provider, 2)])
    facts, body = await play.broken(provider, script)
    assert "[DONE]" not in body
    assert facts.choices[0].finish is None
    assert "Hello you".startswith(facts.choices[0].text)
    assert facts.choices[0].text != "Hello you"


@pytest.mark.parametrize("end", ["cut", "whole"])
@pytest.mark.parametrize("provider", PROVIDERS)
async def test_an_empty_stream_is_no_answer(play: Play, provider: str, end: Any) -> None:
    served = await play.ask(provider, replace(say(provider, "x"), pieces=[], end=end), stream=True)
    assert served.status == 502
    assert not faults("error", served.json())


SENSELESS = [b"", b"<html>gone</html>", b"42", b"[]", b'{"id": "x"', b"\xff\xfe", b"{}", b'{"choices": null}', b'{"choices": []}']


@pytest.mark.parametrize("body", SENSELESS)
@pytest.mark.parametrize("provider", PROVIDERS)
async def test_a_senseless_answer_is_no_answer(play: Play, provider: str, body: bytes) -> None:
    """Nothing is made up of it. What a host says in OpenAI's own language goes through as it is."""
    served = await play.ask(provider, Script([body] if body else []))
    if provider in ("openai", "deepseek", "mistral") and body.startswith(b"{") and body.endswith(b"}"):
        assert (served.status, served.json()) == (200, json.loads(body))
        return
    assert served.status == 502, served.body
    assert not faults("error", served.json())


@pytest.mark.parametrize("garbage", [b"data: {oops\n\n", b"data: 42\n\n", b"data: \xff\xfe\n\n"])
async def test_garbage_in_a_stream_is_a_break(play: Play, garbage: bytes) -> None:
    good = list(say("openai", "Hello you").pieces)
    facts, _ = await play.broken("openai", Script([*good[:2], garbage, *good[2:]], headers={"content-type": "text/event-stream"}))
    assert facts.choices[0].finish is None
