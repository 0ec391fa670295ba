"""How a vendor says something: in its own wire language, whole or streamed, in pieces of a few characters."""

from __future__ import annotations

import base64
import json
import struct
from itertools import count
from typing import Any

from tests.real.hearing import Heard
from tests.real.said import PLAYS, SEALED, SIGNATURE, Said
from tests.stage.upstream import Script, events, named, whole
from tests.stage.wires import (
    USAGE,
    chunk,
    claude_answer,
    claude_stream,
    gemini,
    gemini_stream,
    ollama,
    ollama_stream,
    openai_answer,
)

STEP = 7  # characters in a piece
VECTOR = PLAYS["vector"]
_numbers = count(1)  # calls have ids of their own, as vendors give them


def speak(vendor: str, heard: Heard, said: Said) -> Script:
    """The answer; of one that is cut, half."""
    script = _SPEAK[heard.wire](vendor, heard, said)
    if said.cut:
        script.pieces = list(script.pieces)
        script.pieces = script.pieces[: len(script.pieces) // 2] if heard.stream else [script.pieces[0][: len(script.pieces[0]) // 2]]
        script.end = "cut"
    return script


def _pieces(text: str) -> list[str]:
    return [text[at : at + STEP] for at in range(0, len(text), STEP)]


def _id(prefix: str) -> str:
    return f"{prefix}_{next(_numbers):024x}"


def _messages(vendor: str, heard: Heard, said: Said) -> Script:
    blocks: list[dict[str, Any]] = []
    if said.thought and (heard.document.get("thinking") or {}).get("type") in ("enabled", "adaptive"):
        blocks.append({"type": "thinking", "thinking": said.thought, "signature": SIGNATURE})
    if said.text:
        blocks.append({"type": "text", "text": said.text})
    for name, arguments in said.calls:
        given = {"json": json.dumps(arguments)} if heard.stream else {"input": arguments}
        blocks.append({"type": "tool_use", "id": _id("toolu"), "name": name, **given})
    stop = "tool_use" if said.calls else "end_turn"
    return claude_stream(*blocks, stop=stop, step=STEP) if heard.stream else claude_answer(*blocks, stop=stop)


def _gemini(vendor: str, heard: Heard, said: Said) -> Script:
    parts: list[dict[str, Any]] = [{"text": said.thought, "thought": True}] if said.thought else []
    if heard.stream:
        parts += [{"text": piece} for piece in _pieces(said.text)]
    elif said.text:
        parts.append({"text": said.text})
    signed = {"thoughtSignature": SIGNATURE} if said.thought else {}
    parts += [{"functionCall": {"name": name, "args": arguments}, **signed} for name, arguments in said.calls]
    if heard.stream:
        last = len(parts) - 1
        return gemini_stream(*(gemini(part, finish="STOP" if number == last else None) for number, part in enumerate(parts)))
    return whole(gemini(*parts))


def _ollama(vendor: str, heard: Heard, said: Said) -> Script:
    calls = [{"function": {"name": name, "arguments": arguments}} for name, arguments in said.calls]
    thinking = {"thinking": said.thought} if said.thought else {}
    if "prompt" in heard.document:  # /api/generate
        line = {
            "model": "m",
            "created_at": "2026-01-01T00:00:00Z",
            "response": said.text,
            "done": True,
            "done_reason": "stop",
            "eval_count": 5,
        }
        return ollama_stream(json.dumps(line).encode() + b"\n")
    if not heard.stream:
        message = {"content": said.text, **thinking} | ({"tool_calls": calls} if calls else {})
        return Script([ollama(message, done=True)])
    lines = [ollama(thinking)] if thinking else []
    lines += [ollama({"content": piece}) for piece in _pieces(said.text)]
    lines += [ollama({"tool_calls": [call]}) for call in calls]
    return ollama_stream(*lines, ollama({}, done=True))


def _chat(vendor: str, heard: Heard, said: Said) -> Script:
    calls = [
        {"id": _id("call"), "type": "function", "function": {"name": name, "arguments": json.dumps(arguments)}}
        for name, arguments in said.calls
    ]
    finish = "tool_calls" if calls else "stop"
    thought = _thought(vendor, said.thought)
    if not heard.stream:
        message = thought | ({"content": [*thought["content"], {"type": "text", "text": said.text}]} if "content" in thought else {})
        message = message if "content" in message else message | {"content": said.text or None}
        return openai_answer(message | ({"tool_calls": calls} if calls else {}), finish)
    deltas: list[dict[str, Any]] = [{"role": "assistant", "content": ""}] + ([thought] if thought else [])
    deltas += [{"content": piece} for piece in _pieces(said.text)]
    if vendor == "mistral":  # its calls come whole, and the usage unasked
        deltas += [{"tool_calls": [{"index": index, **call}]} for index, call in enumerate(calls)]
        return events(*(chunk(delta) for delta in deltas), chunk({}, finish, usage=USAGE))
    for index, call in enumerate(calls):
        arguments = call["function"]["arguments"]
        deltas.append({"tool_calls": [{"index": index, **call, "function": {"name": call["function"]["name"], "arguments": ""}}]})
        deltas += [{"tool_calls": [{"index": index, "function": {"arguments": piece}}]} for piece in _pieces(arguments)]
    usage = [chunk(usage=USAGE)] if (heard.document.get("stream_options") or {}).get("include_usage") else []
    return events(*(chunk(delta) for delta in deltas), chunk({}, finish), *usage)


def _thought(vendor: str, text: str) -> dict[str, Any]:
    if not text:
        return {}
    return (
        {"content": [{"type": "thinking", "thinking": [{"type": "text", "text": text}]}]}
        if vendor == "mistral"
        else {"reasoning_content": text}
    )


def _responses(vendor: str, heard: Heard, said: Said) -> Script:
    items: list[dict[str, Any]] = []
    if said.thought:
        summary = [{"type": "summary_text", "text": said.thought}]
        items.append({"type": "reasoning", "id": _id("rs"), "summary": summary, "encrypted_content": SEALED})
    for name, arguments in said.calls:
        call = {"type": "function_call", "id": _id("fc"), "call_id": _id("call"), "name": name, "arguments": json.dumps(arguments)}
        items.append(call | {"status": "completed"})
    if said.text:
        part = {"type": "output_text", "text": said.text, "annotations": [], "logprobs": []}
        items.append({"type": "message", "id": _id("msg"), "status": "completed", "role": "assistant", "content": [part]})
    usage = {"input_tokens": 10, "output_tokens": 5, "total_tokens": 15}
    usage |= {"input_tokens_details": {"cached_tokens": 0}, "output_tokens_details": {"reasoning_tokens": 0}}
    common = {"id": _id("resp"), "object": "response", "created_at": 1, "model": heard.document["model"], "error": None, "tools": []}
    common |= {"incomplete_details": None, "instructions": None, "metadata": {}, "parallel_tool_calls": True, "tool_choice": "auto"}
    common |= {"temperature": 1.0, "top_p": 1.0, "previous_response_id": None, "reasoning": {"effort": None, "summary": None}}
    done = common | {"status": "completed", "output": items, "usage": usage}
    if not heard.stream:
        return whole(done)
    begun = common | {"status": "in_progress", "output": [], "usage": None}
    said_so = [{"type": "response.created", "response": begun}, {"type": "response.in_progress", "response": begun}]
    said_so += [event for index, item in enumerate(items) for event in _item_events(index, item)]
    said_so.append({"type": "response.completed", "response": done})
    return named(*({**event, "sequence_number": number} for number, event in enumerate(said_so)))


def _item_events(index: int, item: dict[str, Any]) -> list[dict[str, Any]]:
    at = {"item_id": item["id"], "output_index": index}
    empty = {"summary": []} | {"status": "in_progress"}
    match item["type"]:
        case "message":
            at |= {"content_index": 0}
            (part,) = item["content"]
            inner: list[dict[str, Any]] = [{"type": "response.content_part.added", **at, "part": part | {"text": ""}}]
            inner += [{"type": "response.output_text.delta", **at, "delta": piece, "logprobs": []} for piece in _pieces(part["text"])]
            inner.append({"type": "response.output_text.done", **at, "text": part["text"], "logprobs": []})
            inner.append({"type": "response.content_part.done", **at, "part": part})
            empty = {"content": [], "status": "in_progress"}
        case "function_call":
            inner = [{"type": "response.function_call_arguments.delta", **at, "delta": piece} for piece in _pieces(item["arguments"])]
            inner.append({"type": "response.function_call_arguments.done", **at, "name": item["name"], "arguments": item["arguments"]})
            empty = {"arguments": "", "status": "in_progress"}
        case _:
            at |= {"summary_index": 0}
            (part,) = item["summary"]
            inner = [{"type": "response.reasoning_summary_part.added", **at, "part": part | {"text": ""}}]
            inner += [{"type": "response.reasoning_summary_text.delta", **at, "delta": piece} for piece in _pieces(part["text"])]
            inner.append({"type": "response.reasoning_summary_text.done", **at, "text": part["text"]})
            inner.append({"type": "response.reasoning_summary_part.done", **at, "part": part})
            empty = {"summary": []}
    added = {"type": "response.output_item.added", "output_index": index, "item": item | empty}
    return [added, *inner, {"type": "response.output_item.done", "output_index": index, "item": item}]


_SPEAK = {"chat": _chat, "responses": _responses, "messages": _messages, "gemini": _gemini, "ollama": _ollama}


def refusal(vendor: str, status: int) -> Script:
    """An error in the vendor's own words; 429 says when to come again."""
    kind = {401: "authentication_error", 404: "not_found_error", 429: "rate_limit_error"}.get(status, "api_error")
    message = f"This is the vendor's own {status}"
    documents: dict[str, Any] = {
        "anthropic": {"type": "error", "error": {"type": kind, "message": message}},
        "gemini": {"error": {"code": status, "message": message, "status": "RESOURCE_EXHAUSTED" if status == 429 else "INTERNAL"}},
        "ollama": {"error": message},
        "mistral": {"object": "error", "message": message, "type": kind, "param": None, "code": "1"},
    }
    document = documents.get(vendor, {"error": {"message": message, "type": kind, "param": None, "code": kind}})
    return whole(document, status, **({"retry-after": str(PLAYS["retry_after"])} if status == 429 else {}))


def embeddings(vendor: str, document: dict[str, Any]) -> Script:
    """One vector for each input."""
    if vendor == "gemini":
        return whole({"embeddings": [{"values": VECTOR} for _ in document["requests"]]})
    inputs = document["input"] if isinstance(document["input"], list) else [document["input"]]
    inputs = [inputs] if inputs and isinstance(inputs[0], int) else inputs
    if vendor == "ollama":
        return whole({"model": "m", "embeddings": [VECTOR for _ in inputs], "prompt_eval_count": 5})
    packed = base64.b64encode(struct.pack("<3f", *VECTOR)).decode()
    vector = packed if document.get("encoding_format") == "base64" else VECTOR
    data = [{"object": "embedding", "index": index, "embedding": vector} for index, _ in enumerate(inputs)]
    return whole({"object": "list", "model": "m", "data": data, "usage": {"prompt_tokens": 5, "total_tokens": 5}})
