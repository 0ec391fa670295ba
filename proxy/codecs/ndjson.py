"""Newline-delimited JSON: one document a line, ended by LF or CRLF; blank lines are skipped."""

from __future__ import annotations

from proxy.codecs.splitter import Splitter

_BLANK = b" \t\r"


class NdjsonDecoder:
    """Bytes of an `application/x-ndjson` stream to its lines, in the shape of events (the name is always "")."""

    __slots__ = ("_splitter",)

    def __init__(self, limit: int = 16 * 2**20) -> None:
        self._splitter = Splitter(b"\n", limit)

    @property
    def pending(self) -> bool:
        """True when an unfinished line is held."""
        return bool(self._splitter.held.strip(_BLANK))

    @property
    def size(self) -> int:
        """Bytes held of an unfinished line."""
        return len(self._splitter.held)

    def feed(self, data: bytes) -> list[tuple[str, bytes]]:
        """The lines that `data` completes, as ("", line). Raises CodecError for a line over the limit."""
        return [("", text) for line in self._splitter.feed(data).split(b"\n") if (text := line.strip(_BLANK))]

    def close(self) -> list[tuple[str, bytes]]:
        """At the end of the stream: the last line, if it lacks its end. It may be cut anywhere."""
        text = self._splitter.close().strip(_BLANK)
        return [("", text)] if text else []
