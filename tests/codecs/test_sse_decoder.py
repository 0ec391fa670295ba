"""SseDecoder and sse_event.

The table's cases say in our own words what two public suites check of parsing (what concerns reconnecting and ids is left out):
web-platform-tests `eventsource/format-*` and `event-data` (BSD-3-Clause), LaunchDarkly `sse-contract-tests` (Apache-2.0).
Each runs whole, byte by byte, and with a tail. A reader written after the standard's text checks any stream, cut anywhere.
"""

import re
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy.codecs import CodecError, SseDecoder, sse_event

BOM = b"\xef\xbb\xbf"
LONG = b"x" * 2048

WEB_PLATFORM = {
    "bom: one is skipped, only at the start": (BOM + b"data:1\n\n" + BOM + b"data:2\n\ndata:3\n\n", ["1", "3"]),
    "bom-2: a second one is text": (BOM + BOM + b"data:1\n\ndata:2\n\ndata:3\n\n", ["2", "3"]),
    "comments": (b"data:1\r:\0\n:\r\ndata:2\n:" + LONG + b"\rdata:3\n:data:fail\r:" + LONG + b"\ndata:4\n\n", ["1\n2\n3\n4"]),
    "field-data: no colon, no value": (b"data:\n\ndata\ndata\n\ndata:test\n\n", ["", "\n", "test"]),
    "field-event": (b"event:test\ndata:x\n\ndata:x\n\n", [("test", "x"), "x"]),
    "field-event-empty": (b"event: \ndata:data\n\n", ["data"]),
    "field-parsing: names are exact": (
        b"data:\0\ndata:  2\rData:1\ndata\0:2\ndata:1\r\0data:4\nda-ta:3\rdata_5\ndata:3\rdata:\r\n data:32\ndata:4\n\n",
        ["\0\n 2\n1\n3\n\n4"],
    ),
    "field-unknown": (b"data:test\n data\ndata\nfoobar:xxx\njustsometext\n:thisisacommentyay\ndata:test\n\n", ["test\n\ntest"]),
    "field-id, field-retry": (b"id:1\nretry:3000\nretry:1000x\nretry\ndata:hello\n\n", ["hello"]),
    "leading-space: one space goes, a tab stays": (b"data:\ttest\rdata: \ndata:test\n\n", ["\ttest\n\ntest"]),
    "newlines": (b"data:test\r\ndata\ndata:test\r\n\r\n", ["test\n\ntest"]),
    "null-character": (b"data:\0\n\n\n\n", ["\0"]),
    "utf-8": ("data:ok…\n\n".encode(), ["ok…"]),
    "event-data": (
        b"data:msg\ndata: msg\n\n:\nfalsefield:msg\n\nfalsefield:msg\nData:data\n\ndata\n\ndata:end\n\n",
        ["msg\nmsg", "", "end"],
    ),
}

CONTRACT = {
    "one line": (b"data: Hello\n\n", ["Hello"]),
    "two messages": (b"data: Hello\n\ndata: World\n\n", ["Hello", "World"]),
    "two lines": (b"data: Hello\ndata:World\n\n", ["Hello\nWorld"]),
    "empty data": (b"data:\n\n", [""]),
    "type": (b"event: greeting\ndata: Hello\n\n", [("greeting", "Hello")]),
    "type and id": (b"event: greeting\nid: abc\ndata: Hello\n\n", [("greeting", "Hello")]),
    "reverse order": (b"data: Hello\nid: abc\nevent: greeting\n\n", [("greeting", "Hello")]),
    "unknown field": (b"event: greeting\ncolor: blue\ndata: Hello\n\n", [("greeting", "Hello")]),
    "no space": (b"event:greeting\ndata:Hello\n\n", [("greeting", "Hello")]),
    "two spaces": (b"event:  greeting\ndata:  Hello\n\n", [(" greeting", " Hello")]),
    "multi-byte": ("data: €豆腐\n\n".encode(), ["€豆腐"]),
    "hundred": (b"".join(b"data: message %d\n\n" % n for n in range(100)), [f"message {n}" for n in range(100)]),
    "comment before": (b":Hello\ndata: Hello\n\n", ["Hello"]),
    "comment after": (b"data: Hello\n\n:Hello\n", ["Hello"]),
    "bom before type": (BOM + b"event: greeting\ndata: Hello\n\n", [("greeting", "Hello")]),
    "bom in text": (b"data: First\n\ndata: " + BOM + b"Second\n\n", ["First", "\ufeffSecond"]),
    "bom before comment": (BOM + b":comment\ndata: Hello\n\n", ["Hello"]),
}

LINE_ENDS = {
    "one-line and two-line": (b"data: 1~~data: 2a~data: 2b~~", ["1", "2a\n2b"]),
    "empty first line": (b"data:~data: 2~data: 3~~", ["\n2\n3"]),
    "empty middle line": (b"data: 1~data:~data: 3~~", ["1\n\n3"]),
    "extra blank line": (b"data: 1~~~data: 2~~", ["1", "2"]),
    "two extra blank lines": (b"data: 1~~~~data: 2~~", ["1", "2"]),
    "single lines with a name": (b"event: a~data: 1~~event: a~data: 2~~", [("a", "1"), ("a", "2")]),
}

OURS = {
    "separators of other standards are text": ("data: a\u2028b\u0085c\x0bd\x0ce\x1cf\n\n".encode(), ["a\u2028b\u0085c\x0bd\x0ce\x1cf"]),
    "name again in one event": (b"event: a\nevent: b\ndata: x\n\nevent: a\ndata: y\n\n", [("b", "x"), ("a", "y")]),
    "name after data does not stick": (b"event: a\ndata: x\nevent: b\n\nevent: a\ndata: y\n\n", [("b", "x"), ("a", "y")]),
    "other fields after the name": (b"event: a\nid: 1\ndata: x\n\n" * 2, [("a", "x")] * 2),
    "data: inside a name": (b"event: my data: x\ndata: y\n\n", [("my data: x", "y")]),
    "data: inside a comment": (b": data: x\ndata: y\n\n", ["y"]),
    "name that is not UTF-8": (b"event: \xff\ndata: y\n\n", [("\ufffd", "y")]),
    "mixed ends in one read": (b"data: 1\n\ndata: 2\r\n\r\ndata: 3\r\rdata: 4\r\n\ndata: 5\n\r\n", ["1", "2", "3", "4", "5"]),
    "a CR inside a read of LF": (b"data: 1\n\ndata: 2\rdata: 3\n\n", ["1", "2\n3"]),
    "LF inside a read of CRLF": (b"data: 1\r\n\r\ndata: 2\n\ndata: 3\r\n\r\n", ["1", "2", "3"]),
    "many names": (b"".join(b"event: n%d\ndata: x\n\n" % n for n in range(200)) * 2, [(f"n{n}", "x") for n in range(200)] * 2),
}


def _rows():
    for table in (WEB_PLATFORM, CONTRACT, OURS):
        for name, (stream, events) in table.items():
            yield pytest.param(stream, events, id=name)
    for end in (b"\n", b"\r\n", b"\r"):
        for name, (stream, events) in LINE_ENDS.items():
            yield pytest.param(stream.replace(b"~", end), events, id=f"{name} {end!r}")


def decode(*pieces: bytes) -> list[tuple[str, bytes]]:
    decoder = SseDecoder()
    return [event for piece in pieces for event in decoder.feed(piece)]


def expected(events):
    return [(event[0], event[1].encode()) if isinstance(event, tuple) else ("", event.encode()) for event in events]


@pytest.mark.parametrize(("stream", "events"), list(_rows()))
@pytest.mark.parametrize("cut", ["whole", "bytes", "pairs"])
def test_table(stream, events, cut):
    size = {"whole": len(stream), "bytes": 1, "pairs": 2}[cut]
    assert decode(*(stream[at : at + size] for at in range(0, len(stream), size))) == expected(events)


@pytest.mark.parametrize(("stream", "events"), list(_rows()))
def test_table_with_a_tail(stream, events):
    decoder = SseDecoder()
    assert decoder.feed(stream + b"event: tail\nid: 1\ndata: [DO") == expected(events)
    assert decoder.pending
    assert decoder.feed(b"NE]") == []
    assert decoder.close() == [("tail", b"[DONE]")]
    assert not decoder.pending
    assert decoder.close() == []


def test_crlf_cut_in_its_middle():
    assert decode(b"data: Hello\r", b"\ndata: World\r", b"\n\r\ndata: OK\r", b"\n", b"\r", b"\n") == expected(["Hello\nWorld", "OK"])


def test_a_cr_ends_its_line_at_once():
    decoder = SseDecoder()
    assert decoder.feed(b"data: a\r\r") == [("", b"a")]
    assert decoder.feed(b"data: b\n\n") == [("", b"b")]
    assert decoder.feed(b"data: c\r\n\r") == [("", b"c")]
    assert decoder.feed(b"") == []
    assert decoder.feed(b"\ndata: d\n\n") == [("", b"d")]


@pytest.mark.parametrize("tail", [b"", b": ping\n", b"\n\n", b": ping", b"\xef\xbb"])
def test_nothing_is_pending_after_comments(tail):
    decoder = SseDecoder()
    assert decoder.feed(tail) == []
    assert not decoder.pending
    assert decoder.close() == []


def test_an_event_without_its_blank_line():
    decoder = SseDecoder()
    assert decoder.feed(b"data: 1\n\ndata: [DONE]\n") == [("", b"1")]
    assert decoder.close() == [("", b"[DONE]")]


@pytest.mark.parametrize("size", [1, 7, 100])
def test_an_event_over_the_limit(size):
    stream = b"data: " + b"x" * 200
    decoder = SseDecoder(limit=100)
    assert decoder.feed(b"data: fits\n\n" * 50) == [("", b"fits")] * 50
    with pytest.raises(CodecError, match="100 bytes"):
        for at in range(0, len(stream), size):
            decoder.feed(stream[at : at + size])


@pytest.mark.parametrize("end", [b"\n\n", b"\r\n\r\n"])
def test_a_whole_event_over_the_limit(end):
    decoder = SseDecoder(limit=100)
    assert decoder.feed(b"data: " + b"x" * 94 + end) == [("", b"x" * 94)]
    with pytest.raises(CodecError):
        decoder.feed(b"data: 1" + end + b"data: " + b"x" * 95 + end)


def test_endless_comments_are_bounded():
    decoder = SseDecoder(limit=100)
    with pytest.raises(CodecError):
        for _ in range(100):
            decoder.feed(b": ping\n")


def test_a_large_event_in_small_pieces_is_searched_once():
    """Quadratic work would take minutes here."""
    data = b"x" * 4_000_000
    stream = b"data: " + data + b"\n\n"
    assert decode(*(stream[at : at + 16] for at in range(0, len(stream), 16))) == [("", data)]


def reference(stream: bytes) -> list[tuple[str, bytes]]:
    """The standard's algorithm, step by step."""
    *lines, _unfinished = re.split(b"\r\n|\r|\n", stream.removeprefix(BOM))
    events, buffer, name = [], b"", ""
    for line in lines:
        if line == b"":
            if buffer:
                events.append((name, buffer[:-1]))
            buffer, name = b"", ""
        elif not line.startswith(b":"):
            field, _, value = line.partition(b":")
            value = value[1:] if value[:1] == b" " else value
            if field == b"data":
                buffer += value + b"\n"
            elif field == b"event":
                name = value.decode("utf-8", "replace")
    return events


WORDS = [
    b"\n",
    b"\r",
    b"\r\n",
    b"\n\n",
    b"data",
    b"data:",
    b"data: ",
    b"event: a\n",
    b"event:",
    b": ",
    b"x",
    b"\0",
    "é豆".encode(),
    b"id: 1",
    BOM,
]
STREAMS = st.lists(st.sampled_from([*WORDS, b"data: {}\n\n", b"data: {}\r\n\r\n", b"event: a\ndata: {}\n\n"]), max_size=30).map(b"".join)


@given(STREAMS, st.lists(st.integers(0, 120), max_size=8))
def test_any_stream_cut_anywhere(stream, cuts):
    edges = [0, *sorted(cuts), len(stream)]
    assert decode(*(stream[a:b] for a, b in pairwise(edges))) == reference(stream)


@given(st.lists(st.tuples(st.text(st.characters(exclude_characters="\r\n", exclude_categories=["Cs"])), st.binary())))
def test_what_is_framed_is_read(events):
    stream = b"".join(sse_event(data, name) for name, data in events)
    assert decode(stream) == [(name, data.replace(b"\r\n", b"\n").replace(b"\r", b"\n")) for name, data in events]


def test_framing():
    assert sse_event(b"{}") == b"data: {}\n\n"
    assert sse_event(b"{}", "error") == b"event: error\ndata: {}\n\n"
    assert sse_event(b"a\nb\r\nc\rd") == b"data: a\ndata: b\ndata: c\ndata: d\n\n"
