"""A recorded answer through a dialect, as the exchange would send it on, without a connection."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import msgspec

from proxy.errors import UpstreamError
from proxy.exchange.faults import failed_inside, reported
from proxy.exchange.lanes import Lane, Passed, Translated
from proxy.mapping.chunks import ChunkWriter
from proxy.mapping.context import Context
from proxy.mapping.failures import ErrorMapping
from proxy.mapping.mappings import Peek, ResponseMapping
from proxy.mapping.stream import StreamFault, StreamMapping


@dataclass(frozen=True, slots=True)
class Whole:
    """What became of a whole answer: the client's document, or the error it gets; and the usage that metrics see."""

    document: Any = None
    usage: dict[str, Any] | None = None
    error: UpstreamError | None = None


def replay_whole(body: bytes, response: ResponseMapping | None, peek: Peek, errors: ErrorMapping, context: Context) -> Whole:
    """`context.status` is the upstream's. Raises ValueError for what is not a JSON object."""
    document = msgspec.json.decode(body)
    if context.status >= 300:
        return Whole(error=reported(errors.read(document, context), status=errors.statuses.get(context.status, context.status)))
    if errors.failed(document, context):
        return Whole(error=failed_inside(body, errors, context))
    if response is not None:
        document = response(document, context)
        return Whole(document, document.get("usage"))
    usage, model, _ = peek(body, context)
    if model is not None and context.shown:
        document["model"] = context.shown
    return Whole(document, usage)


class Replay:
    """A recorded stream, event by event. `error`: how it failed, if it did; nothing is read after that."""

    def __init__(self, mapping: StreamMapping, context: Context, *, usage_wanted: bool) -> None:
        writer = ChunkWriter(context.shown, context.now, usage_wanted=usage_wanted, reasoning=context.reasoning)
        stream = mapping.open(context, writer)
        shown = msgspec.json.encode(context.shown) if context.shown else None
        self._lane: Lane = Passed(stream, usage_wanted=usage_wanted, shown=shown) if mapping.passthrough else Translated(stream, writer)
        self.stream = stream
        self.error: UpstreamError | None = None

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
            return self._lane.take() + b"data: " + msgspec.json.encode(self.error.envelope()) + b"\n\n"
        return self._lane.take()

    def end(self) -> bytes:
        """What the client is sent when the upstream closes the connection: the end, if the stream has proven to be whole."""
        return self._lane.end() if self.error is None and self.stream.complete() else b""
