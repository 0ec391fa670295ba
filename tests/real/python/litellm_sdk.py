"""litellm's SDK: `openai/MODEL` by chat completions, `anthropic/MODEL` by messages when the argument says so."""

from __future__ import annotations

import json
import sys
from typing import Any

import litellm
import scenario as s

MESSAGES = "messages" in sys.argv
litellm.drop_params = True
litellm.telemetry = False
PROVIDER, BASE = ("anthropic", s.URL) if MESSAGES else ("openai", f"{s.URL}/v1")
TOOLS: Any = [
    {"type": "function", "function": {"name": name, "description": what, "parameters": s.CITY_PARAMETERS}}
    for name, what in s.DESCRIPTIONS.items()
]
CITY_SCHEMA = {
    "type": "object",
    "properties": {"city": {"type": "string"}, "people": {"type": "integer"}},
    "required": ["city", "people"],
    "additionalProperties": False,
}


def ask(model: str, content: Any, **more: Any) -> Any:
    asked: Any = {"model": f"{PROVIDER}/{model}", "messages": [{"role": "user", "content": content}], "api_base": BASE, "api_key": s.KEY}
    return litellm.completion(**asked | {"max_retries": 0, "num_retries": 0, "timeout": s.TIMEOUT} | more)


def _calls(answer: Any) -> list[tuple[str, Any]]:
    return [(call.function.name, json.loads(call.function.arguments)) for call in answer.choices[0].message.tool_calls or []]


@s.play("chat")
def chat(model: str) -> None:
    answer = ask(model, "play: chat")
    s.same((answer.choices[0].message.content, answer.usage.total_tokens), (s.WORDS["text"], 15))


@s.play("stream")
def stream(model: str) -> None:
    pieces = list(ask(model, "play: chat", stream=True, stream_options={"include_usage": True}))
    answer: Any = litellm.stream_chunk_builder(pieces)
    s.same((answer.choices[0].message.content, answer.usage.total_tokens), (s.WORDS["text"], 15))


@s.play("tool")
def tool(model: str) -> None:
    s.same(_calls(ask(model, "play: tool", tools=TOOLS)), [("weather", {"city": "Seoul"})])


@s.play("tools")
def tools(model: str) -> None:
    answer = litellm.stream_chunk_builder(list(ask(model, "play: tools", tools=TOOLS, stream=True)))
    s.same(_calls(answer), [(name, {"city": "Seoul"}) for name in s.DESCRIPTIONS])


def _back(model: str, prompt: str, **more: Any) -> str:
    message = ask(model, prompt, tools=TOOLS, **more).choices[0].message
    results = [{"role": "tool", "tool_call_id": call.id, "content": s.WORDS[call.function.name]} for call in message.tool_calls]
    messages = [{"role": "user", "content": prompt}, message.model_dump(exclude_none=True), *results]
    return str(ask(model, prompt, tools=TOOLS, messages=messages, **more).choices[0].message.content)


@s.play("round trip")
def round_trip(model: str) -> None:
    s.holds(_back(model, "play: tools"), *s.BOTH_TOLD)


@s.play("structured")
def structured(model: str) -> None:
    form = {"type": "json_schema", "json_schema": {"name": "city", "schema": CITY_SCHEMA, "strict": True}}
    s.same(json.loads(ask(model, "play: structured", response_format=form).choices[0].message.content), s.WORDS["city"])


@s.play("vision")
def vision(model: str) -> None:
    parts = [{"type": "text", "text": "play: vision"}, {"type": "image_url", "image_url": {"url": s.PICTURE_URL}}]
    s.same(ask(model, parts).choices[0].message.content, s.WORDS["seen"])


if not MESSAGES:

    @s.play("embeddings")
    def embeddings(model: str) -> None:
        answer = litellm.embedding(model=f"openai/{model}", input=["one", "two"], api_base=BASE, api_key=s.KEY, encoding_format="float")
        s.same([one["embedding"] for one in answer.data], [s.WORDS["vector"]] * 2)


THINKS: Any = (
    {"thinking": {"type": "enabled", "budget_tokens": 1024}, "allowed_openai_params": ["thinking"]}
    if MESSAGES
    else {"extra_body": {"reasoning_effort": "low"}}
)


@s.play("reasoning")
def reasoning(model: str) -> None:
    message = ask(model, "play: reasoning", **THINKS).choices[0].message
    s.same((message.reasoning_content, message.content), (s.WORDS["thought"], "4"))


@s.play("reasoning kept")
def reasoning_kept(model: str) -> None:
    s.holds(_back(model, "play: thinking_tool", **THINKS), s.WEATHER_TOLD, s.WORDS["remembered"])


@s.play("401")
def unauthorized(model: str) -> None:
    s.raises(litellm.AuthenticationError, lambda: ask(model, "Hi", api_key=s.WRONG_KEY))


@s.play("404")
def unknown_model(model: str) -> None:
    s.raises(litellm.NotFoundError, lambda: ask(s.NO_MODEL, "Hi"))


@s.play("429")
def rate_limited(model: str) -> None:
    s.raises(litellm.RateLimitError, lambda: ask(model, "play: error 429"))


@s.play("broken stream")
def broken(model: str) -> None:
    s.breaks(Exception, lambda: ask(model, "play: cut", stream=True))


s.run()
