"""LangChain (Python): ChatOpenAI by chat completions, or by responses when the argument says so; OpenAIEmbeddings."""

from __future__ import annotations

import sys
from collections.abc import Callable
from typing import Any

import openai
import scenario as s
from langchain_core.messages import HumanMessage, ToolMessage
from langchain_core.tools import tool as as_tool
from langchain_openai import ChatOpenAI, OpenAIEmbeddings
from pydantic import BaseModel

RESPONSES = "responses" in sys.argv


class City(BaseModel):
    """A city and how many live there."""

    city: str
    people: int


def llm(model: str, key: str = s.KEY, **more: Any) -> ChatOpenAI:
    return ChatOpenAI(
        model=model,
        base_url=f"{s.URL}/v1",
        api_key=key,
        max_retries=0,
        timeout=s.TIMEOUT,
        stream_usage=True,
        use_responses_api=RESPONSES,
        **more,
    )


def _tool(name: str) -> Any:
    def run(city: str) -> str:
        return str(s.WORDS[name])

    return as_tool(name, description=s.DESCRIPTIONS[name])(run)


TOOLS = {name: _tool(name) for name in s.DESCRIPTIONS}


@s.play("chat")
def chat(model: str) -> None:
    answer = llm(model).invoke("play: chat")
    s.same((answer.text, answer.usage_metadata["total_tokens"]), (s.WORDS["text"], 15))


@s.play("stream")
def stream(model: str) -> None:
    pieces = list(llm(model).stream("play: chat"))
    s.same("".join(piece.text for piece in pieces), s.WORDS["text"])
    s.same([piece.usage_metadata["total_tokens"] for piece in pieces if piece.usage_metadata], [15])


@s.play("tool")
def tool(model: str) -> None:
    calls = llm(model).bind_tools(list(TOOLS.values())).invoke("play: tool").tool_calls
    s.same([(call["name"], call["args"]) for call in calls], [("weather", {"city": "Seoul"})])


@s.play("tools")
def tools(model: str) -> None:
    whole: Any = None
    for piece in llm(model).bind_tools(list(TOOLS.values())).stream("play: tools"):
        whole = piece if whole is None else whole + piece
    s.same([(call["name"], call["args"]) for call in whole.tool_calls], [(name, {"city": "Seoul"}) for name in TOOLS])


def _back(model: Any, prompt: str) -> str:
    messages: list[Any] = [HumanMessage(prompt)]
    answer = model.invoke(messages)
    results = [ToolMessage(TOOLS[call["name"]].invoke(call["args"]), tool_call_id=call["id"]) for call in answer.tool_calls]
    return str(model.invoke([*messages, answer, *results]).text)


@s.play("round trip")
def round_trip(model: str) -> None:
    s.holds(_back(llm(model).bind_tools(list(TOOLS.values())), "play: tools"), *s.BOTH_TOLD)


@s.play("structured")
def structured(model: str) -> None:
    for method in ("json_schema", "function_calling"):
        s.same(llm(model).with_structured_output(City, method=method).invoke("play: structured"), City(**s.WORDS["city"]))


@s.play("vision")
def vision(model: str) -> None:
    parts: Any = [{"type": "text", "text": "play: vision"}, {"type": "image", "base64": s.WORDS["picture"], "mime_type": "image/png"}]
    s.same(llm(model).invoke([HumanMessage(parts)]).text, s.WORDS["seen"])


if RESPONSES:
    THINKS: Any = {"reasoning": {"effort": "low", "summary": "auto"}, "output_version": "responses/v1"}

    @s.play("reasoning")
    def reasoning(model: str) -> None:
        answer = llm(model, **THINKS).invoke("play: reasoning")
        thoughts = [block["reasoning"] for block in answer.content_blocks if block["type"] == "reasoning"]
        s.same((thoughts, answer.text), ([s.WORDS["thought"]], "4"))

    @s.play("reasoning kept")
    def reasoning_kept(model: str) -> None:
        thinking = llm(model, store=False, include=["reasoning.encrypted_content"], **THINKS).bind_tools(list(TOOLS.values()))
        s.holds(_back(thinking, "play: thinking_tool"), s.WEATHER_TOLD, s.WORDS["remembered"])

else:

    @s.play("embeddings")
    def embeddings(model: str) -> None:
        found = OpenAIEmbeddings(model=model, base_url=f"{s.URL}/v1", api_key=s.KEY, check_embedding_ctx_length=False)
        s.same(found.embed_documents(["one", "two"]), [s.WORDS["vector"]] * 2)


def _refused(kind: type[Exception], call: Callable[[], Any]) -> Any:
    return s.raises(kind, call)


@s.play("401")
def unauthorized(model: str) -> None:
    s.same(_refused(openai.AuthenticationError, lambda: llm(model, s.WRONG_KEY).invoke("Hi")).code, "invalid_api_key")


@s.play("404")
def unknown_model(model: str) -> None:
    s.same(_refused(openai.NotFoundError, lambda: llm(s.NO_MODEL).invoke("Hi")).code, "model_not_found")


@s.play("429")
def rate_limited(model: str) -> None:
    error = _refused(openai.RateLimitError, lambda: llm(model).invoke("play: error 429"))
    s.same(error.response.headers["retry-after"], str(s.WORDS["retry_after"]))


@s.play("broken stream")
def broken(model: str) -> None:
    s.breaks(openai.APIError, lambda: llm(model).stream("play: cut"))


s.run()
