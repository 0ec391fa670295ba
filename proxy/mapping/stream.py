"""One running stream: events in, canonical deltas out (or, in passthrough, what the events say of usage, finish and failure)."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import msgspec

from proxy.mapping.chunks import DONE, ChunkWriter, Tokens, write_chunk
from proxy.mapping.context import Context
from proxy.mapping.failures import ErrorMapping
from proxy.mapping.untag import Splitters

#: OpenAI's end marker (some hosts write blanks behind it).
DONE_DATA = b"[DONE]"
_decode = msgspec.json.Decoder().decode


class StreamFault(Exception):
    """The upstream said in its stream that it failed. `report`: message, type, code, param, status, as far as it told."""

    def __init__(self, report: Any) -> None:
        super().__init__("the upstream reported an error in its stream")
        self.report: dict[str, Any] = report if isinstance(report, dict) else {"message": str(report)}


class ReadInFull(Exception):
    """Raised by typed rules before they have had any effect: this event must be decoded in full."""


class Tally(Tokens):
    """Takes a ChunkWriter's place in passthrough: counts, writes nothing."""

    __slots__ = ("reasons",)

    choices = True  # no head is wanted

    def __init__(self) -> None:
        super().__init__()
        self.reasons: dict[int, str | None] = {}

    def head(self, figures: dict[str, Any] | None) -> None:
        """Not needed: the events go to the client as they came."""

    def emit(self, delta: dict[str, Any] | None, index: int | None = None, logprobs: Any = None) -> None:
        """Not needed: the events go to the client as they came."""

    def finish(self, reason: str | None, index: int | None = None) -> None:
        self.reasons[index or 0] = reason or self.reasons.get(index or 0)

    @property
    def finished(self) -> bool:
        return bool(self.reasons) and all(self.reasons.values())


Step = Callable[[Any, str, "Stream", Any, Context], None]


@dataclass(frozen=True, slots=True)
class StreamMapping:
    """A stream's rules, compiled. `decode` names the codec.

    `errors`: set where the events are OpenAI chunks once the rules have rewritten them; it reads those that report a failure.
    """

    decode: str
    passthrough: bool
    plain: Step
    typed: Step | None
    decoder: msgspec.json.Decoder[Any] | None
    end_data: bytes | None
    eof_after_finish: bool
    errors: ErrorMapping | None

    def open(self, context: Context, writer: ChunkWriter | None = None) -> Stream:
        """Begin a stream. In passthrough no writer is needed."""
        return Stream(self, context, writer if writer is not None and not self.passthrough else Tally())

    @property
    def end_marker(self) -> bytes:
        """What a client of a passed-through stream reads as its end, besides the events themselves."""
        return DONE if self.end_data is not None else b""


class Stream:
    """The state of one stream. `ended`: the upstream has proven that it is whole."""

    __slots__ = ("context", "decode", "ended", "hidden", "mapping", "memory", "ordinals", "plain", "splitters", "typed", "writer")

    def __init__(self, mapping: StreamMapping, context: Context, writer: ChunkWriter | Tally) -> None:
        self.mapping = mapping
        self.context = context
        self.writer = writer
        self.ended = False
        self.hidden = False
        self.memory: dict[str, Any] = {}
        self.ordinals: dict[str, dict[Any, int]] = {}
        self.splitters = Splitters()
        self.plain = mapping.plain
        self.typed = mapping.typed
        self.decode = mapping.decoder.decode if mapping.decoder is not None else None

    @property
    def usage(self) -> dict[str, Any] | None:
        """Canonical usage, as far as it is known."""
        return self.writer.usage

    def event(self, name: str, data: bytes) -> bool:
        """Run the rules over one event. True: in passthrough, it is to be shown to the client.

        Raises StreamFault when it reports a failure, ValueError when it is not what a stream of this kind may hold.
        """
        if self.decode is None or self.typed is None:
            return self.event_in_full(name, data)
        self.hidden = False
        try:
            if not data.isascii():
                data.decode()  # what the rules do not read is skipped undecoded, and must be UTF-8 all the same
            document = self.decode(data)
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
            return self.event_in_full(name, data)
        try:
            self.typed(document, name, self, self.writer, self.context)
        except ReadInFull:
            return self.event_in_full(name, data)
        return not self.hidden

    def event_in_full(self, name: str, data: bytes) -> bool:
        """The same rules over the whole decoded document; the end marker, too, comes this way."""
        if data.startswith(DONE_DATA):
            self.ended = self.ended or self.mapping.end_data == data.strip()
            return False
        self.hidden = False
        document = as_object(data)
        self.plain(document, name, self, self.writer, self.context)
        if self.mapping.errors is not None:
            if document.get("error") or self.mapping.errors.failed(document, self.context):
                raise StreamFault(self.mapping.errors.read(document, self.context) or document.get("error"))
            if isinstance(self.writer, ChunkWriter):
                write_chunk(self.writer, document)
        return not self.hidden

    def complete(self) -> bool:
        """Whether the stream may be taken as whole if the upstream closes it cleanly now."""
        return self.ended or (self.mapping.eof_after_finish and self.writer.finished)

    def end(self) -> None:
        """The stream is whole: write what was held back, and the end."""
        if isinstance(self.writer, ChunkWriter):
            for choice, delta in self.splitters.end():
                self.writer.emit(delta, choice)
            self.writer.end()


def as_object(data: bytes) -> dict[str, Any]:
    """The JSON object of an event, alone or as the only item of a list. Raises ValueError."""
    try:
        document = _decode(data)
    except (msgspec.DecodeError, RecursionError, UnicodeDecodeError):
        raise ValueError("an event that is not JSON") from None
    if isinstance(document, list) and len(document) == 1:
        document = document[0]
    if not isinstance(document, dict):
        raise ValueError("an event that is not a JSON object")
    return document
