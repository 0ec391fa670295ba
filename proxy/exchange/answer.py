"""The answer to one client, written straight to its transport.

A whole answer is one write. A stream is a head that goes out together with the first piece, then one write for each piece, framed by
hand (RFC 9112 §7.1); an HTTP/1.0 client gets it unframed and closed. `started` is the one switch of the house: before it a failure is a
status code (or the next target), after it an event and a connection cut without its last chunk.
"""

from __future__ import annotations

import asyncio
import time
from functools import lru_cache
from http import HTTPStatus

import msgspec

from proxy.client_dialect import PLAIN, failure
from proxy.codecs.framing import FRAMINGS
from proxy.errors import ClientGone, ExchangeError
from proxy.exchange.client import ClientRequest, Connection
from proxy.mapping.context import Context
from proxy.mapping.writer import SectionWriter

#: Status lines by status; an upstream may use one that the standard does not know.
STATUS_LINES = {status.value: b"HTTP/1.1 %d %b\r\n" % (status.value, status.phrase.encode()) for status in HTTPStatus}

JSON = b"content-type: application/json\r\n"
SSE = FRAMINGS["sse"]

_encode = msgspec.json.encode


@lru_cache(maxsize=4096)
def _size(length: int) -> bytes:
    """What stands before a chunk of that many bytes."""
    return b"%x\r\n" % length


def header_bytes(name: str, value: str) -> bytes:
    """One header line of an answer; what is no Latin-1 becomes a question mark."""
    return b"%b: %b\r\n" % (name.encode("latin-1"), value.encode("latin-1", "replace"))


class Clock:
    """The `date` header, made once a second."""

    __slots__ = ("_at", "line")

    def __init__(self) -> None:
        self._at = 0
        self.line = b""

    def read(self) -> bytes:
        now = int(time.time())
        if now != self._at:
            self._at = now
            self.line = time.strftime("date: %a, %d %b %Y %H:%M:%S GMT\r\n", time.gmtime(now)).encode()
        return self.line


_clock = Clock()


class Answer:
    """One client's answer.

    `fixed`: header lines every answer to this request carries (x-request-id, CORS). `events`: what has begun is a stream of events,
    `eventful`: one of them has been written. `voice`: how failures are told, `framing`: how events lie in the bytes.
    `writer`: who writes the events in the client's own dialect, where they are translated, and so knows how such a stream fails.
    `write_stall`: seconds a client may take nothing before it counts as gone.
    """

    __slots__ = (
        "_chunked",
        "_connection",
        "_request",
        "ended",
        "eventful",
        "events",
        "fixed",
        "framing",
        "keep_alive",
        "sent_bytes",
        "started",
        "status",
        "voice",
        "write_stall",
        "writer",
    )

    def __init__(self, request: ClientRequest, connection: Connection, fixed: bytes, write_stall: float = 60) -> None:
        self._request = request
        self._connection = connection
        self._chunked = False
        self.fixed = fixed
        self.write_stall = write_stall
        self.keep_alive = request.keep_alive
        self.started = False
        self.ended = False
        self.events = False
        self.eventful = False
        self.voice = PLAIN
        self.framing = SSE
        self.writer: SectionWriter | None = None
        self.status = 0
        self.sent_bytes = 0

    def whole(self, status: int, headers: bytes, body: bytes) -> None:
        """Writes an answer that is all there: head and body in one write."""
        self.started = self.ended = True
        self.status = status
        head = self._head(status, headers + b"content-length: %d\r\n" % len(body))
        self._send(head if self._request.method == "HEAD" else head + body)

    def bare(self, status: int, headers: bytes = b"") -> None:
        """Writes an answer that has no body by its status (204)."""
        self.started = self.ended = True
        self.status = status
        self._send(self._head(status, headers))

    def begin(self, status: int, headers: bytes, first: bytes = b"", *, length: int | None = None, last: bool = False) -> None:
        """Writes the head of a stream with its first piece, which may be the last; `length` when the upstream told it."""
        self.started = True
        self.ended = last
        self.status = status
        if length is not None:
            headers += b"content-length: %d\r\n" % length
        elif self._request.http11:
            self._chunked = True
            headers += b"transfer-encoding: chunked\r\n"
        else:
            self.keep_alive = False
        self._send(self._head(status, headers) + (self._frame(first) if first else b"") + (self._last_chunk if last else b""))

    def begin_events(self, lines: bytes, output: bytes, *, last: bool = False) -> None:
        """Writes the first events of a stream, and its head unless a sign of life has taken that along."""
        self.eventful = True
        if not self.started:
            self.events = True
            self.begin(200, self.framing.headers + lines, output, last=last)
        elif last:
            self.end(output)
        else:
            self.write(output)

    def live_on(self, context: Context) -> None:
        """Writes a sign of life, whatever has come so far of a stream of events."""
        if not self.started:
            self.events = True
            self.begin(200, self.framing.headers, self.voice.silence(self.framing))
        elif self.eventful:
            self.write(self.voice.sign_of_life(self.framing, context))
        else:
            self.write(self.voice.silence(self.framing))

    def write(self, piece: bytes) -> None:
        """Writes one piece of a stream."""
        if piece:
            self._send(b"".join((_size(len(piece)), piece, b"\r\n")) if self._chunked else piece)

    def end(self, last: bytes = b"") -> None:
        """Ends a stream well, with its last piece in the same write."""
        self.ended = True
        tail = (self._frame(last) if last else b"") + self._last_chunk
        if tail:
            self._send(tail)

    def fail(self, error: ExchangeError) -> None:
        """The one place where a failure becomes a status code or an error event.

        A stream that has begun is not ended: without its last chunk no client takes it for whole.
        """
        if not self.started:
            # The rest of a body that nobody wants is not waited for.
            self.keep_alive = self.keep_alive and self._request.content.is_eof()
            headers = JSON + b"".join(header_bytes(name, value) for name, value in error.headers.items())
            self.whole(self.voice.status(error), headers, _encode(self.voice.envelope(error, self._request_id)))
            return
        self.keep_alive = False
        if not self.ended:
            self.ended = True
            self.write(self._last_event(error) if self.events else b"")

    def _last_event(self, error: ExchangeError) -> bytes:
        """A failure, as the client expects it in its stream."""
        envelope = self.voice.envelope(error, self._request_id)
        if self.writer is not None and (told := self.writer.fail(failure(error), envelope)):
            return told
        event = self.framing.event(_encode(self.voice.last_event(error, self._request_id)), self.voice.event)
        return event if self.eventful else self.framing.begun(event)

    @property
    def flushed(self) -> bool:
        """Nothing has to be waited for: the client reads as fast as we write, and the connection stays."""
        return self.keep_alive and not self._connection.writing_paused

    async def flush(self) -> None:
        """Waits for a client that reads slowly; one that takes nothing for `write_stall` seconds is cut off.

        Before a connection is closed everything must have left us, else the close would be no end and the error event lost.
        """
        transport = self._connection.transport
        if transport is None:
            return
        if not self.keep_alive:
            transport.set_write_buffer_limits(0)
        while self._connection.writing_paused:
            waiting = self.unsent
            try:
                async with asyncio.timeout(self.write_stall):
                    await self._connection.drain()
            except TimeoutError:
                if self.unsent >= waiting:
                    self.abort()
                    raise ClientGone("the client stopped reading") from None
            except ConnectionError:
                raise ClientGone from None

    @property
    def unsent(self) -> int:
        """Bytes that wait for the client to read."""
        transport = self._connection.transport
        return 0 if transport is None else transport.get_write_buffer_size()

    def abort(self) -> None:
        """Gives a client up that does not read; its handler is cancelled."""
        if self._connection.transport is not None:
            self._connection.transport.abort()

    @property
    def _request_id(self) -> str:
        """It stands first in what every answer carries."""
        return self.fixed.partition(b"\r\n")[0].partition(b": ")[2].decode("latin-1")

    def _head(self, status: int, headers: bytes) -> bytes:
        line = STATUS_LINES.get(status) or b"HTTP/1.1 %d Status\r\n" % status
        close = b"" if self.keep_alive else b"connection: close\r\n"
        return b"%b%b%b%b%b\r\n" % (line, _clock.read(), self.fixed, headers, close)

    @property
    def _last_chunk(self) -> bytes:
        return b"0\r\n\r\n" if self._chunked else b""

    def _frame(self, piece: bytes) -> bytes:
        return b"".join((_size(len(piece)), piece, b"\r\n")) if self._chunked else piece

    def _send(self, data: bytes) -> None:
        self.sent_bytes += len(data)
        transport = self._connection.transport
        if transport is not None:
            transport.write(data)
