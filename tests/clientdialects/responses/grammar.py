"""A state machine of the Responses event grammar, stricter than any client.

stream = response.created response.in_progress item* (response.completed | response.incomplete)     then the body's clean end
       | any beginning of that, then: error response.failed                                         then the connection is cut
item   = response.output_item.added content* response.output_item.done
"""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from functools import cache
from typing import Any

from openai.types.responses import ResponseStreamEvent
from pydantic import TypeAdapter, ValidationError

from tests.corpus.frames import sse

_LAST = {"response.completed": "completed", "response.incomplete": "incomplete"}
#: What is told in pieces: the event of a piece, of its end, the member that holds all of it.
_TOLD = {
    "response.output_text": "text",
    "response.refusal": "refusal",
    "response.reasoning_summary_text": "text",
    "response.function_call_arguments": "arguments",
    "response.custom_tool_call_input": "input",
}
_PARTS = ("response.content_part", "response.reasoning_summary_part")


@cache
def _event() -> TypeAdapter[Any]:
    return TypeAdapter(ResponseStreamEvent)


@dataclass(slots=True)
class Grammar:
    """Takes a stream event by event and remembers every breach."""

    breaches: list[str] = field(default_factory=list)
    count: int = 0
    response: dict[str, Any] | None = None
    item: dict[str, Any] | None = None
    part: dict[str, Any] | None = None
    said: str = ""
    open: str = ""  # what is being told in pieces
    done: list[dict[str, Any]] = field(default_factory=list)
    error: dict[str, Any] | None = None
    last: str = ""

    def _hold(self, what: str, good: bool) -> None:
        if not good and what not in self.breaches:
            self.breaches.append(what)

    def event(self, name: str, document: dict[str, Any]) -> None:
        """One event."""
        kind = document["type"]
        self._hold(f"{kind}: the event's name is {name!r}", name == kind)
        self._hold(f"{kind}: sequence_number", document.get("sequence_number") == self.count)
        self.count += 1
        self._hold(f"{kind} after {self.last}", not self.last)
        try:
            _event().validate_python(document)
        except ValidationError as refused:
            self._hold(f"{kind}: refused by the SDK's type: {str(refused)[:300]}", False)
        if "response" in document:
            self._response(kind, document["response"])
        elif kind == "error":
            self.error = document
        else:
            self._of_item(kind, document)

    def _response(self, kind: str, response: dict[str, Any]) -> None:
        first = self.response or response
        self._hold(f"{kind}: identity changed", all(response[name] == first[name] for name in ("id", "created_at", "model", "object")))
        self.response = response
        self._hold(
            f"{kind}: its place", (kind == "response.created") == (self.count == 1) and (kind != "response.in_progress" or self.count == 2)
        )
        if kind in _LAST:
            self.last = kind
            self._hold(f"{kind}: status", response["status"] == _LAST[kind])
            self._hold(f"{kind}: an item is open", self.item is None)
            self._hold(f"{kind}: a failure before it", self.error is None)
        elif kind == "response.failed":
            self.last = kind
            self._hold(
                f"{kind}: without a failure",
                self.error is not None and response["status"] == "failed" and bool(response["error"]["message"]),
            )
        else:
            self._hold(f"{kind}: output", response["status"] == "in_progress" and response["output"] == self.done == [])
            return
        self._hold(f"{kind}: the output is not what was told", response["output"] == self.done)

    def _of_item(self, kind: str, document: dict[str, Any]) -> None:
        self._hold(f"{kind}: output_index", document["output_index"] == len(self.done))
        if kind == "response.output_item.added":
            self._hold(f"{kind}: an item is open", self.item is None)
            self._hold(f"{kind}: id used before", document["item"]["id"] not in [item["id"] for item in self.done])
            self.item, self.said = document["item"], ""
            return
        if self.item is None:
            self._hold(f"{kind}: no item is open", False)
            return
        if kind == "response.output_item.done":
            same = ("id", "type", "call_id", "name", "namespace")
            self._hold(f"{kind}: another item", all(self.item.get(name) == document["item"].get(name) for name in same))
            self._hold(f"{kind}: something is open", self.part is None and not self.open)
            self._hold(f"{kind}: still in progress", document["item"].get("status") != "in_progress")
            self.done.append(document["item"])
            self.item = None
            return
        self._hold(f"{kind}: item_id", document["item_id"] == self.item["id"])
        stem, _, verb = kind.rpartition(".")
        if stem in _PARTS:
            self._part(kind, verb, document["part"])
        elif stem in _TOLD:
            self._told(stem, verb, document)

    def _part(self, kind: str, verb: str, part: dict[str, Any]) -> None:
        self._hold(f"{kind}: out of order", (self.part is None) == (verb == "added") and not self.open)
        if verb == "done" and self.part is not None:
            whole = part.get("refusal") if part["type"] == "refusal" else part.get("text")
            self._hold(f"{kind}: not what was told", part["type"] == self.part["type"] and whole == self.said)
        self.part = part if verb == "added" else None
        self.said = "" if verb == "added" else self.said

    def _told(self, stem: str, verb: str, document: dict[str, Any]) -> None:
        if verb == "delta":
            self.open = stem
            self.said += document["delta"]
        else:
            self._hold(f"{stem}.done: not what was told", document[_TOLD[stem]] == self.said and self.open in ("", stem))
            self.open = ""

    def close(self, complete: bool) -> list[str]:
        """The stream's end. `complete`: the HTTP body ended with its last chunk. Returns all breaches."""
        self._hold("no end", bool(self.last))
        self._hold(f"{self.last}, and the body complete: {complete}", complete == (self.last in _LAST))
        return self.breaches


def read(body: bytes) -> list[tuple[str, dict[str, Any]]]:
    """The events of a served stream."""
    return [(name, json.loads(data)) for name, data in sse(body.decode())]


def judge(body: bytes, *, complete: bool) -> list[str]:
    """All breaches of the grammar in a served stream; empty when it is right."""
    grammar = Grammar()
    for name, document in read(body):
        grammar.event(name, document)
    return grammar.close(complete)
