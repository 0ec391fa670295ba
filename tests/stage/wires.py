"""Answers in the vendors' own wire formats, short enough to write in a test."""

from __future__ import annotations

import json
from typing import Any

from tests.stage.upstream import End, Script, events, named, whole


def claude_events(
    *blocks: dict[str, Any], stop: str = "end_turn", usage: dict[str, int] | None = None, step: int = 10**6
) -> list[dict[str, Any]]:
    """The events of an Anthropic stream. Text, thinking and inputs (as JSON text under `json`) come in pieces of `step` characters."""
    spent = {"input_tokens": 10, "output_tokens": 5} | (usage or {})
    start: dict[str, Any] = {"id": "msg_1", "type": "message", "role": "assistant", "model": "claude", "content": [], "stop_reason": None}
    found: list[dict[str, Any]] = [{"type": "message_start", "message": start | {"usage": spent | {"output_tokens": 1}}}, {"type": "ping"}]
    for index, block in enumerate(blocks):
        empty = {key: "" if key in ("text", "thinking", "signature") else value for key, value in block.items() if key != "json"}
        found.append(
            {"type": "content_block_start", "index": index, "content_block": empty | ({"input": {}} if block["type"] == "tool_use" else {})}
        )
        found += [{"type": "content_block_delta", "index": index, "delta": delta} for delta in _deltas(block, step)]
        found.append({"type": "content_block_stop", "index": index})
    found.append(
        {"type": "message_delta", "delta": {"stop_reason": stop, "stop_sequence": None}, "usage": {"output_tokens": spent["output_tokens"]}}
    )
    return [*found, {"type": "message_stop"}]


def _deltas(block: dict[str, Any], step: int) -> list[dict[str, Any]]:
    words = {"text": ("text_delta", "text"), "thinking": ("thinking_delta", "thinking"), "json": ("input_json_delta", "partial_json")}
    found = []
    for key, (kind, name) in words.items():
        whole_text = block.get(key) or ""
        found += [{"type": kind, name: whole_text[at : at + step]} for at in range(0, len(whole_text), step)]
    if block.get("signature"):
        found.append({"type": "signature_delta", "signature": block["signature"]})
    return found


def claude_stream(*blocks: dict[str, Any], end: End = "whole", **more: Any) -> Script:
    """An Anthropic stream."""
    return named(*claude_events(*blocks, **more), end=end)


def claude_answer(*blocks: dict[str, Any], stop: str = "end_turn", usage: dict[str, int] | None = None) -> Script:
    """A whole Anthropic answer."""
    spent = {"input_tokens": 10, "output_tokens": 5} | (usage or {})
    return whole(
        {
            "id": "msg_1",
            "type": "message",
            "role": "assistant",
            "model": "claude",
            "content": list(blocks),
            "stop_reason": stop,
            "usage": spent,
        }
    )


def claude_call(name: str, arguments: str = "", id: str = "toolu_1") -> dict[str, Any]:
    """A tool_use block for a stream."""
    return {"type": "tool_use", "id": id, "name": name, "json": arguments}


def gemini(*parts: dict[str, Any], finish: str | None = "STOP", usage: dict[str, int] | None = None) -> dict[str, Any]:
    """One GenerateContentResponse: a whole answer, or one event of a stream."""
    counts = {"promptTokenCount": 10, "candidatesTokenCount": 5, "totalTokenCount": 15} | (usage or {})
    candidate = {"content": {"role": "model", "parts": list(parts)}, "index": 0} | ({"finishReason": finish} if finish else {})
    return {"candidates": [candidate], "usageMetadata": counts, "modelVersion": "gemini", "responseId": "r1"}


def gemini_stream(*documents: dict[str, Any], end: End = "whole") -> Script:
    """A Gemini stream."""
    return events(*documents, end=end, done=False)


def gemini_call(name: str, signature: str | None = None, **arguments: Any) -> dict[str, Any]:
    """A functionCall part."""
    return {"functionCall": {"name": name, "args": arguments}} | ({"thoughtSignature": signature} if signature else {})


def ollama(message: dict[str, Any], done: bool = False, reason: str = "stop") -> bytes:
    """One line of an Ollama stream."""
    last = {"done": True, "done_reason": reason, "prompt_eval_count": 10, "eval_count": 5} if done else {"done": False}
    line = {"model": "llama", "created_at": "2026-01-01T00:00:00Z", "message": {"role": "assistant", "content": ""} | message, **last}
    return json.dumps(line).encode() + b"\n"


def ollama_stream(*lines: bytes, end: End = "whole") -> Script:
    """An Ollama stream."""
    return Script(lines, headers={"content-type": "application/x-ndjson"}, end=end)


def chunk(delta: dict[str, Any] | None = None, finish: str | None = None, **more: Any) -> dict[str, Any]:
    """One OpenAI chunk; without a delta one with `choices: []`."""
    choices = [] if delta is None else [{"index": 0, "delta": delta, "logprobs": None, "finish_reason": finish}]
    return {"id": "chatcmpl-1", "object": "chat.completion.chunk", "created": 1, "model": "gpt", "choices": choices} | more


USAGE = {"prompt_tokens": 10, "completion_tokens": 5, "total_tokens": 15}


def openai_answer(message: dict[str, Any], finish: str = "stop", **more: Any) -> Script:
    """A whole OpenAI answer."""
    choice = {
        "index": 0,
        "message": {"role": "assistant", "content": None, "refusal": None} | message,
        "logprobs": None,
        "finish_reason": finish,
    }
    return whole(
        {"id": "chatcmpl-1", "object": "chat.completion", "created": 1, "model": "gpt", "choices": [choice], "usage": USAGE} | more
    )


def say(dialect: str, text: str, end: End = "whole", pieces: int = 3) -> Script:
    """A stream that says this text in some pieces, in the dialect's wire format."""
    size = max(1, -(-len(text) // pieces))
    parts = [text[at : at + size] for at in range(0, len(text), size)]
    match dialect:
        case "anthropic":
            return claude_stream({"type": "text", "text": text}, step=size, end=end)
        case "gemini":
            last = len(parts) - 1
            return gemini_stream(*(gemini({"text": part}, finish="STOP" if n == last else None) for n, part in enumerate(parts)), end=end)
        case "ollama":
            return ollama_stream(*(ollama({"content": part}) for part in parts), ollama({}, done=True), end=end)
    said = [
        chunk({"role": "assistant", "content": ""}),
        *(chunk({"content": part}) for part in parts),
        chunk({}, "stop"),
        chunk(usage=USAGE),
    ]
    return events(*said, end=end)
