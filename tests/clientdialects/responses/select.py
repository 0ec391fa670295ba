"""Choose the recorded requests kept in `requests.jsonl` from a full collection.

`python -m tests.clientdialects.responses.select COLLECTION`. Greedy cover:
whatever request shows most members, types and roles that no chosen one shows yet, for its size.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

FILE = Path(__file__).with_name("requests.jsonl")
LARGEST = 20_000  # bytes of one request
FREE = {"parameters", "schema", "metadata", "arguments", "headers"}  # members named by people, not by a wire
WORDS = {"type", "role", "phase", "status", "execution", "effort", "summary", "detail", "mode", "format", "syntax"}


def shape(value: Any, place: str = "") -> Iterator[str]:
    """The members of a request, and the words of those that hold an enumeration."""
    if isinstance(value, list):
        yield f"{place} {'of several' if len(value) > 1 else 'of one' if value else 'of none'}"
        for item in value:
            yield from shape(item, place + "[]")
    elif isinstance(value, dict):
        kind = value.get("type")
        for name, item in value.items():
            here = f"{place}<{kind}>.{name}"
            yield f"{here}={item}" if name in WORDS and isinstance(item, str) else f"{here}:{type(item).__name__}"
            if name not in FREE:
                yield from shape(item, here)


def select(root: Path) -> list[dict[str, Any]]:
    """The chosen requests, each with where it comes from."""
    rows = [json.loads(line) for line in (root / "index.jsonl").read_text("utf-8").splitlines()]
    candidates = []
    for path in sorted(row["path"] for row in rows if row["api"] == "responses"):
        record = json.loads((root / path).read_text("utf-8"))
        body = (record["request"] or {}).get("body")
        if isinstance(body, dict) and record["response"]["status"] < 400 and len(size := json.dumps(body)) <= LARGEST:
            candidates.append((len(size), {"case": path, "source": record["source"], "body": body}, set(shape(body))))
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
