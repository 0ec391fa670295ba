"""Choose the recorded requests kept in `requests.jsonl`: `python -m tests.clientdialects.messages.select COLLECTION`.

Greedy cover: whatever request shows most members, types and roles that no chosen one shows yet, for its size; and all of Claude Code's.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

FILE = Path(__file__).with_name("requests.jsonl")
LARGEST = 34_000  # bytes of one request
FREE = {"properties", "$defs", "input", "metadata"}  # members named by people, not by a wire
WORDS = {"type", "role", "effort", "display", "media_type", "ttl"}
HEADERS = {"anthropic-beta", "user-agent"}
APIS = {"messages", "rawPredict", "streamRawPredict"}


def shape(value: Any, place: str = "") -> Iterator[str]:
    """The members of a request, and the words of those that hold an enumeration."""
    if isinstance(value, list):
        for item in value:
            yield from shape(item, f"{place}[]")
    elif isinstance(value, dict):
        kind = value.get("type") or value.get("role")
        for name, item in value.items():
            told = item if name in WORDS and isinstance(item, str) else type(item).__name__
            yield f"{place}<{kind}>.{name}={told}"
            if name not in FREE:
                yield from shape(item, f"{place}<{kind}>.{name}")


def collected(root: Path) -> Iterator[dict[str, Any]]:
    """Every recorded request that was answered: where it comes from, the dialect's headers, its body."""
    for line in (root / "index.jsonl").read_text("utf-8").splitlines():
        row = json.loads(line)
        if row["api"] not in APIS or row["vendor"] == "gemini" or row["status"] >= 400:
            continue
        record = json.loads((root / row["path"]).read_text("utf-8"))
        request = record["request"] or {}
        body = request.get("body")
        if isinstance(body, dict) and isinstance(body.get("messages"), list):
            headers = {
                name: value for name, value in (request.get("headers") or {}).items() if name in HEADERS and str(value).isprintable()
            }
            yield {"case": row["path"], "source": record["source"], "headers": headers, "body": body}


def select(root: Path) -> list[dict[str, Any]]:
    """The chosen requests."""
    candidates = [(len(json.dumps(entry["body"])), entry, set(shape(entry["body"]))) for entry in collected(root)]
    candidates = sorted((one for one in candidates if one[0] <= LARGEST), key=lambda one: one[1]["case"])
    chosen = [one for one in candidates if "claude-cli" in one[1]["headers"].get("user-agent", "")]
    seen = {shown for one in chosen for shown in one[2]}
    while candidates:
        best = max(candidates, key=lambda one: len(one[2] - seen) / one[0] ** 0.5)
        if not best[2] - seen:
            break
        candidates.remove(best)
        seen |= best[2]
        chosen.append(best)
    return [entry for _, entry, _ in chosen]


if __name__ == "__main__":
    lines = (json.dumps(entry, ensure_ascii=False, separators=(",", ":")) for entry in select(Path(sys.argv[1])))
    FILE.write_text("".join(f"{line}\n" for line in lines), "utf-8")
