"""Whole recorded bodies cut into events: the plain reading of WHATWG's event streams and of NDJSON, for bodies that are all there.

Written apart from the package's decoders on purpose: whole text, one regular expression, no state.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from typing import Any

_LINE = re.compile(r"\r\n|\n|\r")
DONE = "[DONE]"


def sse(body: str) -> Iterator[tuple[str, str]]:
    """(event name or "", data) of every event that has data; a last one without its blank line counts."""
    name = ""
    data: list[str] = []
    for line in [*_LINE.split(body.removeprefix("\ufeff")), ""]:
        if not line:
            if data:
                yield name, "\n".join(data)
            name, data = "", []
            continue
        field, _, value = line.partition(":")
        value = value.removeprefix(" ")
        if field == "data":
            data.append(value)
        elif field == "event":
            name = value
    if data:
        yield name, "\n".join(data)


def sse_json(body: str) -> Iterator[dict[str, Any]]:
    """The JSON of every event up to [DONE]."""
    for _, data in sse(body):
        if data.strip() == DONE:
            return
        yield json.loads(data)


def ndjson(body: str) -> Iterator[dict[str, Any]]:
    """The JSON of every line."""
    for line in body.split("\n"):
        if line.strip():
            yield json.loads(line)
