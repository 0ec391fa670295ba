"""Server-sent events: WHATWG HTML §9.2.6 "Interpreting an event stream", on bytes.

Lines end with CR, LF or CRLF and with nothing else: U+2028 and U+0085 are text. Everything is brought to LF first, so that
an event ends at b"\\n\\n". `id` and `retry` concern reconnecting and are ignored, as are comments and unknown fields.

One deliberate difference: the standard drops an event that the end of the stream cuts off before its blank line, but hosts do end
streams without it. `close()` returns such an event and the caller judges whether its data is whole.
"""

from __future__ import annotations

from proxy.codecs.splitter import Splitter

_BOM = b"\xef\xbb\xbf"
_LF, _CR = b"\n\r"  # as numbers: looking for a number is several times faster than looking for bytes
_KNOWN_NAMES = 64
_LONG_NAME = 80

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
        self._names: dict[bytes, str] = {}  # those seen, as they stand in the stream and as text
        self._after_cr = False
        self._start: bytes | None = b""  # bytes that may become a byte order mark; None once that is settled

    @property
    def pending(self) -> bool:
        """True when an unfinished event is held (comments and blank lines are none)."""
        return any(line and not line.startswith(b":") for line in self._splitter.held.split(b"\n"))

    @property
    def size(self) -> int:
        """Bytes held of an unfinished event."""
        return len(self._splitter.held)

    def feed(self, data: bytes) -> list[Event]:
        """The events that `data` completes, as (name or "", data). Raises CodecError for an event over the limit."""
        if self._start is not None:
            data = self._skip_bom(self._start + data)
        if not self._splitter.held and len(data) <= self._limit and (events := self._usual(data)) is not None:
            self._after_cr = False
            return events
        if self._after_cr or _CR in data:
            data = self._to_lf(data)
        whole = self._splitter.feed(data)
        events = self._usual(whole)
        if events is None:
            events = [event for block in whole.split(b"\n\n") if (event := self._interpret(block))]
        return events

    def close(self) -> list[Event]:
        """At the end of the stream: the event that lacks its blank line, if there is one. It may be cut anywhere."""
        event = self._interpret(self._splitter.close())
        return [] if event is None else [event]

    def _usual(self, data: bytes) -> list[Event] | None:
        """The events of a read that holds nothing but whole events in one of the two usual layouts (most reads do); else None."""
        if data.startswith(b"data: "):
            return _unnamed(data)
        if data.startswith(b"event: ") and data.endswith(b"\n\n") and _CR not in data:
            return self._named(data)
        return None

    def _named(self, data: bytes) -> list[Event] | None:
        """The events of a read in which each is a line `event: …` and a line `data: …`; else None."""
        head = data[: data.find(_LF) + 1] + b"data: "
        if data.startswith(head):
            lines = data[len(head) : -2].split(b"\n\n" + head)
            if _LF not in b"".join(lines):  # all of one name, as they come in a row
                text = self._name(head[7:-7])
                return [(text, line) for line in lines]
        names = self._names
        events = []
        for block in data[7:-2].split(b"\n\nevent: "):
            name, found, line = block.partition(b"\ndata: ")
            if not found or _LF in line or (name not in names and _LF in name):
                return None
            events.append((names[name] if name in names else self._name(name), line))
        return events

    def _name(self, name: bytes) -> str:
        """A name as text; remembered, as long as they are few and short."""
        text = self._names.get(name)
        if text is None:
            text = name.decode("utf-8", "replace")
            if len(name) < _LONG_NAME and len(self._names) < _KNOWN_NAMES:
                self._names[name] = text
        return text

    def _interpret(self, block: bytes) -> Event | None:
        """The event that these lines make, or None without a data line."""
        name = b""
        lines: list[bytes] = []
        for line in block.split(b"\n"):
            field, _, value = line.partition(b":")
            if field == b"data":
                lines.append(value.removeprefix(b" "))
            elif field == b"event":
                name = value.removeprefix(b" ")
        return (self._name(name), b"\n".join(lines)) if lines else None

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


def _unnamed(data: bytes) -> list[Event] | None:
    """The events of a read in which each is a line `data: …`; else None."""
    if data.find(_LF) == len(data) - 2 and data.endswith(b"\n\n") and _CR not in data:
        return [("", data[6:-2])]  # one alone, as hosts send them that do not hurry
    end = b"\n\n" if data.endswith(b"\n\n") else b"\r\n\r\n"
    if not data.endswith(end):
        return None
    lines = data[6 : -len(end)].split(end + b"data: ")
    text = b"".join(lines)
    if _LF in text or _CR in text:
        return None
    return [("", line) for line in lines]


def sse_event(data: bytes, name: str = "") -> bytes:
    """One event on the wire. Each line of `data` gets its own `data:` field; `name` must be one line."""
    head = f"event: {name}\n".encode() if name else b""
    if b"\n" in data or b"\r" in data:
        data = data.replace(b"\r\n", b"\n").replace(b"\r", b"\n").replace(b"\n", b"\ndata: ")
    return b"%bdata: %b\n\n" % (head, data)
