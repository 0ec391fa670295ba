"""Answers that a provider keeps: their ids are shown with the way back to them, where there are several ways, and lead back that way."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import msgspec

from proxy.client_dialect import Ids
from proxy.codecs import Event
from proxy.errors import ClientError
from proxy.exchange.lanes import Lane
from proxy.exchange.request import Request
from proxy.exchange.target import TargetCall
from proxy.mapping.stream import Stream
from proxy.routing import Choice
from proxy.routing.router import Resolution, Router
from proxy.routing.ways import tag, tagged, untagged

_decode = msgspec.json.Decoder().decode
_encode = msgspec.json.Encoder().encode


class Kept:
    """What one exchange has to do with kept answers. `identifier` is the one in its URL, as the provider knows it.

    `back`: the way that its ids told; '': none. `pairs`: ids as the provider has them and as they are shown, both as JSON texts.
    """

    __slots__ = ("_ids", "_keeps", "back", "identifier", "pairs")

    def __init__(self, ids: Ids, asked: Request, identifier: str) -> None:
        self._ids = ids
        self._keeps = asked.member(ids.kept) != b"false"
        self.identifier, self.back = untagged(identifier)
        self.pairs: dict[bytes, bytes] = {}
        earlier = _text(asked.member(ids.request))
        bare, way = untagged(earlier)
        if way:
            self.back = way
            asked.put(ids.request, _encode(bare))
            self.pairs[_encode(bare)] = _encode(earlier)

    def resolve(self, router: Router[TargetCall], operation: str, model: str | None) -> Resolution[TargetCall] | None:
        """The one way back, None where any will do. Raises ClientError 404 for one that does not lead anywhere here."""
        if not self.back:
            return None
        resolution = router.back(operation, model, self.back)
        if resolution is None:
            message = "What this id names is kept by a provider that this request does not lead to."
            raise ClientError(message, status=404, code="not_found", param=self._ids.request)
        return resolution

    def shows(self, router: Router[TargetCall], choice: Choice) -> str:
        """The way to show in the ids of a target's answer; '' for none."""
        if choice.translated or not self._keeps or not (self.back or router.forks(choice.operation)):
            return ""
        return tag(choice.target.provider.name, choice.key)

    def learn(self, document: Any, way: str) -> None:
        """The id of an answer, which is to be shown with the way back to it."""
        found = document.get("id") if isinstance(document, dict) else None
        if isinstance(found, str) and found:
            self.pairs[_encode(found)] = _encode(tagged(found, way))

    def shown(self, text: bytes) -> bytes:
        """JSON texts with these ids as they are shown."""
        for theirs, ours in self.pairs.items():
            text = text.replace(theirs, ours)
        return text

    def whole(self, body: bytes, way: str) -> bytes:
        """A whole answer."""
        if way:
            self.learn(_decode(body), way)
        return self.shown(body)

    def lane(self, lane: Lane, way: str) -> Lane:
        """A stream's way to the client."""
        return Returning(lane, self, way) if way or self.pairs else lane


class Returning:
    """A lane in whose events the ids are shown with the way back."""

    __slots__ = ("_kept", "_lane", "_way", "stream")

    def __init__(self, lane: Lane, kept: Kept, way: str) -> None:
        self._lane = lane
        self._kept = kept
        self._way = way
        self.stream: Stream = lane.stream

    @property
    def read(self) -> Callable[[list[Event]], object]:
        return self._read

    def _read(self, events: list[Event]) -> None:
        self._lane.read(events)
        if self._way:
            for _, data in events:
                if b'"response"' in data:
                    self._kept.learn(_decode(data).get("response"), self._way)
                    self._way = ""
                    break

    def take(self) -> bytes:
        return self._kept.shown(self._lane.take())

    def end(self) -> bytes:
        return self._lane.end()


def _text(raw: bytes | None) -> str:
    """A member that is a text; '' for any other."""
    try:
        text = _decode(raw) if raw is not None else ""
    except msgspec.DecodeError:
        return ""
    return text if isinstance(text, str) else ""
