"""`python -m tests.bench.transform`: µs per event in the transform alone (decoded from SSE bytes to OpenAI's SSE bytes), per kind of event.

No sockets: 100 events are fed in one read, framed as their vendor does it (Anthropic names each in an `event:` line, too). JSON decode
and encode of the same event stand beside it. The best of many rounds counts, each with all kinds in turn: what disturbs the machine
for a while disturbs them all.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import msgspec

from proxy.codecs import DECODERS, NdjsonDecoder, sse_event
from proxy.config import load
from proxy.mapping.chunks import ChunkWriter
from proxy.mapping.context import Context
from proxy.mapping.stream import StreamMapping

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


#: What is run, how often for one figure, and how many events it has.
Run = tuple[Callable[[], object], int, int]


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


def figures(loops: int = 30) -> list[Figure]:
    config = load(ROUTES, {"ANTHROPIC_API_KEY": "x", "GEMINI_API_KEY": "x"})
    runs = {(kind[0], kind[1]): _runs(config.providers[kind[0]].dialect.operations["chat"].stream, *kind[2:]) for kind in KINDS}
    rounds = [
        {kind: [best(run, times, 1) / events for run, times, events in of_kind] for kind, of_kind in runs.items()} for _ in range(loops)
    ]
    return [Figure(*kind, *map(min, zip(*(each[kind] for each in rounds), strict=True))) for kind in runs]


def _runs(mapping: StreamMapping | None, before: list[dict[str, object]], event: dict[str, object]) -> list[Run]:
    """What is measured of a kind, in Figure's order."""
    assert mapping is not None
    writer, decoder = ChunkWriter("bench", 1), DECODERS[mapping.decode]()
    stream = mapping.open(Context(model="bench"), writer)
    for first in before:
        stream.event("", json.dumps(first).encode())
    text = json.dumps(event, separators=(",", ":")).encode()
    piece = (text + b"\n" if isinstance(decoder, NdjsonDecoder) else sse_event(text, str(event.get("type", "")))) * 100

    def transform() -> bytes:
        stream.read(decoder.feed(piece))
        return writer.take()

    assert transform().count(TEXT.encode()) >= 100
    return [(transform, 30, 100), (lambda: decoder.feed(piece), 30, 100), (lambda: msgspec.json.encode(msgspec.json.decode(text)), 3000, 1)]


def main() -> None:
    print("| dialect | event | µs an event | of it framing | JSON decode + encode of it |\n|---|---|---:|---:|---:|")
    for figure in figures():
        print(f"| {figure.provider} | {figure.kind} | {figure.transform:.2f} | {figure.framing:.2f} | {figure.json:.2f} |")


if __name__ == "__main__":
    main()
