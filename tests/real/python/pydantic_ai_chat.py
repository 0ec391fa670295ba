"""pydantic-ai: OpenAIChatModel, or OpenAIResponsesModel when the argument says so."""

from __future__ import annotations

import asyncio
import base64
import sys
from typing import Any

import openai
import scenario as s
from pydantic import BaseModel
from pydantic_ai import Agent, BinaryContent, ModelHTTPError, NativeOutput, ToolOutput
from pydantic_ai.messages import ThinkingPart, ToolCallPart
from pydantic_ai.models.openai import OpenAIChatModel, OpenAIResponsesModel
from pydantic_ai.profiles.openai import OpenAIModelProfile
from pydantic_ai.providers.openai import OpenAIProvider

RESPONSES = "responses" in sys.argv


class City(BaseModel):
    """A city and how many live there."""

    city: str
    people: int


def weather(city: str) -> str:
    """The weather in a city."""
    return str(s.WORDS["weather"])


def time(city: str) -> str:
    """The time in a city."""
    return str(s.WORDS["time"])


def agent(model: str, key: str = s.KEY, **more: Any) -> Agent[None, Any]:
    client = openai.AsyncOpenAI(base_url=f"{s.URL}/v1", api_key=key, max_retries=0, timeout=s.TIMEOUT)
    provider = OpenAIProvider(openai_client=client)
    if not RESPONSES:
        return Agent(OpenAIChatModel(model, provider=provider), **more)
    sealed = OpenAIModelProfile(openai_supports_encrypted_reasoning_content=True)  # which it knows of OpenAI's own names
    return Agent(OpenAIResponsesModel(model, provider=provider, profile=sealed), **more)


@s.play("chat")
def chat(model: str) -> None:
    answer = agent(model, instructions="Be brief.").run_sync("play: chat")
    s.same(answer.output, s.WORDS["text"])
    s.same(answer.usage.output_tokens if not callable(answer.usage) else answer.usage().output_tokens, 5)


async def _streamed(model: str, prompt: str) -> list[str]:
    pieces = []
    async with agent(model).run_stream(prompt) as answer:
        async for piece in answer.stream_text(delta=True, debounce_by=None):
            pieces.append(piece)
    return pieces


@s.play("stream")
def stream(model: str) -> None:
    pieces = asyncio.run(_streamed(model, "play: chat"))
    s.same("".join(pieces), s.WORDS["text"])
    assert len(pieces) > 1, "it came in one piece"


def _called(answer: Any) -> list[str]:
    return [part.tool_name for message in answer.all_messages() for part in message.parts if isinstance(part, ToolCallPart)]


@s.play("tool")
def tool(model: str) -> None:
    answer = agent(model, tools=[weather, time]).run_sync("play: tool")
    s.same(_called(answer), ["weather"])
    s.holds(answer.output, s.WEATHER_TOLD)


@s.play("tools")
def tools(model: str) -> None:
    s.same(_called(agent(model, tools=[weather, time]).run_sync("play: tools")), ["weather", "time"])


@s.play("round trip")
def round_trip(model: str) -> None:
    s.holds(agent(model, tools=[weather, time]).run_sync("play: tools").output, *s.BOTH_TOLD)


@s.play("structured")
def structured(model: str) -> None:
    for output in (NativeOutput(City), ToolOutput(City)):
        s.same(agent(model, output_type=output).run_sync("play: structured").output, City(**s.WORDS["city"]))


@s.play("vision")
def vision(model: str) -> None:
    picture = BinaryContent(base64.b64decode(s.WORDS["picture"]), media_type="image/png")
    s.same(agent(model).run_sync(["play: vision", picture]).output, s.WORDS["seen"])


THINKS: Any = {"openai_reasoning_effort": "low"} | ({"openai_reasoning_summary": "auto"} if RESPONSES else {})


@s.play("reasoning")
def reasoning(model: str) -> None:
    answer = agent(model, model_settings=THINKS).run_sync("play: reasoning")
    thoughts = [part.content for message in answer.all_messages() for part in message.parts if isinstance(part, ThinkingPart)]
    s.same((thoughts, answer.output), ([s.WORDS["thought"]], "4"))


@s.play("reasoning kept")
def reasoning_kept(model: str) -> None:
    answer = agent(model, tools=[weather], model_settings=THINKS).run_sync("play: thinking_tool")
    s.holds(answer.output, s.WEATHER_TOLD, s.WORDS["remembered"])


@s.play("401")
def unauthorized(model: str) -> None:
    s.same(s.raises(ModelHTTPError, lambda: agent(model, s.WRONG_KEY).run_sync("Hi")).status_code, 401)


@s.play("404")
def unknown_model(model: str) -> None:
    s.same(s.raises(ModelHTTPError, lambda: agent(s.NO_MODEL).run_sync("Hi")).status_code, 404)


@s.play("429")
def rate_limited(model: str) -> None:
    error = s.raises(ModelHTTPError, lambda: agent(model).run_sync("play: error 429"))
    s.same((error.status_code, error.__cause__.response.headers["retry-after"]), (429, str(s.WORDS["retry_after"])))


@s.play("broken stream")
def broken(model: str) -> None:
    s.raises(Exception, lambda: asyncio.run(_streamed(model, "play: cut")))


s.run()
