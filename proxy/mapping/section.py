"""One section of a stream to a client under way, and the choice that it belongs to."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Protocol

import msgspec

from proxy.mapping.chunks import Calls

Facts = dict[str, Any]
#: (`.`, context, the stream's facts, finished items, …) → events.
Template = Callable[..., Any]

#: reasoning: text, and a signature; hidden: what only its vendor can read; call: a tool call.
KINDS = ("reasoning", "hidden", "text", "refusal", "call", "image", "audio")


class Framing(Protocol):
    """How events stand on the wire (`proxy.codecs.framing`)."""

    def event(self, data: bytes, name: str = "") -> bytes:
        """One event."""
        ...

    def around(self, name: str) -> tuple[bytes, bytes]:
        """What stands before and after the data of an event of that name."""
        ...

    def begun(self, output: bytes) -> bytes:
        """The first bytes of a stream, made of its first events."""
        ...

    def end(self, *, begun: bool) -> bytes:
        """What ends a stream well."""
        ...


@dataclass(frozen=True, slots=True)
class Kind:
    """The templates of one kind of section.

    `keeps`: its text is wanted when it closes. `cuts`: a piece's event holds the piece once, as it is.
    """

    open: Template | None
    piece: Template | None
    annotation: Template | None
    close: Template | None
    item: Template | None
    keeps: bool
    cuts: bool


#: A kind that a dialect has no rules for.
SILENT = Kind(None, None, None, None, None, keeps=False, cuts=False)


class Section:
    """One section under way. `facts` is what templates see as `.`.

    `order`: which reasoning block of the answer it is. `cut`: the bytes before a piece's text, behind it, and behind the event's number;
    None: each piece's event is made anew. `waiting`: pieces of a call whose turn has not come.
    """

    __slots__ = ("closed", "cut", "facts", "kind", "name", "order", "texts", "waiting")

    def __init__(self, name: str, kind: Kind, order: Any, facts: Facts) -> None:
        self.name = name
        self.kind = kind
        self.order = order
        self.facts = facts
        self.texts: list[str] = []
        self.waiting: list[str] = []
        self.cut: tuple[bytes, bytes, bytes] | None = None
        self.closed = False

    @property
    def whole(self) -> bool:
        """Whether nothing is missing: of a call, that its arguments are JSON."""
        if self.name != "call":
            return True
        try:
            msgspec.json.decode("".join(self.texts))
        except msgspec.DecodeError:
            return False
        return True


class ChoiceState:
    """One choice under way. `calls`: its tool calls by their place; `queue`: those that wait for the one that is open."""

    __slots__ = ("calls", "finish", "index", "places", "queue", "section")

    def __init__(self, index: int) -> None:
        self.index = index
        self.finish: str | None = None
        self.section: Section | None = None
        self.places = Calls()
        self.calls: list[Section] = []
        self.queue: list[Section] = []

    @property
    def reason(self) -> str | None:
        """The finish reason: some hosts say `stop` where calls were made."""
        return "tool_calls" if self.calls and self.finish == "stop" else self.finish
