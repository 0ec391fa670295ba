"""What goes wrong in a stream before its first event: a status, as long as nothing has reached the client."""

from __future__ import annotations

import gzip
import json
from collections.abc import Callable, Sequence
from typing import Any

from tests.faults.promise import STREAMS, Case, Row, Section, Status, Try
from tests.faults.whole_bodies import PAGE
from tests.faults.wires import Wire, document, event
from tests.upstream.scripted import Step, chunked, drip, hang, reset

TRUNCATED = Status(502, "upstream_truncated")
INVALID = Status(502, "upstream_invalid")
LATE = Status(504, "upstream_timeout")
#: With newline-delimited JSON as well.
ALL: tuple[Try, ...] = (*STREAMS, ("ollama", "stream"))
OPENAI: tuple[Try, ...] = (("openai", "stream"),)
EVENTS = b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\n"

Script = Callable[[Wire], Sequence[Step]]


def cut(name: str, fault: str, script: Script, tries: tuple[Try, ...] = ALL) -> Case:
    return Case(name, fault, script, TRUNCATED, "truncated", tries)


def invalid(name: str, fault: str, script: Script, tries: tuple[Try, ...] = ALL, kind: str = "invalid") -> Case:
    return Case(name, fault, script, INVALID, kind, tries)


def late(name: str, fault: str, *steps: Step, tries: tuple[Try, ...] = ALL) -> Case:
    return Case(name, fault, lambda wire: [wire.head(), *steps], LATE, "timeout", tries)


def first(name: str, fault: str, data: bytes) -> Case:
    """A first event that is none, then the end of a good stream."""
    return invalid(name, fault, lambda wire: [wire.head() + chunked(event(data) + b"".join(wire.rest))], STREAMS)


def error(name: str, fault: str, dialect: str, script: Script, sees: Status, kind: str = "stream") -> Case:
    return Case(name, fault, script, sees, kind, ((dialect, "stream"),))


def answering(status: bytes, body: Any, *headers: bytes) -> list[Step]:
    return [document(body, status, *headers)]


SECTION = Section(
    "before_events",
    "Streams before their first event",
    "The head is held until there is something to stream: a stream that fails before is a status like any other failure, and another "
    "target can still be asked.",
    (
        cut("reset", "a reset after the head", lambda wire: [wire.head(), reset]),
        cut("closed", "closed after the head", lambda wire: [wire.head()]),
        cut("empty", "a stream without anything", lambda wire: [wire.head() + chunked()]),
        cut("comments", "a stream of comments that ends", lambda wire: [wire.head() + chunked(b": hello\n\n")], STREAMS),
        cut("blank", "a stream of blank lines that ends", lambda wire: [wire.head() + chunked(b"\n\n\n")]),
        cut("torn", "a clean end inside the first event", lambda wire: [wire.head() + chunked(wire.torn)]),
        cut("torn-closed", "closed inside the first event", lambda wire: [wire.head() + chunked(wire.torn, end=False)]),
        cut("no-content", "204 No Content", lambda wire: [b"HTTP/1.1 204 No Content\r\n\r\n"]),
        cut("no-body", "a length of 0", lambda wire: [EVENTS + b"content-length: 0\r\n\r\n"]),
        late("silence", "silence after the head", hang),
        late("comments-drip", "comments for ever", drip(b"3\r\n:x\n\r\n", 0.002), tries=STREAMS),
        late("blank-drip", "blank lines for ever", drip(b"1\r\n\n\r\n", 0.002)),
        late("event-drip", "a first event that comes byte by byte and never ends", drip(b"1\r\nx\r\n", 0.002)),
        invalid("chunk-size", "a chunk size that is no number", lambda wire: [wire.head() + b"zz\r\nx\r\n", hang], kind="protocol"),
        first("garbage", "a first event that is no JSON", b"{oops"),
        first("number", "a first event that is a number", b"42"),
        first("null", "a first event that is null", b"null"),
        first("binary", "a first event that is no UTF-8", b'{"x":"\xff"}'),
        invalid(
            "endless-event", "a first event without end", lambda wire: [wire.head() + chunked(b"data: " + b"x" * 70_000, end=False), hang]
        ),
        invalid("page", "a page", lambda wire: [b"HTTP/1.1 200 OK\r\ncontent-type: text/html\r\n\r\n" + PAGE + b"\n"]),
        invalid("page-as-stream", "a page that is called a stream", lambda wire: [EVENTS + b"\r\n" + PAGE], STREAMS),
        invalid("document", "a whole answer", lambda wire: [wire.document()], STREAMS),
        invalid(
            "document-as-stream",
            "a whole answer that is called a stream",
            lambda wire: [EVENTS + b"\r\n" + json.dumps(wire.answer).encode()],
            STREAMS,
        ),
        invalid(
            "document-indented",
            "a whole answer, indented, after blank lines",
            lambda wire: [EVENTS + b"\r\n\n\n " + json.dumps(wire.answer, indent=1).encode()],
            STREAMS,
        ),
        cut("document-cut", "a whole answer cut short", lambda wire: [wire.document()[:-9]], STREAMS),
        invalid(
            "document-large",
            "a whole answer larger than `limits.answer`",
            lambda wire: [document(b'{"x":"' + b"x" * 2**18 + b'"}')],
            STREAMS,
        ),
        invalid(
            "brotli",
            "a content coding that is not known",
            lambda wire: [wire.head(b"content-encoding: br") + chunked(*wire.events)],
            kind="protocol",
        ),
        invalid(
            "gzip-corrupt", "corrupt gzip", lambda wire: [wire.head(b"content-encoding: gzip") + chunked(b"x" * 99), hang], kind="protocol"
        ),
        invalid(
            "bomb",
            "gzip of much more than an event may have",
            lambda wire: [wire.head(b"content-encoding: gzip") + chunked(gzip.compress(b" " * 10**7)), hang],
            kind="protocol",
        ),
        error(
            "error-openai",
            "an error event",
            "openai",
            lambda wire: [wire.head() + chunked(wire.error, *wire.rest)],
            Status(502, None, "server_error", "^Overloaded$"),
        ),
        error(
            "error-status",
            "an error event that names its status",
            "openai",
            lambda wire: [wire.head() + chunked(event({"error": {"message": "Slow down.", "code": 429}}))],
            Status(429, "429", "rate_limit_error", "Slow down"),
            "status",
        ),
        error(
            "error-anthropic",
            "an error event of another vendor",
            "anthropic",
            lambda wire: [wire.head() + chunked(wire.error)],
            Status(503, "overloaded_error", "server_error", "^Overloaded$"),
            "status",
        ),
        error(
            "error-gemini",
            "an error event with a status of its own",
            "gemini",
            lambda wire: [wire.head() + chunked(wire.error)],
            Status(503, "UNAVAILABLE", "server_error", "^Overloaded$"),
            "status",
        ),
        error(
            "error-ollama",
            "an error as the first line",
            "ollama",
            lambda wire: [wire.head() + chunked(wire.error)],
            Status(502, None, "server_error", "^Overloaded$"),
        ),
        error(
            "error-document",
            "an error with status 200 instead of a stream",
            "openai",
            lambda wire: answering(b"200 OK", {"error": {"message": "No more.", "code": 429}}),
            Status(429, "429", "rate_limit_error"),
            "status",
        ),
        Row(
            "silence after the head, where `server.heartbeat` has sent a comment already",
            "an error event `upstream_timeout`, the connection cut: the status is out",
            "`error_kind: timeout`",
            "tests/exchange/test_failures.py::test_after_a_heartbeat_errors_are_events",
        ),
    ),
)
