"""What goes over the wire in the benchmark: one short question, its answer whole, and as a stream of pieces.

Written by hand in the shapes that the recordings in tests/corpus show.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from typing import Any

#: Pieces of a stream that comes at once; marks in a whole answer.
PIECES, WHOLE_PIECES = 200, 20
#: Each piece has this mark and 15 digits: its number, or (a paced upstream, see wire.c) when it was sent.
MARK = "tok-"
#: The upstreams' models: names that gateways with price lists know, or they would look for them in vain with each request.
MODELS = {"openai": "gpt-4o-mini", "blocks": "claude-haiku-4-5", "parts": "gemini-2.5-flash", "items": "gpt-4o-mini"}
KEY = "sk-bench"


def _dump(value: Any) -> str:
    return json.dumps(value, separators=(",", ":"))


def _text(pieces: int) -> list[str]:
    return [f"{MARK}{number:015d} lorem " for number in range(pieces)]


SYSTEM = "You are a helpful assistant who answers in one short paragraph of plain text."
ASKED = "Why is the sky blue, and why is it red in the evening? Please explain it to a child of ten years."


def request(model: str, stream: bool, port: int, headers: Mapping[str, str] | None = None, image: int = 0) -> bytes:
    """A client's whole HTTP request: an OpenAI chat request of about 0.4 kB, or with an image of so many bytes in it."""
    asked: Any = ASKED
    if image:
        url = "data:image/png;base64," + "iVBORw0KGgoAAAAN" * (image // 16)
        asked = [{"type": "text", "text": "What is this?"}, {"type": "image_url", "image_url": {"url": url}}]
    body: dict[str, Any] = {
        "model": model,
        "messages": [
            {"role": "system", "content": SYSTEM},
            {"role": "user", "content": asked},
        ],
        "max_tokens": 300,
        "temperature": 0.7,
    }
    if stream:
        body["stream"] = True
    return _written("/v1/chat/completions", body, port, headers)


def responses_request(model: str, port: int) -> bytes:
    """The same for a stream of the Responses API."""
    body = {
        "model": model,
        "instructions": SYSTEM,
        "input": ASKED,
        "max_output_tokens": 300,
        "temperature": 0.7,
        "store": False,
        "stream": True,
    }
    return _written("/v1/responses", body, port)


def messages_request(model: str, port: int) -> bytes:
    """The same for a stream of the Messages API."""
    turns = [{"role": "user", "content": ASKED}]
    body = {"model": model, "system": SYSTEM, "messages": turns, "max_tokens": 300, "temperature": 0.7, "stream": True}
    return _written("/v1/messages", body, port, {"anthropic-version": "2023-06-01"})


#: Other languages of clients → a request for a stream, and how often an answer of theirs says each piece: Responses repeats the text
#: in four events at its end.
CLIENTS: dict[str, tuple[Callable[[str, int], bytes], int]] = {"responses": (responses_request, 5), "messages": (messages_request, 1)}


def _written(path: str, body: dict[str, Any], port: int, headers: Mapping[str, str] | None = None) -> bytes:
    data = _dump(body).encode()
    head = (
        f"POST {path} HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\nAuthorization: Bearer {KEY}\r\n"
        f"Content-Type: application/json\r\n"
        f"Accept: application/json\r\nAccept-Encoding: identity\r\nUser-Agent: bench/1\r\nX-Stainless-Lang: python\r\n"
        f"X-Stainless-Runtime: CPython\r\nContent-Length: {len(data)}\r\n"
    )
    head += "".join(f"{name}: {value}\r\n" for name, value in (headers or {}).items()) + "\r\n"
    return head.encode() + data


def openai(pieces: int) -> tuple[str, str]:
    """An answer, whole and as a stream of so many pieces."""
    text = "".join(_text(WHOLE_PIECES))
    whole = {
        "id": "chatcmpl-bench",
        "object": "chat.completion",
        "created": 1750000000,
        "model": MODELS["openai"],
        "choices": [
            {"index": 0, "message": {"role": "assistant", "content": text, "refusal": None}, "logprobs": None, "finish_reason": "stop"}
        ],
        "usage": {"prompt_tokens": 40, "completion_tokens": 40, "total_tokens": 80},
        "system_fingerprint": "fp_bench",
    }

    def chunk(delta: dict[str, Any], finish: str | None = None) -> str:
        choice = {"index": 0, "delta": delta, "logprobs": None, "finish_reason": finish}
        head = {"id": "chatcmpl-bench", "object": "chat.completion.chunk", "created": 1750000000, "model": MODELS["openai"]}
        return f"data: {_dump({**head, 'system_fingerprint': 'fp_bench', 'choices': [choice]})}\n\n"

    chunks = [chunk({"role": "assistant", "content": ""}), *(chunk({"content": text}) for text in _text(pieces)), chunk({}, "stop")]
    return _dump(whole), "".join(chunks) + "data: [DONE]\n\n"


def blocks(pieces: int) -> tuple[str, str]:
    """The same in the Messages API's shapes."""
    usage = {"input_tokens": 40, "cache_creation_input_tokens": 0, "cache_read_input_tokens": 0, "output_tokens": 40}
    message = {"id": "msg_bench", "type": "message", "role": "assistant", "model": MODELS["blocks"], "stop_sequence": None}
    whole = {**message, "content": [{"type": "text", "text": "".join(_text(WHOLE_PIECES))}], "stop_reason": "end_turn", "usage": usage}
    events: list[dict[str, Any]] = [
        {"type": "message_start", "message": {**message, "content": [], "stop_reason": None, "usage": usage}},
        {"type": "content_block_start", "index": 0, "content_block": {"type": "text", "text": ""}},
        *({"type": "content_block_delta", "index": 0, "delta": {"type": "text_delta", "text": text}} for text in _text(pieces)),
        {"type": "content_block_stop", "index": 0},
        {"type": "message_delta", "delta": {"stop_reason": "end_turn", "stop_sequence": None}, "usage": {"output_tokens": 200}},
        {"type": "message_stop"},
    ]
    return _dump(whole), "".join(f"event: {event['type']}\ndata: {_dump(event)}\n\n" for event in events)


def parts(pieces: int) -> tuple[str, str]:
    """The same in generateContent's shapes."""

    def answer(text: str, finish: str | None, tokens: int) -> dict[str, Any]:
        candidate: dict[str, Any] = {"content": {"parts": [{"text": text}], "role": "model"}, "index": 0}
        if finish:
            candidate["finishReason"] = finish
        usage = {"promptTokenCount": 40, "candidatesTokenCount": tokens, "totalTokenCount": 40 + tokens}
        return {"candidates": [candidate], "usageMetadata": usage, "modelVersion": MODELS["parts"], "responseId": "bench"}

    whole = answer("".join(_text(WHOLE_PIECES)), "STOP", 40)
    answers = [answer(text, "STOP" if number == pieces - 1 else None, number) for number, text in enumerate(_text(pieces))]
    return _dump(whole), "".join(f"data: {_dump(piece)}\r\n\r\n" for piece in answers)  # CRLF, as Gemini has it


def items(pieces: int) -> tuple[str, str]:
    """The same in the Responses API's shapes."""
    head = {"id": "resp_bench", "object": "response", "created_at": 1750000000, "model": MODELS["items"], "error": None}
    usage = {"input_tokens": 40, "output_tokens": 200, "total_tokens": 240}

    def part(text: str) -> dict[str, Any]:
        return {"type": "output_text", "text": text, "annotations": []}

    def message(text: str, status: str = "completed") -> dict[str, Any]:
        content = [part(text)] if text else []
        return {"id": "msg_bench", "type": "message", "role": "assistant", "status": status, "content": content}

    texts, place = _text(pieces), {"item_id": "msg_bench", "output_index": 0, "content_index": 0}
    text = "".join(texts)
    begun, ended = (
        {**head, "status": "in_progress", "output": []},
        {**head, "status": "completed", "output": [message(text)], "usage": usage},
    )
    events: list[dict[str, Any]] = [
        {"type": "response.created", "response": begun},
        {"type": "response.in_progress", "response": begun},
        {"type": "response.output_item.added", "output_index": 0, "item": message("", "in_progress")},
        {"type": "response.content_part.added", **place, "part": part("")},
        *({"type": "response.output_text.delta", **place, "delta": piece, "logprobs": []} for piece in texts),
        {"type": "response.output_text.done", **place, "text": text, "logprobs": []},
        {"type": "response.content_part.done", **place, "part": part(text)},
        {"type": "response.output_item.done", "output_index": 0, "item": message(text)},
        {"type": "response.completed", "response": ended},
    ]
    whole = {**ended, "output": [message("".join(_text(WHOLE_PIECES)))]}
    stream = (f"event: {event['type']}\ndata: {_dump({**event, 'sequence_number': number})}\n\n" for number, event in enumerate(events))
    return _dump(whole), "".join(stream)


#: What an upstream may speak → its (whole, stream).
SOURCES: dict[str, Callable[[int], tuple[str, str]]] = {"openai": openai, "blocks": blocks, "parts": parts, "items": items}
#: Those of them that answer chats.
CHATS = ("openai", "blocks", "parts")
