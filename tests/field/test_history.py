"""What a client sends back: signatures of reasoning, tool results, images. Nothing is lost, nothing foreign is passed on."""

from __future__ import annotations

import json
from typing import Any

import pytest

from tests.corpus.asking.accepted import anthropic_faults, gemini_faults
from tests.stage.fixtures import Play
from tests.stage.upstream import Script, events, whole
from tests.stage.wires import (
    USAGE,
    chunk,
    claude_answer,
    claude_call,
    claude_stream,
    gemini,
    gemini_call,
    gemini_stream,
    ollama,
    openai_answer,
    say,
)

pytestmark = pytest.mark.asyncio(loop_scope="session")

TOOLS = [{"type": "function", "function": {"name": name, "parameters": {"type": "object", "properties": {}}}} for name in ("f", "g")]
SIGNATURE = "c2lnbmF0dXJlIG9mIHRoaXMgdGhvdWdodA=="
USER = {"role": "user", "content": "Hi"}
OK = {
    "anthropic": claude_answer({"type": "text", "text": "ok"}),
    "gemini": whole(gemini({"text": "ok"})),
    "openai": openai_answer({"content": "ok"}),
    "deepseek": openai_answer({"content": "ok"}),
    "mistral": openai_answer({"content": "ok"}),
    "ollama": Script([ollama({"content": "ok"}, done=True)]),
}


def _bare(message: dict[str, Any]) -> dict[str, Any]:
    """The message as a client keeps it that drops every field it does not know."""
    kept = {key: message[key] for key in ("role", "content") if key in message}
    calls = [
        {"id": call["id"], "type": "function", "function": {key: call["function"][key] for key in ("name", "arguments")}}
        for call in message.get("tool_calls") or []
    ]
    return kept | ({"tool_calls": calls} if calls else {})


def _gathered(body: bytes) -> dict[str, Any]:
    """The message of a stream, put together as client libraries do: texts joined by place, what repeats kept once."""
    message: dict[str, Any] = {}
    for line in body.decode().split("\n\n"):
        if line.startswith("data: {"):
            for choice in json.loads(line[6:])["choices"]:
                _gather(message, choice["delta"])
    return message


def _gather(into: dict[str, Any], delta: dict[str, Any]) -> None:
    for key, value in delta.items():
        if isinstance(value, str) and isinstance(into.get(key), str) and key not in ("type", "role"):
            into[key] += value
        elif isinstance(value, dict):
            _gather(into.setdefault(key, {}), value)
        elif isinstance(value, list):
            rows = into.setdefault(key, [])
            for item in value:
                while len(rows) <= item.get("index", len(rows)):
                    rows.append({})
                _gather(rows[item.get("index", len(rows) - 1)], item)
        elif value is not None:
            into[key] = value


def _results(message: dict[str, Any], content: str = "done") -> list[dict[str, Any]]:
    return [{"role": "tool", "tool_call_id": call["id"], "content": content} for call in message.get("tool_calls", [])]


async def _turn(play: Play, provider: str, script: Script, streamed: bool, model: str = "") -> dict[str, Any]:
    """One answer, as the message a client would keep."""
    served = await play.ask(model or provider, script, tools=TOOLS, **({"stream": True} if streamed else {}))
    assert served.status == 200, served.body
    return _gathered(served.body) if streamed else dict(served.json()["choices"][0]["message"])


# ── Gemini's thought signatures ──

SIGNED = [gemini_call("f", SIGNATURE, a=1), gemini_call("g", None, b=2)]


@pytest.mark.parametrize("keeps", ["all", "what OpenAI has"])
@pytest.mark.parametrize("streamed", [True, False])
async def test_geminis_signatures_come_back(play: Play, streamed: bool, keeps: str) -> None:
    model = "gemini/gemini-3-pro-preview"
    script = gemini_stream(gemini(*SIGNED)) if streamed else whole(gemini(*SIGNED))
    message = await _turn(play, "gemini", script, streamed, model)
    kept = message if keeps == "all" else _bare(message)
    await play.ask(model, OK["gemini"], tools=TOOLS, messages=[USER, kept, *_results(message)])
    parts = play.sent()["contents"][1]["parts"]
    calls = [part for part in parts if "functionCall" in part]
    assert [call["functionCall"]["name"] for call in calls] == ["f", "g"]
    assert [call.get("thoughtSignature") for call in calls] == [SIGNATURE, None]
    assert [part["functionResponse"]["name"] for part in play.sent()["contents"][2]["parts"]] == ["f", "g"]
    assert not gemini_faults(play.sent())


@pytest.mark.parametrize("streamed", [True, False])
async def test_a_signature_on_a_text_part_comes_back(play: Play, streamed: bool) -> None:
    parts = [{"text": "So:"}, {"text": "", "thoughtSignature": SIGNATURE}]
    script = gemini_stream(gemini(parts[0], finish=None), gemini(parts[1])) if streamed else whole(gemini(*parts))
    message = await _turn(play, "gemini", script, streamed)
    await play.ask("gemini/gemini-3-pro-preview", OK["gemini"], messages=[USER, message, USER])
    assert [part["thoughtSignature"] for part in play.sent()["contents"][1]["parts"] if "thoughtSignature" in part] == [SIGNATURE]


async def test_gemini_3_takes_a_history_it_never_signed(play: Play) -> None:
    call = {"id": "call_1", "type": "function", "function": {"name": "f", "arguments": "{}"}}
    message = {"role": "assistant", "content": None, "tool_calls": [call]}
    await play.ask("gemini/gemini-3-pro-preview", OK["gemini"], messages=[USER, message, *_results(message)])
    (part,) = play.sent()["contents"][1]["parts"]
    assert part["thoughtSignature"] == "skip_thought_signature_validator"  # Google takes no other word for it


# ── Claude's thinking ──

THINKING = {"type": "thinking", "thinking": "Let me see…", "signature": SIGNATURE}
REDACTED = {"type": "redacted_thinking", "data": "b3BhcXVl"}


@pytest.mark.parametrize("streamed", [True, False])
async def test_claudes_thinking_comes_back_byte_for_byte(play: Play, streamed: bool) -> None:
    call = claude_call("f", '{"a":1}')
    blocks = [THINKING, REDACTED, {"type": "text", "text": "So:"}]
    whole_call = {"type": "tool_use", "id": "toolu_1", "name": "f", "input": {"a": 1}}
    script = claude_stream(*blocks, call, stop="tool_use", step=4) if streamed else claude_answer(*blocks, whole_call, stop="tool_use")
    message = await _turn(play, "anthropic", script, streamed)
    assert message["reasoning_content"] == THINKING["thinking"]
    asked = {"tools": TOOLS, "reasoning_effort": "low", "messages": [USER, message, *_results(message)]}
    await play.ask("anthropic/claude-sonnet-4-5", OK["anthropic"], **asked)
    assert play.sent()["messages"][1]["content"] == [*blocks, whole_call]
    assert play.sent()["messages"][2]["content"][0]["tool_use_id"] == "toolu_1"
    assert not anthropic_faults(play.sent())


FOREIGN: dict[str, dict[str, Any]] = {
    "DeepSeek": {"reasoning_content": "hm"},
    "OpenRouter": {"reasoning": "hm", "reasoning_details": [{"type": "reasoning.text", "text": "hm", "format": "google-gemini-v1"}]},
    "another's signature": {
        "reasoning_details": [{"type": "reasoning.text", "text": "hm", "signature": "Zm9yZWlnbg==", "format": "openai-responses-v1"}]
    },
    "another's secret": {"reasoning_details": [{"type": "reasoning.encrypted", "data": "Zm9yZWlnbg==", "format": "openai-responses-v1"}]},
    "unsigned": {"thinking_blocks": [{"type": "thinking", "thinking": "hm"}]},
}


@pytest.mark.parametrize("name", FOREIGN)
@pytest.mark.parametrize("provider", ["anthropic", "gemini", "mistral", "openai"])
async def test_another_vendors_reasoning_stays_behind(play: Play, provider: str, name: str) -> None:
    message = {"role": "assistant", "content": "So.", **FOREIGN[name]}
    served = await play.ask(provider, OK[provider], messages=[USER, message, USER])
    assert served.status == 200
    if provider != "openai":  # bytes of the client's go through to OpenAI as they are
        assert "Zm9yZWlnbg" not in json.dumps(play.sent())
        assert "hm" not in json.dumps(play.sent())
        assert "So." in json.dumps(play.sent())


CARRIERS: dict[str, dict[str, Any]] = {
    "ours, OpenRouter's": {
        "reasoning_details": [
            {"type": "reasoning.text", "text": "Let me see…", "signature": SIGNATURE, "format": "anthropic-claude-v1", "index": 0},
            {"type": "reasoning.encrypted", "data": "b3BhcXVl", "format": "anthropic-claude-v1", "index": 1},
        ]
    },
    "LiteLLM's": {"thinking_blocks": [THINKING, REDACTED]},
    "LiteLLM's fields": {"provider_specific_fields": {"thinking_blocks": [THINKING, REDACTED]}},
}


@pytest.mark.parametrize("name", CARRIERS)
async def test_signed_thinking_is_taken_in_every_carrier(play: Play, name: str) -> None:
    message = {"role": "assistant", "content": "So.", **CARRIERS[name]}
    await play.ask("anthropic/claude-sonnet-4-5", OK["anthropic"], messages=[USER, message, USER], reasoning_effort="low")
    assert play.sent()["messages"][1]["content"] == [THINKING, REDACTED, {"type": "text", "text": "So."}]


GOOGLES: dict[str, dict[str, Any]] = {
    "Google's own": {"id": "call_1", "extra_content": {"google": {"thought_signature": SIGNATURE}}},
    "LiteLLM's fields": {"id": "call_1", "provider_specific_fields": {"thought_signature": SIGNATURE}},
    "LiteLLM's id": {"id": f"call_1__thought__{SIGNATURE}"},
}


@pytest.mark.parametrize("name", GOOGLES)
async def test_a_signed_call_is_taken_in_every_carrier(play: Play, name: str) -> None:
    message = {
        "role": "assistant",
        "content": None,
        "tool_calls": [GOOGLES[name] | {"type": "function", "function": {"name": "f", "arguments": "{}"}}],
    }
    await play.ask("gemini/gemini-3-pro-preview", OK["gemini"], messages=[USER, message, *_results(message)])
    assert play.sent()["contents"][1]["parts"][0]["thoughtSignature"] == SIGNATURE


# ── DeepSeek's reasoning in tool loops ──


async def test_deepseeks_reasoning_comes_back_with_its_calls(play: Play) -> None:
    call = {"index": 0, "id": "c1", "type": "function", "function": {"name": "f", "arguments": "{}"}}
    script = events(
        chunk({"role": "assistant", "reasoning_content": "Let me"}),
        chunk({"reasoning_content": " see"}),
        chunk({"tool_calls": [call]}),
        chunk({}, "tool_calls", usage=USAGE),
    )
    message = await _turn(play, "deepseek", script, True)
    assert message["reasoning_content"] == "Let me see"
    await play.ask("deepseek/deepseek-chat", OK["deepseek"], tools=TOOLS, messages=[USER, message, *_results(message)])
    assert play.sent()["messages"][1]["reasoning_content"] == "Let me see"


async def test_deepseek_gets_something_where_reasoning_was_dropped(play: Play) -> None:
    message = {
        "role": "assistant",
        "content": None,
        "tool_calls": [{"id": "c1", "type": "function", "function": {"name": "f", "arguments": "{}"}}],
    }
    await play.ask("deepseek/deepseek-chat", OK["deepseek"], tools=TOOLS, messages=[USER, message, *_results(message)])
    assert play.sent()["messages"][1]["reasoning_content"]


# ── tool results ──


def _calls(*ids: str) -> dict[str, Any]:
    calls = [{"id": one, "type": "function", "function": {"name": "f" if n == 0 else "g", "arguments": "{}"}} for n, one in enumerate(ids)]
    return {"role": "assistant", "content": None, "tool_calls": calls}


ODD_IDS = {
    "as Claude's": ("toolu_01A", "toolu_01B"),
    "with signs": ("call:1/a b", "call:2/a b"),
    "endless": ("c" * 200 + "1", "c" * 200 + "2"),
    "unicode": ("호출1", "호출2"),
}


@pytest.mark.parametrize("name", ODD_IDS)
@pytest.mark.parametrize("provider", ["anthropic", "gemini", "mistral", "ollama", "deepseek"])
async def test_results_find_their_calls(play: Play, provider: str, name: str) -> None:
    message = _calls(*ODD_IDS[name])
    results = _results(message)
    results[0]["content"], results[1]["content"] = "of f", "of g"
    served = await play.ask(provider, OK[provider], tools=TOOLS, messages=[USER, message, *results, {"role": "user", "content": "And?"}])
    assert served.status == 200, served.body
    sent = play.sent()
    match provider:
        case "anthropic":
            calls = [block["id"] for block in sent["messages"][1]["content"]]
            answer = sent["messages"][2]["content"]
            assert [block["type"] for block in answer] == ["tool_result", "tool_result", "text"]
            assert [block["tool_use_id"] for block in answer[:2]] == calls
            assert all(one.replace("_", "").replace("-", "").isalnum() and one.isascii() and len(one) <= 64 for one in calls)
            assert not anthropic_faults(sent)
        case "gemini":
            answer = [part["functionResponse"] for part in sent["contents"][2]["parts"] if "functionResponse" in part]
            assert [part["name"] for part in answer] == ["f", "g"]
            assert not gemini_faults(sent)
        case "ollama":
            assert [one.get("tool_name") for one in sent["messages"] if one["role"] == "tool"] == ["f", "g"]
        case _:
            calls = [call["id"] for call in sent["messages"][1]["tool_calls"]]
            assert [one["tool_call_id"] for one in sent["messages"] if one["role"] == "tool"] == calls
            assert len(set(calls)) == 2
            if provider == "mistral":
                assert all(len(one) == 9 and one.isalnum() and one.isascii() for one in calls)


@pytest.mark.parametrize("provider", ["anthropic", "gemini"])
async def test_results_in_another_order_are_fine(play: Play, provider: str) -> None:
    message = _calls("a", "b")
    second, first = reversed(_results(message))
    first["content"], second["content"] = "of f", "of g"
    await play.ask(provider, OK[provider], tools=TOOLS, messages=[USER, message, second, first])
    sent = json.dumps(play.sent())
    assert "of f" in sent
    assert "of g" in sent
    assert not (anthropic_faults if provider == "anthropic" else gemini_faults)(play.sent())


@pytest.mark.parametrize("provider", ["anthropic", "gemini"])
async def test_a_missing_result_leaves_a_body_that_the_vendor_takes(play: Play, provider: str) -> None:
    message = _calls("a", "b")
    served = await play.ask(
        provider, OK[provider], tools=TOOLS, messages=[USER, message, _results(message)[0], {"role": "user", "content": "Go"}]
    )
    assert served.status == 200, served.body
    if provider == "anthropic":  # every tool_use wants a tool_result in the turn after it
        called = {block["id"] for block in play.sent()["messages"][1]["content"] if block["type"] == "tool_use"}
        answered = {block["tool_use_id"] for block in play.sent()["messages"][2]["content"] if block["type"] == "tool_result"}
        assert called == answered
    else:
        parts = [part for content in play.sent()["contents"] for part in content["parts"]]
        assert sum("functionCall" in part for part in parts) == sum("functionResponse" in part for part in parts)


# ── images, files, audio ──

PNG = "data:image/png;base64,iVBORw0KGgo="
PDF = "data:application/pdf;base64,JVBERi0xLjQ="
WEB = "https://example.com/cat.jpg"


def _part(kind: str) -> dict[str, Any]:
    return {
        "image data": {"type": "image_url", "image_url": {"url": PNG}},
        "image URL": {"type": "image_url", "image_url": {"url": WEB}},
        "pdf": {"type": "file", "file": {"filename": "a.pdf", "file_data": PDF}},
        "audio": {"type": "input_audio", "input_audio": {"data": "UklGRg==", "format": "wav"}},
        "unknown": {"type": "hologram", "hologram": {"data": "x"}},
    }[kind]


MEDIA = [
    ("anthropic", "image data", {"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": "iVBORw0KGgo="}}),
    ("anthropic", "image URL", {"type": "image", "source": {"type": "url", "url": WEB}}),
    (
        "anthropic",
        "pdf",
        {"type": "document", "title": "a.pdf", "source": {"type": "base64", "media_type": "application/pdf", "data": "JVBERi0xLjQ="}},
    ),
    ("anthropic", "audio", None),
    ("anthropic", "unknown", None),
    ("gemini", "image data", {"inlineData": {"mimeType": "image/png", "data": "iVBORw0KGgo="}}),
    ("gemini", "image URL", {"fileData": {"mimeType": "image/jpeg", "fileUri": WEB}}),
    ("gemini", "pdf", {"inlineData": {"mimeType": "application/pdf", "data": "JVBERi0xLjQ="}}),
    ("gemini", "audio", {"inlineData": {"mimeType": "audio/wav", "data": "UklGRg=="}}),
    ("gemini", "unknown", None),
    ("ollama", "image data", "iVBORw0KGgo="),
    ("ollama", "pdf", None),
    ("ollama", "audio", None),
]


@pytest.mark.parametrize(("provider", "kind", "expected"), MEDIA)
async def test_a_part_is_delivered_or_refused_by_name(play: Play, provider: str, kind: str, expected: Any) -> None:
    content = [{"type": "text", "text": "See:"}, _part(kind)]
    served = await play.ask(provider, OK[provider], messages=[{"role": "user", "content": content}])
    if expected is None:
        assert served.status == 400
        assert served.json()["error"]["param"] == "messages"
        assert not play.upstream.asked
        return
    assert served.status == 200, served.body
    sent = play.sent()
    match provider:
        case "anthropic":
            assert sent["messages"][0]["content"][1] == expected
        case "gemini":
            assert sent["contents"][0]["parts"][1] == expected
        case "ollama":
            assert sent["messages"][0]["images"] == [expected]


@pytest.mark.parametrize("provider", ["anthropic", "gemini"])
async def test_an_image_in_a_tools_result_is_delivered(play: Play, provider: str) -> None:
    message = _calls("a")
    result = {"role": "tool", "tool_call_id": "a", "content": [{"type": "text", "text": "See:"}, _part("image data")]}
    await play.ask(
        f"{provider}/{'claude-sonnet-4-5' if provider == 'anthropic' else 'gemini-3-pro-preview'}",
        OK[provider],
        messages=[USER, message, result],
    )
    assert "iVBORw0KGgo=" in json.dumps(play.sent())
    assert not (anthropic_faults if provider == "anthropic" else gemini_faults)(play.sent())


async def test_geminis_images_come_out(play: Play) -> None:
    part = {"inlineData": {"mimeType": "image/png", "data": "iVBORw0KGgo="}}
    for facts in (
        await play.answer("gemini", whole(gemini({"text": "Here:"}, part))),
        await play.stream("gemini", gemini_stream(gemini({"text": "Here:"}, finish=None), gemini(part))),
    ):
        assert facts.choices[0].images == [PNG]


async def test_the_said_stays_what_was_said(play: Play) -> None:
    """`content: null` beside calls, empty strings, several system messages in any place."""
    messages = [{"role": "system", "content": "One."}, USER, {"role": "developer", "content": "Two."}, _calls("a"), *_results(_calls("a"))]
    for provider in ("anthropic", "gemini", "ollama", "mistral", "deepseek"):
        served = await play.ask(provider, OK[provider], tools=TOOLS, messages=messages)
        assert served.status == 200, served.body
        assert json.dumps(play.sent()).index("One.") < json.dumps(play.sent()).index("Two.")
    assert (await play.stream("openai", say("openai", "x"))).choices[0].text == "x"
