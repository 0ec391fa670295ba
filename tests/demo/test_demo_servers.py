"""The demo upstreams, read with the vendors' own SDKs: what they replay is the vendors' wire language."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from typing import Any

import aiohttp
import pytest

from proxy.demo import RunningDemos, flavours, start_demos

QUESTION = [{"role": "user", "content": "Hello!"}]
SCHEMA = {
    "type": "object",
    "properties": {"town": {"type": "string"}, "days": {"type": "integer", "minimum": 3}},
    "required": ["town", "days"],
}
ARGUMENTS = {"town": "example", "days": 3}


@pytest.fixture
async def demos() -> AsyncIterator[RunningDemos]:
    async with await start_demos(flavours(), pace=0) as running:
        yield running


def test_four_flavours_are_there() -> None:
    assert flavours() == ["claude", "deepseek", "gemini", "ollama"]


# ── Claude ──────────────────────────────────────────────────────────────────────────────────────────────────────────────────────


async def ask_claude(demos: RunningDemos, *, stream: bool, **options: Any) -> Any:
    import anthropic

    async with anthropic.AsyncAnthropic(base_url=demos.addresses["claude"], api_key="demo", max_retries=0) as client:
        options = {"model": "claude-demo-1", "max_tokens": 2000, "messages": QUESTION, **options}
        if not stream:
            return await client.messages.create(**options)
        async with client.messages.stream(**options) as events:
            return await events.get_final_message()


@pytest.mark.parametrize("stream", [False, True])
async def test_claude(demos: RunningDemos, stream: bool) -> None:
    text = await ask_claude(demos, stream=stream)
    assert [block.type for block in text.content] == ["text"]
    assert (text.model, text.stop_reason) == ("claude-demo-1", "end_turn")
    assert text.usage.output_tokens > 0

    thought = await ask_claude(demos, stream=stream, thinking={"type": "enabled", "budget_tokens": 1024})
    assert [block.type for block in thought.content] == ["thinking", "text"]
    assert thought.content[0].thinking
    assert thought.content[0].signature

    tools = [{"name": "forecast", "input_schema": SCHEMA}, {"name": "other", "input_schema": {"type": "object"}}]
    called = await ask_claude(demos, stream=stream, tools=tools)
    assert [(block.type, block.name, block.input) for block in called.content] == [("tool_use", "forecast", ARGUMENTS)]
    assert called.stop_reason == "tool_use"

    forced = await ask_claude(demos, stream=stream, tools=tools, tool_choice={"type": "tool", "name": "other"})
    assert (forced.content[0].name, forced.content[0].input) == ("other", {})
    assert forced.content[0].id != called.content[0].id

    result = {"role": "user", "content": [{"type": "tool_result", "tool_use_id": called.content[0].id, "content": "rain"}]}
    turns = [*QUESTION, {"role": "assistant", "content": [block.model_dump() for block in called.content]}, result]
    assert (await ask_claude(demos, stream=stream, tools=tools, messages=turns)).content[0].type == "text"


# ── Gemini ──────────────────────────────────────────────────────────────────────────────────────────────────────────────────────


async def ask_gemini(demos: RunningDemos, *, stream: bool, **config: Any) -> list[Any]:
    from google import genai

    client = genai.Client(api_key="demo", http_options={"base_url": demos.addresses["gemini"]})
    async with client.aio as aio:
        options: dict[str, Any] = {"model": "gemini-demo-1", "contents": "Hello!", "config": config}
        if not stream:
            return [await aio.models.generate_content(**options)]
        return [chunk async for chunk in await aio.models.generate_content_stream(**options)]


@pytest.mark.filterwarnings("ignore:Inheritance class AiohttpClientSession:DeprecationWarning")  # the SDK's own doing
@pytest.mark.parametrize("stream", [False, True])
async def test_gemini(demos: RunningDemos, stream: bool) -> None:
    def parts(chunks: list[Any]) -> list[Any]:
        return [part for chunk in chunks for part in chunk.candidates[0].content.parts]

    text = await ask_gemini(demos, stream=stream)
    assert "".join(part.text for part in parts(text))
    assert text[-1].candidates[0].finish_reason == "STOP"
    assert {chunk.model_version for chunk in text} == {"gemini-demo-1"}
    assert text[-1].usage_metadata.total_token_count > 0

    thought = await ask_gemini(demos, stream=stream, thinking_config={"include_thoughts": True})
    assert parts(thought)[0].thought is True
    assert not parts(thought)[-1].thought

    tools = [{"function_declarations": [{"name": "forecast", "parameters_json_schema": SCHEMA}, {"name": "other"}]}]
    calls = [part.function_call for part in parts(await ask_gemini(demos, stream=stream, tools=tools)) if part.function_call]
    assert [(call.name, call.args) for call in calls] == [("forecast", ARGUMENTS)]

    upper = {"type": "OBJECT", "properties": {"town": {"type": "STRING"}, "days": {"type": "INTEGER", "minimum": 3}}}
    tools = [{"function_declarations": [{"name": "forecast", "parameters": upper}]}]
    calls = [part.function_call for part in parts(await ask_gemini(demos, stream=stream, tools=tools)) if part.function_call]
    assert [(call.name, call.args) for call in calls] == [("forecast", ARGUMENTS)]


# ── DeepSeek ────────────────────────────────────────────────────────────────────────────────────────────────────────────────────


async def ask_deepseek(demos: RunningDemos, *, stream: bool, **options: Any) -> tuple[dict[str, Any], str]:
    """Message, put together again when it was streamed, and finish reason."""
    import openai

    async with openai.AsyncOpenAI(base_url=demos.addresses["deepseek"], api_key="demo", max_retries=0) as client:
        options = {"model": "deepseek-demo-1", "messages": QUESTION, **options}
        if not stream:
            answer = await client.chat.completions.create(**options)
            assert answer.model == "deepseek-demo-1"
            return answer.choices[0].message.model_dump(exclude_none=True), answer.choices[0].finish_reason
        message: dict[str, Any] = {"content": "", "reasoning_content": "", "tool_calls": []}
        reason = ""
        async for chunk in await client.chat.completions.create(**options, stream=True):
            assert chunk.model == "deepseek-demo-1"
            delta = chunk.choices[0].delta.model_dump(exclude_none=True)
            message["content"] += delta.get("content", "")
            message["reasoning_content"] += delta.get("reasoning_content", "")
            for call in delta.get("tool_calls", []):
                if "id" in call:
                    message["tool_calls"].append(call)
                else:
                    message["tool_calls"][call["index"]]["function"]["arguments"] += call["function"]["arguments"]
            reason = chunk.choices[0].finish_reason or reason
        return message, reason


@pytest.mark.parametrize("stream", [False, True])
async def test_deepseek(demos: RunningDemos, stream: bool) -> None:
    message, reason = await ask_deepseek(demos, stream=stream)
    assert message["content"]
    assert not message.get("reasoning_content")
    assert reason == "stop"

    message, _ = await ask_deepseek(demos, stream=stream, reasoning_effort="low")
    assert message["content"]
    assert message["reasoning_content"]

    tools = [{"type": "function", "function": {"name": "forecast", "parameters": SCHEMA}}]
    message, reason = await ask_deepseek(demos, stream=stream, tools=tools)
    (call,) = message["tool_calls"]
    assert (call["function"]["name"], json.loads(call["function"]["arguments"])) == ("forecast", ARGUMENTS)
    assert reason == "tool_calls"

    message, _ = await ask_deepseek(demos, stream=stream, tools=tools, tool_choice="none")
    assert message["content"]


# ── Ollama, read by hand ────────────────────────────────────────────────────────────────────────────────────────────────────────


async def post(url: str, body: object) -> tuple[int, str, bytes]:
    async with aiohttp.ClientSession() as session, session.post(url, json=body) as response:
        return response.status, response.headers["Content-Type"], await response.read()


async def ask_ollama(demos: RunningDemos, stream: bool, **options: Any) -> list[dict[str, Any]]:
    body = {"model": "llama-demo", "messages": QUESTION, "stream": stream, **options}
    status, kind, answer = await post(demos.addresses["ollama"] + "/api/chat", body)
    assert status == 200
    assert kind.startswith("application/x-ndjson" if stream else "application/json")
    lines = [json.loads(line) for line in answer.splitlines()]
    assert [line["done"] for line in lines] == [False] * (len(lines) - 1) + [True]
    assert {line["model"] for line in lines} == {"llama-demo"}
    return [line["message"] for line in lines]


@pytest.mark.parametrize("stream", [False, True])
async def test_ollama(demos: RunningDemos, stream: bool) -> None:
    text = await ask_ollama(demos, stream)
    assert "".join(message["content"] for message in text)
    assert (len(text) > 1) == stream

    thought = await ask_ollama(demos, stream, think=True)
    assert "".join(message.get("thinking", "") for message in thought)
    assert "".join(message["content"] for message in thought)

    tools = [{"type": "function", "function": {"name": "forecast", "parameters": SCHEMA}}]
    calls = [call for message in await ask_ollama(demos, stream, tools=tools) for call in message.get("tool_calls", [])]
    assert calls == [{"function": {"name": "forecast", "arguments": ARGUMENTS}}]


# ── Faults ──────────────────────────────────────────────────────────────────────────────────────────────────────────────────────

PATHS = {
    "claude": "/v1/messages",
    "deepseek": "/chat/completions",
    "gemini": "/v1beta/models/demo-cut:streamGenerateContent?alt=sse",
    "ollama": "/api/chat",
}


@pytest.mark.parametrize("flavour", flavours())
@pytest.mark.parametrize("stream", [False, True])
async def test_a_model_that_ends_in_cut_breaks_off_in_the_middle(demos: RunningDemos, flavour: str, stream: bool) -> None:
    host, port = demos.addresses[flavour].removeprefix("http://").split(":")
    path = PATHS[flavour] if stream else PATHS[flavour].replace("streamGenerate", "generate")
    body = json.dumps({"model": "demo-cut", "stream": stream, "messages": QUESTION}).encode()
    reader, writer = await asyncio.open_connection(host, int(port))
    writer.write(b"POST %b HTTP/1.1\r\nHost: demo\r\nContent-Length: %d\r\n\r\n%b" % (path.encode(), len(body), body))
    answer = await asyncio.wait_for(reader.read(), 10)
    writer.close()
    head, _, sent = answer.partition(b"\r\n\r\n")
    assert head.startswith(b"HTTP/1.1 200")
    assert sent
    if b"Transfer-Encoding: chunked" in head:
        assert not sent.endswith(b"0\r\n\r\n")
    else:
        length = next(int(line.split(b":")[1]) for line in head.splitlines() if line.lower().startswith(b"content-length"))
        assert len(sent) < length


@pytest.mark.parametrize("flavour", flavours())
async def test_what_it_does_not_serve_is_refused_in_the_vendors_shape(demos: RunningDemos, flavour: str) -> None:
    status, _, body = await post(demos.addresses[flavour] + "/nowhere", {})
    assert status == 404
    assert "/nowhere" in json.dumps(json.loads(body)["error"])
    status, _, body = await post(demos.addresses[flavour] + PATHS[flavour], [])
    assert status == 400
    assert "error" in json.loads(body)


async def test_an_unknown_flavour_is_an_error() -> None:
    with pytest.raises(KeyError, match="chocolate"):
        await start_demos(["chocolate"])


async def test_closing_breaks_what_is_still_being_sent() -> None:
    demos = await start_demos(["ollama"])
    async with aiohttp.ClientSession() as session, session.post(demos.addresses["ollama"] + PATHS["ollama"], json={}) as response:
        assert await response.content.readline()
        await asyncio.wait_for(demos.close(), 10)
        with pytest.raises(aiohttp.ClientPayloadError):
            await asyncio.wait_for(response.read(), 10)
