"""What arrives on a client's connection: one request after another, in bounds, and heard to its end whatever is being done meanwhile.

Builds, as server.py does, on the inside of aiohttp's RequestHandler.
"""

from __future__ import annotations

from typing import Any, cast

from aiohttp import hdrs, web
from aiohttp.helpers import DEFAULT_CHUNK_SIZE
from aiohttp.http import HttpRequestParser, HttpVersion10, HttpVersion11, RawRequestMessage
from aiohttp.http_exceptions import LineTooLong
from aiohttp.streams import EMPTY_PAYLOAD, StreamReader
from aiohttp.web_protocol import _ErrInfo

from proxy.app.again import SameHead
from proxy.app.leaving import Lookout
from proxy.errors import ClientError
from proxy.exchange.client import Content

#: Bytes that a client may send ahead of the answer to what it has asked before.
AHEAD = 256 * 2**10
#: Bytes that may come for each byte of a body; a chunk for each byte makes six of one.
_FRAMING = 8


class Arriving(web.RequestHandler):
    """The half of a connection that listens. `header_limit`: bytes that all header fields of a request may have together."""

    __slots__ = ("_alone", "_arrived", "_body", "_framed", "_lookout", "_much", "_same", "_tidy", "header_limit")

    def __init__(self, server: web.Server, header_limit: int, **options: Any) -> None:
        super().__init__(server, **options)
        self.header_limit = header_limit
        # Parses one request at a time: else those that came in one piece with what is no request would be lost with it.
        self._parser = HttpRequestParser(
            self,
            self._loop,
            DEFAULT_CHUNK_SIZE,
            max_line_size=header_limit,
            max_field_size=header_limit,
            max_headers=self.max_headers,
            payload_exception=web.RequestPayloadError,
            auto_decompress=False,
            max_msg_queue_size=1,
        )
        self._lookout = Lookout(lambda: self._reading_paused or self._buffer_paused)
        self._body: Content | None = None  # of the request that is being served
        self._same: SameHead | None = None  # that the requests of this connection have had so far
        self._tidy = True  # each read so far was one request from its first byte to its last: the parser holds no part of another
        self._alone = True  # nothing has arrived behind the request that is being served
        self._arrived = 0  # bytes of requests to come
        self._framed = 0  # bytes of `_body`, with what frames it
        self._much = False  # so much arrived at once that a head may be larger than it should

    async def next_message(self) -> tuple[RawRequestMessage | ClientError, Content]:
        """The next request and its body, or why there is none; whoever gets that closes the connection."""
        self._body = None
        if not self._messages and not self._alone:
            self._parse_on()
        if not self._messages:
            self._arrived = 0
            self._waiter = self._loop.create_future()
            try:
                await self._waiter
            finally:
                self._waiter = None
        message, self._body = self._messages.popleft()
        self._arrived = self._framed = 0
        if self._buffer_paused:
            self._resume_reading_if_drained()
        judged = self._judged(message)
        if isinstance(judged, RawRequestMessage) and judged.upgrade:
            self._alone = False
            super().data_received(b"")  # what follows is not for this parser: it sees that on the way to the next request only
        return judged, self._body

    def _parse_on(self) -> None:
        """Takes the next request out of what has arrived already."""
        super().data_received(b"")
        if self._upgraded and self._parser is not None:  # nobody took the upgrade: what follows is HTTP still
            self._upgraded = False
            self._parser.set_upgraded(False)
            tail, self._message_tail = self._message_tail, b""
            super().data_received(tail)

    def _judged(self, message: RawRequestMessage | _ErrInfo) -> RawRequestMessage | ClientError:
        """Refuses what the parser refused, in other words (its own would show the client's bytes), and what others could read otherwise."""
        if not isinstance(message, RawRequestMessage):
            if isinstance(message.exc, LineTooLong):
                return self._headers_too_large()
            return ClientError("This is not a valid HTTP/1.1 request.", code="invalid_http")
        coding = message.headers.get(hdrs.TRANSFER_ENCODING)
        if message.version < HttpVersion11 and (coding is not None or message.version < HttpVersion10):
            return ClientError("HTTP/1.0 knows no Transfer-Encoding, and HTTP/0.9 is not spoken.", code="invalid_http")
        if coding is not None and coding.lower() != "chunked":
            return ClientError("The only Transfer-Encoding is chunked.", code="invalid_http")
        if self._much and sum(len(name) + len(value) for name, value in message.raw_headers) > self.header_limit:
            return self._headers_too_large()
        return message

    def _headers_too_large(self) -> ClientError:
        return ClientError(f"The request's headers have more than {self.header_limit} bytes.", status=431, code="headers_too_large")

    # ── told by the transport and the parser ──

    def data_received(self, data: bytes) -> None:
        if self._upgraded:
            super().data_received(data)
            return
        if self._broken:
            return  # behind what is no request there is none
        body = self._body
        unread = body if isinstance(body, StreamReader) and not body.is_eof() else None
        fresh = body is None and not self._arrived
        if fresh and self._same is not None and self._has_come_again(self._same, data):
            return
        super().data_received(data)
        self._alone = fresh and self._is_one_request(data)
        self._tidy = self._tidy and self._alone
        self._same = self._common_head(data) if self._tidy else None
        if unread is not None:
            self._measure(unread, len(data))
        else:
            self._count(len(data), ahead=body is not None)

    def _has_come_again(self, same: SameHead, data: bytes) -> bool:
        """Takes a whole request with the head that is known; False for anything else, which is to be parsed."""
        content = same.body(data)
        if content is None or self._force_close or self._close:
            return False
        self._arrived = len(data)
        self._alone = True
        self._request_count += 1
        self._messages.append((same.message, cast(StreamReader, content)))
        if self._waiter is not None and not self._waiter.done():
            self._waiter.set_result(None)
        return True

    def _common_head(self, data: bytes) -> SameHead | None:
        """The head of a connection's second request; a client whose third has another is left alone with it."""
        message = self._messages[0][0]
        return SameHead.of(data, message) if self._request_count == 2 and isinstance(message, RawRequestMessage) else None

    def _is_one_request(self, data: bytes) -> bool:
        """Whether this is a request from its first byte to its last, and of known length: most are."""
        if not self._messages or self._upgraded:
            return False
        content = self._messages[0][1]
        return content.is_eof() and data.find(b"\r\n\r\n") + 4 + content.total_bytes == len(data)

    def _measure(self, body: StreamReader, size: int) -> None:
        """Ends a body that is malformed, which aiohttp tells nobody, or framed out of proportion (RFC 9112 §7.1.1: chunk extensions)."""
        self._framed += size
        self._much = self._much or size > self.header_limit
        if not body.is_eof() and (self._broken or self._framed > self.header_limit + _FRAMING * body.total_bytes):
            body.set_exception(web.RequestPayloadError("malformed"))

    def _count(self, size: int, *, ahead: bool) -> None:
        self._arrived += size
        self._much = self._much or ahead or self._arrived > self.header_limit
        if ahead and self._arrived > AHEAD:
            self.close()  # who sends so much ahead is not read any more, but heard: its leaving must be noticed
        elif not ahead and not self._messages and self._arrived > 2 * self.header_limit:
            # A head that never ends: the request line and all fields may have that much at most.
            self._messages.append((_ErrInfo(400, LineTooLong(b"", self.header_limit), ""), EMPTY_PAYLOAD))
            if self._waiter is not None and not self._waiter.done():
                self._waiter.set_result(None)

    @property
    def _broken(self) -> bool:
        return bool(self._messages) and not isinstance(self._messages[-1][0], RawRequestMessage)

    def pause_reading(self) -> None:
        """aiohttp calls this when enough of a body is held."""
        if self._body is not None and self._body.is_eof():
            self.close()  # it is the body of a request ahead
        else:
            super().pause_reading()

    def resume_reading(self, resume_parser: bool = True) -> None:
        # aiohttp calls this after each read of a body, paused or not, and then feeds its parser nothing.
        if self._reading_paused:
            super().resume_reading(resume_parser)

    def _pause_transport_reading(self) -> None:
        super()._pause_transport_reading()
        if self.transport is not None:
            self._lookout.watch(self.transport)

    def connection_lost(self, exc: BaseException | None) -> None:
        self._lookout.stop()
        super().connection_lost(exc)
