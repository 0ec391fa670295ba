"""OpenAI Agents SDK: by responses, its default, or by chat completions when the argument says so."""

from __future__ import annotations

import asyncio
import sys
from typing import Any

import openai
import scenario as s
from agents import Agent, ModelSettings, OpenAIChatCompletionsModel, OpenAIResponsesModel, Runner, function_tool, set_tracing_disabled
from openai.types.shared import Reasoning
from pydantic import BaseModel

CHAT = "chat" in sys.argv
set_tracing_disabled(True)  # it would tell OpenAI of each run


class City(BaseModel):
    """A city and how many live there."""

    city: str
    people: int


@function_tool
def weather(city: str) -> str:
    """The weather in a city."""
    return str(s.WORDS["weather"])


@function_tool
def time(city: str) -> str:
    """The time in a city."""
    return str(s.WORDS["time"])


def agent(model: str, key: str = s.KEY, **more: Any) -> Agent[Any]:
    client = openai.AsyncOpenAI(base_url=f"{s.URL}/v1", api_key=key, max_retries=0, timeout=s.TIMEOUT)
    kind = OpenAIChatCompletionsModel if CHAT else OpenAIResponsesModel
    return Agent(name="Assistant", instructions="Be brief.", model=kind(model=model, openai_client=client), **more)


def ask(model: str, prompt: Any, key: str = s.KEY, **more: Any) -> Any:
    return asyncio.run(Runner.run(agent(model, key, **more), prompt, max_turns=3))


async def _streamed(model: str, prompt: str) -> tuple[str, Any]:
    running = Runner.run_streamed(agent(model), prompt)
    pieces = []
    async for event in running.stream_events():
        if event.type == "raw_response_event" and event.data.type == "response.output_text.delta":
            pieces.append(event.data.delta)
    return "".join(pieces), running.final_output


def _called(answer: Any) -> list[str]:
    return [item.raw_item.name for item in answer.new_items if item.type == "tool_call_item"]


@s.play("chat")
def chat(model: str) -> None:
    answer = ask(model, "play: chat")
    s.same((answer.final_output, answer.raw_responses[-1].usage.total_tokens), (s.WORDS["text"], 15))


@s.play("stream")
def stream(model: str) -> None:
    s.same(asyncio.run(_streamed(model, "play: chat")), (s.WORDS["text"], s.WORDS["text"]))


@s.play("tool")
def tool(model: str) -> None:
    s.same(_called(ask(model, "play: tool", tools=[weather, time])), ["weather"])


@s.play("tools")
def tools(model: str) -> None:
    s.same(_called(ask(model, "play: tools", tools=[weather, time])), ["weather", "time"])


@s.play("round trip")
def round_trip(model: str) -> None:
    s.holds(ask(model, "play: tools", tools=[weather, time]).final_output, *s.BOTH_TOLD)


@s.play("structured")
def structured(model: str) -> None:
    s.same(ask(model, "play: structured", output_type=City).final_output, City(**s.WORDS["city"]))


@s.play("vision")
def vision(model: str) -> None:
    parts = [{"type": "input_text", "text": "play: vision"}, {"type": "input_image", "image_url": s.PICTURE_URL, "detail": "auto"}]
    s.same(ask(model, [{"role": "user", "content": parts}]).final_output, s.WORDS["seen"])


THINKS = ModelSettings(reasoning=Reasoning(effort="low", summary=None if CHAT else "auto"))
SEALED = ModelSettings(reasoning=Reasoning(effort="low"), store=False, response_include=["reasoning.encrypted_content"])


@s.play("reasoning")
def reasoning(model: str) -> None:
    answer = ask(model, "play: reasoning", model_settings=THINKS)
    items = [item.raw_item for item in answer.new_items if item.type == "reasoning_item"]
    thoughts = [part.text for item in items for part in (item.summary or item.content or [])]
    s.same((thoughts, answer.final_output), ([s.WORDS["thought"]], "4"))


@s.play("reasoning kept")
def reasoning_kept(model: str) -> None:
    answer = ask(model, "play: thinking_tool", tools=[weather], model_settings=THINKS if CHAT else SEALED)
    s.holds(answer.final_output, s.WEATHER_TOLD, s.WORDS["remembered"])


@s.play("401")
def unauthorized(model: str) -> None:
    s.same(s.raises(openai.AuthenticationError, lambda: ask(model, "Hi", s.WRONG_KEY)).code, "invalid_api_key")


@s.play("404")
def unknown_model(model: str) -> None:
    s.same(s.raises(openai.NotFoundError, lambda: ask(s.NO_MODEL, "Hi")).code, "model_not_found")


@s.play("429")
def rate_limited(model: str) -> None:
    error = s.raises(openai.RateLimitError, lambda: ask(model, "play: error 429"))
    s.same(error.response.headers["retry-after"], str(s.WORDS["retry_after"]))


@s.play("broken stream")
def broken(model: str) -> None:
    s.raises(Exception, lambda: asyncio.run(_streamed(model, "play: cut")))


s.run()
