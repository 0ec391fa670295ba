"""The words of each dialect that the faults are made of: a stream that says "Hello" and ends, cut into its parts; a whole answer."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any

from tests.stage.wires import USAGE, chunk, claude_answer, claude_events, gemini, ollama, openai_answer
from tests.upstream.scripted import chunked


@dataclass(frozen=True, slots=True)
class Wire:
    """`hello`: the events up to the text. `rest`: what proves that the answer is whole. `end`: the end marker alone, if there is one.

    `error`: the vendor's error event. `torn`: the first half of one more text event. `answer`: the whole answer, as a document.
    """

    dialect: str
    media: bytes
    hello: tuple[bytes, ...]
    rest: tuple[bytes, ...]
    error: bytes
    torn: bytes
    answer: Any

    @property
    def events(self) -> tuple[bytes, ...]:
        """The good stream."""
        return self.hello + self.rest

    def head(self, *lines: bytes) -> bytes:
        """The head of a stream in chunks."""
        more = b"".join(line + b"\r\n" for line in lines)
        return b"HTTP/1.1 200 OK\r\ncontent-type: %b\r\ntransfer-encoding: chunked\r\n%b\r\n" % (self.media, more)

    def begins(self) -> bytes:
        """A stream's head and "Hello", in one write."""
        return self.head() + chunked(b"".join(self.hello), end=False)

    def document(self, status: bytes = b"200 OK", *headers: bytes) -> bytes:
        """The whole answer with its head."""
        return document(self.answer, status, *headers)


def document(body: Any, status: bytes = b"200 OK", *headers: bytes) -> bytes:
    """A whole answer with a length: a JSON document, or bytes that may be none."""
    data = body if isinstance(body, bytes) else json.dumps(body).encode()
    lines = b"".join(header + b"\r\n" for header in (b"content-type: application/json", *headers))
    return b"HTTP/1.1 %b\r\n%bcontent-length: %d\r\n\r\n%b" % (status, lines, len(data), data)


def event(data: Any, name: str = "") -> bytes:
    """One event as most hosts write it; `data` is JSON unless it is bytes."""
    text = data if isinstance(data, bytes) else json.dumps(data).encode()
    return (b"event: %b\n" % name.encode() if name else b"") + b"data: %b\n\n" % text


def _only(script: Any) -> Any:
    (piece,) = script.pieces
    return json.loads(piece)


def _anthropic() -> Wire:
    told = [event(found, found["type"]) for found in claude_events({"type": "text", "text": "Hello"})]
    error = {"type": "error", "error": {"type": "overloaded_error", "message": "Overloaded"}}
    return Wire(
        "anthropic",
        b"text/event-stream",
        tuple(told[:4]),
        tuple(told[4:]),
        event(error, "error"),
        told[3][:-30],
        _only(claude_answer({"type": "text", "text": "Hello"})),
    )


def _gemini() -> Wire:
    hello, last = gemini({"text": "Hello"}, finish=None), gemini({"text": ""})
    error = {"error": {"code": 503, "message": "Overloaded", "status": "UNAVAILABLE"}}
    return Wire(
        "gemini", b"text/event-stream", (event(hello),), (event(last),), event(error), event(hello)[:-30], gemini({"text": "Hello"})
    )


def _ollama() -> Wire:
    hello = ollama({"content": "Hello"})
    error = b'{"error":"Overloaded"}\n'
    answer = json.loads(ollama({"content": "Hello"}, done=True))
    return Wire("ollama", b"application/x-ndjson", (hello,), (ollama({}, done=True),), error, hello[:-30], answer)


def _openai() -> Wire:
    hello = event(chunk({"role": "assistant", "content": ""})), event(chunk({"content": "Hello"}))
    rest = event(chunk({}, "stop")), event(chunk(usage=USAGE)), event(b"[DONE]")
    error = event({"error": {"message": "Overloaded", "type": "server_error", "param": None, "code": None}})
    return Wire("openai", b"text/event-stream", hello, rest, error, hello[1][:-30], _only(openai_answer({"content": "Hello"})))


WIRES = {wire.dialect: wire for wire in (_openai(), _anthropic(), _gemini(), _ollama())}
