"""Cohere's v2 answers read by hand: what the dialect must not lose. Shares nothing with the package under test."""

from __future__ import annotations

import json
from typing import Any

from tests.corpus.facts import Call, Choice, Error, Facts, Usage
from tests.corpus.frames import sse_json

_FINISH = {"COMPLETE": "stop", "STOP_SEQUENCE": "stop", "MAX_TOKENS": "length", "TOOL_CALL": "tool_calls"}


def answer(status: int, body: Any) -> Facts:
    """A whole answer or an error body."""
    if status != 200:
        return Facts(error=Error(body["message"], status))
    choice, message = Choice(finish=_FINISH[body["finish_reason"]]), body["message"]
    for block in message.get("content") or []:
        choice.text += block.get("text", "")
        choice.reasoning += block.get("thinking", "")
    choice.reasoning = choice.reasoning or message.get("tool_plan", "")
    choice.calls = [_call(call) for call in message.get("tool_calls") or []]
    return Facts({0: choice}, _usage(body.get("usage")))


def stream(body: str) -> Facts:
    """A stream of typed events."""
    choice, facts, open_calls = Choice(), Facts(), dict[int, dict[str, Any]]()
    for event in sse_json(body):
        delta = event.get("delta") or {}
        message = delta.get("message") or {}
        if event["type"].startswith("content-") and message:
            choice.text += message["content"].get("text", "")
            choice.reasoning += message["content"].get("thinking", "")
        elif event["type"] == "tool-plan-delta":
            choice.reasoning += message["tool_plan"]
        elif event["type"] == "tool-call-start":
            open_calls[event["index"]] = message["tool_calls"]
        elif event["type"] == "tool-call-delta":
            open_calls[event["index"]]["function"]["arguments"] += message["tool_calls"]["function"]["arguments"]
        elif event["type"] == "message-end" and "error" in delta:
            facts.error = Error(delta["error"])
        elif event["type"] == "message-end":
            choice.finish, facts.usage = _FINISH[delta["finish_reason"]], _usage(delta.get("usage"))
    choice.calls = [_call(call) for call in open_calls.values()]
    facts.choices[0] = choice
    return facts


def _call(call: dict[str, Any]) -> Call:
    return Call(call["function"]["name"], json.loads(call["function"]["arguments"] or "{}"), call["id"])


def _usage(usage: dict[str, Any] | None) -> Usage | None:
    if not usage:
        return None
    prompt, completion = (int(usage["tokens"][name]) for name in ("input_tokens", "output_tokens"))
    return Usage(
        prompt, completion, prompt + completion, int(usage.get("cached_tokens") or 0), None, usage["tokens"].get("reasoning_tokens")
    )
