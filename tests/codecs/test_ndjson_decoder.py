"""NdjsonDecoder: every case whole, byte by byte, and with a tail."""

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy.codecs import DECODERS, CodecError, NdjsonDecoder, SseDecoder

CASES = {
    "lines": (b'{"a":1}\n{"b":2}\n', [b'{"a":1}', b'{"b":2}']),
    "crlf": (b'{"a":1}\r\n{"b":2}\r\n', [b'{"a":1}', b'{"b":2}']),
    "blank lines": (b'\n\r\n{"a":1}\n \t\n\n{"b":2}\n\n', [b'{"a":1}', b'{"b":2}']),
    "a CR alone is no end": (b"1\r2\n", [b"1\r2"]),
    "other separators are text": ('"a\u2028b\u0085c"\n'.encode(), ['"a\u2028b\u0085c"'.encode()]),
    "nothing": (b"", []),
}


def decode(*pieces: bytes) -> list[bytes]:
    decoder = NdjsonDecoder()
    events = [event for piece in pieces for event in decoder.feed(piece)]
    assert all(name == "" for name, _ in events)
    return [data for _, data in events]


@pytest.mark.parametrize(("stream", "lines"), CASES.values(), ids=CASES)
def test_table(stream, lines):
    assert decode(stream) == lines
    assert decode(*(stream[at : at + 1] for at in range(len(stream)))) == lines


@pytest.mark.parametrize(("stream", "lines"), CASES.values(), ids=CASES)
def test_table_with_a_tail(stream, lines):
    decoder = NdjsonDecoder()
    assert [data for _, data in decoder.feed(stream + b'{"done"')] == lines
    assert decoder.pending
    assert decoder.feed(b":true}\r") == []
    assert decoder.close() == [("", b'{"done":true}')]
    assert not decoder.pending
    assert decoder.close() == []


def test_blanks_at_the_end_are_nothing():
    decoder = NdjsonDecoder()
    decoder.feed(b"1\n \r")
    assert not decoder.pending
    assert decoder.close() == []


def test_a_line_over_the_limit():
    decoder = NdjsonDecoder(limit=10)
    assert decoder.feed(b"1234567890\n" * 3) == [("", b"1234567890")] * 3
    with pytest.raises(CodecError):
        decoder.feed(b"12345678901\n")
    decoder = NdjsonDecoder(limit=10)
    decoder.feed(b"1\n234567890")
    with pytest.raises(CodecError):
        decoder.feed(b"12")


@given(
    st.lists(st.sampled_from([b"\n", b"\r\n", b"{}", b"[1, 2]", b" ", b'"\xc3\xa9"']), max_size=20).map(b"".join),
    st.lists(st.integers(0, 60)),
)
def test_any_stream_cut_anywhere(stream, cuts):
    edges = [0, *sorted(cuts), len(stream)]
    lines = [line.strip() for line in stream.split(b"\n")[:-1]]
    assert decode(*(stream[a:b] for a, b in pairwise(edges))) == [line for line in lines if line]


def test_decoders_by_name():
    assert DECODERS["sse"] is SseDecoder
    assert DECODERS["ndjson"] is NdjsonDecoder
