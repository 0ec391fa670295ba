"""Server-sent events: WHATWG HTML §9.2.6 "Interpreting an event stream", on bytes.

Lines end with CR, LF or CRLF and with nothing else: U+2028 and U+0085 are text. Everything is brought to LF first, so that
an event ends at b"\\n\\n". `id` and `retry` concern reconnecting and are ignored, as are comments and unknown fields.

One deliberate difference: the standard drops an event that the end of the stream cuts off before its blank line, but hosts do end
streams without it. `close()` returns such an event and the caller judges whether its data is whole.
"""

from __future__ import annotations

from proxy.codecs.splitter import Splitter

_BOM = b"\xef\xbb\xbf"
_KNOWN_NAMES = 64

#: Event name ("" where the stream gives none) and data.
Event = tuple[str, bytes]


class SseDecoder:
    """Bytes of a `text/event-stream` to its events.

    `limit` bounds the bytes of one event (comments before it count), also of one that never ends.
    """

    __slots__ = ("_after_cr", "_limit", "_names", "_splitter", "_start")

    def __init__(self, limit: int = 16 * 2**20) -> None:
        self._limit = limit
        self._splitter = Splitter(b"\n\n", limit)
        self._names: dict[bytes, str] = {b"": ""}  # what stands before "data: " in an event -> its name
        self._after_cr = False
        self._start: bytes | None = b""  # bytes that may become a byte order mark; None once that is settled

    @property
    def pending(self) -> bool:
        """True when an unfinished event is held (comments and blank lines are none)."""
        return any(line and not line.startswith(b":") for line in self._splitter.held.split(b"\n"))

    def feed(self, data: bytes) -> list[Event]:
        """The events that `data` completes, as (name or "", data). Raises CodecError for an event over the limit."""
        if self._start is not None:
            data = self._skip_bom(self._start + data)
        if not self._splitter.held and len(data) <= self._limit and (events := _single_lines(data)):
            self._after_cr = False
            return events
        if self._after_cr or b"\r" in data:
            data = self._to_lf(data)
        names = self._names
        events = []
        for block in self._splitter.feed(data):
            head, found, line = block.partition(b"data: ")
            name = names.get(head)
            if name is None or not found or b"\n" in line:
                self._add(events, block, head)
            else:
                events.append((name, line))
        return events

    def close(self) -> list[Event]:
        """At the end of the stream: the event that lacks its blank line, if there is one. It may be cut anywhere."""
        event = _interpret(self._splitter.close())
        return [] if event is None else [event]

    def _add(self, events: list[Event], block: bytes, head: bytes) -> None:
        """An event of any form; remembers `event: …` lines for those that follow, as long as they are few and short."""
        event = _interpret(block)
        if event is not None:
            events.append(event)
        if head.startswith(b"event: ") and head.find(b"\n") == len(head) - 1 < 80 and len(self._names) < _KNOWN_NAMES:
            self._names[head] = head[7:-1].decode("utf-8", "replace")

    def _skip_bom(self, data: bytes) -> bytes:
        if len(data) < len(_BOM) and _BOM.startswith(data):
            self._start = data
            return b""
        self._start = None
        return data.removeprefix(_BOM)

    def _to_lf(self, data: bytes) -> bytes:
        """Line ends as LF. A CR ends its line at once, so a LF that comes first in the next piece belongs to it."""
        if self._after_cr and data:
            self._after_cr = False
            data = data.removeprefix(b"\n")
        if data.endswith(b"\r"):
            self._after_cr = True
        return data.replace(b"\r\n", b"\n").replace(b"\r", b"\n")


def _single_lines(data: bytes) -> list[Event] | None:
    """The events of a read that holds nothing but whole `data: …` events of one line each (most reads do); else None."""
    end = b"\n\n" if data.endswith(b"\n\n") else b"\r\n\r\n"
    if not (data.startswith(b"data: ") and data.endswith(end)):
        return None
    lines = data[6 : -len(end)].split(end + b"data: ")
    if data.count(b"\n") + data.count(b"\r") != len(lines) * len(end):
        return None  # some line end is not the end of a `data: …` event
    return [("", line) for line in lines]


def _interpret(block: bytes) -> Event | None:
    """The event that these lines make, or None without a data line."""
    name = b""
    lines: list[bytes] = []
    for line in block.split(b"\n"):
        field, _, value = line.partition(b":")
        if field == b"data":
            lines.append(value.removeprefix(b" "))
        elif field == b"event":
            name = value.removeprefix(b" ")
    return (name.decode("utf-8", "replace"), b"\n".join(lines)) if lines else None


def sse_event(data: bytes, name: str = "") -> bytes:
    """One event on the wire. Each line of `data` gets its own `data:` field; `name` must be one line."""
    head = f"event: {name}\n".encode() if name else b""
    if b"\n" in data or b"\r" in data:
        data = data.replace(b"\r\n", b"\n").replace(b"\r", b"\n").replace(b"\n", b"\ndata: ")
    return b"%bdata: %b\n\n" % (head, data)
