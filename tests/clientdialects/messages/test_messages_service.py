"""What a Messages client lives with: thinking that comes back, counted tokens, names of tools, failures, as Anthropic's SDK sees them."""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable
from typing import Any

import anthropic
import pytest

from proxy.exchange.estimate import MEDIA_TOKENS, tokens_of
from tests.clientdialects.messages.test_messages_requests import CANDIDATES, COMPLETION, MESSAGE
from tests.corpus.conftest import Theatre
from tests.corpus.replay import Stage
from tests.stage.client import Served, call
from tests.stage.upstream import Script, events, named, whole

USER = {"role": "user", "content": "Weather in Rome?"}
TOOL = {"name": "weather", "description": "The weather", "input_schema": {"type": "object", "properties": {"city": {"type": "string"}}}}
ASKED: dict[str, Any] = {"model": "m", "max_tokens": 9000, "messages": [USER], "tools": [TOOL]}


async def _ask(stage: Stage, model: str, script: Script, path: str = "/v1/messages", **more: Any) -> tuple[Served, dict[str, Any]]:
    """The answer, and what went up ({} when nothing did)."""
    stage.upstream.answer(script)
    served = await call(stage.address, ASKED | {"model": model} | more, path, {"anthropic-version": "2023-06-01"})
    return served, stage.upstream.last.json() if stage.upstream.asked else {}


def _sent(messages: Theatre, model: str, answer: dict[str, Any], **more: Any) -> dict[str, Any]:
    """What goes up."""
    served, sent = messages.run(lambda stage: _ask(stage, model, whole(answer), **more))
    assert served.status == 200, served.body
    return sent


# ── thinking: asked for ──


EFFORTS: list[tuple[dict[str, Any], str | None]] = [
    ({}, None),
    ({"thinking": {"type": "disabled"}}, "none"),
    ({"thinking": {"type": "between_tools"}}, "none"),
    ({"thinking": {"type": "disabled"}, "output_config": {"effort": "high"}}, "none"),
    ({"thinking": {"type": "enabled", "budget_tokens": 1024}}, "low"),
    ({"thinking": {"type": "enabled", "budget_tokens": 8000}}, "medium"),
    ({"thinking": {"type": "enabled", "budget_tokens": 31999}}, "high"),
    ({"thinking": {"type": "adaptive", "display": "omitted"}}, "medium"),
    ({"thinking": {"type": "adaptive"}, "output_config": {"effort": "xhigh"}}, "xhigh"),
    ({"output_config": {"effort": "low"}}, "low"),
]
#: What of these efforts a model takes that is older than they are, or does not reason.
GENERATIONS = [("gpt-5", {"none": "minimal", "xhigh": "high"}), ("o3", {"none": "low", "xhigh": "high"})]


@pytest.mark.parametrize(("asked", "effort"), EFFORTS)
def test_thinking_is_an_effort(messages: Theatre, asked: dict[str, Any], effort: str | None) -> None:
    assert _sent(messages, "openai/gpt-5.5", COMPLETION, **asked).get("reasoning_effort") == effort
    for model, others in GENERATIONS:
        assert _sent(messages, f"openai/{model}", COMPLETION, **asked).get("reasoning_effort") == others.get(effort or "", effort)


def test_a_model_that_does_not_reason_is_not_asked_to(messages: Theatre) -> None:
    wanted = {"thinking": {"type": "adaptive"}}
    served, sent = messages.run(lambda stage: _ask(stage, "openai/gpt-4o", whole(COMPLETION), **wanted))
    assert "reasoning_effort" not in sent
    assert served.headers["x-samewire-dropped"] == "thinking"


# ── thinking: said, and come back ──


def _chat(**message: Any) -> dict[str, Any]:
    choice = {"index": 0, "message": {"role": "assistant", "content": None, **message}, "finish_reason": "tool_calls"}
    return COMPLETION | {"choices": [choice]}


CALL = {"id": "call_1", "type": "function", "function": {"name": "weather", "arguments": '{"city": "Rome"}'}}
PARTS = [
    {"text": "Rome, then.", "thought": True},
    {"functionCall": {"id": "abc", "name": "weather", "args": {"city": "Rome"}}, "thoughtSignature": "c2ln+/=="},
]
#: Vendors that think before they call a tool: the model, its answer.
THINKERS: dict[str, tuple[str, dict[str, Any]]] = {
    "deepseek": ("deepseek/deepseek-chat", _chat(reasoning_content="Rome, then.", tool_calls=[CALL])),
    "openrouter": (
        "openrouter/some-model",
        _chat(
            reasoning="Rome, then.",
            reasoning_details=[
                {"type": "reasoning.summary", "summary": "Rome, then.", "format": "openai-responses-v1", "index": 0},
                {"type": "reasoning.encrypted", "data": "gAAA-_8=", "id": "rs_1", "format": "openai-responses-v1", "index": 0},
            ],
            tool_calls=[CALL],
        ),
    ),
    "gemini": ("gemini/gemini-3-flash-preview", {"candidates": [{"content": {"role": "model", "parts": PARTS}, "finishReason": "STOP"}]}),
    "claude": (
        "by-chat/claude-opus-4-6",
        MESSAGE
        | {
            "stop_reason": "tool_use",
            "content": [
                {"type": "thinking", "thinking": "Rome, then.", "signature": "EqQB"},
                {"type": "redacted_thinking", "data": "EmwK"},
                {"type": "tool_use", "id": "toolu_1", "name": "weather", "input": {"city": "Rome"}},
            ],
        },
    ),
}


async def _turn(stage: Stage, thinker: str, then: str, answer: dict[str, Any]) -> dict[str, Any]:
    """One vendor's answer and the tool's result go to a model of another: what goes up."""
    model, first = THINKERS[thinker]
    served, _ = await _ask(stage, model, whole(first))
    content = served.json()["content"]
    assert "".join(block.get("thinking", "") for block in content) == "Rome, then."
    (use,) = (block for block in content if block["type"] == "tool_use")
    assert (use["name"], use["input"]) == ("weather", {"city": "Rome"})
    result = {"role": "user", "content": [{"type": "tool_result", "tool_use_id": use["id"], "content": "Sunny"}]}
    _, sent = await _ask(stage, then, whole(answer), messages=[USER, {"role": "assistant", "content": content}, result])
    return sent


@pytest.mark.parametrize("thinker", THINKERS)
def test_thinking_comes_back_to_its_own_vendor(messages: Theatre, thinker: str) -> None:
    model, _ = THINKERS[thinker]
    answer = {"gemini": CANDIDATES, "claude": MESSAGE}.get(thinker, COMPLETION)
    sent = messages.run(lambda stage: _turn(stage, thinker, model, answer))
    match thinker:
        case "gemini":
            assert sent["contents"][1]["parts"] == [{key: PARTS[1][key] for key in ("functionCall", "thoughtSignature")}]
            assert sent["contents"][2]["parts"][0]["functionResponse"]["id"] == "abc"
        case "claude":
            assert sent["messages"][1]["content"] == THINKERS[thinker][1]["content"]
        case "openrouter":
            details = sent["messages"][1]["reasoning_details"]
            assert [detail.get("data") for detail in details if detail["type"] == "reasoning.encrypted"] == ["gAAA-_8="]
            assert details[-1]["id"] == "rs_1"
        case _:
            assert sent["messages"][1]["reasoning_content"] == "Rome, then."
            assert "reasoning_details" not in sent["messages"][1]


@pytest.mark.parametrize("thinker", ["deepseek", "openrouter", "gemini"])
@pytest.mark.parametrize("model", ["anthropic/claude-opus-5-5", "by-chat/claude-opus-4-6"])
def test_claude_is_not_shown_the_thinking_of_others(messages: Theatre, thinker: str, model: str) -> None:
    sent = messages.run(lambda stage: _turn(stage, thinker, model, MESSAGE))
    (use,) = sent["messages"][1]["content"]
    assert use == {"type": "tool_use", "id": "abc" if thinker == "gemini" else "call_1", "name": "weather", "input": {"city": "Rome"}}
    assert sent["messages"][2]["content"][0]["tool_use_id"] == use["id"]
    assert "samewire" not in json.dumps(sent)


@pytest.mark.parametrize("thinker", THINKERS)
def test_strict_hosts_get_no_thinking(messages: Theatre, thinker: str) -> None:
    sent = messages.run(lambda stage: _turn(stage, thinker, "openai/gpt-5.5", COMPLETION))
    assert sent["messages"][1].keys() == {"role", "tool_calls"}
    assert sent["messages"][1]["tool_calls"][0]["id"] == sent["messages"][2]["tool_call_id"]
    assert len(sent["messages"][2]["tool_call_id"]) <= 40  # what OpenAI takes
    assert "samewire" not in json.dumps(sent)


# ── tools ──


def test_a_name_too_long_for_others_is_shortened_on_the_way_up_and_whole_again_on_the_way_down(messages: Theatre) -> None:
    name = "mcp__a_server_with_a_long_name__" + "a_tool_with_a_long_name_" * 3
    tools = [TOOL, TOOL | {"name": name}]

    def answer(asked: Any) -> Script:
        short = asked.json()["tools"][1]["function"]["name"]
        assert len(short) <= 64
        call = CALL | {"function": {"name": short, "arguments": "{}"}}
        if not asked.json().get("stream"):
            return whole(_chat(tool_calls=[call]))
        delta = {"role": "assistant", "tool_calls": [call | {"index": 0}]}
        return events({"id": "c", "model": "m", "choices": [{"index": 0, "delta": delta, "finish_reason": "tool_calls"}]})

    async def play(stage: Stage) -> list[Any]:
        host, port = stage.address
        stage.upstream.play = answer
        async with anthropic.AsyncAnthropic(base_url=f"http://{host}:{port}", api_key="any", max_retries=0) as client:
            asked: dict[str, Any] = {"model": "openai/gpt-5.5", "max_tokens": 9, "messages": [USER], "tools": tools}
            made = await client.messages.create(**asked, tool_choice={"type": "tool", "name": name})
            async with client.messages.stream(**asked) as stream:
                return [made.content[0], (await stream.get_final_message()).content[0]]

    assert [block.name for block in messages.run(play)] == [name, name]


# ── counted tokens ──

COUNT = "/v1/messages/count_tokens?beta=true"


def test_tokens_are_counted_by_who_can(messages: Theatre) -> None:
    served, sent = messages.run(lambda stage: _ask(stage, "anthropic/claude-opus-5-5", whole({"input_tokens": 14}), COUNT))
    assert served.json() == {"input_tokens": 14}
    assert "x-samewire-estimated" not in served.headers
    assert sent == ASKED | {"model": "claude-opus-5-5"}
    assert messages.stage.upstream.last.path == COUNT


@pytest.mark.parametrize("model", ["openai/gpt-5.5", "gemini/gemini-2.5-flash", "by-chat/claude-opus-4-6", "ollama/some-model"])
def test_tokens_are_guessed_elsewhere(messages: Theatre, model: str) -> None:
    long = [{"role": "user", "content": "word " * 4000}]
    served, sent = messages.run(lambda stage: _ask(stage, model, whole(COMPLETION), COUNT, messages=long))
    assert (served.status, sent) == (200, {})  # nobody was asked
    assert served.headers["x-samewire-estimated"] == "true"
    assert 5000 < served.json()["input_tokens"] < 5300


def test_media_count_by_the_piece() -> None:
    image = "QUJD" * 100_000
    body = {"messages": [{"content": [{"text": "word " * 800}, {"url": f"data:image/png;base64,{image}"}, {"data": image}]}]}
    assert 2 * MEDIA_TOKENS + 1000 <= tokens_of(json.dumps(body).encode()) < 2 * MEDIA_TOKENS + 1050


# ── failures ──

FAILURES = [
    (400, anthropic.BadRequestError, "invalid_request_error"),
    (401, anthropic.AuthenticationError, "authentication_error"),
    (403, anthropic.PermissionDeniedError, "permission_error"),
    (404, anthropic.NotFoundError, "not_found_error"),
    (413, anthropic.ContentTooLargeError, "request_too_large"),
    (429, anthropic.RateLimitError, "rate_limit_error"),
    (500, anthropic.InternalServerError, "api_error"),
    (503, anthropic.OverloadedError, "overloaded_error"),
    (504, anthropic.GatewayTimeoutError, "timeout_error"),
]


def _with_sdk(messages: Theatre, script: Script, ask: Callable[[anthropic.AsyncAnthropic], Awaitable[Any]]) -> Any:
    async def play(stage: Stage) -> Any:
        stage.upstream.answer(script)
        host, port = stage.address
        async with anthropic.AsyncAnthropic(base_url=f"http://{host}:{port}", api_key="any", max_retries=0) as client:
            return await ask(client)

    return messages.run(play)


@pytest.mark.parametrize("model", ["openai/gpt-x", "anthropic/claude-x"])
@pytest.mark.parametrize(("status", "error", "kind"), FAILURES)
def test_the_sdk_knows_failures(messages: Theatre, status: int, error: type[anthropic.APIStatusError], kind: str, model: str) -> None:
    told: dict[str, Any] = {"message": "No such luck", "type": kind}
    answered = whole({"type": "error", "error": told}, 529 if status == 503 and model.startswith("a") else status, **{"retry-after": "7"})
    asked = {"model": f"{model}-{status}-{kind}", "max_tokens": 9, "messages": [USER]}
    with pytest.raises(error) as caught:
        _with_sdk(messages, answered, lambda client: client.messages.create(**asked))  # type: ignore[call-overload]
    body = caught.value.body
    assert isinstance(body, dict)
    assert (body["type"], body["error"]["type"], body["error"]["message"]) == ("error", kind, "No such luck")
    assert body["request_id"] == caught.value.response.headers["x-request-id"]
    assert caught.value.response.headers["retry-after"] == "7"


def test_a_model_that_is_not_there(messages: Theatre) -> None:
    with pytest.raises(anthropic.NotFoundError) as caught:
        _with_sdk(messages, whole({}), lambda client: client.messages.create(model="nobody", max_tokens=9, messages=[USER]))  # type: ignore[list-item]
    assert "nobody" in str(caught.value)


START = {"type": "message_start", "message": MESSAGE | {"content": [], "stop_reason": None}}
DELTA = {"type": "content_block_delta", "index": 0, "delta": {"type": "text_delta", "text": "Hel"}}
BROKEN = {
    "openai/gpt-5.5": events({"id": "c", "model": "m", "choices": [{"index": 0, "delta": {"content": "Hel"}}]}, end="cut", done=False),
    "anthropic/claude-opus-5-5": named(
        START, {"type": "content_block_start", "index": 0, "content_block": {"type": "text", "text": ""}}, DELTA, end="cut"
    ),
}


@pytest.mark.parametrize("model", BROKEN)
def test_the_sdk_knows_a_stream_that_breaks(messages: Theatre, model: str) -> None:
    async def ask(client: anthropic.AsyncAnthropic) -> None:
        async with client.messages.stream(model=model, max_tokens=9, messages=[USER]) as stream:  # type: ignore[list-item]
            await stream.get_final_message()

    with pytest.raises(anthropic.APIStatusError) as caught:
        _with_sdk(messages, BROKEN[model], ask)
    body = caught.value.body
    assert isinstance(body, dict)
    assert (body["type"], body["error"]["type"]) == ("error", "api_error")
