"""instructor: answers as pydantic models, by tools and by JSON Schema, in parts and several at once."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import instructor
import openai
import scenario as s
from instructor.core import InstructorRetryException
from pydantic import BaseModel

Mode = instructor.Mode


class City(BaseModel):
    """A city and how many live there."""

    city: str
    people: int


class weather(BaseModel):  # the tool is called like its class
    """The weather in a city."""

    city: str


class time(BaseModel):  # the tool is called like its class
    """The time in a city."""

    city: str


def ask(model: str, prompt: str, shape: Any, mode: Any = Mode.TOOLS, key: str = s.KEY) -> Any:
    client = openai.OpenAI(base_url=f"{s.URL}/v1", api_key=key, max_retries=0, timeout=s.TIMEOUT)
    return instructor.from_openai(client, mode=mode).create(
        model=model, messages=[{"role": "user", "content": prompt}], response_model=shape, max_retries=0
    )


@s.play("chat")
def chat(model: str) -> None:
    s.same(ask(model, "play: chat", None).choices[0].message.content, s.WORDS["text"])


@s.play("structured")
def structured(model: str) -> None:
    for mode in (Mode.TOOLS, Mode.JSON_SCHEMA, Mode.JSON, Mode.MD_JSON):
        s.same(ask(model, "play: structured", City, mode).model_dump(), s.WORDS["city"])


@s.play("stream")
def stream(model: str) -> None:
    client = instructor.from_openai(openai.OpenAI(base_url=f"{s.URL}/v1", api_key=s.KEY, max_retries=0))
    pieces = list(client.create_partial(model=model, messages=[{"role": "user", "content": "play: structured"}], response_model=City))
    s.same(pieces[-1].model_dump(), s.WORDS["city"])


@s.play("tools")
def tools(model: str) -> None:
    found = list(ask(model, "play: tools", Iterable[weather | time], Mode.PARALLEL_TOOLS))
    s.same([type(one).__name__ for one in found], ["weather", "time"])


@s.play("vision")
def vision(model: str) -> None:
    client = instructor.from_openai(openai.OpenAI(base_url=f"{s.URL}/v1", api_key=s.KEY, max_retries=0))
    content = ["play: vision", instructor.Image.from_base64(s.PICTURE_URL)]
    answer: Any = client.create(model=model, messages=[{"role": "user", "content": content}], response_model=None)
    s.same(answer.choices[0].message.content, s.WORDS["seen"])


KINDS = (openai.APIStatusError, InstructorRetryException)


@s.play("401")
def unauthorized(model: str) -> None:
    s.holds(s.raises(KINDS, lambda: ask(model, "Hi", City, key=s.WRONG_KEY)), "invalid_api_key")


@s.play("404")
def unknown_model(model: str) -> None:
    s.holds(s.raises(KINDS, lambda: ask(s.NO_MODEL, "Hi", City)), "model_not_found")


@s.play("429")
def rate_limited(model: str) -> None:
    s.holds(s.raises(KINDS, lambda: ask(model, "play: error 429", City)), "the vendor's own 429")


s.run()
