"""What came of the clients' runs: `results.json`, written by `python -m tests.real`, read by `python -m tests.docs`."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

FILE = Path(__file__).with_name("results.json")


def read() -> dict[str, dict[str, Any]]:
    """Client ─▶ {version, date, page, outcomes: upstream ─▶ capability ─▶ "ok", "failed: why", "not offered: why"}."""
    data: dict[str, dict[str, Any]] = json.loads(FILE.read_text("utf-8"))
    return data


def write(results: dict[str, dict[str, Any]]) -> None:
    """Writes all of them, in order of their names."""
    FILE.write_text(json.dumps(dict(sorted(results.items())), indent=1, ensure_ascii=False) + "\n", "utf-8")
