"""What happens to each event of a stream between the upstream and the client.

Passed: the rules watch, the event goes on as it came. Translated: the rules have new ones written. Both are events in, bytes out.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Protocol

from proxy.codecs import Event, sse_event
from proxy.codecs.framing import Framing
from proxy.mapping.chunks import ChunkWriter
from proxy.mapping.stream import Stream
from proxy.mapping.writer import SectionWriter

#: In JSON text an unescaped `"model"` before a colon is a member's name, wherever it stands.
_find_model = re.compile(rb'"model"\s*:\s*("(?:[^"\\]|\\.)*")').search

(_LF,) = b"\n"

#: What a mapping raises for a document whose parts are of other types than its dialect says. Its rules were checked when they were
#: loaded, so it is the document's fault; the log tells which rule, in case it is the rule's after all.
MISFIT = (TypeError, AttributeError, LookupError, ArithmeticError)


class Lane(Protocol):
    """One running stream's way. `stream` tells usage, finish and end."""

    @property
    def stream(self) -> Stream: ...

    @property
    def read(self) -> Callable[[list[Event]], object]:
        """Takes the events of one read; raises StreamFault, ValueError or ExchangeError."""
        ...

    def take(self) -> bytes:
        """What is to be written for the events so far."""
        ...

    def end(self) -> bytes:
        """What is to be written after the upstream's good end: the end marker."""
        ...


class Translated:
    """Events → OpenAI's chunks, or the events of the client's own dialect."""

    __slots__ = ("_writer", "read", "stream", "take")

    def __init__(self, stream: Stream, writer: ChunkWriter | SectionWriter) -> None:
        self.stream = stream
        self._writer = writer
        self.read: Callable[[list[Event]], object] = stream.read
        self.take = writer.take

    def end(self) -> bytes:
        self.stream.end()
        return self._writer.take()


class Passed:
    """Events as they came, but for the usage chunk that the client did not ask for, and the model's name.

    `shown`: the name to show, as JSON text; None: the upstream's own.
    """

    __slots__ = ("_rename", "_shown", "_usage_wanted", "stream")

    def __init__(self, stream: Stream, *, usage_wanted: bool, shown: bytes | None) -> None:
        self.stream = stream
        self._usage_wanted = usage_wanted
        self._rename = ModelName(shown) if shown is not None else None
        self._shown: list[Event] = []

    def read(self, events: list[Event]) -> None:
        self.stream.read(events, self._shown, all_shown=self._usage_wanted)

    def take(self) -> bytes:
        shown = self._shown
        if len(shown) == 1:
            name, data = shown[0]
            out = sse_event(data, name)
        elif shown:
            out = _events(shown)
        else:
            return b""
        shown.clear()
        return out if self._rename is None else self._rename.apply(out)

    def end(self) -> bytes:
        return self.stream.mapping.end_marker


def _events(events: list[Event]) -> bytes:
    """Several events on the wire; most often they have one name, or none, and data of one line."""
    common = events[0][0]
    lines = [data for name, data in events if name == common]
    if len(lines) == len(events) and _LF not in b"".join(lines):
        head = b"event: %b\ndata: " % common.encode() if common else b"data: "
        return b"%b%b\n\n" % (head, (b"\n\n" + head).join(lines))
    return b"".join([sse_event(data, name) for name, data in events])


class ModelName:
    """Shows another name in the `model` members of a stream: learnt from the first, replaced wherever the upstream says the same.

    Some hosts write their last event with blanks between the tokens and all others without, so both spellings are looked for.
    """

    __slots__ = ("_found", "_other", "_shown")

    def __init__(self, shown: bytes) -> None:
        self._shown = b'"model":' + shown
        self._found = self._other = b""

    def apply(self, events: bytes) -> bytes:
        """Some events with the name replaced."""
        if not self._found:
            match = _find_model(events)
            if match is None:
                return events
            compact, spaced = b'"model":' + match[1], b'"model": ' + match[1]
            self._found = match[0]
            self._other = spaced if match[0] == compact else compact
        return events.replace(self._found, self._shown).replace(self._other, self._shown)


class Reframed:
    """Events as they came, in another framing than the upstream's: what each says is one JSON text."""

    __slots__ = ("_begun", "_framing", "_rename", "_shown", "stream")

    def __init__(self, stream: Stream, framing: Framing, shown: bytes | None) -> None:
        self.stream = stream
        self._framing = framing
        self._rename = ModelName(shown) if shown is not None else None
        self._shown: list[Event] = []
        self._begun = False

    def read(self, events: list[Event]) -> None:
        self.stream.read(events, self._shown)

    def take(self) -> bytes:
        if not self._shown:
            return b""
        event = self._framing.event
        out = b"".join([event(data.replace(b"\n", b" "), name) for name, data in self._shown])
        self._shown.clear()
        if not self._begun:
            self._begun = True
            out = self._framing.begun(out)
        return out if self._rename is None else self._rename.apply(out)

    def end(self) -> bytes:
        return self._framing.end(begun=self._begun)
