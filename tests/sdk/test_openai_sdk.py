"""The real `openai` Python SDK against the running gateway, for every dialect."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import openai
import pytest
from openai import AsyncOpenAI
from pydantic import BaseModel

from tests.stage import scenes
from tests.stage.fixtures import Play
from tests.stage.gateway import PROVIDERS
from tests.stage.scenes import CALLS, PNG, TOOLS
from tests.stage.upstream import whole
from tests.stage.wires import (
    say,
)

pytestmark = pytest.mark.asyncio(loop_scope="session")

USER: Any = {"role": "user", "content": "Hi"}
NEAR = ("openai", "deepseek", "mistral")


@pytest.mark.parametrize("provider", PROVIDERS)
async def test_chat(play: Play, client: AsyncOpenAI, provider: str) -> None:
    play.upstream.answer(scenes.answer(provider, "Hello"))
    answer = await client.chat.completions.create(model=f"{provider}/m", messages=[USER])
    assert answer.choices[0].message.content == "Hello"
    assert answer.choices[0].finish_reason == "stop"
    assert answer.model == f"{provider}/m"
    assert answer.usage is not None
    assert answer.usage.total_tokens == 15


@pytest.mark.parametrize("provider", PROVIDERS)
async def test_stream(play: Play, client: AsyncOpenAI, provider: str) -> None:
    play.upstream.answer(say(provider, "Hello you"))
    stream = await client.chat.completions.create(
        model=f"{provider}/m", messages=[USER], stream=True, stream_options={"include_usage": True}
    )
    chunks = [chunk async for chunk in stream]
    assert "".join(choice.delta.content or "" for chunk in chunks for choice in chunk.choices) == "Hello you"
    assert [choice.finish_reason for chunk in chunks for choice in chunk.choices if choice.finish_reason] == ["stop"]
    assert [chunk.usage.total_tokens for chunk in chunks if chunk.usage] == [15]
    assert len({chunk.id for chunk in chunks}) == 1


@pytest.mark.parametrize("provider", PROVIDERS)
async def test_the_streaming_helper_gathers_it_all(play: Play, client: AsyncOpenAI, provider: str) -> None:
    play.upstream.answer(scenes.calls(provider, streamed=True))
    async with client.chat.completions.stream(model=f"{provider}/m", messages=[USER], tools=TOOLS) as stream:
        seen = [event.type async for event in stream]
        answer = await stream.get_final_completion()
    calls = answer.choices[0].message.tool_calls or []
    assert [(call.function.name, json.loads(call.function.arguments)) for call in calls] == CALLS
    assert answer.choices[0].finish_reason == "tool_calls"
    assert seen.count("tool_calls.function.arguments.done") == 2


@pytest.mark.parametrize("streamed", [True, False])
@pytest.mark.parametrize("provider", PROVIDERS)
async def test_parallel_tools_and_back(play: Play, client: AsyncOpenAI, provider: str, streamed: bool) -> None:
    play.upstream.answer(
        scenes.calls(provider, streamed), say(provider, "Sunny, noon.") if streamed else scenes.answer(provider, "Sunny, noon.")
    )
    messages: list[Any] = [USER]
    if streamed:
        async with client.chat.completions.stream(model=f"{provider}/m", messages=messages, tools=TOOLS) as stream:
            message: Any = (await stream.get_final_completion()).choices[0].message
    else:
        message = (await client.chat.completions.create(model=f"{provider}/m", messages=messages, tools=TOOLS)).choices[0].message
    assert [(call.function.name, json.loads(call.function.arguments)) for call in message.tool_calls] == CALLS
    messages.append(message.model_dump(exclude_none=True))
    messages += [{"role": "tool", "tool_call_id": call.id, "content": f"result of {call.function.name}"} for call in message.tool_calls]
    answer: Any = await client.chat.completions.create(model=f"{provider}/m", messages=messages, tools=TOOLS, stream=streamed)
    if streamed:
        text = "".join([choice.delta.content or "" async for chunk in answer for choice in chunk.choices])
    else:
        text = answer.choices[0].message.content
    assert text == "Sunny, noon."
    sent = json.dumps(play.sent())
    assert sent.index("result of weather") < sent.index("result of time")


class Place(BaseModel):
    """What a structured answer holds."""

    city: str
    people: int


@pytest.mark.parametrize("provider", PROVIDERS)
async def test_structured_output(play: Play, client: AsyncOpenAI, provider: str) -> None:
    play.upstream.answer(scenes.answer(provider, '{"city": "Seoul", "people": 9600000}'))
    answer = await client.chat.completions.parse(model=f"{provider}/m", messages=[USER], response_format=Place)
    assert answer.choices[0].message.parsed == Place(city="Seoul", people=9600000)
    if provider != "deepseek":  # which has no schemas, and says so in a header
        assert '"people"' in json.dumps(play.sent())


@pytest.mark.parametrize("provider", [name for name in PROVIDERS if name != "deepseek"])
async def test_vision(play: Play, client: AsyncOpenAI, provider: str) -> None:
    play.upstream.answer(scenes.answer(provider, "A cat."))
    parts: Any = [{"type": "text", "text": "What is it?"}, {"type": "image_url", "image_url": {"url": f"data:image/png;base64,{PNG}"}}]
    answer = await client.chat.completions.create(model=f"{provider}/m", messages=[{"role": "user", "content": parts}])
    assert answer.choices[0].message.content == "A cat."
    assert PNG in json.dumps(play.sent())


@pytest.mark.parametrize("streamed", [True, False])
@pytest.mark.parametrize("provider", PROVIDERS)
async def test_reasoning(play: Play, client: AsyncOpenAI, provider: str, streamed: bool) -> None:
    play.upstream.answer(scenes.thinks(provider, streamed))
    answer: Any = await client.chat.completions.create(model=f"{provider}/m", messages=[USER], reasoning_effort="low", stream=streamed)
    if streamed:
        deltas = [choice.delta async for chunk in answer for choice in chunk.choices]
        thought = "".join(getattr(delta, "reasoning_content", None) or "" for delta in deltas)
        text = "".join(delta.content or "" for delta in deltas)
    else:
        thought, text = answer.choices[0].message.reasoning_content, answer.choices[0].message.content
    assert (thought, text) == ("Let me see.", "4")


# ── errors ──


def _refusal(provider: str, message: str, kind: str) -> Any:
    match provider:
        case "anthropic":
            return {"type": "error", "error": {"type": kind, "message": message}}
        case "gemini":
            return {"error": {"code": 400, "message": message, "status": "X"}}
        case "ollama":
            return {"error": message}
        case "mistral":
            return {"object": "error", "message": message, "type": kind, "param": None, "code": "1"}
    return {"error": {"message": message, "type": kind, "param": None, "code": kind}}


STATUSES: list[tuple[int, type[openai.APIStatusError]]] = [
    (400, openai.BadRequestError),
    (401, openai.AuthenticationError),
    (403, openai.PermissionDeniedError),
    (404, openai.NotFoundError),
    (429, openai.RateLimitError),
    (500, openai.InternalServerError),
]


@pytest.mark.parametrize("streamed", [True, False])
@pytest.mark.parametrize(("status", "kind"), STATUSES)
@pytest.mark.parametrize("provider", PROVIDERS)
async def test_errors_raise_their_own_kind(
    play: Play, client: AsyncOpenAI, provider: str, status: int, kind: type[openai.APIStatusError], streamed: bool
) -> None:
    play.upstream.answer(whole(_refusal(provider, "No way", "some_error"), status, **{"retry-after": "7"}))
    with pytest.raises(kind) as raised:
        await client.chat.completions.create(model=f"{provider}/m", messages=[USER], stream=streamed)
    assert "No way" in raised.value.message
    assert raised.value.response.headers["retry-after"] == "7"
    assert raised.value.request_id


async def test_an_unknown_model_raises_not_found(client: AsyncOpenAI) -> None:
    with pytest.raises(openai.NotFoundError) as raised:
        await client.chat.completions.create(model="nobody", messages=[USER])
    assert raised.value.code == "model_not_found"


@pytest.mark.parametrize("end", ["cut", "whole"])
@pytest.mark.parametrize("provider", PROVIDERS)
async def test_a_stream_that_breaks_raises(play: Play, client: AsyncOpenAI, provider: str, end: Any) -> None:
    full = say(provider, "Hello you", end=end)
    play.upstream.answer(replace(full, pieces=list(full.pieces)[: 5 if provider == "anthropic" else 2]))
    stream = await client.chat.completions.create(model=f"{provider}/m", messages=[USER], stream=True)
    with pytest.raises(openai.APIError):
        async for _ in stream:
            pass


async def test_retry_after_is_obeyed(play: Play) -> None:
    """The SDK's own retries read the header that the gateway kept."""
    host, port = play.address
    busy = whole(_refusal("anthropic", "Slow down", "rate_limit_error"), 429, **{"retry-after-ms": "1"})
    play.upstream.answer(busy, scenes.answer("anthropic", "Hello"))
    async with openai.AsyncOpenAI(base_url=f"http://{host}:{port}/v1", api_key="any", max_retries=1) as patient:
        answer = await patient.chat.completions.create(model="anthropic/m", messages=[USER])
    assert answer.choices[0].message.content == "Hello"
    assert len(play.upstream.asked) == 2


# ── around chat ──


async def test_models(client: AsyncOpenAI) -> None:
    names = [model.id async for model in client.models.list()]
    assert isinstance(names, list)


@pytest.mark.parametrize("base", ["", "/v1", "/v1/", "//v1", "/v1//"])
async def test_any_base_url(play: Play, base: str) -> None:
    host, port = play.address
    play.upstream.answer(scenes.answer("anthropic", "Hello"))
    async with openai.AsyncOpenAI(base_url=f"http://{host}:{port}{base}", api_key="any", max_retries=0) as client:
        answer = await client.chat.completions.create(model="anthropic/m", messages=[USER])
    assert answer.choices[0].message.content == "Hello"
