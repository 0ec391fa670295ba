"""One running stream: events in, canonical deltas out (or, in passthrough, what the events say of usage, finish and failure)."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import msgspec

from proxy.mapping.chunks import DONE, ChunkWriter, Tokens, write_chunk
from proxy.mapping.code import Numbers
from proxy.mapping.context import Context
from proxy.mapping.documents import decode
from proxy.mapping.failures import ErrorMapping
from proxy.mapping.untag import Splitters
from proxy.mapping.writer import SectionWriter

#: OpenAI's end marker (some hosts write blanks behind it).
DONE_DATA = b"[DONE]"

#: (name or "", data), as the codecs give them.
Event = tuple[str, bytes]

#: Events kept for the usage that they tell.
_MOST_LATER = 16


class StreamFault(Exception):
    """The upstream said in its stream that it failed. `report`: message, type, code, param, status, as far as it told."""

    def __init__(self, report: Any) -> None:
        super().__init__("the upstream reported an error in its stream")
        self.report: dict[str, Any] = report if isinstance(report, dict) else {"message": str(report)}


class ReadInFull(Exception):
    """Raised by typed rules before they have had any effect that twice is not as once: this event must be decoded in full."""


class Tally(Tokens):
    """Takes a ChunkWriter's place in passthrough: counts, writes nothing."""

    __slots__ = ("finished", "reasons")

    choices = True  # no head is wanted

    def __init__(self) -> None:
        super().__init__()
        self.reasons: dict[int, str | None] = {}
        self.finished = False

    def head(self, figures: dict[str, Any] | None) -> None:
        """Not needed: the events go to the client as they came."""

    def emit(self, delta: dict[str, Any] | None, index: int | None = None, logprobs: Any = None) -> None:
        """Not needed: the events go to the client as they came."""

    def finish(self, reason: str | None, index: int | None = None) -> None:
        if reason or (index or 0) not in self.reasons:
            self.reasons[index or 0] = reason
            self.finished = all(self.reasons.values())


#: What rules write to; a Tally where they only watch.
Writer = ChunkWriter | SectionWriter | Tally

Step = Callable[[Any, str, "Stream", Any, Context], None]


@dataclass(frozen=True, slots=True)
class StreamMapping:
    """A stream's rules, compiled. `decode` names the codec.

    `step_in_full` takes an event as decoded JSON, `step` what `decoder` makes of it; without a decoder they are one.
    `repeats`: the same event again has no other effect than the first time (nothing is written or counted).
    `errors`: set where the events are OpenAI chunks once the rules have rewritten them; it reads those that report a failure.
    `chunks`: in passthrough, the same with rules that put the chunks through a writer.
    """

    decode: str
    passthrough: bool
    step_in_full: Step
    step: Step
    decoder: msgspec.json.Decoder[Any] | None
    end_data: bytes | None
    eof_after_finish: bool
    repeats: bool
    errors: ErrorMapping | None
    chunks: Callable[[], StreamMapping] | None = None

    def open(self, context: Context, writer: Writer | None = None) -> Stream:
        """Begin a stream. In passthrough no writer is needed, and a ChunkWriter would have nothing to do."""
        if writer is None or (self.passthrough and isinstance(writer, ChunkWriter)):
            return Stream(self, context, Tally())
        return Stream(self if self.chunks is None else self.chunks(), context, writer)

    @property
    def end_marker(self) -> bytes:
        """What a client of a passed-through stream reads as its end, besides the events themselves."""
        return DONE if self.end_data is not None else b""


class Stream:
    """The state of one stream. `ended`: the upstream has proven that it is whole."""

    __slots__ = ("context", "decoder", "ended", "hidden", "mapping", "memory", "ordinals", "splitters", "writer")

    def __init__(self, mapping: StreamMapping, context: Context, writer: Writer) -> None:
        self.mapping = mapping
        self.context = context
        self.writer = writer
        self.ended = False
        self.hidden = False
        self.memory: dict[str, Any] = {}
        self.ordinals: defaultdict[str, Numbers] = defaultdict(Numbers)
        self.splitters = Splitters()
        self.decoder = mapping.decoder

    @property
    def usage(self) -> dict[str, Any] | None:
        """Canonical usage, as far as it is known."""
        return self.writer.usage

    def event(self, name: str, data: bytes) -> bool:
        """Run the rules over one event. True: in passthrough, it is to be shown to the client. Raises as `read` does."""
        shown: list[Event] = []
        self.read([(name, data)], shown)
        return bool(shown)

    def read(self, events: list[Event], shown: list[Event] | None = None, *, all_shown: bool = False) -> None:
        """Run the rules over the events of one read, up to the one that ends the stream. What came before a fault stands.

        `shown`, in passthrough, gets the events that the client is to see; `all_shown`: also those that the rules hide.
        Raises StreamFault when an event reports a failure, ValueError when it is not what a stream of this kind may hold.
        """
        marked = bool(events) and events[-1][1].startswith(DONE_DATA)
        plain = events[:-1] if marked else events
        documents = self.documents(plain)
        if documents is None:
            self.read_in_full(events, shown, all_shown)
            return
        step, writer, context, repeats = self.mapping.step, self.writer, self.context, self.mapping.repeats
        known = None
        for event, document in zip(plain, documents, strict=True):
            if not repeats or document != known:
                try:
                    step(document, event[0], self, writer, context)
                    known = document
                except ReadInFull:
                    self.step_in_full(*event)
                    known = None
            if shown is not None and (all_shown or not self.hidden):
                shown.append(event)
            if self.ended:
                return
        if len(writer.later) > _MOST_LATER:
            writer.settle()
        if marked:
            self.read_in_full(events[-1:], shown, all_shown)

    def documents(self, events: list[Event]) -> list[Any] | None:
        """The events typed; None where one of them must be read in full."""
        if self.decoder is None:
            return None
        lines = [data for _, data in events]
        text = b"".join(lines)
        try:
            if not text.isascii():
                text.decode()  # what the rules do not read is skipped undecoded, and must be UTF-8 all the same
            return [*map(self.decoder.decode, lines)]
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
            return None

    def read_in_full(self, events: list[Event], shown: list[Event] | None, all_shown: bool) -> None:
        """The same rules over whole decoded documents; the end marker, too, comes this way."""
        for name, data in events:
            if data.lstrip().startswith(DONE_DATA):  # some hosts write it with blanks around it
                self.ended = self.ended or self.mapping.end_data == data.strip()
            else:
                self.step_in_full(name, data)
                if shown is not None and (all_shown or not self.hidden):
                    shown.append((name, data))
            if self.ended:
                return

    def step_in_full(self, name: str, data: bytes) -> None:
        document = as_object(data)
        self.mapping.step_in_full(document, name, self, self.writer, self.context)
        errors = self.mapping.errors
        if errors is not None and (document.get("error") or errors.failed(document, self.context)):
            raise StreamFault(errors.read(document, self.context) or document.get("error"))
        if errors is not None and not isinstance(self.writer, Tally):
            write_chunk(self.writer, document)

    def complete(self) -> bool:
        """Whether the stream may be taken as whole if the upstream closes it cleanly now."""
        return self.ended or (self.mapping.eof_after_finish and self.writer.finished)

    def end(self) -> None:
        """The stream is whole: write what was held back, and the end."""
        if not isinstance(self.writer, Tally):
            for choice, delta in self.splitters.end():
                self.writer.emit(delta, choice)
            self.writer.end()


def as_object(data: bytes) -> dict[str, Any]:
    """The JSON object of an event, alone or as the only item of a list. Raises ValueError."""
    try:
        document = decode(data)
    except (msgspec.DecodeError, RecursionError, UnicodeDecodeError):
        raise ValueError("an event that is not JSON") from None
    if isinstance(document, list) and len(document) == 1:
        document = document[0]
    if not isinstance(document, dict):
        raise ValueError("an event that is not a JSON object")
    return document
