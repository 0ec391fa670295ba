"""How the events of a stream stand on the wire to a client: what is written around each, before the first, and after the last.

sse: server-sent events (WHATWG HTML §9.2). ndjson: a line for each. array: one JSON array, written as it comes.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

_STREAMED = b"cache-control: no-cache\r\nx-accel-buffering: no\r\n"


@dataclass(frozen=True, slots=True)
class Framing:
    """`headers`: header lines of such an answer. An event is `before` + its data (one line of JSON) + `after`, for events without a name.

    `opening`: what the first event has in place of the first byte of `before`; `closing`: what ends the stream.
    """

    name: str
    headers: bytes
    before: bytes
    after: bytes
    opening: bytes = b""
    closing: bytes = b""

    def event(self, data: bytes, name: str = "") -> bytes:
        """One event. `data` is one line of JSON; `name` is for those framings that tell it."""
        before, after = self.around(name)
        return b"%b%b%b" % (before, data, after)

    def around(self, name: str) -> tuple[bytes, bytes]:
        """What stands before and after the data of an event of that name."""
        return (b"event: %b\n%b" % (name.encode(), self.before) if name and self.name == "sse" else self.before), self.after

    def begun(self, output: bytes) -> bytes:
        """The first bytes of a stream of events."""
        return self.opening + output[1:] if self.opening else output

    def end(self, *, begun: bool) -> bytes:
        """What ends a stream well."""
        return self.closing if begun else self.opening + self.closing


FRAMINGS: Mapping[str, Framing] = {
    "sse": Framing("sse", b"content-type: text/event-stream; charset=utf-8\r\n" + _STREAMED, b"data: ", b"\n\n"),
    "ndjson": Framing("ndjson", b"content-type: application/x-ndjson\r\n" + _STREAMED, b"", b"\n"),
    "array": Framing("array", b"content-type: application/json; charset=utf-8\r\n" + _STREAMED, b",\n", b"", b"[", b"]"),
}
