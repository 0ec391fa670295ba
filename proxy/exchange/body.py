"""Reads a client's request body: bounded in bytes, before and after decompression, and in time.

What is refused by its head alone is refused before `100 Continue` is said, so that a client that asks first does not send it.
"""

from __future__ import annotations

import asyncio
import zlib
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass
from io import BytesIO

from aiohttp import hdrs
from aiohttp.streams import StreamReader
from aiohttp.web import RequestPayloadError

from proxy.errors import ClientError, ClientGone
from proxy.exchange.client import ClientRequest

#: Bytes up to which a body that has arrived is taken as it lies: nobody paused the connection for it.
ONE_PIECE = 2**16
#: Strings that a JSON body may have: it is read in one go, and what has many small parts takes long.
STRINGS = 2**19
#: Bytes that are decompressed in one go.
_STEP = 2**19

_CONTINUE = b"HTTP/1.1 100 Continue\r\n\r\n"

#: Bytes a second that a body must come with in the long run: else a drip, each drop in time, would hold its connection for ever.
SLOWEST = 500


@dataclass(frozen=True, slots=True)
class BodyLimits:
    """`size`: bytes a body held in memory may have; `total`: seconds that one may take.

    `idle`: seconds that a client may be waited for; what it sends buys it more of them, at `SLOWEST`.
    """

    size: int = 32 * 2**20
    idle: float = 30
    total: float = 300


def too_large(limit: int) -> ClientError:
    """413."""
    return ClientError(f"The request body is larger than {limit} bytes.", status=413, code="request_too_large")


def check_json_type(request: ClientRequest) -> None:
    """Raises ClientError 415 for a content type that is not JSON.

    None at all is let pass, but not from a browser: there it is how a foreign page gets round asking first (CORS).
    """
    given = request.headers.get(hdrs.CONTENT_TYPE)
    if given == "application/json":
        return
    media = (given or "").partition(";")[0].strip().lower()
    if media == "application/json" or media.endswith("+json") or (not media and hdrs.ORIGIN not in request.headers):
        return
    shown = repr(media[:80]) if media else "none"
    raise ClientError(
        f"The body must be JSON: send the header Content-Type: application/json (it was {shown}).",
        status=415,
        code="unsupported_media_type",
    )


def encoding(request: ClientRequest) -> str:
    """The body's Content-Encoding: gzip, deflate or none; raises ClientError 415 for any other."""
    given = request.headers.get(hdrs.CONTENT_ENCODING)
    if given is None or (given := given.strip().lower()) in ("", "identity"):
        return ""
    if given in ("gzip", "x-gzip", "deflate"):
        return given
    raise ClientError(f"Content-Encoding {given[:40]!r} is not understood; gzip is.", status=415, code="unsupported_media_type")


def say_continue(request: ClientRequest) -> None:
    """Answers `Expect: 100-continue`, unless the client has begun to send without waiting; raises ClientError 417 for anything else
    that is expected (RFC 9110 §10.1.1)."""
    expected = request.headers.get(hdrs.EXPECT)
    if expected is None:
        return
    if expected.lower() != "100-continue":
        raise ClientError("Only `Expect: 100-continue` can be met.", status=417)
    transport, content = request.connection.transport, request.content
    waits = not content.total_bytes and not content.is_eof()
    if waits and request.http11 and transport is not None:
        transport.write(_CONTINUE)


async def read_whole(request: ClientRequest, limits: BodyLimits) -> bytes:
    """The body, decompressed. Raises ClientError 400, 408, 413, 415, 417."""
    coding = encoding(request)
    length = request.headers.get(hdrs.CONTENT_LENGTH)
    if length is not None and int(length) > limits.size:
        raise too_large(limits.size)
    say_continue(request)
    body = await _collect(request, limits, int(length or 0))
    return await _inflated(body, coding, limits.size) if coding else body


def whole(request: ClientRequest, limits: BodyLimits) -> bytes:
    """The body of a request that has all arrived, and is not compressed. Raises ClientError 413, 417."""
    say_continue(request)
    content = request.content
    # A small body that came in one piece is that piece; aiohttp would make another of it.
    if isinstance(content, StreamReader) and 0 < content.total_bytes < ONE_PIECE and len(content._buffer) == 1:
        body = content._buffer[0]
    else:
        body = content.read_nowait()
    if len(body) > limits.size:
        raise too_large(limits.size)
    return body


def _strings(piece: bytes) -> int:
    """How many strings of JSON a piece of text holds, or more: an upper bound of its members, for the price of two counts.

    A count takes ten times as long as a look whether there is any, and the most of an image has none.
    """
    if 34 not in piece:
        return 0
    return piece.count(b'"') - (piece.count(b'\\"') if 92 in piece else 0)


def _check_strings(strings: int) -> None:
    if strings > STRINGS:
        raise ClientError(f"The JSON has more than {STRINGS} strings.", code="invalid_json")


async def _collect(request: ClientRequest, limits: BodyLimits, length: int) -> bytes:
    """`length`: as the client says; 0: unknown."""
    # Each piece goes to its place as it comes: to copy a large body in one go would take long. Memory that is not written costs nothing.
    body = BytesIO(bytes(length))
    size = strings = 0
    try:
        async with asyncio.timeout(limits.total):
            async for piece in read_pieces(request, limits.idle):
                size += body.write(piece)
                strings += _strings(piece)
                if size > limits.size:
                    raise too_large(limits.size)
                _check_strings(strings)
    except TimeoutError:
        raise _too_slow() from None
    return body.getvalue()[:size]


async def read_pieces(request: ClientRequest, idle: float) -> AsyncIterator[bytes]:
    """The body as it comes, compressed or not. Only the time counts that the client is waited for, not what is done in between."""
    content = request.content
    clock = asyncio.get_running_loop().time
    patience = idle
    while True:
        began = clock()
        try:
            async with asyncio.timeout(patience):
                piece = await content.readany()
        except TimeoutError:
            raise _too_slow() from None
        except RequestPayloadError:
            raise ClientError("The request body is not framed as HTTP/1.1 says.", code="invalid_http") from None
        except ConnectionError:
            raise ClientGone from None
        if not piece:
            return
        patience = min(idle, patience - (clock() - began) + len(piece) / SLOWEST)
        yield piece


def _too_slow() -> ClientError:
    return ClientError("The request body did not arrive in time.", status=408, code="request_timeout")


async def _inflated(body: bytes, coding: str, limit: int) -> bytes:
    """The body decompressed; between two steps others have their turn."""
    pieces: list[bytes] = []
    strings = 0
    for piece in inflate(body, coding, limit):
        pieces.append(piece)
        strings += _strings(piece)
        _check_strings(strings)
        await asyncio.sleep(0)
    return b"".join(pieces)


def inflate(body: bytes, coding: str, limit: int) -> Iterator[bytes]:
    """`body` decompressed, in pieces. Raises ClientError 413 when they have more than `limit` bytes, 400 for what is not gzip."""
    # 47: gzip and zlib headers both; some clients send zlib's raw form for "deflate" (RFC 9110 §8.4.1.2).
    window = -15 if coding == "deflate" and not _has_zlib_header(body) else 47
    left = limit
    while body:
        decoder = zlib.decompressobj(window)
        while not decoder.eof:
            try:
                piece = decoder.decompress(body, _STEP)
            except zlib.error:
                raise ClientError(f"The request body is not valid {coding}.", code="invalid_encoding") from None
            left -= len(piece)
            if left < 0:
                raise too_large(limit)
            if not piece and not decoder.eof:
                raise ClientError(f"The {coding} request body ends too early.", code="invalid_encoding")
            yield piece
            body = decoder.unconsumed_tail
        body = decoder.unused_data  # gzip allows several members, one after another


def _has_zlib_header(body: bytes) -> bool:
    """RFC 1950 §2.2: method 8 and a check that the first two bytes are a multiple of 31."""
    return len(body) >= 2 and body[0] & 0x0F == 8 and (body[0] << 8 | body[1]) % 31 == 0
