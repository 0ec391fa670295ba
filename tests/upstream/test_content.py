"""Content codings of whole bodies."""

from __future__ import annotations

import gzip
import zlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy.errors import UpstreamError
from proxy.upstream import decode_body

TEXT = b'{"id": "1", "text": "' + b"hello " * 50 + b'"}'


def raw_deflate(data: bytes) -> bytes:
    packer = zlib.compressobj(wbits=-15)
    return packer.compress(data) + packer.flush()


ENCODED = {
    "gzip": gzip.compress(TEXT),
    "x-gzip": gzip.compress(TEXT),
    "GZip": gzip.compress(TEXT),
    "gzip, identity": gzip.compress(TEXT),
    "deflate": zlib.compress(TEXT),
    "Deflate": raw_deflate(TEXT),
    "identity": TEXT,
    "": TEXT,
}


@pytest.mark.parametrize("coding", ENCODED)
def test_decoded(coding: str) -> None:
    assert decode_body({b"content-encoding": coding.encode()}, ENCODED[coding], len(TEXT)) == TEXT


def test_nothing_to_do() -> None:
    assert decode_body({b"content-type": b"application/json"}, TEXT, 1) is TEXT
    assert decode_body({b"content-encoding": b"gzip"}, b"", 1) == b""


def test_members_of_a_gzip_file_are_joined() -> None:
    assert decode_body({b"content-encoding": b"gzip"}, gzip.compress(b"ab") + gzip.compress(b"cd"), 4) == b"abcd"


@given(st.integers(1, len(gzip.compress(TEXT)) - 1))
def test_a_cut_body_is_truncated(size: int) -> None:
    with pytest.raises(UpstreamError) as caught:
        decode_body({b"content-encoding": b"gzip"}, gzip.compress(TEXT)[:size], 10**6)
    assert caught.value.kind == "truncated"


@given(st.integers(2, len(raw_deflate(TEXT)) - 1))
def test_a_cut_raw_body_is_truncated(size: int) -> None:
    with pytest.raises(UpstreamError) as caught:
        decode_body({b"content-encoding": b"deflate"}, raw_deflate(TEXT)[:size], 10**6)
    assert caught.value.kind == "truncated"


@pytest.mark.parametrize("coding", [b"br", b"zstd", b"gzip, gzip", b"gzip, deflate", b"\xff", b"x" * 500])
def test_other_codings_are_refused(coding: bytes) -> None:
    with pytest.raises(UpstreamError, match="nobody asked for") as caught:
        decode_body({b"content-encoding": coding}, TEXT, 10**6)
    assert (caught.value.kind, caught.value.status) == ("protocol", 502)
    assert len(caught.value.message) < 150


def test_two_codings() -> None:
    with pytest.raises(UpstreamError, match="nobody asked for"):
        decode_body({b"content-encoding": b"gzip, gzip"}, ENCODED["gzip"], 10**6)


def corrupt(data: bytes, at: int) -> bytes:
    return data[:at] + bytes([data[at] ^ 0xFF]) + data[at + 1 :]


BROKEN = {
    "not gzip at all": TEXT,
    "a damaged middle": corrupt(gzip.compress(TEXT), 20),
    "a wrong checksum": corrupt(gzip.compress(TEXT), -8),
    "a wrong length": corrupt(gzip.compress(TEXT), -4),
    "garbage after the end": gzip.compress(TEXT) + b"garbage",
}


@pytest.mark.parametrize("name", BROKEN)
def test_damaged_bodies_are_refused(name: str) -> None:
    with pytest.raises(UpstreamError, match="decompressed") as caught:
        decode_body({b"content-encoding": b"gzip"}, BROKEN[name], 10**6)
    assert caught.value.kind == "protocol"


@pytest.mark.parametrize("members", [1, 3])
def test_a_bomb_stops_at_the_limit(members: int) -> None:
    bomb = gzip.compress(bytes(10**6)) * members
    assert len(decode_body({b"content-encoding": b"gzip"}, bomb, members * 10**6)) == members * 10**6
    with pytest.raises(UpstreamError, match="more than"):
        decode_body({b"content-encoding": b"gzip"}, bomb, members * 10**6 - 1)
