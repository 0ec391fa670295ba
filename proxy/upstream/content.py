"""Content codings of whole bodies. Nothing encoded is ever asked for; some upstreams send it anyway."""

from __future__ import annotations

import zlib
from collections.abc import Mapping

from ..errors import UpstreamError

_GZIP = 16 + zlib.MAX_WBITS


def decode_body(headers: Mapping[bytes, bytes], body: bytes, limit: int) -> bytes:
    """The body without its Content-Encoding: gzip, deflate or identity.

    `headers` have lower-cased names. Raises UpstreamError: protocol for a coding that is not known, for bytes that are not what they
    say and for more than `limit` decoded bytes; truncated when the encoded data stops before its end (a length that fits proves nothing).
    """
    given = headers.get(b"content-encoding")
    if given is None or not body:
        return body
    codings = [coding for coding in (coding.strip().lower() for coding in given.split(b",")) if coding not in (b"", b"identity")]
    if not codings:
        return body
    if codings in ([b"gzip"], [b"x-gzip"]):
        return _inflate(body, _GZIP, limit)
    if codings == [b"deflate"]:
        return _inflate(body, _deflate_window(body), limit)
    shown = b", ".join(codings)[:60].decode("ascii", "replace")
    raise UpstreamError(f"The upstream encoded its answer as {shown!a}, which nobody asked for.", kind="protocol")


def _inflate(body: bytes, window: int, limit: int) -> bytes:
    pieces: list[bytes] = []
    room = limit
    while True:  # a gzip file may have several members, one after another (RFC 1952, 2.2)
        inflater = zlib.decompressobj(window)
        try:
            piece = inflater.decompress(body, room + 1)
        except zlib.error:
            raise UpstreamError("The upstream's compressed answer cannot be decompressed.", kind="protocol") from None
        room -= len(piece)
        if room < 0:
            raise UpstreamError(f"The upstream's answer has more than {limit} bytes when decompressed.", kind="protocol")
        if not inflater.eof:
            raise UpstreamError("The upstream's compressed answer stops before its end.", kind="truncated")
        pieces.append(piece)
        body = inflater.unused_data
        if not body:
            return b"".join(pieces)


def _deflate_window(body: bytes) -> int:
    """ "deflate" is zlib's format (RFC 9110, 8.4.1.2), but some servers leave its two header bytes out."""
    wrapped = len(body) >= 2 and body[0] & 0x0F == 8 and int.from_bytes(body[:2], "big") % 31 == 0
    return zlib.MAX_WBITS if wrapped else -zlib.MAX_WBITS
