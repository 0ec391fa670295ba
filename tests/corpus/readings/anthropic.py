"""Anthropic Messages (https://docs.anthropic.com/en/api/messages): answers, streams and errors."""

from __future__ import annotations

import json
from typing import Any

from tests.corpus.facts import Call, Choice, Error, Facts, Usage
from tests.corpus.frames import sse

FINISH = {
    "end_turn": "stop",
    "stop_sequence": "stop",
    "pause_turn": "stop",
    "compaction": "stop",
    "max_tokens": "length",
    "model_context_window_exceeded": "length",
    "tool_use": "tool_calls",
    "refusal": "content_filter",
}
STATUS = {529: 503}  # Anthropic's own "overloaded" is no registered status


def read_usage(usage: dict[str, Any] | None) -> Usage | None:
    """Anthropic counts cache reads and writes beside `input_tokens`; OpenAI counts them inside `prompt_tokens`."""
    if usage is None:
        return None
    read, write = usage.get("cache_read_input_tokens") or 0, usage.get("cache_creation_input_tokens") or 0
    prompt, completion = usage["input_tokens"] + read + write, usage["output_tokens"]
    thinking = (usage.get("output_tokens_details") or {}).get("thinking_tokens")
    return Usage(prompt, completion, prompt + completion, read, write, thinking)


def _message(message: dict[str, Any]) -> Facts:
    choice = Choice()
    for block in message["content"]:
        match block["type"]:
            case "text":
                choice.text += block["text"]
            case "thinking":
                choice.reasoning += block["thinking"]
                choice.signatures += [block["signature"]] if block.get("signature") else []
            case "redacted_thinking":
                choice.signatures.append(block["data"])
            case "tool_use":
                choice.calls.append(Call(block["name"], block["input"], block["id"]))
    choice.finish = FINISH[message["stop_reason"]] if message.get("stop_reason") else None
    choice.refusal = (message.get("stop_details") or {}).get("explanation") or ""
    return Facts({0: choice}, read_usage(message.get("usage")))


def answer(status: int, body: Any) -> Facts:
    """A whole answer or an error body."""
    if "error" in body:
        return Facts(error=Error(body["error"]["message"], STATUS.get(status, status)))
    return _message(body)


def stream(body: str) -> Facts:
    """A stream, put together into the message it builds, then read like one."""
    message: dict[str, Any] = {}
    inputs: dict[int, str] = {}
    blocks: dict[int, dict[str, Any]] = {}
    for _, data in sse(body):
        event = json.loads(data)
        match event["type"]:
            case "message_start":
                message = event["message"]
            case "content_block_start":
                blocks[event["index"]] = event["content_block"]
            case "content_block_delta":
                _delta(blocks[event["index"]], event["delta"], inputs, event["index"])
            case "message_delta":
                message |= {key: value for key, value in event["delta"].items() if value is not None}
                message["usage"] |= {key: value for key, value in event["usage"].items() if value is not None}
            case "message_stop":
                break
            case "error":
                return Facts(_finished(message, blocks, inputs).choices if message else {}, error=Error(event["error"]["message"]))
    return _finished(message, blocks, inputs)


def _delta(block: dict[str, Any], delta: dict[str, Any], inputs: dict[int, str], index: int) -> None:
    match delta["type"]:
        case "text_delta":
            block["text"] += delta["text"]
        case "thinking_delta":
            block["thinking"] += delta["thinking"]
        case "signature_delta":
            block["signature"] = (block.get("signature") or "") + delta["signature"]
        case "input_json_delta":
            inputs[index] = inputs.get(index, "") + delta["partial_json"]


def _finished(message: dict[str, Any], blocks: dict[int, dict[str, Any]], inputs: dict[int, str]) -> Facts:
    for index, text in inputs.items():
        if text:
            try:
                blocks[index]["input"] = json.loads(text)
            except ValueError:  # max_tokens can cut a call's arguments in the middle
                blocks[index]["input"] = text
    return _message(message | {"content": [blocks[index] for index in sorted(blocks)]})
