"""Bytes ↔ events: pure, incremental, bounded. No I/O."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Protocol

from proxy.codecs.members import Members, MembersError
from proxy.codecs.ndjson import NdjsonDecoder
from proxy.codecs.splitter import CodecError
from proxy.codecs.sse import Event, SseDecoder, sse_event

__all__ = ["DECODERS", "CodecError", "Decoder", "Event", "Members", "MembersError", "NdjsonDecoder", "SseDecoder", "sse_event"]


class Decoder(Protocol):
    """What every codec's decoder does."""

    @property
    def pending(self) -> bool:
        """True when an unfinished event is held."""
        ...

    @property
    def size(self) -> int:
        """Bytes held of an unfinished event."""
        ...

    def feed(self, data: bytes) -> list[Event]:
        """The events that `data` completes. Raises CodecError."""
        ...

    def close(self) -> list[Event]:
        """At the end of the stream: the event that lacks its end, if there is one."""
        ...


class DecoderType(Protocol):
    """A decoder's class: called with the bytes that one event may have."""

    def __call__(self, limit: int = ...) -> Decoder: ...


#: By the name that a dialect gives its codec.
DECODERS: Mapping[str, DecoderType] = {"sse": SseDecoder, "ndjson": NdjsonDecoder}
