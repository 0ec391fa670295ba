"""ollama (Python): chat, generate, the model list."""

from __future__ import annotations

from typing import Any

import ollama
from pydantic import BaseModel
from scenario import (
    BOTH_TOLD,
    CITY_PARAMETERS,
    DESCRIPTIONS,
    KEY,
    NO_MODEL,
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


def _client(key: str) -> ollama.Client:
    return ollama.Client(host=URL, timeout=TIMEOUT, headers={"Authorization": f"Bearer {key}"})


client = _client(KEY)
TOOLS: Any = [
    {"type": "function", "function": {"name": name, "description": what, "parameters": CITY_PARAMETERS}}
    for name, what in DESCRIPTIONS.items()
]


class City(BaseModel):
    city: str
    people: int


def asking(text: str, **more: Any) -> list[Any]:
    return [{"role": "user", "content": text, **more}]


@play("models")
def models(model: str) -> None:
    assert any(str(one.model).removesuffix(":latest") == model for one in client.list().models), client.list()
    client.show(model)


@play("chat")
def chat(model: str) -> None:
    answer = client.chat(model, asking("play: chat"))
    same((answer.message.content, answer.done, answer.done_reason, answer.eval_count), (WORDS["text"], True, "stop", 5))
    same(client.generate(model, "play: chat").response, WORDS["text"])


@play("stream")
def stream(model: str) -> None:
    pieces = list(client.chat(model, asking("play: chat"), stream=True))
    same("".join(piece.message.content or "" for piece in pieces), WORDS["text"])
    assert len(pieces) > 2, "it came in one piece"
    same([piece.done_reason for piece in pieces if piece.done], ["stop"])


@play("tool")
def tool(model: str) -> None:
    calls = client.chat(model, asking("play: tool"), tools=TOOLS).message.tool_calls or []
    same([(call.function.name, call.function.arguments) for call in calls], [("weather", {"city": "Seoul"})])


@play("tools")
def tools(model: str) -> None:
    pieces = client.chat(model, asking("play: tools"), tools=TOOLS, stream=True)
    same([call.function.name for piece in pieces for call in piece.message.tool_calls or []], ["weather", "time"])


def _back(model: str, prompt: str, **more: Any) -> str | None:
    messages = asking(prompt)
    message = client.chat(model, messages, tools=TOOLS, **more).message
    messages.append(message)
    for call in message.tool_calls or []:
        messages.append({"role": "tool", "tool_name": call.function.name, "content": WORDS[call.function.name]})
    return client.chat(model, messages, tools=TOOLS, **more).message.content


@play("round trip")
def round_trip(model: str) -> None:
    holds(_back(model, "play: tools"), *BOTH_TOLD)


@play("structured")
def structured(model: str) -> None:
    answer = client.chat(model, asking("play: structured"), format=City.model_json_schema())
    same(City.model_validate_json(answer.message.content or ""), City(**WORDS["city"]))


@play("vision")
def vision(model: str) -> None:
    same(client.chat(model, asking("play: vision", images=[WORDS["picture"]])).message.content, WORDS["seen"])


@play("embeddings")
def embeddings(model: str) -> None:
    same([list(one) for one in client.embed(model, ["one", "two"]).embeddings], [WORDS["vector"]] * 2)


@play("reasoning")
def reasoning(model: str) -> None:
    message = client.chat(model, asking("play: reasoning"), think=True).message
    same((message.thinking, message.content), (WORDS["thought"], "4"))


@play("401")
def unauthorized(model: str) -> None:
    same(raises(ollama.ResponseError, lambda: _client(WRONG_KEY).chat(model, asking("Hi"))).status_code, 401)


@play("404")
def unknown_model(model: str) -> None:
    same(raises(ollama.ResponseError, lambda: client.chat(NO_MODEL, asking("Hi"))).status_code, 404)


@play("429")
def rate_limited(model: str) -> None:
    same(raises(ollama.ResponseError, lambda: client.chat(model, asking("play: error 429"))).status_code, 429)


@play("broken stream")
def broken(model: str) -> None:
    breaks(ollama.ResponseError, lambda: client.chat(model, asking("play: cut"), stream=True))


run()
