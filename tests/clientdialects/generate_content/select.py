"""Choose the recorded requests kept in `requests.jsonl`: `python -m tests.clientdialects.generate_content.select COLLECTION`.

Greedy cover: whatever request shows most members and words that no chosen one shows yet, for its size. Media are cut short: their
first bytes are as recorded.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

FILE = Path(__file__).with_name("requests.jsonl")
LARGEST = 30_000  # bytes of one request
MEDIA = 240  # letters of base64
FREE = {"args", "properties", "$defs", "response"}  # members named by people, not by a wire
WORDS = {"role", "mode", "mimeType", "mime_type", "type", "thinkingLevel", "thinking_level"}
APIS = {"generateContent", "streamGenerateContent"}


def shape(value: Any, place: str = "") -> Iterator[str]:
    """The members of a request, and the words of those that hold an enumeration."""
    if isinstance(value, list):
        yield f"{place} {'of several' if len(value) > 1 else 'of one' if value else 'of none'}"
        for item in value:
            yield from shape(item, f"{place}[]")
    elif isinstance(value, dict):
        for name, item in value.items():
            yield f"{place}.{name}={item}" if name in WORDS and isinstance(item, str) else f"{place}.{name}:{type(item).__name__}"
            if name not in FREE:
                yield from shape(item, f"{place}.{name}")


def shortened(value: Any) -> Any:
    """The request with less of its media."""
    if isinstance(value, list):
        return [shortened(item) for item in value]
    if isinstance(value, dict):
        media = "mimeType" in value or "mime_type" in value
        return {name: item[:MEDIA] if media and name == "data" else shortened(item) for name, item in value.items()}
    return value


def select(root: Path) -> list[dict[str, Any]]:
    """The chosen requests, each with where it comes from."""
    rows = [json.loads(line) for line in (root / "index.jsonl").read_text("utf-8").splitlines()]
    candidates = []
    for path in sorted(row["path"] for row in rows if row["api"] in APIS and row["status"] < 400):
        record = json.loads((root / path).read_text("utf-8"))
        body = shortened((record["request"] or {}).get("body"))
        if isinstance(body, dict) and "contents" in body and len(text := json.dumps(body)) <= LARGEST:
            candidates.append(
                (len(text), {"case": path, "source": record["source"], "model": record["model"], "body": body}, set(shape(body)))
            )
    chosen: list[dict[str, Any]] = []
    seen: set[str] = set()
    while candidates:
        best = max(candidates, key=lambda one: len(one[2] - seen) / one[0] ** 0.5)
        if not best[2] - seen:
            break
        candidates.remove(best)
        seen |= best[2]
        chosen.append(best[1])
    return chosen


if __name__ == "__main__":
    lines = (json.dumps(entry, ensure_ascii=False, separators=(",", ":")) for entry in select(Path(sys.argv[1])))
    FILE.write_text("".join(f"{line}\n" for line in lines), "utf-8")
