"""Collect the recorded requests kept in `requests.jsonl`: `python -m tests.clientdialects.ollama_chat.select COLLECTION`.

All whose body was recorded, of /api/chat and /api/generate, once each.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

FILE = Path(__file__).with_name("requests.jsonl")
APIS = {"ollama.chat": "ollama_chat", "ollama.generate": "ollama_generate"}


def select(root: Path) -> list[dict[str, Any]]:
    """The requests, each with where it comes from."""
    rows = [json.loads(line) for line in (root / "index.jsonl").read_text("utf-8").splitlines()]
    chosen: dict[str, dict[str, Any]] = {}
    for row in sorted((row for row in rows if row["api"] in APIS), key=lambda row: str(row["path"])):
        record = json.loads((root / row["path"]).read_text("utf-8"))
        body = (record["request"] or {}).get("body")
        if isinstance(body, dict) and len(text := json.dumps(body)) < 20_000:
            chosen.setdefault(text, {"case": row["path"], "source": record["source"], "operation": APIS[row["api"]], "body": body})
    return list(chosen.values())


if __name__ == "__main__":
    lines = (json.dumps(entry, ensure_ascii=False, separators=(",", ":")) for entry in select(Path(sys.argv[1])))
    FILE.write_text("".join(f"{line}\n" for line in lines), "utf-8")
