"""What goes wrong in a stream once something of it has reached the client."""

from __future__ import annotations

import gzip
from collections.abc import Callable, Sequence

from tests.faults.promise import STREAMS, Broken, Case, Row, Section, Try
from tests.faults.whole_bodies import changes
from tests.faults.wires import Wire, event
from tests.upstream.scripted import Step, chunked, drip, hang, reset, until_shown

TRUNCATED = Broken("upstream_truncated")
INVALID = Broken("upstream_invalid")
LATE = Broken("upstream_timeout")
#: With newline-delimited JSON as well.
ALL: tuple[Try, ...] = (*STREAMS, ("ollama", "stream"))
NDJSON: tuple[Try, ...] = (("ollama", "stream"),)
OPENAI: tuple[Try, ...] = (("openai", "stream"),)

Script = Callable[[Wire], Sequence[Step]]


def then(*steps: Step) -> Script:
    """After "Hello" has been seen."""
    return lambda wire: [wire.begins(), until_shown, *steps]


def more(change: Callable[[Wire], bytes], *steps: Step, end: bool = False) -> Script:
    """After "Hello" has been seen: one more chunk."""
    return lambda wire: [wire.begins(), until_shown, chunked(change(wire), end=end), *steps]


def close_framed(wire: Wire) -> bytes:
    return b"HTTP/1.1 200 OK\r\ncontent-type: %b\r\n\r\n%b" % (wire.media, b"".join(wire.hello))


def gzipped(wire: Wire) -> bytes:
    return wire.head(b"content-encoding: gzip") + chunked(gzip.compress(b"".join(wire.hello)), end=False)


def cut(name: str, fault: str, script: Script, tries: tuple[Try, ...] = ALL) -> Case:
    return Case(name, fault, script, TRUNCATED, "truncated", tries)


def invalid(name: str, fault: str, script: Script, tries: tuple[Try, ...] = STREAMS) -> Case:
    """What comes is no stream of this kind; the end that follows is not believed."""
    return Case(name, fault, script, INVALID, "invalid", tries)


def late(name: str, fault: str, script: Script) -> Case:
    return Case(name, fault, script, LATE, "timeout", ALL)


def error(name: str, fault: str, dialect: str, script: Script, code: str | None, type: str, kind: str = "stream") -> Case:
    return Case(name, fault, script, Broken(code, type, message="^Overloaded$"), kind, ((dialect, "stream"),))


def errors(name: str, fault: str, script: Script) -> tuple[Case, ...]:
    """The same for each dialect, in its own words."""
    return (
        error(f"{name}-openai", fault, "openai", script, None, "server_error"),
        error(
            f"{name}-anthropic",
            f"{fault}, of another vendor, whose type stands for a status",
            "anthropic",
            script,
            "overloaded_error",
            "server_error",
            "status",
        ),
        error(f"{name}-gemini", f"{fault}, with a status of its own", "gemini", script, "UNAVAILABLE", "server_error", "status"),
        error(f"{name}-ollama", f"{fault}, as a line", "ollama", script, None, "server_error"),
    )


SECTION = Section(
    "streams",
    "Streams that have begun",
    "A stream ends well only after the upstream proved that its own did: by its terminal event. Everything else ends it with one error "
    "event and a connection that is cut without its last chunk: the text so far is exact, nothing is said to have finished, no end marker "
    "follows.",
    (
        cut("reset", "a reset in the middle", then(reset)),
        cut("closed", "the connection is closed in the middle", then()),
        cut("no-end", "a clean end without the terminal event", then(chunked())),
        cut("close-framed", "the same, framed by the connection's end", lambda wire: [close_framed(wire)]),
        cut("close-framed-reset", "a reset, framed by the connection's end", lambda wire: [close_framed(wire), until_shown, reset]),
        cut("torn", "a clean end inside an event", more(lambda wire: wire.torn, end=True)),
        cut("torn-closed", "closed inside an event", more(lambda wire: wire.torn)),
        cut("torn-terminal", "a clean end inside the terminal event", more(lambda wire: wire.rest[-1][:-6], end=True)),
        cut("chunk-cut", "closed inside a chunk", then(b"ff\r\ndata: ")),
        cut("chunk-head-cut", "closed inside a chunk's size", then(b"f")),
        Case("chunk-size", "a chunk size that is no number", then(b"zz\r\nx\r\n", hang), INVALID, "protocol", ALL),
        Case("chunk-size-17", "a chunk size of 17 digits", then(b"1" * 17 + b"\r\n", hang), INVALID, "protocol", ALL),
        Case("chunk-end", "a chunk that is longer than its size", then(b"1\r\nxxx", hang), INVALID, "protocol", ALL),
        Case("trailers", "trailers without end", then(b"0\r\nx: " + b"y" * 10**6, hang), INVALID, "protocol", ALL),
        late("hang", "silence", then(hang)),
        late("torn-hang", "silence inside an event", more(lambda wire: wire.torn, hang)),
        Case("comments", "comments for ever", then(drip(b"3\r\n:x\n\r\n", 0.002)), LATE, "timeout", STREAMS),
        Case("blank-lines", "blank lines for ever", then(drip(b"1\r\n\n\r\n", 0.002)), LATE, "timeout", ALL),
        Case("drip", "an event that comes byte by byte and never ends", then(drip(b"1\r\nx\r\n", 0.002)), LATE, "timeout", ALL),
        Case(
            "total",
            "a stream without end, where the route has a `total` deadline",
            lambda wire: [wire.begins(), until_shown, drip(chunked(b": x\n\n", end=False), 0.002)],
            LATE,
            "timeout",
            STREAMS,
            changes=changes(total=1, idle=9),
        ),
        invalid("garbage", "an event that is no JSON", more(lambda wire: event(b"{oops") + wire.rest[-1], end=True)),
        invalid("garbage-line", "a line that is no JSON", more(lambda wire: b"{oops\n", end=True), NDJSON),
        invalid("words", "an event of words", more(lambda wire: event(b"Internal Server Error") + wire.rest[-1], end=True)),
        invalid("number", "an event that is a number", more(lambda wire: event(b"42") + wire.rest[-1], end=True)),
        invalid("null", "an event that is null", more(lambda wire: event(b"null") + wire.rest[-1], end=True)),
        invalid("list", "an event that is a list", more(lambda wire: event(b"[]") + wire.rest[-1], end=True)),
        invalid("number-line", "a line that is a number", more(lambda wire: b"42\n", end=True), NDJSON),
        invalid("binary", "an event that is no UTF-8", more(lambda wire: event(b'{"x":"\xff\xfe"}') + wire.rest[-1], end=True)),
        invalid("binary-text", "text that is no UTF-8", more(lambda wire: wire.hello[-1].replace(b"Hello", b"\xff"), end=True), ALL),
        invalid("control", "a NUL in an event", more(lambda wire: event(b'{"x":"\x00"}') + wire.rest[-1], end=True)),
        invalid(
            "deep",
            "an event nested 50,000 deep",
            more(lambda wire: event(b'{"x":' + b"[" * 30_000 + b"]" * 30_000 + b"}") + wire.rest[-1], end=True),
        ),
        invalid("page", "a page in the middle", more(lambda wire: event(b"<html>") + wire.rest[-1], end=True)),
        invalid("large", "an event larger than `limits.event`", more(lambda wire: event(b'{"x":"' + b"x" * 70_000 + b'"}')), ALL),
        invalid("endless-event", "an event without end", more(lambda wire: b"data: " + b"x" * 70_000, hang), ALL),
        invalid("endless-line", "one line without end", more(lambda wire: b"x" * 70_000, hang), ALL),
        *errors("error", "an error event", more(lambda wire: wire.error, hang)),
        *errors(
            "error-then-end", "an error event, then the end of a good stream", more(lambda wire: wire.error + b"".join(wire.rest), end=True)
        ),
        *errors(
            "error-with-text",
            "an error event in one read with what comes before it",
            lambda wire: [wire.head() + chunked(b"".join(wire.hello) + wire.error, end=False), hang],
        ),
        Case(
            "bad-gzip",
            "gzip that turns corrupt",
            lambda wire: [gzipped(wire), until_shown, chunked(b"x" * 99, end=False), hang],
            INVALID,
            "protocol",
            ALL,
        ),
        cut("gzip-cut", "gzip that ends too early", lambda wire: [gzipped(wire), until_shown, chunked()]),
        Row(
            "a stream that goes on and on",
            "all of it, as fast as it is read",
            "memory stays as it is",
            "tests/faults/test_memory.py::test_a_stream_without_end",
        ),
        Row(
            "any cut of any stream, at any byte",
            "an exact beginning of the whole stream, then the error event",
            "`error_kind: truncated`",
            "tests/exchange/test_cuts.py::test_any_pieces_give_the_same_bytes",
        ),
    ),
)
