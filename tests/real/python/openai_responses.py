"""openai (Python): responses."""

from __future__ import annotations

import json
from collections.abc import Iterator
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
TOOLS: Any = [{"type": "function", "name": name, "description": what, "parameters": CITY_PARAMETERS} for name, what in DESCRIPTIONS.items()]


class City(BaseModel):
    city: str
    people: int


@play("chat")
def chat(model: str) -> None:
    answer = client.responses.create(model=model, input="play: chat", instructions="Be brief.", store=False)
    same((answer.output_text, answer.status), (WORDS["text"], "completed"))
    assert answer.usage is not None
    same(answer.usage.total_tokens, 15)


@play("stream")
def stream(model: str) -> None:
    with client.responses.stream(model=model, input="play: chat") as stream:
        pieces = [event.delta for event in stream if event.type == "response.output_text.delta"]
        answer = stream.get_final_response()
    same(("".join(pieces), answer.output_text), (WORDS["text"], WORDS["text"]))
    assert len(pieces) > 1, "it came in one piece"


@play("tool")
def tool(model: str) -> None:
    answer = client.responses.create(model=model, input="play: tool", tools=TOOLS)
    calls = [item for item in answer.output if item.type == "function_call"]
    same([(call.name, json.loads(call.arguments)) for call in calls], [("weather", {"city": "Seoul"})])


@play("tools")
def tools(model: str) -> None:
    with client.responses.stream(model=model, input="play: tools", tools=TOOLS) as stream:
        answer = stream.get_final_response()
    same([item.name for item in answer.output if item.type == "function_call"], ["weather", "time"])


def _back(model: str, prompt: str, **more: Any) -> str:
    """A tool loop as OpenAI's guide has it: the whole output goes back, with the results after it."""
    turns: list[Any] = [{"role": "user", "content": prompt}]
    answer = client.responses.create(model=model, input=turns, tools=TOOLS, store=False, **more)
    turns += [item.model_dump(exclude_none=True) for item in answer.output]
    turns += [
        {"type": "function_call_output", "call_id": item.call_id, "output": WORDS[item.name]}
        for item in answer.output
        if item.type == "function_call"
    ]
    return client.responses.create(model=model, input=turns, tools=TOOLS, store=False, **more).output_text


@play("round trip")
def round_trip(model: str) -> None:
    holds(_back(model, "play: tools"), *BOTH_TOLD)


@play("structured")
def structured(model: str) -> None:
    same(client.responses.parse(model=model, input="play: structured", text_format=City).output_parsed, City(**WORDS["city"]))


@play("vision")
def vision(model: str) -> None:
    parts: Any = [{"type": "input_text", "text": "play: vision"}, {"type": "input_image", "image_url": PICTURE_URL, "detail": "auto"}]
    same(client.responses.create(model=model, input=[{"role": "user", "content": parts}]).output_text, WORDS["seen"])


@play("reasoning")
def reasoning(model: str) -> None:
    answer = client.responses.create(model=model, input="play: reasoning", reasoning={"effort": "low", "summary": "auto"})
    thoughts = [part.text for item in answer.output if item.type == "reasoning" for part in item.summary]
    same((thoughts, answer.output_text), ([WORDS["thought"]], "4"))


@play("reasoning kept")
def reasoning_kept(model: str) -> None:
    holds(
        _back(model, "play: thinking_tool", reasoning={"effort": "low"}, include=["reasoning.encrypted_content"]),
        WORDS["weather"],
        WORDS["remembered"],
    )


@play("401")
def unauthorized(model: str) -> None:
    stranger = client.with_options(api_key=WRONG_KEY)
    same(raises(openai.AuthenticationError, lambda: stranger.responses.create(model=model, input="Hi")).code, "invalid_api_key")


@play("404")
def unknown_model(model: str) -> None:
    same(raises(openai.NotFoundError, lambda: client.responses.create(model=NO_MODEL, input="Hi")).code, "model_not_found")


@play("429")
def rate_limited(model: str) -> None:
    error = raises(openai.RateLimitError, lambda: client.responses.create(model=model, input="play: error 429"))
    same(error.response.headers["retry-after"], str(WORDS["retry_after"]))


@play("broken stream")
def broken(model: str) -> None:
    def pieces() -> Iterator[Any]:
        with client.responses.stream(model=model, input="play: cut") as stream:
            yield from stream
            stream.get_final_response()

    breaks((openai.APIError, RuntimeError), pieces)


run()
