"""How the events of a stream lie in the bytes that a client reads: as server-sent events, as lines of JSON, or as one JSON array.

A writer makes events with `event` and joins them. The array's brackets are not its affair: who sends the first bytes puts them through
`first`, and `end` goes behind the last of a stream that has ended well.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from proxy.codecs.sse import sse_event

_UNCACHED = b"cache-control: no-cache\r\nx-accel-buffering: no\r\n"


@dataclass(frozen=True, slots=True)
class Framing:
    """`head`: the header lines of such an answer. `event(data, name="")`: the bytes of one event; only SSE shows its name.

    `silence`: what keeps a connection alive and is no event. `end`: what follows the last event.
    """

    name: str
    head: bytes
    event: Callable[..., bytes]
    silence: bytes
    end: bytes = b""

    def first(self, output: bytes) -> bytes:
        """The first events of a stream: an array's opening bracket takes the place of the comma that stands before each event."""
        return b"[" + output[1:] if self.end and output else output


def _line(data: bytes, name: str = "") -> bytes:
    """A JSON text as a line of its own; a line end between its tokens becomes a blank (inside of a string there can be none)."""
    return (data.replace(b"\n", b" ") if b"\n" in data else data) + b"\n"


def _item(data: bytes, name: str = "") -> bytes:
    return b",\n" + data


#: By the name that a client dialect's `framing` has. An SSE comment ends with one line end: an empty line would hand some clients an
#: event without data.
FRAMINGS: Mapping[str, Framing] = {
    "sse": Framing("sse", b"content-type: text/event-stream; charset=utf-8\r\n" + _UNCACHED, sse_event, b": keep-alive\n"),
    "ndjson": Framing("ndjson", b"content-type: application/x-ndjson\r\n" + _UNCACHED, _line, b"\n"),
    "array": Framing("array", b"content-type: application/json; charset=utf-8\r\n" + _UNCACHED, _item, b"\n", b"\n]\n"),
}
