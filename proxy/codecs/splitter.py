"""Bytes cut at a separator: incremental, linear, bounded."""

from __future__ import annotations


class CodecError(ValueError):
    """The bytes cannot be read as events: one event is larger than the limit."""


class Splitter:
    """Cuts a byte stream into the blocks between separators, in whatever pieces it comes.

    Each byte is copied a bounded number of times and searched once, also when they come one by one.
    `limit` is the size in bytes that one block may have, the unfinished one included.
    """

    __slots__ = ("_limit", "_separator", "held")

    def __init__(self, separator: bytes, limit: int) -> None:
        self._separator = separator
        self._limit = limit
        self.held = bytearray()  # the unfinished block

    def feed(self, data: bytes) -> list[bytes]:
        """The blocks that `data` completes. Raises CodecError when one of them, or the unfinished one, is too large."""
        held = self.held
        if held:
            # A separator may begin in what was held; what lies before that has been searched already.
            start = max(0, len(held) - len(self._separator) + 1)
            held += data
            if held.find(self._separator, start) < 0:
                if len(held) > self._limit:
                    raise self._too_large()
                return []
            data = bytes(held)
            held.clear()
        blocks = data.split(self._separator)
        rest = blocks.pop()
        if rest:
            held += rest
        if len(data) > self._limit and (len(rest) > self._limit or any(len(block) > self._limit for block in blocks)):
            raise self._too_large()
        return blocks

    def close(self) -> bytes:
        """The unfinished block, which is forgotten."""
        rest = bytes(self.held)
        self.held.clear()
        return rest

    def _too_large(self) -> CodecError:
        return CodecError(f"one event has more than {self._limit} bytes")
