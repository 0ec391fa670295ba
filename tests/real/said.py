"""What the pretended model says, in no wire language. `plays.json` has the words: the scenario files read it, too."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

PLAYS: dict[str, Any] = json.loads(Path(__file__).with_name("plays.json").read_text("utf-8"))
#: What proves a thought to be the vendor's own.
SIGNATURE = "c2lnbmF0dXJlIG9mIGEgdGhvdWdodA=="
#: A thought that only the vendor can read.
SEALED = "c2VhbGVkIHRob3VnaHQ="


@dataclass(slots=True)
class Said:
    """`calls`: name and arguments of each tool call. `cut`: the connection breaks in the middle."""

    text: str = ""
    thought: str = ""
    calls: list[tuple[str, Any]] = field(default_factory=list)
    cut: bool = False
