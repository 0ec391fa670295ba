"""openai (Python): chat completions, embeddings, the model list."""

from __future__ import annotations

import json
from typing import Any

import openai
from pydantic import BaseModel
from scenario import (
    BOTH_TOLD,
    CITY_PARAMETERS,
    DESCRIPTIONS,
    KEY,
    NO_MODEL,
    PICTURE_URL,
    TIMEOUT,
    URL,
    WORDS,
    WRONG_KEY,
    breaks,
    holds,
    play,
    raises,
    run,
    same,
)

client = openai.OpenAI(base_url=f"{URL}/v1", api_key=KEY, max_retries=0, timeout=TIMEOUT)
TOOLS: Any = [
    {"type": "function", "function": {"name": name, "description": what, "parameters": CITY_PARAMETERS}}
    for name, what in DESCRIPTIONS.items()
]


class City(BaseModel):
    city: str
    people: int


def asking(text: str) -> list[Any]:
    return [{"role": "user", "content": text}]


@play("models")
def models(model: str) -> None:
    assert model in [one.id for one in client.models.list()]
    same(client.models.retrieve(model).id, model)


@play("chat")
def chat(model: str) -> None:
    answer = client.chat.completions.create(model=model, messages=asking("play: chat"))
    same(answer.choices[0].message.content, WORDS["text"])
    same(answer.choices[0].finish_reason, "stop")
    assert answer.usage is not None
    same(answer.usage.total_tokens, 15)


@play("stream")
def stream(model: str) -> None:
    chunks = list(
        client.chat.completions.create(model=model, messages=asking("play: chat"), stream=True, stream_options={"include_usage": True})
    )
    same("".join(choice.delta.content or "" for chunk in chunks for choice in chunk.choices), WORDS["text"])
    assert len(chunks) > 3, "it came in one piece"
    assert chunks[-1].usage is not None
    same(chunks[-1].usage.total_tokens, 15)


@play("tool")
def tool(model: str) -> None:
    answer = client.chat.completions.create(model=model, messages=asking("play: tool"), tools=TOOLS)
    same(
        [(call.function.name, json.loads(call.function.arguments)) for call in answer.choices[0].message.tool_calls or []],
        [("weather", {"city": "Seoul"})],
    )
    same(answer.choices[0].finish_reason, "tool_calls")


@play("tools")
def tools(model: str) -> None:
    with client.chat.completions.stream(model=model, messages=asking("play: tools"), tools=TOOLS) as stream:
        answer = stream.get_final_completion()
    same([call.function.name for call in answer.choices[0].message.tool_calls or []], ["weather", "time"])


@play("round trip")
def round_trip(model: str) -> None:
    messages = asking("play: tools")
    message = client.chat.completions.create(model=model, messages=messages, tools=TOOLS).choices[0].message
    messages.append(message.model_dump(exclude_none=True))
    messages += [{"role": "tool", "tool_call_id": call.id, "content": WORDS[call.function.name]} for call in message.tool_calls or []]
    holds(client.chat.completions.create(model=model, messages=messages, tools=TOOLS).choices[0].message.content, *BOTH_TOLD)


@play("structured")
def structured(model: str) -> None:
    answer = client.chat.completions.parse(model=model, messages=asking("play: structured"), response_format=City)
    same(answer.choices[0].message.parsed, City(**WORDS["city"]))


@play("vision")
def vision(model: str) -> None:
    parts = [{"type": "text", "text": "play: vision"}, {"type": "image_url", "image_url": {"url": PICTURE_URL}}]
    answer = client.chat.completions.create(model=model, messages=[{"role": "user", "content": parts}])
    same(answer.choices[0].message.content, WORDS["seen"])


@play("embeddings")
def embeddings(model: str) -> None:
    answer = client.embeddings.create(model=model, input=["one", "two"])
    same([one.embedding for one in answer.data], [WORDS["vector"]] * 2)


@play("reasoning")
def reasoning(model: str) -> None:
    answer: Any = client.chat.completions.create(model=model, messages=asking("play: reasoning"), reasoning_effort="low")
    same((answer.choices[0].message.reasoning_content, answer.choices[0].message.content), (WORDS["thought"], "4"))


@play("reasoning kept")
def reasoning_kept(model: str) -> None:
    messages = asking("play: thinking_tool")
    more: Any = {"model": model, "tools": TOOLS, "reasoning_effort": "low"}
    message = client.chat.completions.create(messages=messages, **more).choices[0].message
    messages.append(message.model_dump(exclude_none=True))
    messages += [{"role": "tool", "tool_call_id": call.id, "content": WORDS["weather"]} for call in message.tool_calls or []]
    holds(client.chat.completions.create(messages=messages, **more).choices[0].message.content, WORDS["weather"], WORDS["remembered"])


@play("401")
def unauthorized(model: str) -> None:
    error = raises(
        openai.AuthenticationError,
        lambda: client.with_options(api_key=WRONG_KEY).chat.completions.create(model=model, messages=asking("Hi")),
    )
    same(error.code, "invalid_api_key")


@play("404")
def unknown_model(model: str) -> None:
    error = raises(openai.NotFoundError, lambda: client.chat.completions.create(model=NO_MODEL, messages=asking("Hi")))
    same(error.code, "model_not_found")


@play("429")
def rate_limited(model: str) -> None:
    error = raises(openai.RateLimitError, lambda: client.chat.completions.create(model=model, messages=asking("play: error 429")))
    same(error.response.headers["retry-after"], str(WORDS["retry_after"]))
    holds(error.message, "the vendor's own 429")


@play("broken stream")
def broken(model: str) -> None:
    breaks(openai.APIError, lambda: client.chat.completions.create(model=model, messages=asking("play: cut"), stream=True))


run()
