"""Recorded generateContent requests as chats, and on to upstreams: their SDK types accept what comes, and nothing is lost in silence."""

from __future__ import annotations

import json
from functools import cache
from pathlib import Path
from typing import Any

import pytest
from openai.types.chat.completion_create_params import CompletionCreateParamsNonStreaming

from proxy.config.dialects import Shelf
from proxy.dialect import Dialect
from proxy.mapping.context import Context
from proxy.mapping.mappings import Rejected
from tests.clientdialects.cases import clients
from tests.clientdialects.generate_content import asking
from tests.corpus.asking import openai
from tests.corpus.asking.accepted import anthropic_faults, faults, gemini_faults
from tests.corpus.asking.facts import Request, lost, outline

ENTRIES = [json.loads(line) for line in Path(__file__).with_name("requests.jsonl").read_text("utf-8").splitlines()]
STRICT = {"extras": False, "replay": False}
each_request = pytest.mark.parametrize("entry", ENTRIES, ids=[entry["case"].rpartition("__")[2] for entry in ENTRIES])


@cache
def upstream(name: str) -> Dialect:
    spec = Shelf().spec(name)
    assert spec is not None
    return spec.compile({"chat"})


def canonical(body: dict[str, Any], **traits: Any) -> tuple[dict[str, Any], set[str]]:
    """The chat, and what is reported as dropped."""
    mapping = clients().mappings["generate_content"]
    given = json.loads(json.dumps(body))
    chat, dropped = mapping.request(given, Context(model="m", traits=traits, req=body))
    return chat, set(dropped)


def taken(entry: dict[str, Any], **traits: Any) -> tuple[dict[str, Any], set[str]]:
    """The same; one that names cached content is refused, and that alone."""
    if entry["body"].get("cachedContent"):
        with pytest.raises(Rejected) as refused:
            canonical(entry["body"], **traits)
        assert refused.value.param == "cachedContent"
        return canonical({name: value for name, value in entry["body"].items() if name != "cachedContent"}, **traits)
    return canonical(entry["body"], **traits)


def differences(asked: Request, sent: Request) -> list[str]:
    """What was lost or changed."""
    found = lost(asked, sent)
    for name, given in asked.settings.items():
        got = sent.settings.get(name)
        if name == "tool_choice":
            got = asking.chosen(got)
        elif name == "response_format" and got:
            if outline((got.get("json_schema") or {}).get("schema")) == outline(given):
                continue
        elif name == "web_search_options":
            got = got is not None
        if got != given:
            found.append(f"{name}: {given!r} became {got!r}")
    return found


def apart(chat: dict[str, Any]) -> dict[str, Any]:
    """What a function's result shows beside its text, as said by the user after it."""
    messages = []
    for message in chat["messages"]:
        messages.append(message)
        if message["role"] == "tool" and isinstance(message["content"], list):
            messages.append({"role": "user", "content": [part for part in message["content"] if part["type"] != "text"]})
    return chat | {"messages": messages}


@each_request
def test_nothing_is_lost_in_a_chat(entry: dict[str, Any]) -> None:
    chat, _ = taken(entry)
    assert differences(asking.read(entry["body"]), openai.read(apart(chat))) == []


@each_request
def test_openais_types_accept_the_chat_for_a_strict_host(entry: dict[str, Any]) -> None:
    chat, dropped = taken(entry, **STRICT)
    assert faults(chat, CompletionCreateParamsNonStreaming, "") == []
    settings = asking.read(entry["body"]).settings
    assert ("generationConfig.topK" in dropped) == ("top_k" in settings)


@each_request
def test_what_has_no_place_in_a_chat_is_reported(entry: dict[str, Any]) -> None:
    _, dropped = taken(entry)
    body = asking.camel(entry["body"])
    parts = [part for content in asking.many(body["contents"]) for part in asking.many(content["parts"])]
    expected = {name for name in ("safetySettings", "modelArmorConfig", "labels") if body.get(name)}
    if any(part.keys() & {"executableCode", "codeExecutionResult", "toolCall", "toolResponse", "videoMetadata"} for part in parts):
        expected.add("contents.parts")
    if any(not tool.keys() & {"functionDeclarations", "googleSearch"} for tool in asking.many(body.get("tools"))):
        expected.add("tools")
    assert dropped == expected


@each_request
@pytest.mark.parametrize("model", ["claude-sonnet-4-5", "claude-opus-5-5"])
def test_anthropics_types_accept_it(entry: dict[str, Any], model: str) -> None:
    chat, _ = taken(entry)
    dialect = upstream("anthropic")
    context = Context(model=model, traits=dialect.traits(model))
    request = dialect.operations["chat"].request
    assert request is not None
    try:
        body, _ = request(chat, context)
    except Rejected as refused:
        said = asking.read(entry["body"]).said
        assert refused.param in ("messages", "n", "modalities")
        assert any(item[0] in ("audio", "media") for item in said) or refused.param != "messages"
        return
    assert anthropic_faults(body) == []


@each_request
def test_by_way_of_a_chat_the_same_comes_to_gemini(entry: dict[str, Any]) -> None:
    chat, _ = taken(entry)
    model = entry["model"].removeprefix("models/")
    dialect = upstream("gemini")
    request = dialect.operations["chat"].request
    assert request is not None
    body, _ = request(chat, Context(model=model, traits=dialect.traits(model) | {"choices": True, "sampling": True}))
    assert gemini_faults(body) == []
    asked, came = asking.read(entry["body"]), asking.read(body)
    assert lost(asked, came) == []
    exact = asked.settings.keys() - {"reasoning_effort", "response_format", "tool_choice"}
    assert {name: came.settings.get(name) for name in exact} == {name: asked.settings[name] for name in exact}
    assert outline(came.settings.get("response_format")) == outline(asked.settings.get("response_format"))
    assert came.settings.get("tool_choice", "auto") == asked.settings.get("tool_choice", "auto")


def signatures(body: dict[str, Any]) -> list[str]:
    """Those of texts and calls, in order; the last of a turn's text counts."""
    parts = [part for content in asking.many(asking.camel(body)["contents"]) for part in asking.many(content["parts"])]
    told = [part for part in parts if part.keys() & {"text", "inlineData", "functionCall"} and not part.get("thought")]
    return [part["thoughtSignature"] for part in told if "thoughtSignature" in part]


@each_request
def test_googles_signatures_find_back_to_gemini(entry: dict[str, Any]) -> None:
    chat, _ = taken(entry)
    dialect = upstream("gemini")
    request = dialect.operations["chat"].request
    assert request is not None
    body, _ = request(chat, Context(model="gemini-2.5-flash", traits=dialect.traits("gemini-2.5-flash") | {"choices": True}))
    assert sorted(signatures(body)) == sorted(signatures(entry["body"]))


def test_the_recordings_show_enough() -> None:
    asked = [asking.read(entry["body"]) for entry in ENTRIES]
    assert len(ENTRIES) >= 50
    assert {item[0] for request in asked for item in request.said} == {"user", "assistant", "media", "audio", "call", "result"}
    assert sum(bool(request.tools) for request in asked) >= 15
    assert sum(bool(signatures(entry["body"])) for entry in ENTRIES) >= 4
