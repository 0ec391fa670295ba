"""One answer from its first byte to its last: llhttp's callbacks, and the rules llhttp leaves to its user. No I/O.

llhttp (strict, as httptools sets it up) refuses by itself: bare CR or LF, folded lines, bad names, NUL, a duplicate, negative or
overflowing Content-Length, Content-Length beside Transfer-Encoding, malformed chunks. Here: bounds on the head, statuses that are
none, informational answers, transfer codings other than chunked, and whatever follows a complete answer.
"""

from __future__ import annotations

import re

from httptools import HttpParserError, HttpResponseParser

#: Bytes of a head, of all informational heads before it and of trailers, and more generally of anything in a row that is not body.
HEAD_LIMIT = 64 * 1024
HEADER_COUNT = 256
INFORMATIONAL_COUNT = 32

_KEEP_ALIVE_TIMEOUT = re.compile(rb"\btimeout\s*=\s*(\d{1,6})", re.IGNORECASE)


class _RefusedError(Exception):
    """Raised inside a callback; httptools hands it back as the context of its own error."""


class AnswerReader:
    """Reads one answer after another from one connection; `begin` before each.

    status: 0 until the head is complete; then 200 to 599.
    headers: value by lower-cased name; those of a repeated name joined by commas (RFC 9110, 5.3).
    received: at least one byte came.
    complete: the last byte of the body came; `keep_alive` then says whether the connection can be used again.
    fault: why this is not an HTTP answer, once that is clear; nothing more may be fed then.
    """

    __slots__ = (
        "_framed",
        "_informational",
        "_limit",
        "_parser",
        "_pieces",
        "_quiet",
        "_trailers",
        "complete",
        "fault",
        "headers",
        "keep_alive",
        "on_body",
        "received",
        "status",
    )

    def __init__(self, head_limit: int = HEAD_LIMIT) -> None:
        self._limit = head_limit
        self._pieces: list[bytes] = []
        self.on_body = self._pieces.append
        self.keep_alive = False
        self.fault = ""
        self._framed = False
        self._trailers = 0
        self._parser = HttpResponseParser(self)
        self.begin()

    def begin(self) -> None:
        """Forget the last answer; the next byte is the first of another."""
        self.status = 0
        self.headers: dict[bytes, bytes] = {}
        self.received = False
        self.complete = False
        self._informational = 0
        self._quiet = 0

    def feed(self, data: bytes) -> bytes:
        """Take one read; returns the body bytes in it. Look at status, complete and fault afterwards, in this order."""
        self.received = True
        self._quiet += len(data)
        try:
            self._parser.feed_data(data)
        except HttpParserError as error:
            if self.complete:  # the answer is whole: what follows it is nobody's, and the connection is not to be trusted
                self.keep_alive = False
            else:
                self.fault = str(error.__context__ or error)
        pieces = self._pieces
        if pieces:
            self._quiet = 0
            body = pieces[0] if len(pieces) == 1 else b"".join(pieces)
            pieces.clear()
            return body
        if self._quiet > self._limit and not self.complete:
            self.fault = self.fault or f"more than {self._limit} bytes without any body"
        return b""

    @property
    def ends_at_eof(self) -> bool:
        """The end of the connection is the end of this answer (RFC 9112, 6.3: neither length nor chunks)."""
        return self.status != 0 and not self.complete and not self._framed

    @property
    def keep_alive_timeout(self) -> int | None:
        """Seconds after which the upstream said that it closes an idle connection, if it said so."""
        hint = self.headers.get(b"keep-alive")
        if hint is None or not (found := _KEEP_ALIVE_TIMEOUT.search(hint)):
            return None
        return int(found[1])

    # ── httptools' callbacks ──

    def on_message_begin(self) -> None:
        if self.complete:
            raise _RefusedError("a second answer to one request")

    def on_header(self, name: bytes, value: bytes) -> None:
        if self.status:
            self._count_trailer(name, value)
            return
        name = name.lower()
        value = value.rstrip()
        headers = self.headers
        headers[name] = b"%b, %b" % (headers[name], value) if name in headers else value

    def on_headers_complete(self) -> None:
        status = self._parser.get_status_code()
        if len(self.headers) > HEADER_COUNT:
            raise _RefusedError(f"more than {HEADER_COUNT} headers")
        if self._quiet > self._limit:
            self._measure_head()
        if 200 <= status <= 599:
            coding = self.headers.get(b"transfer-encoding")
            if coding is not None and coding.lower() != b"chunked":
                raise _RefusedError("a transfer coding other than chunked")
            self._framed = coding is not None or b"content-length" in self.headers
            self._trailers = 0
            self.status = status
        elif status == 101 or not 100 <= status <= 199:
            raise _RefusedError(f"the status {status}")
        else:
            self._informational += 1
            if self._informational > INFORMATIONAL_COUNT:
                raise _RefusedError(f"more than {INFORMATIONAL_COUNT} informational answers")

    def on_message_complete(self) -> None:
        if not self.status:  # an informational answer; the real one follows
            self.headers.clear()
            return
        self.complete = True
        # Chunks in HTTP/1.0 are a sign of a broken middleman: read them, but never use the connection again (RFC 9112, 6.1).
        self.keep_alive = self._parser.should_keep_alive()
        if self.keep_alive and b"transfer-encoding" in self.headers:
            self.keep_alive = self._parser.get_http_version() == "1.1"

    # ── bounds ──

    def _measure_head(self) -> None:
        """A read may hold a head and much of a body: only the former is bounded."""
        if sum(len(name) + len(value) for name, value in self.headers.items()) > self._limit:
            raise _RefusedError(f"a head of more than {self._limit} bytes")

    def _count_trailer(self, name: bytes, value: bytes) -> None:
        """Nobody reads trailers."""
        self._trailers += len(name) + len(value)
        if self._trailers > self._limit:
            raise _RefusedError(f"trailers of more than {self._limit} bytes")
