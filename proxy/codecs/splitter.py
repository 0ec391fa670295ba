"""Bytes parted at separators: incremental, linear, bounded."""

from __future__ import annotations


class CodecError(ValueError):
    """The bytes cannot be read as events: one event is larger than the limit."""


class Splitter:
    """Parts what is whole of a byte stream from what is not, at its separators, in whatever pieces it comes.

    Each byte is copied a bounded number of times and searched once, also when they come one by one.
    `limit` is the size in bytes that one block between two separators may have, the unfinished one included.
    """

    __slots__ = ("_limit", "_separator", "held")

    def __init__(self, separator: bytes, limit: int) -> None:
        self._separator = separator
        self._limit = limit
        self.held = bytearray()  # the unfinished block

    def feed(self, data: bytes) -> bytes:
        """The blocks that `data` completes, each with its separator. Raises CodecError when any block is too large."""
        held = self.held
        separator = self._separator
        if held:
            # A separator may begin in what was held; what lies before that has been searched already.
            start = max(0, len(held) - len(separator) + 1)
            held += data
            if held.find(separator, start) < 0:
                if len(held) > self._limit:
                    raise self._too_large()
                return b""
            data = bytes(held)
            held.clear()
        end = data.rfind(separator) + len(separator)
        if end < len(separator):
            end = 0
        if end < len(data):
            held += data[end:]
            data = data[:end]
        if len(data) + len(held) > self._limit:
            self._check(data)
        return data

    def close(self) -> bytes:
        """The unfinished block, which is forgotten."""
        rest = bytes(self.held)
        self.held.clear()
        return rest

    def _check(self, whole: bytes) -> None:
        if len(self.held) > self._limit or any(len(block) > self._limit for block in whole.split(self._separator)):
            raise self._too_large()

    def _too_large(self) -> CodecError:
        return CodecError(f"one event has more than {self._limit} bytes")
