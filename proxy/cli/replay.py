"""A recorded answer through a dialect, as the exchange would send it on, without a connection."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import msgspec

from proxy.client_dialect import PLAIN, ClientMapping, Voice, failure
from proxy.codecs.framing import FRAMINGS, Framing
from proxy.errors import UpstreamError
from proxy.exchange.faults import failed_inside, reported
from proxy.exchange.lanes import Lane, Passed, Reframed, Translated
from proxy.mapping.chunks import ChunkWriter
from proxy.mapping.completion import as_canonical
from proxy.mapping.context import Context
from proxy.mapping.failures import ErrorMapping
from proxy.mapping.mappings import Peek, ResponseMapping
from proxy.mapping.stream import StreamFault, StreamMapping
from proxy.mapping.writer import SectionWriter


@dataclass(frozen=True, slots=True)
class Whole:
    """What became of a whole answer: the client's document, or the error it gets; and the usage that metrics see."""

    document: Any = None
    usage: dict[str, Any] | None = None
    error: UpstreamError | None = None


@dataclass(frozen=True, slots=True)
class Facing:
    """Whom the answer is for: in whose voice, in which framing, and, where the client's own dialect is translated, how."""

    voice: Voice = PLAIN
    framing: Framing = FRAMINGS["sse"]
    client: ClientMapping | None = None


#: A client that speaks as the operation does.
DIRECT = Facing()


def replay_whole(
    body: bytes,
    response: ResponseMapping | None,
    peek: Peek,
    errors: ErrorMapping,
    context: Context,
    client: ClientMapping | None = None,
) -> Whole:
    """`context.status` is the upstream's. Raises ValueError for what is not a JSON object."""
    document = msgspec.json.decode(body)
    if context.status >= 300:
        return Whole(error=reported(errors.read(document, context), status=errors.statuses.get(context.status, context.status)))
    if errors.failed(document, context):
        return Whole(error=failed_inside(body, errors, context))
    if response is not None:
        document = response(document, context)
    elif client is not None:
        document = as_canonical(document, client.by, context)
    if response is not None or client is not None:
        usage = document.get("usage")
        return Whole(client.answer(document, context.client or context) if client is not None else document, usage)
    usage, model, _ = peek(body, context)
    if model is not None and context.shown:
        document["model"] = context.shown
    return Whole(document, usage)


class Replay:
    """A recorded stream, event by event. `error`: how it failed, if it did; nothing is read after that."""

    def __init__(self, mapping: StreamMapping, context: Context, *, usage_wanted: bool, facing: Facing = DIRECT) -> None:
        self._facing = facing
        self._writer: SectionWriter | None = None
        self._begun = False
        self._lane = self._opened(mapping, context, usage_wanted)
        self.stream = self._lane.stream
        self.error: UpstreamError | None = None

    def _opened(self, mapping: StreamMapping, context: Context, usage_wanted: bool) -> Lane:
        client, framing = self._facing.client, self._facing.framing
        shown = msgspec.json.encode(context.shown) if context.shown else None
        if client is not None and client.stream is not None:
            self._writer = client.stream.open(context.client or context, framing=framing)
            return Translated(mapping.open(context, self._writer), self._writer)
        if mapping.passthrough and framing is not FRAMINGS["sse"]:
            return Reframed(mapping.open(context), framing, shown)
        writer = ChunkWriter(context.shown, context.now, usage_wanted=usage_wanted, reasoning=context.reasoning)
        stream = mapping.open(context, writer)
        return Passed(stream, usage_wanted=usage_wanted, shown=shown) if mapping.passthrough else Translated(stream, writer)

    @property
    def over(self) -> bool:
        """Nothing more is read."""
        return self.stream.ended or self.error is not None

    def event(self, name: str, data: bytes) -> bytes:
        """What the client is sent for one event. Raises ValueError for one that cannot be read."""
        try:
            self._lane.read([(name, data)])
        except StreamFault as fault:
            self.error = reported(fault.report)
            return self._lane.take() + self._failed(self.error)
        written = self._lane.take()
        self._begun = self._begun or bool(written)
        return written

    def _failed(self, error: UpstreamError) -> bytes:
        """The last event of a stream that fails."""
        voice, framing = self._facing.voice, self._facing.framing
        envelope = voice.envelope(error)
        told = self._writer.fail(failure(error), envelope) if self._writer is not None else b""
        event = framing.event(msgspec.json.encode(envelope), voice.event)
        return told or (event if self._begun else framing.begun(event))

    def end(self) -> bytes:
        """What the client is sent when the upstream closes the connection: the end, if the stream has proven to be whole."""
        return self._lane.end() if self.error is None and self.stream.complete() else b""
