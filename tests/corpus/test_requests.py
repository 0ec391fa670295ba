"""Recorded OpenAI-shaped requests, sent to Claude and Gemini models: the vendors' own SDK types accept what comes, nothing is lost."""

from __future__ import annotations

import copy
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.corpus.asking import anthropic, gemini, openai
from tests.corpus.asking.accepted import anthropic_faults, gemini_faults
from tests.corpus.asking.check import faults, refusable
from tests.corpus.asking.facts import lost
from tests.corpus.conftest import Theatre
from tests.corpus.exchanges import RECORDINGS, Exchange, collection
from tests.corpus.replay import Stage
from tests.stage.client import call
from tests.stage.upstream import whole

#: Models of different generations, and the parameters that each refuses although its vendor has them.
MODELS: dict[tuple[str, str], set[str]] = {
    ("anthropic", "claude-sonnet-4-5"): {"top_p"},  # beside temperature
    ("anthropic", "claude-opus-5-5"): {"temperature", "top_p", "tool_choice"},
    ("gemini", "gemini-2.5-flash"): set(),
    ("gemini", "gemini-3-flash-preview"): set(),
}
#: An answer to every request; what it says does not matter.
ANSWERS = {
    "anthropic": {
        "id": "msg_1",
        "type": "message",
        "role": "assistant",
        "model": "m",
        "content": [{"type": "text", "text": "ok"}],
        "stop_reason": "end_turn",
        "usage": {"input_tokens": 1, "output_tokens": 1},
    },
    "gemini": {"candidates": [{"content": {"role": "model", "parts": [{"text": "ok"}]}, "finishReason": "STOP"}]},
}


def _requests() -> Iterator[Exchange]:
    root = Path(os.environ.get("SAMEWIRE_CORPUS", RECORDINGS))
    for exchange in collection(root):
        body = (exchange.record["request"] or {}).get("body")
        if exchange.api == "chat" and isinstance(body, dict) and "messages" in body and exchange.status < 400:
            yield exchange


REQUESTS = list(_requests())


def _own_words(body: dict[str, Any]) -> bool:
    """Whether a request holds other vendors' extensions that no judge of another vendor's body can place."""
    odd_tools = any(tool.get("type", "function") != "function" for tool in body.get("tools") or [])
    odd_parts = any(
        isinstance(part.get("input_audio"), str) for m in body["messages"] for part in m.get("content") or [] if isinstance(part, dict)
    )
    return odd_tools or odd_parts or "thinking" in body or body.get("tool_choice") == "any"


async def _sent(stage: Stage, vendor: str, model: str, body: dict[str, Any]) -> list[str]:
    stage.upstream.answer(whole(ANSWERS[vendor]))
    asked = body | {"model": f"{vendor}/{model}", "stream": False}
    asked.pop("stream_options", None)
    served = await call(stage.address, asked)
    if served.status == 400 and not stage.upstream.asked:
        named = served.json()["error"]["param"]
        return [] if refusable(vendor, body) and named else [f"refused: {served.json()['error']}"]
    if served.status != 200:
        return [f"status {served.status}: {served.body[:200]!r}"]
    dropped = {name.strip() for name in served.headers.get("x-samewire-dropped", "").split(",")}
    return faults(vendor, asked, stage.upstream.last.json(), dropped, MODELS[vendor, model])


@pytest.mark.parametrize(("vendor", "model"), MODELS)
def test_nothing_is_lost(theatre: Theatre, vendor: str, model: str) -> None:
    wrong = {}
    for exchange in REQUESTS:
        body = exchange.record["request"]["body"]
        if not _own_words(body):
            found = theatre.run(lambda stage, b=body: _sent(stage, vendor, model, b))  # type: ignore[misc]
            if found:
                wrong[exchange.path] = found
    assert not wrong
    assert len(REQUESTS) >= 80


CONVERSATION: dict[str, Any] = {
    "model": "m",
    "max_tokens": 99,
    "messages": [
        {"role": "system", "content": "Be brief."},
        {
            "role": "user",
            "content": [{"type": "text", "text": "Look"}, {"type": "image_url", "image_url": {"url": "data:image/png;base64,aGk="}}],
        },
        {
            "role": "assistant",
            "content": "Two calls.",
            "tool_calls": [
                {"id": "a", "type": "function", "function": {"name": "f", "arguments": '{"x": 1}'}},
                {"id": "b", "type": "function", "function": {"name": "g", "arguments": "{}"}},
            ],
        },
        {"role": "tool", "tool_call_id": "a", "content": "one"},
        {"role": "tool", "tool_call_id": "b", "content": '{"two": 2}'},
    ],
    "tools": [
        {"type": "function", "function": {"name": "f", "description": "F", "parameters": {"type": "object", "properties": {"x": {}}}}}
    ],
}
CLAUDE: dict[str, Any] = {
    "model": "m",
    "max_tokens": 99,
    "system": [{"type": "text", "text": "Be brief."}],
    "messages": [
        {
            "role": "user",
            "content": [
                {"type": "text", "text": "Look"},
                {"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": "aGk="}},
            ],
        },
        {
            "role": "assistant",
            "content": [
                {"type": "text", "text": "Two calls."},
                {"type": "tool_use", "id": "a", "name": "f", "input": {"x": 1}},
                {"type": "tool_use", "id": "b", "name": "g", "input": {}},
            ],
        },
        {
            "role": "user",
            "content": [
                {"type": "tool_result", "tool_use_id": "a", "content": [{"type": "text", "text": "one"}]},
                {"type": "tool_result", "tool_use_id": "b", "content": '{"two": 2}'},
            ],
        },
    ],
    "tools": [{"name": "f", "description": "F", "input_schema": {"type": "object", "properties": {"x": {}}}}],
}
GEMINI: dict[str, Any] = {
    "systemInstruction": {"parts": [{"text": "Be brief."}]},
    "contents": [
        {"role": "user", "parts": [{"text": "Look"}, {"inlineData": {"mimeType": "image/png", "data": "aGk="}}]},
        {
            "role": "model",
            "parts": [
                {"text": "Two calls."},
                {"functionCall": {"name": "f", "args": {"x": 1}}},
                {"functionCall": {"name": "g", "args": {}}},
            ],
        },
        {
            "role": "user",
            "parts": [
                {"functionResponse": {"name": "f", "response": {"output": "one"}}},
                {"functionResponse": {"name": "g", "response": {"two": 2}}},
            ],
        },
    ],
    "tools": [
        {"functionDeclarations": [{"name": "f", "description": "F", "parametersJsonSchema": {"type": "object", "properties": {"x": {}}}}]}
    ],
    "generationConfig": {"maxOutputTokens": 99},
}


def test_the_readings_of_requests_agree() -> None:
    asked = openai.read(CONVERSATION)
    for read, body in ((anthropic.read, CLAUDE), (gemini.read, GEMINI)):
        assert lost(asked, read(body)) == []
    assert anthropic_faults(CLAUDE) == gemini_faults(GEMINI) == []


def _holes(body: Any) -> Iterator[tuple[Any, int]]:
    """Every place in a list of the body from which something could be missing, but for types' own lists."""
    for value in body.values() if isinstance(body, dict) else body if isinstance(body, list) else ():
        if isinstance(value, list) and value and isinstance(value[0], dict):
            yield from ((value, place) for place in range(len(value)))
        yield from _holes(value)


@pytest.mark.parametrize(("vendor", "body"), [("anthropic", CLAUDE), ("gemini", GEMINI)])
def test_what_is_left_out_is_noticed(vendor: str, body: dict[str, Any]) -> None:
    for number in range(len(list(_holes(body)))):
        thinner = copy.deepcopy(body)
        box, place = list(_holes(thinner))[number]
        gone = box.pop(place)
        read = {"anthropic": anthropic.read, "gemini": gemini.read}[vendor]
        try:
            noticed = lost(openai.read(CONVERSATION), read(thinner))
        except KeyError:  # a result whose call is gone
            continue
        assert noticed, gone


@pytest.mark.parametrize("key", ["temperature", "parallel_tool_calls", "logit_bias"])
def test_a_parameter_left_out_in_silence_is_noticed(key: str) -> None:
    asked = CONVERSATION | {key: {"50256": -100} if key == "logit_bias" else False if key == "parallel_tool_calls" else 0.5}
    assert faults("anthropic", asked, CLAUDE, set())
    assert bool(faults("anthropic", asked, CLAUDE, {key})) == (key != "logit_bias")


BENT: list[tuple[str, Any]] = [
    ("messages", [{"role": "user", "content": [{"type": "txt", "text": "Hi"}]}]),
    ("messages", [{"role": "user", "content": [{"type": "text", "text": "Hi", "name": "n"}]}]),
    ("max_tokens", None),
    ("tool_choice", {"type": "required"}),
    ("tools", [{"name": "f", "parameters": {}}]),
    ("frequency_penalty", 1),
]


@pytest.mark.parametrize(("key", "value"), BENT)
def test_anthropics_types_refuse(key: str, value: Any) -> None:
    assert anthropic_faults(CLAUDE | {key: value})


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("contents", [{"role": "user", "parts": [{"txt": "Hi"}]}]),
        ("generationConfig", {"max_tokens": 5}),
        ("generationConfig", {"thinkingConfig": {"budget": 5}}),
        ("toolConfig", {"functionCallingConfig": {"mode": "ANY", "name": "f"}}),
        ("stream", True),
    ],
)
def test_googles_types_refuse(key: str, value: Any) -> None:
    assert gemini_faults(GEMINI | {key: value})
