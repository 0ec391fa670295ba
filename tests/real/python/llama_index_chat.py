"""LlamaIndex: OpenAILike and OpenAILikeEmbedding."""

from __future__ import annotations

import base64
from typing import Any

import openai
import scenario as s
from llama_index.core.base.llms.types import ChatMessage, ImageBlock, MessageRole, TextBlock
from llama_index.core.tools import FunctionTool
from llama_index.embeddings.openai_like import OpenAILikeEmbedding
from llama_index.llms.openai_like import OpenAILike
from pydantic import BaseModel


class City(BaseModel):
    """A city and how many live there."""

    city: str
    people: int


def llm(model: str, key: str = s.KEY) -> OpenAILike:
    return OpenAILike(
        model=model,
        api_base=f"{s.URL}/v1",
        api_key=key,
        is_chat_model=True,
        is_function_calling_model=True,
        context_window=128_000,
        max_retries=0,
        timeout=s.TIMEOUT,
    )


def _tool(name: str) -> FunctionTool:
    def run(city: str) -> str:
        return str(s.WORDS[name])

    return FunctionTool.from_defaults(run, name=name, description=s.DESCRIPTIONS[name])


TOOLS = {name: _tool(name) for name in s.DESCRIPTIONS}


@s.play("chat")
def chat(model: str) -> None:
    s.same(llm(model).chat([ChatMessage(role=MessageRole.USER, content="play: chat")]).message.content, s.WORDS["text"])
    s.same(llm(model).complete("play: chat").text, s.WORDS["text"])


@s.play("stream")
def stream(model: str) -> None:
    pieces = list(llm(model).stream_chat([ChatMessage("play: chat")]))
    s.same(("".join(piece.delta or "" for piece in pieces), pieces[-1].message.content), (s.WORDS["text"], s.WORDS["text"]))


def _calls(model: str, answer: Any) -> list[tuple[str, Any]]:
    return [(call.tool_name, call.tool_kwargs) for call in llm(model).get_tool_calls_from_response(answer)]


@s.play("tool")
def tool(model: str) -> None:
    answer = llm(model).chat_with_tools(list(TOOLS.values()), user_msg="play: tool")
    s.same(_calls(model, answer), [("weather", {"city": "Seoul"})])


@s.play("tools")
def tools(model: str) -> None:
    answer = list(llm(model).stream_chat_with_tools(list(TOOLS.values()), user_msg="play: tools", allow_parallel_tool_calls=True))[-1]
    s.same(_calls(model, answer), [(name, {"city": "Seoul"}) for name in TOOLS])


@s.play("round trip")
def round_trip(model: str) -> None:
    history = [ChatMessage("play: tools")]
    answer = llm(model).chat_with_tools(list(TOOLS.values()), chat_history=history, allow_parallel_tool_calls=True)
    history.append(answer.message)
    for call in llm(model).get_tool_calls_from_response(answer):
        told = str(TOOLS[call.tool_name](**call.tool_kwargs))
        history.append(ChatMessage(told, role=MessageRole.TOOL, additional_kwargs={"tool_call_id": call.tool_id}))
    s.holds(llm(model).chat_with_tools(list(TOOLS.values()), chat_history=history).message.content, *s.BOTH_TOLD)


@s.play("structured")
def structured(model: str) -> None:
    s.same(llm(model).as_structured_llm(City).chat([ChatMessage("play: structured")]).raw, City(**s.WORDS["city"]))


@s.play("vision")
def vision(model: str) -> None:
    blocks = [TextBlock(text="play: vision"), ImageBlock(image=base64.b64decode(s.WORDS["picture"]), image_mimetype="image/png")]
    s.same(llm(model).chat([ChatMessage(role=MessageRole.USER, blocks=blocks)]).message.content, s.WORDS["seen"])


@s.play("embeddings")
def embeddings(model: str) -> None:
    found = OpenAILikeEmbedding(model_name=model, api_base=f"{s.URL}/v1", api_key=s.KEY, max_retries=0)
    s.same(found.get_text_embedding_batch(["one", "two"]), [s.WORDS["vector"]] * 2)


@s.play("401")
def unauthorized(model: str) -> None:
    s.same(s.raises(openai.AuthenticationError, lambda: llm(model, s.WRONG_KEY).complete("Hi")).code, "invalid_api_key")


@s.play("404")
def unknown_model(model: str) -> None:
    s.same(s.raises(openai.NotFoundError, lambda: llm(s.NO_MODEL).complete("Hi")).code, "model_not_found")


@s.play("429")
def rate_limited(model: str) -> None:
    error = s.raises(openai.RateLimitError, lambda: llm(model).complete("play: error 429"))
    s.same(error.response.headers["retry-after"], str(s.WORDS["retry_after"]))


@s.play("broken stream")
def broken(model: str) -> None:
    s.breaks(openai.APIError, lambda: llm(model).stream_chat([ChatMessage("play: cut")]))


s.run()
