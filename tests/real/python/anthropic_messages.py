"""anthropic (Python): messages, token counting, the model list."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import anthropic
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

client = anthropic.Anthropic(base_url=URL, api_key=KEY, max_retries=0, timeout=TIMEOUT)
TOOLS: Any = [{"name": name, "description": what, "input_schema": CITY_PARAMETERS} for name, what in DESCRIPTIONS.items()]
THINKING: Any = {"type": "enabled", "budget_tokens": 1024}


class City(BaseModel):
    city: str
    people: int


def ask(model: str, content: Any, **more: Any) -> Any:
    return client.messages.create(**{"model": model, "max_tokens": 4096, "messages": [{"role": "user", "content": content}], **more})


def text_of(answer: Any) -> str:
    return "".join(block.text for block in answer.content if block.type == "text")


@play("models")
def models(model: str) -> None:
    assert model in [one.id for one in client.models.list()]
    same(client.models.retrieve(model).id, model)


@play("chat")
def chat(model: str) -> None:
    answer = ask(model, "play: chat", system="Be brief.")
    same((text_of(answer), answer.stop_reason, answer.usage.output_tokens), (WORDS["text"], "end_turn", 5))


@play("stream")
def stream(model: str) -> None:
    with client.messages.stream(model=model, max_tokens=4096, messages=[{"role": "user", "content": "play: chat"}]) as stream:
        pieces = list(stream.text_stream)
        answer = stream.get_final_message()
    same(("".join(pieces), text_of(answer), answer.stop_reason), (WORDS["text"], WORDS["text"], "end_turn"))
    assert len(pieces) > 1, "it came in one piece"


@play("tool")
def tool(model: str) -> None:
    answer = ask(model, "play: tool", tools=TOOLS)
    calls = [(block.name, block.input) for block in answer.content if block.type == "tool_use"]
    same((calls, answer.stop_reason), ([("weather", {"city": "Seoul"})], "tool_use"))


@play("tools")
def tools(model: str) -> None:
    with client.messages.stream(model=model, max_tokens=4096, messages=[{"role": "user", "content": "play: tools"}], tools=TOOLS) as stream:
        answer = stream.get_final_message()
    same(
        [(block.name, block.input) for block in answer.content if block.type == "tool_use"],
        [(name, {"city": "Seoul"}) for name in DESCRIPTIONS],
    )


def _back(model: str, prompt: str, **more: Any) -> str:
    messages: list[Any] = [{"role": "user", "content": prompt}]
    answer = ask(model, prompt, messages=messages, tools=TOOLS, **more)
    messages.append({"role": "assistant", "content": [block.model_dump(exclude_none=True) for block in answer.content]})
    results = [
        {"type": "tool_result", "tool_use_id": block.id, "content": WORDS[block.name]}
        for block in answer.content
        if block.type == "tool_use"
    ]
    messages.append({"role": "user", "content": results})
    return text_of(ask(model, prompt, messages=messages, tools=TOOLS, **more))


@play("round trip")
def round_trip(model: str) -> None:
    holds(_back(model, "play: tools"), *BOTH_TOLD)


@play("structured")
def structured(model: str) -> None:
    messages: Any = [{"role": "user", "content": "play: structured"}]
    answer: Any = client.messages.parse(model=model, max_tokens=4096, messages=messages, output_format=City)
    same(answer.parsed_output, City(**WORDS["city"]))


@play("vision")
def vision(model: str) -> None:
    source = {"type": "base64", "media_type": "image/png", "data": WORDS["picture"]}
    same(text_of(ask(model, [{"type": "image", "source": source}, {"type": "text", "text": "play: vision"}])), WORDS["seen"])


@play("reasoning")
def reasoning(model: str) -> None:
    answer = ask(model, "play: reasoning", thinking=THINKING)
    same(([block.thinking for block in answer.content if block.type == "thinking"], text_of(answer)), ([WORDS["thought"]], "4"))


@play("reasoning kept")
def reasoning_kept(model: str) -> None:
    holds(_back(model, "play: thinking_tool", thinking=THINKING), WORDS["weather"], WORDS["remembered"])


@play("401")
def unauthorized(model: str) -> None:
    messages: Any = [{"role": "user", "content": "Hi"}]
    stranger = client.with_options(api_key=WRONG_KEY)
    error = raises(anthropic.AuthenticationError, lambda: stranger.messages.create(model=model, max_tokens=9, messages=messages))
    same(error.body["error"]["type"], "authentication_error")


@play("404")
def unknown_model(model: str) -> None:
    error = raises(anthropic.NotFoundError, lambda: ask(NO_MODEL, "Hi"))
    same(error.body["error"]["type"], "not_found_error")


@play("429")
def rate_limited(model: str) -> None:
    error = raises(anthropic.RateLimitError, lambda: ask(model, "play: error 429"))
    same((error.response.headers["retry-after"], error.body["error"]["type"]), (str(WORDS["retry_after"]), "rate_limit_error"))


@play("broken stream")
def broken(model: str) -> None:
    def pieces() -> Iterator[str]:
        with client.messages.stream(model=model, max_tokens=4096, messages=[{"role": "user", "content": "play: cut"}]) as stream:
            yield from stream.text_stream

    breaks(anthropic.APIError, pieces)


run()
