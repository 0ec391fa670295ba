"""Undoes a content coding of a stream as it comes. Nothing encoded is asked for; some upstreams send it anyway."""

from __future__ import annotations

import zlib

from proxy.errors import UpstreamError


class Inflater:
    """`coding`: the value of Content-Encoding. One read may not grow beyond `limit` bytes. Raises UpstreamError, also for other codings."""

    __slots__ = ("_decoder", "_limit")

    def __init__(self, coding: bytes, limit: int) -> None:
        if coding.strip().lower() not in (b"gzip", b"x-gzip", b"deflate"):
            raise _fault("in a content coding that nobody asked for")
        self._decoder = zlib.decompressobj(47)  # gzip's or zlib's header
        self._limit = limit

    def __call__(self, piece: bytes) -> bytes:
        pieces: list[bytes] = []
        room = self._limit
        while piece:
            if self._decoder.eof:
                self._decoder = zlib.decompressobj(47)  # gzip may have several members
            try:
                pieces.append(self._decoder.decompress(piece, room + 1))
            except zlib.error:
                raise _fault("with compressed bytes that cannot be read") from None
            room -= len(pieces[-1])
            if room < 0:
                raise _fault(f"with more than {self._limit} bytes in one compressed piece")
            piece = self._decoder.unused_data
        return b"".join(pieces)


def _fault(what: str) -> UpstreamError:
    return UpstreamError(f"The upstream answered {what}.", kind="protocol")
