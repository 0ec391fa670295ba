"""The head that one request of a connection has in common with the next.

Most clients send the same head again with each request on a connection, but for the length of the body. Bytes that a parser has
understood need not be parsed again: they mean the same.
"""

from __future__ import annotations

import re

from aiohttp import hdrs
from aiohttp.http import RawRequestMessage
from multidict import CIMultiDict, CIMultiDictProxy

_END = b"\r\n\r\n"
_LENGTH = re.compile(rb"\r\ncontent-length:[ \t]*(\d+)\r\n", re.IGNORECASE)
#: Digits of a length; what needs more is no body that came in one read.
_DIGITS = 8


class Arrived:
    """A body that is all there; has of aiohttp's StreamReader what a body is read with."""

    __slots__ = ("_rest", "total_bytes")

    def __init__(self, body: bytes) -> None:
        self._rest = body
        self.total_bytes = len(body)

    def is_eof(self) -> bool:
        return True

    def read_nowait(self) -> bytes:
        rest, self._rest = self._rest, b""
        return rest

    async def readany(self) -> bytes:
        return self.read_nowait()


class SameHead:
    """A head, as it was understood. `message` lacks its Content-Length, which is all that may differ."""

    __slots__ = ("_after", "_before", "message")

    def __init__(self, before: bytes, after: bytes, message: RawRequestMessage) -> None:
        self._before = before
        self._after = after
        self.message = message

    @classmethod
    def of(cls, data: bytes, message: RawRequestMessage) -> SameHead | None:
        """What `data` begins with, which became `message`; None for one that says more about its connection or body than a length."""
        head = data[: data.find(_END) + len(_END)]
        lengths = [*_LENGTH.finditer(head)]
        headers = CIMultiDict(message.headers)
        plain = headers.keys().isdisjoint((hdrs.TRANSFER_ENCODING, hdrs.EXPECT, hdrs.UPGRADE))
        if len(lengths) != 1 or len(headers.popall(hdrs.CONTENT_LENGTH, ())) != 1 or not plain or message.upgrade:
            return None
        before, after = head[: lengths[0].start(1)], head[lengths[0].end(1) :]
        return cls(before, after, message._replace(headers=CIMultiDictProxy(headers)))

    def body(self, data: bytes) -> Arrived | None:
        """The body of a request that begins with this head and is whole, with nothing behind it; None for all other bytes."""
        before, after = self._before, self._after
        if not data.startswith(before):
            return None
        end = data.find(b"\r", len(before), len(before) + _DIGITS + 1)
        length = data[len(before) : end]
        if end < 0 or not length.isdigit() or not data.startswith(after, end):
            return None
        body = data[end + len(after) :]
        return Arrived(body) if len(body) == int(length) else None
