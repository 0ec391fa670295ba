"""The top-level members of a JSON object and where their text stands.

Passthrough needs a few top-level members of a request and must leave every other byte alone. msgspec checks the whole text and
gives each member's raw text, without parsing what is inside.

A name that appears twice is refused: parsers differ in which one they believe, so a body could be routed on one reading and served
on another. msgspec keeps the last of them at the place of the first, so a second look is needed:

- Most clients write JSON without spaces. Then the members written out again give the same text, which proves that all is there
  once, and a change is made by writing them out once more.
- Otherwise a walk over names and punctuation finds where each value stands. It compares names and values with the text in its order,
  so at the first name that comes twice (also when one of them is written with escapes) text and dict part.
"""

from __future__ import annotations

import re
from bisect import bisect_right
from collections.abc import Mapping, Sequence
from itertools import accumulate

import msgspec

_decode = msgspec.json.Decoder(dict[str, msgspec.Raw]).decode
_decode_name = msgspec.json.Decoder(str).decode
_encode = msgspec.json.Encoder().encode

#: Members that an object may have: none that anybody sends has nearly as many, and each costs a step of the walk.
MEMBER_COUNT = 1000

#: Bytes up to which the members are written out to compare; copying a large body costs more than the walk.
_COMPACT_LIMIT = 2**16

#: From the end of a value (or the start of the text) to the next value; the name stands in group 1. The text is known to be JSON.
#: Possessive, so that a name of a million escapes costs no backtracking memory.
_to_value = re.compile(rb'[ \t\n\r{,]*+("[^"\\]*+(?:\\.[^"\\]*+)*+")[ \t\n\r]*+:[ \t\n\r]*+').match


class MembersError(ValueError):
    """The text is not a JSON object with distinct names. `member` is the name at fault, where there is one."""

    def __init__(self, message: str, member: str | None = None) -> None:
        super().__init__(message)
        self.member = member


class Members:
    """A JSON object by its top-level members. `raws`: the text of each value.

    Strings inside the values are not checked for valid UTF-8; whoever decodes a value does that.
    """

    __slots__ = ("_body", "_spans", "raws")

    def __init__(self, body: bytes, raws: dict[str, msgspec.Raw], spans: dict[str, tuple[int, int]] | None) -> None:
        self._body = body
        self.raws = raws
        self._spans = spans  # name -> where its value begins and ends, in the order of the text; None: as `_encode(raws)` writes it

    @classmethod
    def parse(cls, body: bytes) -> Members:
        """Raises MembersError for bad JSON, anything but an object, too many members, and names that appear twice."""
        return cls.found(body, decode(body))

    @classmethod
    def found(cls, body: bytes, raws: dict[str, msgspec.Raw]) -> Members:
        """The second half of `parse`, for bodies so large that something else should have its turn in between."""
        if len(raws) > MEMBER_COUNT:
            raise MembersError(f"the body has more than {MEMBER_COUNT} members")
        compact = len(body) <= _COMPACT_LIMIT and _encode(raws) == body
        return cls(body, raws, None if compact else _walk(body, raws))

    def spread(self, body: bytes, runs: Sequence[tuple[int, int]]) -> Members:
        """The members of `body`, where these are of what is left of it without some runs inside of its strings. Raises MembersError
        for a run in a name, which is not read as it is then."""
        gone = list(accumulate((end - start for start, end in runs), initial=0))
        starts = [start - before for (start, _), before in zip(runs, gone, strict=False)]  # in the text that is left
        spans, inside = {}, 0
        for name, (start, end) in (self._spans or _walk(self._body, self.raws)).items():
            before, within = gone[bisect_right(starts, start)], gone[bisect_right(starts, end)]
            spans[name] = (start + before, end + within)
            inside += within - before
        if inside < gone[-1]:
            raise MembersError("the body has a member with a name that is too long")
        text = memoryview(body)
        return Members(body, {name: msgspec.Raw(text[start:end]) for name, (start, end) in spans.items()}, spans)

    def get(self, name: str) -> bytes | None:
        """The raw JSON text of a member's value, None when there is no such member."""
        raw = self.raws.get(name)
        return None if raw is None else bytes(raw)

    def splice(self, changes: Mapping[str, bytes | None]) -> bytes:
        """The text with values replaced, members removed (None) or, where the name is new, added at the end.

        Everything else stays byte for byte. The new values are JSON texts and are not checked.
        """
        if self._spans is not None:
            return b"".join(self.pieces(changes))
        raws = dict(self.raws)
        for name, value in changes.items():
            if value is not None:
                raws[name] = msgspec.Raw(value)
            else:
                raws.pop(name, None)
        return _encode(raws)

    def pieces(self, changes: Mapping[str, bytes | None]) -> tuple[bytes | memoryview, ...]:
        """What `splice` gives, in pieces: those of a large text need not be copied."""
        spans = self._spans or _walk(self._body, self.raws)
        removed = {name for name, value in changes.items() if value is None and name in spans}
        edits = _cuts(self._body, spans, removed) if removed else []
        added = []
        for name, value in changes.items():
            if value is not None and name in spans:
                edits.append((*spans[name], value))
            elif value is not None:
                added.append(b"%b:%b" % (_encode(name), value))
        if added:
            end = max((end for _, end in spans.values()), default=self._body.index(b"{") + 1)
            comma = b"," if len(removed) < len(spans) else b""
            edits.append((end, end, comma + b",".join(added)))
        text = memoryview(self._body)
        pieces: list[bytes | memoryview] = []
        done = 0
        for start, end, new in sorted(edits):
            pieces += (text[done:start], new)
            done = end
        pieces.append(text[done:])
        return tuple(pieces)


def decode(body: bytes) -> dict[str, msgspec.Raw]:
    """The first half of `Members.parse`: the values' raw texts. Raises MembersError."""
    try:
        return _decode(body)
    except msgspec.ValidationError:
        raise MembersError("the body must be a JSON object") from None
    except RecursionError:
        raise MembersError("the JSON is nested too deeply") from None
    except ValueError as error:  # msgspec.DecodeError, UnicodeDecodeError
        raise MembersError(f"the body is not valid JSON: {error}") from None


def _cuts(body: bytes, spans: dict[str, tuple[int, int]], names: set[str]) -> list[tuple[int, int, bytes]]:
    """The edits that remove these members, each with one comma."""
    edits: list[tuple[int, int, bytes]] = []
    start = body.index(b"{") + 1
    kept = False
    for name, (_, end) in spans.items():
        stop = end
        if name not in names:
            kept = True
        else:
            if not kept:  # no member is left before it, so the comma after it goes
                stop = body.find(b",", end) + 1 or end
            edits.append((start, stop, b""))
        start = stop
    return edits


def _walk(body: bytes, raws: dict[str, msgspec.Raw]) -> dict[str, tuple[int, int]]:
    """Where each value begins and ends. Raises MembersError for a name that appears twice."""
    spans: dict[str, tuple[int, int]] = {}
    last, end = "", 0
    for name, raw in raws.items():
        start, found = _next_value(body, last, end)
        if found != name or not body.startswith(raw, start):
            raise _twice(found)
        last, end = name, start + len(raw)
        spans[name] = (start, end)
    if body.find(b",", end) >= 0:
        raise _twice(_next_value(body, last, end)[1])
    return spans


def _next_value(body: bytes, last: str, end: int) -> tuple[int, str]:
    """Where the value after that of `last`, which ends at `end`, begins, and its name."""
    match = _to_value(body, end)
    if match is None:  # what stands there is a longer number, so `last` has another value further down
        raise _twice(last)
    quoted = match[1]
    return match.end(), _decode_name(quoted) if b"\\" in quoted else quoted[1:-1].decode()


def _twice(name: str) -> MembersError:
    name = name[:64]
    return MembersError(f"the body has more than one member named {name!r}", name)
