"""How the commands speak: data on stdout, messages on stderr, colour only for a person's eyes (https://no-color.org)."""

from __future__ import annotations

import json
import os
import re
import sys
from collections.abc import Iterable, Sequence
from typing import Any, TextIO

#: What a masked secret looks like.
MASK = "***"
_SECRET_PARAMETER = re.compile(r"([?&][^=&]*(?:key|token|secret|sig|code)[^=&]*=)[^&]+", re.IGNORECASE)
COLOURS = {"bold": "1", "dim": "2", "red": "31", "green": "32", "yellow": "33", "cyan": "36"}


def coloured(stream: TextIO) -> bool:
    """Whether this stream is a terminal whose user did not ask for plain text."""
    return stream.isatty() and not os.environ.get("NO_COLOR") and os.environ.get("TERM") != "dumb"


def paint(text: str, colour: str, stream: TextIO) -> str:
    """`text` in one of COLOURS, where the stream shows colour."""
    return f"\x1b[{COLOURS[colour]}m{text}\x1b[0m" if colour and coloured(stream) else text


def table(head: Sequence[str], rows: Iterable[Sequence[str]], stream: TextIO, colours: dict[str, str] | None = None) -> str:
    """Columns under a head, two blanks apart. `colours`: cell text ─▶ colour."""
    lines = [head, *rows]
    widths = [max(len(line[column]) for line in lines) for column in range(len(head))]
    painted = []
    for number, line in enumerate(lines):
        cells = []
        for cell, width in zip(line, widths, strict=True):
            colour = "bold" if number == 0 else (colours or {}).get(cell, "")
            cells.append(paint(cell, colour, stream) + " " * (width - len(cell)))
        painted.append("  ".join(cells).rstrip())
    return "\n".join(painted)


def masked_url(url: str) -> str:
    """The URL without the values of parameters that sound like secrets: some hosts take the key there."""
    return _SECRET_PARAMETER.sub(rf"\1{MASK}", url)


def print_json(value: Any) -> None:
    """One JSON document on stdout."""
    print(json.dumps(value, ensure_ascii=False, indent=2))


def say(message: str, colour: str = "") -> None:
    """One message on stderr."""
    print(paint(message, colour, sys.stderr), file=sys.stderr, flush=True)
