"""google-genai (Python): generateContent, whole and streamed, embeddings, the model list."""

from __future__ import annotations

import base64
from typing import Any

from google import genai
from google.genai import errors, types
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


def _client(key: str) -> genai.Client:
    return genai.Client(api_key=key, http_options=types.HttpOptions(base_url=URL, timeout=int(TIMEOUT * 1000)))


client, stranger = _client(KEY), _client(WRONG_KEY)
FUNCTIONS = [
    types.FunctionDeclaration(name=name, description=what, parameters_json_schema=CITY_PARAMETERS) for name, what in DESCRIPTIONS.items()
]
TOOLS: Any = [types.Tool(function_declarations=FUNCTIONS)]


class City(BaseModel):
    city: str
    people: int


def ask(model: str, contents: Any, **config: Any) -> types.GenerateContentResponse:
    return client.models.generate_content(model=model, contents=contents, config=types.GenerateContentConfig(**config))


@play("models")
def models(model: str) -> None:
    assert f"models/{model}" in [one.name for one in client.models.list()]
    same(client.models.get(model=model).name, f"models/{model}")


@play("chat")
def chat(model: str) -> None:
    answer = ask(model, "play: chat", system_instruction="Be brief.")
    assert answer.candidates and answer.usage_metadata
    same(
        (answer.text, answer.candidates[0].finish_reason, answer.usage_metadata.total_token_count),
        (WORDS["text"], types.FinishReason.STOP, 15),
    )


@play("stream")
def stream(model: str) -> None:
    pieces = list(client.models.generate_content_stream(model=model, contents="play: chat"))
    same("".join(piece.text or "" for piece in pieces), WORDS["text"])
    assert len(pieces) > 1, "it came in one piece"
    same(
        [piece.candidates[0].finish_reason for piece in pieces if piece.candidates and piece.candidates[0].finish_reason],
        [types.FinishReason.STOP],
    )


@play("tool")
def tool(model: str) -> None:
    answer = ask(model, "play: tool", tools=TOOLS)
    same([(call.name, call.args) for call in answer.function_calls or []], [("weather", {"city": "Seoul"})])


@play("tools")
def tools(model: str) -> None:
    config = types.GenerateContentConfig(tools=TOOLS)
    pieces = client.models.generate_content_stream(model=model, contents="play: tools", config=config)
    same([call.name for piece in pieces for call in piece.function_calls or []], ["weather", "time"])


def _back(model: str, prompt: str, **config: Any) -> str | None:
    turns: list[Any] = [types.UserContent(prompt)]
    answer = ask(model, turns, tools=TOOLS, **config)
    assert answer.candidates and answer.candidates[0].content
    turns.append(answer.candidates[0].content)
    results = [
        types.Part(function_response=types.FunctionResponse(id=call.id, name=call.name, response={"result": WORDS[str(call.name)]}))
        for call in answer.function_calls or []
    ]
    turns.append(types.Content(role="user", parts=results))
    return ask(model, turns, tools=TOOLS, **config).text


@play("round trip")
def round_trip(model: str) -> None:
    holds(_back(model, "play: tools"), *BOTH_TOLD)


@play("structured")
def structured(model: str) -> None:
    answer = ask(model, "play: structured", response_mime_type="application/json", response_schema=City)
    same(answer.parsed, City(**WORDS["city"]))


@play("vision")
def vision(model: str) -> None:
    picture = types.Part.from_bytes(data=base64.b64decode(WORDS["picture"]), mime_type="image/png")
    same(ask(model, [picture, "play: vision"]).text, WORDS["seen"])


@play("embeddings")
def embeddings(model: str) -> None:
    answer = client.models.embed_content(model=model, contents=[types.UserContent("one"), types.UserContent("two")])
    same([one.values for one in answer.embeddings or []], [WORDS["vector"]] * 2)


@play("reasoning")
def reasoning(model: str) -> None:
    answer = ask(model, "play: reasoning", thinking_config=types.ThinkingConfig(include_thoughts=True, thinking_budget=1024))
    same(([part.text for part in answer.parts or [] if part.thought], answer.text), ([WORDS["thought"]], "4"))


@play("reasoning kept")
def reasoning_kept(model: str) -> None:
    holds(
        _back(model, "play: thinking_tool", thinking_config=types.ThinkingConfig(include_thoughts=True, thinking_budget=1024)),
        WORDS["weather"],
        WORDS["remembered"],
    )


@play("401")
def unauthorized(model: str) -> None:
    error = raises(errors.ClientError, lambda: stranger.models.generate_content(model=model, contents="Hi"))
    same((error.code, error.status), (401, "UNAUTHENTICATED"))


@play("404")
def unknown_model(model: str) -> None:
    error = raises(errors.ClientError, lambda: ask(NO_MODEL, "Hi"))
    same((error.code, error.status), (404, "NOT_FOUND"))


@play("429")
def rate_limited(model: str) -> None:
    error = raises(errors.ClientError, lambda: ask(model, "play: error 429"))
    same((error.code, error.status, error.response.headers["retry-after"]), (429, "RESOURCE_EXHAUSTED", str(WORDS["retry_after"])))


@play("broken stream")
def broken(model: str) -> None:
    breaks(errors.APIError, lambda: client.models.generate_content_stream(model=model, contents="play: cut"))


run()
