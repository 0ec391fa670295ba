"""Recorded Messages requests on their way up: as they are to Anthropic's own; to others what their SDK's types accept, with nothing lost
that is not named."""

from __future__ import annotations

import copy
import json
import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from openai.types.chat.completion_create_params import CompletionCreateParamsNonStreaming

from tests.clientdialects.messages.select import FILE, collected
from tests.corpus.asking import anthropic, gemini, openai
from tests.corpus.asking.accepted import anthropic_faults, faults, gemini_faults
from tests.corpus.asking.facts import Request, lost, outline
from tests.corpus.conftest import Theatre
from tests.corpus.replay import Stage
from tests.stage.client import call
from tests.stage.upstream import whole

_COLLECTION = os.environ.get("SAMEWIRE_CORPUS")
REQUESTS = list(collected(Path(_COLLECTION))) if _COLLECTION else [json.loads(line) for line in FILE.read_text("utf-8").split("\n") if line]
PATH = "/v1/messages?beta=true"
HEADERS = {"anthropic-version": "2026-10-21", "user-agent": "a-client/1"}

MESSAGE = {
    **{"id": "msg_1", "type": "message", "role": "assistant", "model": "m", "stop_reason": "end_turn", "stop_sequence": None},
    **{"content": [{"type": "text", "text": "ok"}], "usage": {"input_tokens": 1, "output_tokens": 1}},
}
CHOICE = {"index": 0, "message": {"role": "assistant", "content": "ok"}, "finish_reason": "stop"}
COMPLETION = {"id": "c", "object": "chat.completion", "created": 1, "model": "m", "choices": [CHOICE]}
CANDIDATES = {"candidates": [{"content": {"role": "model", "parts": [{"text": "ok"}]}, "finishReason": "STOP"}]}


@dataclass(frozen=True, slots=True)
class Vendor:
    """One that a request is translated for. `joins`: the texts of an assistant's turn become one; `lacks`: settings it has no place for."""

    model: str
    answer: dict[str, Any]
    refused: Callable[[dict[str, Any]], list[str]]
    read: Callable[[dict[str, Any]], Request]
    joins: bool = False
    lacks: frozenset[str] = frozenset()


def _openai_faults(body: dict[str, Any]) -> list[str]:
    return faults(body, CompletionCreateParamsNonStreaming, "")


VENDORS = {
    "openai": Vendor("openai/gpt-5.5", COMPLETION, _openai_faults, openai.read, joins=True),
    "gemini": Vendor("gemini/gemini-2.5-flash", CANDIDATES, gemini_faults, gemini.read),
    "anthropic": Vendor("by-chat/claude-opus-4-6", MESSAGE, anthropic_faults, anthropic.read),
}
#: Where a setting's loss is told: its name in Messages.
TOLD = {
    "max_completion_tokens": "max_tokens",
    "user": "metadata.user_id",
    "safety_identifier": "metadata.user_id",
    "stop": "stop_sequences",
}
TOLD |= {"web_search_options": "tools", "reasoning_effort": "thinking", "response_format": "output_config.format"}
TOLD |= {"parallel_tool_calls": "tool_choice.disable_parallel_tool_use"}
#: Settings that are said in other words, or under one of two names.
PRESENT = {"user", "safety_identifier", "max_tokens", "max_completion_tokens", "reasoning_effort", "web_search_options"}


def heard(body: dict[str, Any], *, joins: bool) -> dict[str, Any]:
    """The request as a chat can hold it, which is all that is lost without a word: Claude Code's own account of itself is left out;
    documents and results that are text become text; with `joins` an assistant's texts become one, and those of a result."""
    body = copy.deepcopy(body)
    if isinstance(body.get("system"), list):
        body["system"] = [block for block in body["system"] if not block["text"].startswith("x-anthropic-billing-header:")]
    for message in body["messages"]:
        if isinstance(message["content"], list):
            message["content"] = [_plain(block, joins) for block in message["content"]]
            if joins and message["role"] == "assistant":
                text = "".join(block["text"] for block in message["content"] if block["type"] == "text")
                others = [block for block in message["content"] if block["type"] != "text"]
                message["content"] = ([{"type": "text", "text": text}] if text else []) + others
    return body


def _plain(block: dict[str, Any], joins: bool) -> dict[str, Any]:
    if block["type"] == "document" and block["source"]["type"] == "text":
        return {"type": "text", "text": "\n".join(filter(None, (block.get("title"), block.get("context"), block["source"]["data"])))}
    if joins and block["type"] == "document" and block["source"]["type"] == "url":  # reported: it is text there
        return {"type": "text", "text": "\n".join(filter(None, (block.get("title"), block["source"]["url"])))}
    if block["type"] == "tool_result" and isinstance(block.get("content"), list):
        texts = [text for part in block["content"] for text in _texts(part)]
        return block | {"content": "\n\n".join(texts) if joins else [{"type": "text", "text": text} for text in texts]}
    return block


def _texts(part: dict[str, Any]) -> Iterator[str]:
    if part["type"] == "text":
        yield part["text"]
    elif part["type"] == "tool_reference":
        yield part["tool_name"]
    elif part["type"] == "search_result":
        yield "\n".join((part["title"], part["source"], "\n\n".join(text["text"] for text in part["content"])))


async def _ask(stage: Stage, model: str, entry: dict[str, Any], answer: dict[str, Any]) -> tuple[dict[str, Any], set[str]]:
    """What went up, and what is reported as lost."""
    stage.upstream.answer(whole(answer))
    served = await call(stage.address, entry["body"] | {"model": model, "stream": False}, PATH, HEADERS | entry["headers"])
    assert served.status == 200, served.body
    assert served.json()["content"] == [{"type": "text", "text": "ok"}]
    dropped = {name.strip() for name in served.headers.get("x-samewire-dropped", "").split(",")}
    return stage.upstream.last.json(), dropped


@pytest.mark.parametrize("entry", REQUESTS, ids=lambda entry: entry["case"][-50:])
def test_anthropic_gets_what_was_sent(messages: Theatre, entry: dict[str, Any]) -> None:
    sent, dropped = messages.run(lambda stage: _ask(stage, "anthropic/claude-opus-5-5", entry, MESSAGE))
    asked = messages.stage.upstream.last
    assert sent == entry["body"] | {"model": "claude-opus-5-5", "stream": False}
    assert dropped == {""}
    assert asked.path == PATH
    assert asked.headers["anthropic-version"] == "2026-10-21"
    assert asked.headers.get("anthropic-beta") == entry["headers"].get("anthropic-beta")
    assert asked.headers["x-api-key"] == "key-of-anthropic"


@pytest.mark.parametrize("vendor", VENDORS)
@pytest.mark.parametrize("entry", REQUESTS, ids=lambda entry: entry["case"][-50:])
def test_others_get_all_that_they_can_hold(messages: Theatre, vendor: str, entry: dict[str, Any]) -> None:
    to = VENDORS[vendor]
    body, dropped = messages.run(lambda stage: _ask(stage, to.model, entry, to.answer))
    assert to.refused(body) == []
    assert "?" not in messages.stage.upstream.last.path  # beta=true is Anthropic's
    asked, sent = anthropic.read(heard(entry["body"], joins=to.joins)), to.read(body)
    assert lost(asked, sent) == []
    assert list(_unsettled(vendor, asked, sent, dropped)) == []


def _unsettled(vendor: str, asked: Request, sent: Request, dropped: set[str]) -> Iterator[str]:
    """Settings that are neither carried nor reported."""
    for name, given in asked.settings.items():
        if name in ("stream", "service_tier", "reasoning", "thinking") or TOLD.get(name, name) in dropped or name in dropped:
            continue
        got, wanted = sent.settings.get(name, "nothing"), given
        if name == "response_format":
            got, wanted = outline(got["json_schema"]["schema"] if vendor == "openai" else got), outline(given)
        elif name in PRESENT:
            got, wanted = got != "nothing" or name in ("safety_identifier", "max_completion_tokens"), True
        elif name == "tool_choice" and isinstance(got, dict):
            got = got["function"]["name"]
        if got != wanted and (name, given) not in (("tool_choice", "auto"), ("temperature", 1)):  # as without them
            yield f"{name}: {given!r:.80} became {got!r:.80}"
