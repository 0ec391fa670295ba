"""Compressed request bodies: whole, cut, false, and far larger than they look."""

from __future__ import annotations

import asyncio
import gzip
import random
import zlib
from collections.abc import Callable

import pytest

from proxy.errors import ClientError
from proxy.exchange import body as bodies
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
    assert b"".join(inflate(body, coding, len(TEXT))) == TEXT
    with pytest.raises(ClientError) as caught:
        list(inflate(body, coding, len(TEXT) - 1))
    assert caught.value.status == 413


FALSE = [b"{}", gzip.compress(TEXT)[:-9], gzip.compress(TEXT)[:12], gzip.compress(TEXT)[:-8] + b"\0" * 8, gzip.compress(TEXT) + b"x"]


@pytest.mark.parametrize("body", FALSE, ids=["not gzip", "cut", "cut early", "wrong checksum", "with a tail"])
def test_refused(body: bytes) -> None:
    with pytest.raises(ClientError) as caught:
        list(inflate(body, "gzip", 2**20))
    assert caught.value.status == 400


def test_bomb_is_refused_at_the_limit() -> None:
    bomb = gzip.compress(b"\0" * 64 * 2**20)
    taken = 0
    with pytest.raises(ClientError) as caught:
        for piece in inflate(bomb, "gzip", 2**20):
            taken += len(piece)
    assert caught.value.status == 413
    assert taken <= 2**20


@pytest.mark.parametrize("size", [bodies._STEP - 1, bodies._STEP, bodies._STEP + 1, 3 * bodies._STEP])
@pytest.mark.parametrize("pack", [gzip.compress, raw], ids=["gzip", "raw deflate"])
def test_steps(size: int, pack: Callable[[bytes], bytes]) -> None:
    """A large body comes in steps, whatever it shrank to."""
    for text in (b"a" * size, random.Random(size).randbytes(size)):
        pieces = list(inflate(pack(text), "gzip" if pack is gzip.compress else "deflate", size))
        assert b"".join(pieces) == text
        assert max(map(len, pieces)) <= bodies._STEP
        with pytest.raises(ClientError):
            list(inflate(pack(text)[:-9], "gzip" if pack is gzip.compress else "deflate", size))


async def test_others_have_their_turn_and_strings_are_counted(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bodies, "STRINGS", 1000)
    turns = asyncio.create_task(count_turns())
    text = b"a" * 4 * bodies._STEP
    assert await bodies._inflated(gzip.compress(text), "gzip", len(text)) == text
    turns.cancel()
    assert TURNS[0] >= 4
    with pytest.raises(ClientError, match="more than 1000 strings"):
        await bodies._inflated(gzip.compress(b'"a",' * 2000), "gzip", 2**20)


TURNS = [0]


async def count_turns() -> None:
    while True:
        TURNS[0] += 1
        await asyncio.sleep(0)
