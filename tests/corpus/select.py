"""Choose the compact selection kept in `recordings/` from a full collection: `python -m tests.corpus.select COLLECTION`.

Greedy cover: whatever shows most that no chosen exchange shows yet (features, quality flags, statuses, members and words of the
answer, members of an OpenAI-shaped request), for its size. The same collection gives the same selection.
"""

from __future__ import annotations

import json
import sys
from collections import Counter, defaultdict
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from tests.corpus.exchanges import RECORDINGS, Exchange, collection
from tests.corpus.frames import ndjson, sse

#: How many exchanges of a wire (vendor, api) are kept at most; 2 of any other.
MOST = {
    ("anthropic", "messages"): 46,
    ("gemini", "generateContent"): 26,
    ("gemini", "streamGenerateContent"): 18,
    ("vertex", "generateContent"): 5,
    ("vertex", "streamGenerateContent"): 3,
    ("deepseek", "chat"): 16,
    ("mistral", "chat"): 18,
    ("ollama", "ollama.chat"): 10,
    ("ollama", "chat"): 6,
    ("openai", "chat"): 32,
    ("openrouter", "chat"): 8,
    ("groq", "chat"): 4,
    ("azure", "chat"): 4,
}
LARGEST = 45_000  # bytes of one exchange
WORDS = {"type", "finish_reason", "finishReason", "stop_reason", "done_reason", "object", "status", "role", "blockReason"}
FREE = {"input", "args", "arguments", "properties", "$defs", "metadata", "provider_metadata"}  # members named by people, not by a wire


def _shape(value: Any, place: str) -> Iterator[str]:
    """The members of a document, and the words of those that hold an enumeration."""
    if isinstance(value, list):
        for item in value:
            yield from _shape(item, place + "[]")
    elif isinstance(value, dict):
        for name, item in value.items():
            yield f"{place}.{name}={item}" if name in WORDS and isinstance(item, str) else f"{place}.{name}:{type(item).__name__}"
            if name not in FREE:
                yield from _shape(item, f"{place}.{name}")


def _documents(exchange: Exchange) -> Iterator[Any]:
    answer = exchange.record["response"]
    if "body_text" not in answer:
        yield answer["body"]
    elif exchange.api == "ollama.chat":
        yield from ndjson(answer["body_text"])
    else:
        yield from (json.loads(data) for _, data in sse(answer["body_text"]) if data.strip() != "[DONE]")


def _shown(exchange: Exchange) -> set[str]:
    """What an exchange shows."""
    record = exchange.record
    shown = {f"feature {feature} {exchange.streamed}" for feature in record["features"]} | {f"status {exchange.status}"}
    shown |= {f"quality {flag}" for flag in record["quality"] if not flag.startswith("prompt:")}
    for document in _documents(exchange):
        shown |= set(_shape(document, f"answer {exchange.streamed}"))
    body = (record["request"] or {}).get("body")
    if exchange.api == "chat" and isinstance(body, dict):
        shown |= set(_shape(body, "request"))
    return shown


def select(exchanges: list[Exchange]) -> list[Exchange]:
    """The chosen exchanges, wire by wire."""
    wires: dict[tuple[str, str], list[tuple[int, Exchange, set[str]]]] = defaultdict(list)
    for exchange in sorted(exchanges, key=lambda one: one.path):
        size = len(json.dumps(exchange.record))
        if size <= LARGEST:
            wires[exchange.vendor, exchange.api].append((size, exchange, _shown(exchange)))
    chosen = []
    for wire, candidates in sorted(wires.items()):
        seen: set[str] = set()
        for _ in range(min(MOST.get(wire, 2), len(candidates))):
            best = max(candidates, key=lambda one: len(one[2] - seen) / one[0] ** 0.5)
            if not best[2] - seen:
                break
            candidates.remove(best)
            seen |= best[2]
            chosen.append(best[1])
    return chosen


def _notice(chosen: list[Exchange]) -> str:
    sources = Counter((exchange.record["source"]["repo"], exchange.record["source"]["license"]) for exchange in chosen)
    rows = "\n".join(f"| {repo} | {licence} | {count} |" for (repo, licence), count in sorted(sources.items()))
    return f"""# Recorded vendor traffic

{len(chosen)} real exchanges, recorded by the test suites of the public projects below and kept here under their licences;
each line keeps its `source` (repository, path, commit, licence). Made by `python -m tests.corpus.select`. Data, not code.

One JSON object a line: `source{{repo,path,commit,license,recorded}}, vendor, api, model, tier,
request{{method,url,headers,body…}}` or null,
`response{{status,headers,body (JSON) | body_text (SSE, NDJSON)}}, features[], quality[], case`.
Keys, accounts and signed URLs were replaced before.
Tier 1: recorded on the wire; 2: the request or the framing was not kept; 3: recorded through an SDK's objects, or edited.

| repository | licence | exchanges |
|---|---|---|
{rows}
"""


def main(root: Path) -> None:
    """Write the selection anew."""
    chosen = select(list(collection(root)))
    for old in RECORDINGS.glob("*.jsonl"):
        old.unlink()
    lines: dict[str, list[str]] = defaultdict(list)
    for exchange in chosen:
        lines[exchange.vendor].append(json.dumps(exchange.record, ensure_ascii=False, separators=(",", ":")))
    for vendor, kept in lines.items():
        (RECORDINGS / f"{vendor}.jsonl").write_text("\n".join(kept) + "\n", encoding="utf-8")
    (RECORDINGS / "NOTICE.md").write_text(_notice(chosen), encoding="utf-8")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
