"""`python -m tests.bench.transform`: µs per event in the transform alone (decoded from SSE bytes to OpenAI's SSE bytes), per kind of event.

No sockets: 100 events are fed in one read, framed as their vendor does it (Anthropic names each in an `event:` line, too), best of many
runs. JSON decode and encode of the same event stand beside it.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import msgspec

from proxy.codecs import DECODERS, Decoder, NdjsonDecoder, sse_event
from proxy.config import load
from proxy.mapping.chunks import ChunkWriter
from proxy.mapping.context import Context
from proxy.mapping.stream import Stream

ROUTES = Path(__file__).parents[2] / "routes.yaml"


def _block(delta: dict[str, object]) -> dict[str, object]:
    return {"type": "content_block_delta", "index": 0, "delta": delta}


def _parts(part: dict[str, object]) -> dict[str, object]:
    usage = {"promptTokenCount": 40, "candidatesTokenCount": 12, "totalTokenCount": 52}
    candidate = {"content": {"parts": [part], "role": "model"}, "index": 0}
    return {"candidates": [candidate], "usageMetadata": usage, "modelVersion": "bench", "responseId": "bench"}


def _tool(kind: str) -> list[dict[str, object]]:
    return [{"type": "content_block_start", "index": 0, "content_block": {"type": kind, "id": "t", "name": "f", "input": {}}}]


TEXT = "Hello, wor"
KINDS: list[tuple[str, str, list[dict[str, object]], dict[str, object]]] = [
    ("anthropic", "text", [], _block({"type": "text_delta", "text": TEXT})),
    ("anthropic", "thinking", [], _block({"type": "thinking_delta", "thinking": TEXT})),
    ("anthropic", "tool arguments", _tool("tool_use"), _block({"type": "input_json_delta", "partial_json": TEXT})),
    ("gemini", "text", [], _parts({"text": TEXT})),
    ("gemini", "thinking", [], _parts({"text": TEXT, "thought": True})),
    (
        "ollama",
        "text",
        [],
        {"model": "m", "created_at": "2026-01-01T00:00:00Z", "message": {"role": "assistant", "content": TEXT}, "done": False},
    ),
]


def best(run: Callable[[], object], times: int, loops: int) -> float:
    """µs of CPU time for one run, in the best of `loops` loops of so many times."""
    shortest = 1e9
    for _ in range(loops):
        begun = time.process_time()
        for _ in range(times):
            run()
        shortest = min(shortest, (time.process_time() - begun) / times)
    return shortest * 1e6


@dataclass(frozen=True)
class Figure:
    """One kind of event: µs of the whole transform, of its framing alone, and of msgspec's decode and encode of the event."""

    provider: str
    kind: str
    transform: float
    framing: float
    json: float


def figures(loops: int = 30) -> Iterator[Figure]:
    config = load(ROUTES, {"ANTHROPIC_API_KEY": "x", "GEMINI_API_KEY": "x"})
    for provider, kind, before, event in KINDS:
        mapping = config.providers[provider].dialect.operations["chat"].stream
        assert mapping is not None
        writer = ChunkWriter("bench", 1)
        stream = mapping.open(Context(model="bench"), writer)
        for first in before:
            stream.event("", json.dumps(first).encode())
        yield _figure(provider, kind, (stream, DECODERS[mapping.decode](), writer), event, loops)


def _figure(provider: str, kind: str, running: tuple[Stream, Decoder, ChunkWriter], event: dict[str, object], loops: int) -> Figure:
    stream, decoder, writer = running
    text = json.dumps(event, separators=(",", ":")).encode()
    piece = (text + b"\n" if isinstance(decoder, NdjsonDecoder) else sse_event(text, str(event.get("type", "")))) * 100

    def transform() -> bytes:
        stream.read(decoder.feed(piece))
        return writer.take()

    assert transform().count(TEXT.encode()) >= 100
    return Figure(
        provider,
        kind,
        transform=best(transform, 30, loops) / 100,
        framing=best(lambda: decoder.feed(piece), 30, loops) / 100,
        json=best(lambda: msgspec.json.encode(msgspec.json.decode(text)), 3000, loops),
    )


def main() -> None:
    print("| dialect | event | µs an event | of it framing | JSON decode + encode of it |\n|---|---|---:|---:|---:|")
    for figure in figures():
        print(f"| {figure.provider} | {figure.kind} | {figure.transform:.2f} | {figure.framing:.2f} | {figure.json:.2f} |")


if __name__ == "__main__":
    main()
