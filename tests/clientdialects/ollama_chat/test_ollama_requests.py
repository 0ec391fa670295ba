"""Recorded and written Ollama requests as chats: OpenAI's types accept them, and nothing is lost in silence."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from ollama._types import ChatRequest, Options
from openai.types.chat.completion_create_params import CompletionCreateParamsNonStreaming

from proxy.mapping.context import Context
from tests.clientdialects.cases import clients
from tests.corpus.asking import openai
from tests.corpus.asking.accepted import faults

ENTRIES = [json.loads(line) for line in Path(__file__).with_name("requests.jsonl").read_text("utf-8").splitlines()]
each_request = pytest.mark.parametrize("entry", ENTRIES, ids=[entry["case"].rpartition("__")[2] for entry in ENTRIES])
OPTIONS = {"temperature": "temperature", "num_predict": "max_completion_tokens", "seed": "seed", "top_p": "top_p", "stop": "stop"}


def canonical(operation: str, body: dict[str, Any], **traits: Any) -> tuple[dict[str, Any], tuple[str, ...]]:
    """The chat, and what is reported as dropped."""
    given = json.loads(json.dumps(body))
    return clients().mappings[operation].request(given, Context(model="m", traits=traits, req=body))


@each_request
def test_nothing_is_lost(entry: dict[str, Any]) -> None:
    body = entry["body"]
    chat, dropped = canonical(entry["operation"], body)
    assert faults(chat, CompletionCreateParamsNonStreaming, "") == []
    asked = openai.read(chat)
    prompt = [{"role": "system", "content": body.get("system") or ""}, {"role": "user", "content": body.get("prompt")}]
    messages = body.get("messages") or [message for message in prompt if message["content"]]
    assert asked.system == [message["content"] for message in messages if message["role"] == "system"]
    said = [message["content"] for message in messages if message["role"] in ("user", "assistant") and message["content"]]
    assert [item[1] for item in asked.said if item[0] in ("user", "assistant")] == said
    assert [item[1] for item in asked.said if item[0] == "result"] == [
        message["tool_name"] for message in messages if message["role"] == "tool"
    ]
    assert [tool.name for tool in asked.tools] == [tool["function"]["name"] for tool in body.get("tools") or []]
    options = body.get("options") or {}
    assert {OPTIONS[name] for name in options} <= asked.settings.keys()
    assert set(dropped) == {name for name in ("temperature",) if name in body}
    assert ("response_format" in chat) == bool(body.get("format"))


CALLS = [
    {"function": {"name": "f", "arguments": {"x": 1}}},
    {"function": {"name": "g", "arguments": {}}},
    {"function": {"name": "f", "arguments": {}}},
]


@pytest.mark.parametrize(
    "results",
    [
        [{"tool_name": "f"}, {"tool_name": "g"}, {"tool_name": "f"}],
        [{}, {}, {}],
        [{"name": "f"}, {"name": "g"}, {"name": "f"}],
    ],
    ids=["named", "bare", "named in the older way"],
)
def test_results_find_their_calls(results: list[dict[str, str]]) -> None:
    told = [{"role": "tool", "content": str(at), **result} for at, result in enumerate(results)]
    chat, _ = canonical("ollama_chat", {"model": "m", "messages": [{"role": "assistant", "content": "", "tool_calls": CALLS}, *told]})
    ids = [call["id"] for call in chat["messages"][0]["tool_calls"]]
    assert len(set(ids)) == 3
    assert [(message["tool_call_id"], message["content"]) for message in chat["messages"][1:]] == list(zip(ids, "012", strict=True))


def test_results_of_later_turns_find_theirs() -> None:
    call = {"role": "assistant", "content": "", "tool_calls": CALLS[:1]}
    result = {"role": "tool", "tool_name": "f", "content": "r"}
    chat, _ = canonical("ollama_chat", {"model": "m", "messages": [call, result, call, result]})
    one, first, other, second = chat["messages"]
    assert (first["tool_call_id"], second["tool_call_id"]) == (one["tool_calls"][0]["id"], other["tool_calls"][0]["id"])
    assert first["tool_call_id"] != second["tool_call_id"]


def test_a_result_keeps_the_id_that_it_has() -> None:
    calls = [{"id": "a", **CALLS[0]}, {"id": "b", **CALLS[1]}]
    told = [{"role": "tool", "content": "1", "tool_call_id": "b"}, {"role": "tool", "content": "2", "tool_call_id": "a"}]
    chat, _ = canonical("ollama_chat", {"model": "m", "messages": [{"role": "assistant", "content": "", "tool_calls": calls}, *told]})
    assert [message["tool_call_id"] for message in chat["messages"][1:]] == ["b", "a"]


@pytest.mark.parametrize(("data", "kind"), [("iVBORw0KGgo=", "png"), ("R0lGODlh", "gif"), ("UklGRgAA", "webp"), ("/9j/4AAQ", "jpeg")])
@pytest.mark.parametrize("operation", ["ollama_chat", "ollama_generate"])
def test_pictures_are_known_by_their_first_letters(operation: str, data: str, kind: str) -> None:
    said = {"messages": [{"role": "user", "content": "Look", "images": [data]}]}
    chat, _ = canonical(operation, {"model": "m"} | (said if operation == "ollama_chat" else {"prompt": "Look", "images": [data]}))
    image = {"type": "image_url", "image_url": {"url": f"data:image/{kind};base64,{data}"}}
    assert chat["messages"] == [{"role": "user", "content": [{"type": "text", "text": "Look"}, image]}]


@pytest.mark.parametrize(
    ("think", "effort"), [(True, "medium"), (False, "none"), ("low", "low"), ("high", "high"), ("max", "max"), (None, None)]
)
def test_thinking(think: Any, effort: str | None) -> None:
    body = ChatRequest(model="m", messages=[{"role": "user", "content": "Hi"}], think=think).model_dump(exclude_none=True)
    assert canonical("ollama_chat", body)[0].get("reasoning_effort") == effort
    chat, dropped = canonical("ollama_chat", body, thinking="none")
    assert "reasoning_effort" not in chat
    assert dropped == (("think",) if think else ())


@pytest.mark.parametrize("operation", ["ollama_chat", "ollama_generate"])
def test_every_option_is_carried_or_reported(operation: str) -> None:
    given = {
        name: 1 for name in Options.model_fields if name not in ("stop", "low_vram", "f16_kv", "logits_all", "vocab_only", "use_mlock")
    }
    carried = {"seed", "num_predict", "top_k", "top_p", "temperature", "presence_penalty", "frequency_penalty", "stop"}
    for name, value in given.items():
        said = {"messages": [{"role": "user", "content": "Hi"}]} if operation == "ollama_chat" else {"prompt": "Hi"}
        chat, dropped = canonical(operation, {"model": "m", "options": {name: value}, **said})
        assert bool(dropped) != (name in carried), name
        assert bool(chat.keys() - {"model", "messages"}) == (name in carried), name


def test_the_recordings_show_enough() -> None:
    assert {entry["operation"] for entry in ENTRIES} == {"ollama_chat", "ollama_generate"}
    assert any(message["role"] == "tool" for entry in ENTRIES for message in entry["body"].get("messages", []))
