"""Streams that look odd and are legal, or that some hosts write all the same: they say exactly what they say."""

from __future__ import annotations

import gzip
import json
import re
from collections.abc import Callable, Sequence

from tests.faults.promise import STREAMS, Answered, Case, Row, Section, Try
from tests.faults.whole_bodies import changes
from tests.faults.wires import Wire, event
from tests.upstream.scripted import Step, chunked, hang, in_pieces, reset, until_shown

ALL: tuple[Try, ...] = (*STREAMS, ("ollama", "stream"))
NDJSON: tuple[Try, ...] = (("ollama", "stream"),)
OPENAI: tuple[Try, ...] = (("openai", "stream"),)
#: Those whose streams end with an event of its own.
MARKED: tuple[Try, ...] = (("openai", "stream"), ("anthropic", "stream"), ("ollama", "stream"))
GREEK = 'Hello, \u03ba\u03cc\u03c3\u03bc\u03b5 \N{GRINNING FACE}\u2028\x85 \\" \t/'

#: Small packets take their time.
PATIENT = changes(first_event=2, idle=2)

Change = Callable[[bytes], bytes]


def body(wire: Wire, text: str = "Hello") -> bytes:
    """A good stream that says `text`, its characters unescaped."""
    inside = json.dumps(text, ensure_ascii=False)[1:-1].encode()
    return b"".join(wire.events).replace(b"Hello", inside)


def odd(name: str, fault: str, change: Change, tries: tuple[Try, ...] = ALL, text: str = GREEK) -> Case:
    """The stream written in another way."""
    return Case(name, fault, lambda wire: [wire.head() + chunked(change(body(wire, text)))], Answered(text), tries=tries)


def framed(name: str, fault: str, script: Callable[[Wire], Sequence[Step]], tries: tuple[Try, ...] = ALL, text: str = "Hello") -> Case:
    """The stream sent in another way."""
    return Case(name, fault, script, Answered(text), tries=tries, changes=PATIENT)


def split_data(stream: bytes) -> bytes:
    """Each event's JSON on several data lines."""
    return re.sub(rb'(?<=[{,])(?="[a-z_A-Z]+":)', b"\ndata: ", stream)


def pieces(size: int) -> Callable[[Wire], Sequence[Step]]:
    """The whole message in writes of this size."""
    return lambda wire: [
        in_pieces(wire.head() + chunked(*(body(wire, GREEK)[at : at + 7] for at in range(0, len(body(wire, GREEK)), 7))), size)
    ]


def big(wire: Wire) -> Sequence[Step]:
    return [wire.head() + chunked(body(wire, LONG))]


LONG = "Hello " * (8 * 2**20 // 6)

SECTION = Section(
    "oddities",
    "Oddities of streams that are legal, or common",
    "All of these are good streams: the text is exact, the end marker comes once, and nothing comes after it.",
    (
        framed("one-byte", "one byte in each packet", pieces(1), text=GREEK),
        framed("three-bytes", "three bytes in each packet", pieces(3), text=GREEK),
        framed(
            "one-byte-chunks",
            "one byte in each chunk",
            lambda wire: [wire.head() + chunked(*(bytes([byte]) for byte in body(wire, GREEK)))],
            text=GREEK,
        ),
        framed("one-read", "the whole stream in one packet", lambda wire: [wire.head() + chunked(body(wire))]),
        odd("crlf", "lines that end in CR LF", lambda stream: stream.replace(b"\n", b"\r\n")),
        odd("cr", "lines that end in CR", lambda stream: stream.replace(b"\n", b"\r"), STREAMS),
        odd(
            "mixed-ends",
            "lines that end in LF, CR LF and CR in turn",
            lambda stream: re.sub(rb"(\n[^\n]*)\n", rb"\1\r\n", stream).replace(b"\n\n", b"\n\r"),
            STREAMS,
        ),
        framed(
            "split-crlf",
            "CR LF in two packets",
            lambda wire: [
                wire.head(),
                *(chunked(piece, end=False) for line in body(wire).splitlines() for piece in (line + b"\r", b"\n")),
                chunked(),
            ],
        ),
        odd(
            "no-space",
            "no space after the colon",
            lambda stream: stream.replace(b"data: ", b"data:").replace(b"event: ", b"event:"),
            STREAMS,
        ),
        odd("two-spaces", "two spaces after the colon", lambda stream: stream.replace(b"data: {", b"data:  {"), STREAMS),
        odd("bom", "a byte order mark", lambda stream: b"\xef\xbb\xbf" + stream, STREAMS),
        odd(
            "comments",
            "comments between and inside of events",
            lambda stream: b": hello\n\n" + stream.replace(b"data:", b": x: y\n:\ndata:"),
            STREAMS,
        ),
        odd("ids", "`id` fields", lambda stream: stream.replace(b"data:", b"id: 7\ndata:"), STREAMS),
        odd("retry", "`retry` fields", lambda stream: b"retry: 1000\n\n" + stream.replace(b"data:", b"retry: 5\ndata:"), STREAMS),
        odd(
            "unknown-fields", "fields that nobody knows", lambda stream: stream.replace(b"data:", b"x-y: z\ndatax: 1\nfoo\ndata:"), STREAMS
        ),
        odd("id-after", "`id` after the data", lambda stream: stream.replace(b"\n\n", b"\nid: 7\n\n"), STREAMS),
        odd(
            "event-names",
            "event names where nobody expects them",
            lambda stream: b"event: message\n" + stream.replace(b"\n\ndata:", b"\n\nevent: message\ndata:"),
            (("openai", "stream"), ("gemini", "stream")),
        ),
        odd("many-lines", "events of several data lines", split_data, STREAMS),
        odd("blank-lines", "many blank lines between events", lambda stream: b"\n\n\n" + stream.replace(b"\n\n", b"\n\n\n\n\n"), STREAMS),
        odd("blank-lines-ndjson", "blank lines between lines", lambda stream: b"\n\n" + stream.replace(b"\n", b"\n \r\n\n"), NDJSON),
        odd(
            "empty-data",
            "events without data",
            lambda stream: b"event: ping\n\n" + stream,
            STREAMS,
        ),
        odd("no-last-blank", "the last blank line is missing", lambda stream: stream[:-1]),
        odd("no-last-end", "the last line has no end", lambda stream: stream.rstrip(b"\n")),
        odd("blanks-in-json", "blanks between the tokens", lambda stream: stream.replace(b'":', b'" : '), STREAMS),
        odd(
            "escaped",
            "all characters escaped",
            lambda stream: re.sub(rb"[\x80-\xff]+", lambda match: json.dumps(match[0].decode())[1:-1].encode(), stream),
        ),
        framed(
            "after-end",
            "events after the end marker",
            lambda wire: [wire.head() + chunked(body(wire), b"".join(wire.hello), wire.rest[-1])],
            MARKED,
        ),
        framed(
            "end-twice",
            "the end marker twice",
            lambda wire: [wire.head() + chunked(body(wire), wire.rest[-1])],
            MARKED,
        ),
        framed(
            "error-after-end",
            "an error event after the end marker",
            lambda wire: [wire.head() + chunked(body(wire), wire.error)],
            MARKED,
        ),
        framed(
            "garbage-after-end",
            "garbage after the end marker",
            lambda wire: [wire.head() + chunked(body(wire), b"data: {oops\n\n")],
            MARKED,
        ),
        framed(
            "hang-after-end",
            "silence after the end marker",
            lambda wire: [wire.head() + chunked(body(wire), end=False), hang],
            MARKED,
        ),
        framed(
            "reset-after-end",
            "a reset after the end marker",
            lambda wire: [wire.head() + chunked(body(wire), end=False), until_shown, reset],
            MARKED,
        ),
        framed(
            "no-end-marker",
            "everything has finished, and the end marker is missing",
            lambda wire: [wire.head() + chunked(body(wire).removesuffix(event(b"[DONE]")))],
            OPENAI,
        ),
        framed(
            "end-alone-later",
            "the end marker in a packet of its own",
            lambda wire: [wire.head() + chunked(*wire.events[:-1], end=False), until_shown, chunked(wire.rest[-1])],
        ),
        framed(
            "end-spaced",
            "blanks around the end marker",
            lambda wire: [wire.head() + chunked(body(wire).replace(b"data: [DONE]", b"data:  [DONE] "))],
            OPENAI,
        ),
        framed("trailers", "trailers", lambda wire: [wire.head() + chunked(body(wire), trailers=b"x-sum: 1\r\nx-y: z\r\n")]),
        framed(
            "chunk-extensions", "chunk extensions", lambda wire: [wire.head() + chunked(body(wire)).replace(b"\r\n", b";name=value\r\n", 1)]
        ),
        framed(
            "big-chunk-sizes",
            "chunk sizes in capitals, with zeros before them",
            lambda wire: [wire.head() + b"000%X\r\n%b\r\n0\r\n\r\n" % (len(body(wire)), body(wire))],
        ),
        framed(
            "http-1.0",
            "HTTP/1.0, framed by the connection's end",
            lambda wire: [b"HTTP/1.0 200 OK\r\ncontent-type: %b\r\n\r\n%b" % (wire.media, body(wire))],
        ),
        framed(
            "close-framed",
            "framed by the connection's end",
            lambda wire: [b"HTTP/1.1 200 OK\r\ncontent-type: %b\r\n\r\n%b" % (wire.media, body(wire))],
        ),
        framed(
            "length",
            "framed by its length",
            lambda wire: [
                b"HTTP/1.1 200 OK\r\ncontent-type: %b\r\ncontent-length: %d\r\n\r\n%b" % (wire.media, len(body(wire)), body(wire))
            ],
        ),
        framed(
            "informational",
            "103 Early Hints before the head",
            lambda wire: [b"HTTP/1.1 103 Early Hints\r\nlink: </a>\r\n\r\n" + wire.head() + chunked(body(wire))],
        ),
        framed(
            "no-reason", "a status line without a reason", lambda wire: [(wire.head() + chunked(body(wire))).replace(b"200 OK", b"200")]
        ),
        framed("status-201", "status 201", lambda wire: [(wire.head() + chunked(body(wire))).replace(b"200 OK", b"201 Created")]),
        framed(
            "wrong-type",
            "the content type of a document",
            lambda wire: [(wire.head() + chunked(body(wire))).replace(wire.media, b"application/json")],
        ),
        framed("text-plain", "text/plain", lambda wire: [(wire.head() + chunked(body(wire))).replace(wire.media, b"text/plain")]),
        framed(
            "no-type",
            "no content type",
            lambda wire: [(wire.head() + chunked(body(wire))).replace(b"content-type: " + wire.media + b"\r\n", b"")],
        ),
        framed(
            "charset",
            "a content type with parameters, in capitals",
            lambda wire: [(wire.head() + chunked(body(wire))).replace(wire.media, wire.media.upper() + b"; charset=UTF-8")],
        ),
        framed(
            "gzip",
            "gzip that nobody asked for",
            lambda wire: [wire.head(b"content-encoding: gzip") + chunked(gzip.compress(body(wire, GREEK)))],
            text=GREEK,
        ),
        framed(
            "gzip-flushed",
            "gzip, in one-byte chunks",
            lambda wire: [wire.head(b"Content-Encoding: GZIP") + chunked(*(bytes([byte]) for byte in gzip.compress(body(wire))))],
        ),
        framed("identity", "content-encoding: identity", lambda wire: [wire.head(b"content-encoding: identity") + chunked(body(wire))]),
        Case(
            "8-mb",
            "an event of 8 MB",
            big,
            Answered(LONG, "8 MB of text"),
            tries=ALL,
            changes=PATIENT | {"server": {"limits": {"event": 2**24}}},
        ),
        Row(
            "the parsing cases of web-platform-tests' eventsource/format-* and of sse-contract-tests, in any pieces",
            "the same events",
            "nothing",
            "tests/codecs/test_sse_decoder.py::test_table",
        ),
        Row(
            "any event stream at all, cut anywhere",
            "the same events as by the standard's own text",
            "nothing",
            "tests/codecs/test_sse_decoder.py::test_any_stream_cut_anywhere",
        ),
        Row(
            "comments of the upstream",
            "they stay with us: the client gets only our own signs of life",
            "nothing",
            "tests/field/test_failover_silence.py::test_an_upstreams_comments_stay_with_us",
        ),
        Row(
            "a character's bytes in two events' reads",
            "exact text",
            "nothing",
            "tests/field/test_failover_silence.py::test_a_characters_bytes_may_come_apart",
        ),
        Row("any stream in any pieces", "the same bytes", "nothing", "tests/exchange/test_cuts.py::test_any_pieces_give_the_same_bytes"),
        Row(
            "everything has finished, the end marker never comes and the connection stays",
            "the whole answer ten seconds later",
            "nothing",
            "tests/exchange/test_streams.py::test_after_the_finish_a_missing_end_marker_is_waited_for_a_short_while",
        ),
    ),
)
