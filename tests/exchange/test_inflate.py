"""Compressed request bodies: whole, cut, false, and far larger than they look."""

from __future__ import annotations

import gzip
import zlib

import pytest

from proxy.errors import ClientError
from proxy.exchange.body import inflate

TEXT = b'{"model": "m"}' * 50


def raw(data: bytes) -> bytes:
    encoder = zlib.compressobj(wbits=-15)
    return encoder.compress(data) + encoder.flush()


@pytest.mark.parametrize(
    ("body", "coding"),
    [
        (gzip.compress(TEXT), "gzip"),
        (gzip.compress(TEXT[:100]) + gzip.compress(TEXT[100:]), "gzip"),
        (zlib.compress(TEXT), "deflate"),
        (raw(TEXT), "deflate"),
    ],
    ids=["gzip", "two members", "zlib", "raw deflate"],
)
def test_read(body: bytes, coding: str) -> None:
    assert inflate(body, coding, len(TEXT)) == TEXT
    with pytest.raises(ClientError) as caught:
        inflate(body, coding, len(TEXT) - 1)
    assert caught.value.status == 413


FALSE = [b"{}", gzip.compress(TEXT)[:-9], gzip.compress(TEXT)[:12], gzip.compress(TEXT)[:-8] + b"\0" * 8, gzip.compress(TEXT) + b"x"]


@pytest.mark.parametrize("body", FALSE, ids=["not gzip", "cut", "cut early", "wrong checksum", "with a tail"])
def test_refused(body: bytes) -> None:
    with pytest.raises(ClientError) as caught:
        inflate(body, "gzip", 2**20)
    assert caught.value.status == 400


def test_bomb_is_refused_at_the_limit() -> None:
    bomb = gzip.compress(b"\0" * 64 * 2**20)
    with pytest.raises(ClientError) as caught:
        inflate(bomb, "gzip", 2**20)
    assert caught.value.status == 413
