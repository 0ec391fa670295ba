"""What goes over the wire in the benchmark: one short question, its answer whole, and as a stream of 200 pieces.

Written by hand in the shapes that the recordings in tests/corpus show.
"""

from __future__ import annotations

import json
from typing import Any

PIECES = 200
MARK = "tok-"
_TEXT = [f"{MARK}{number:03d} lorem " for number in range(PIECES)]


def _dump(value: Any) -> str:
    return json.dumps(value, separators=(",", ":"))


def request(model: str, stream: bool, port: int) -> bytes:
    """A client's whole HTTP request: an OpenAI chat request of about 0.4 kB."""
    body: dict[str, Any] = {
        "model": model,
        "messages": [
            {"role": "system", "content": "You are a helpful assistant who answers in one short paragraph of plain text."},
            {
                "role": "user",
                "content": "Why is the sky blue, and why is it red in the evening? Please explain it to a child of ten years.",
            },
        ],
        "max_tokens": 300,
        "temperature": 0.7,
    }
    if stream:
        body["stream"] = True
    data = _dump(body).encode()
    head = (
        f"POST /v1/chat/completions HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\nAuthorization: Bearer sk-bench\r\n"
        f"Content-Type: application/json\r\n"
        f"Accept: application/json\r\nAccept-Encoding: identity\r\nUser-Agent: bench/1\r\nX-Stainless-Lang: python\r\n"
        f"X-Stainless-Runtime: CPython\r\nContent-Length: {len(data)}\r\n\r\n"
    )
    return head.encode() + data


def openai() -> tuple[str, str]:
    """(whole, stream)."""
    text = "".join(_TEXT[:40])
    whole = {
        "id": "chatcmpl-bench",
        "object": "chat.completion",
        "created": 1750000000,
        "model": "bench",
        "choices": [
            {"index": 0, "message": {"role": "assistant", "content": text, "refusal": None}, "logprobs": None, "finish_reason": "stop"}
        ],
        "usage": {"prompt_tokens": 40, "completion_tokens": 40, "total_tokens": 80},
        "system_fingerprint": "fp_bench",
    }

    def chunk(delta: dict[str, Any], finish: str | None = None) -> str:
        choice = {"index": 0, "delta": delta, "logprobs": None, "finish_reason": finish}
        head = {"id": "chatcmpl-bench", "object": "chat.completion.chunk", "created": 1750000000, "model": "bench"}
        return f"data: {_dump({**head, 'system_fingerprint': 'fp_bench', 'choices': [choice]})}\n\n"

    pieces = [chunk({"role": "assistant", "content": ""}), *(chunk({"content": text}) for text in _TEXT), chunk({}, "stop")]
    return _dump(whole), "".join(pieces) + "data: [DONE]\n\n"


def blocks() -> tuple[str, str]:
    """The same in the Messages API's shapes."""
    usage = {"input_tokens": 40, "cache_creation_input_tokens": 0, "cache_read_input_tokens": 0, "output_tokens": 40}
    message = {"id": "msg_bench", "type": "message", "role": "assistant", "model": "bench", "stop_sequence": None}
    whole = {**message, "content": [{"type": "text", "text": "".join(_TEXT[:40])}], "stop_reason": "end_turn", "usage": usage}
    events = [
        {"type": "message_start", "message": {**message, "content": [], "stop_reason": None, "usage": usage}},
        {"type": "content_block_start", "index": 0, "content_block": {"type": "text", "text": ""}},
        *({"type": "content_block_delta", "index": 0, "delta": {"type": "text_delta", "text": text}} for text in _TEXT),
        {"type": "content_block_stop", "index": 0},
        {"type": "message_delta", "delta": {"stop_reason": "end_turn", "stop_sequence": None}, "usage": {"output_tokens": 200}},
        {"type": "message_stop"},
    ]
    return _dump(whole), "".join(f"event: {event['type']}\ndata: {_dump(event)}\n\n" for event in events)


def parts() -> tuple[str, str]:
    """The same in generateContent's shapes."""

    def answer(text: str, finish: str | None, tokens: int) -> dict[str, Any]:
        candidate: dict[str, Any] = {"content": {"parts": [{"text": text}], "role": "model"}, "index": 0}
        if finish:
            candidate["finishReason"] = finish
        usage = {"promptTokenCount": 40, "candidatesTokenCount": tokens, "totalTokenCount": 40 + tokens}
        return {"candidates": [candidate], "usageMetadata": usage, "modelVersion": "bench", "responseId": "bench"}

    whole = answer("".join(_TEXT[:40]), "STOP", 40)
    pieces = [answer(text, "STOP" if number == PIECES - 1 else None, number) for number, text in enumerate(_TEXT)]
    return _dump(whole), "".join(f"data: {_dump(piece)}\n\n" for piece in pieces)
