"""What goes wrong in the body of an answer that is read whole."""

from __future__ import annotations

import gzip
import json
from collections.abc import Callable, Mapping
from typing import Any

from tests.faults.promise import WHOLE, Answered, AsItCame, Case, Row, Section, Status, Try
from tests.faults.wires import Wire, document
from tests.upstream.scripted import CHUNKED_HEAD, Step, chunked, drip, hang, reset

TRUNCATED = Status(502, "upstream_truncated")
INVALID = Status(502, "upstream_invalid")
LATE = Status(504, "upstream_timeout")
PASSED: tuple[Try, ...] = (("openai", "whole"),)
TRANSLATED: tuple[Try, ...] = (("anthropic", "whole"), ("gemini", "whole"))
GZIP = b"content-encoding: gzip"


def text(wire: Wire) -> bytes:
    """The answer's body."""
    return json.dumps(wire.answer).encode()


def cut(name: str, fault: str, script: Callable[[Wire], list[Step]]) -> Case:
    return Case(name, fault, script, TRUNCATED, "truncated", WHOLE)


def malformed(name: str, fault: str, script: Callable[[Wire], list[Step]]) -> Case:
    return Case(name, fault, script, INVALID, "protocol", WHOLE)


def unreadable(name: str, fault: str, body: bytes | Callable[[Wire], bytes], tries: tuple[Try, ...] = WHOLE) -> Case:
    """A proper message whose body cannot be what was asked for."""
    return Case(name, fault, lambda wire: [document(body(wire) if callable(body) else body)], INVALID, "invalid", tries)


def fine(name: str, fault: str, change: Callable[[Wire], bytes], says: str = "Hello", tries: tuple[Try, ...] = WHOLE) -> Case:
    """An odd answer, but one that says what it should."""
    return Case(name, fault, lambda wire: [document(change(wire))], Answered(says), tries=tries)


def passed(name: str, fault: str, body: bytes) -> Case:
    return Case(name, fault, [document(body)], AsItCame(), tries=PASSED)


def saying(words: str) -> Callable[[Wire], bytes]:
    """The answer with other words, which are the inside of a JSON string."""
    return lambda wire: text(wire).replace(b"Hello", words.encode())


def inside(name: str, fault: str, body: Any, sees: Status, dialect: str) -> Case:
    return Case(f"error-{name}", fault, [document(body)], sees, "status", ((dialect, "whole"),))


def more(members: str) -> Callable[[Wire], bytes]:
    """The answer with more members at its end, as JSON text."""
    return lambda wire: text(wire)[:-1] + b"," + members.encode() + b"}"


def gzipped(change: Callable[[bytes], bytes] = bytes, coding: bytes = GZIP) -> Callable[[Wire], list[Step]]:
    return lambda wire: [document(change(gzip.compress(text(wire))), b"200 OK", coding)]


def changes(**timeouts: float) -> Mapping[str, Any]:
    """Other deadlines."""
    return {"providers": {name: {"timeouts": timeouts} for name in ("openai", "anthropic", "gemini", "ollama")}}


COMPLETION = b'{"id":"c1","object":"chat.completion","created":1,"model":"gpt","choices":%b}'
UNREAD = b'{"id":"c1","model":"gpt","choices":[],"x":%b}'
PAGE = b"<!doctype html><html><title>Log in</title></html>"
LARGE = 2**18  # twice the limit here

#: Larger than the limit of these tests; it has its own.
CROWDED = b'{"x":[' + b"[]," * 2**19 + b"0]}"

SECTION = Section(
    "whole_bodies",
    "Whole answers",
    "An answer that is read whole is checked to its end before a status is sent; nothing of a bad one reaches the client. "
    "What is passed through is checked less than what is translated: it goes on as it came, unless it is no JSON object at all "
    "or says that it is an error. A gateway that is sent the worst of these at once grows by less than 200 MB.",
    (
        cut("reset", "a reset in the body", lambda wire: [wire.document()[:-9], reset]),
        cut("short", "fewer bytes than content-length says", lambda wire: [wire.document()[:-9]]),
        cut("no-body", "no body", lambda wire: [wire.document().partition(b"{")[0]]),
        cut("chunk-cut", "closed inside a chunk", lambda wire: [CHUNKED_HEAD + chunked(text(wire))[:-19]]),
        cut("last-chunk", "closed before the last chunk", lambda wire: [CHUNKED_HEAD + chunked(text(wire), end=False)]),
        cut("last-chunk-cut", "closed in the last chunk", lambda wire: [CHUNKED_HEAD + chunked(text(wire), end=False) + b"0\r\n"]),
        cut(
            "close-framed-reset",
            "framed by the connection's end, which is a reset",
            lambda wire: [b"HTTP/1.1 200 OK\r\n\r\n" + text(wire), reset],
        ),
        malformed("chunk-size", "a chunk size that is no number", lambda wire: [CHUNKED_HEAD + b"zz\r\n" + text(wire), hang]),
        malformed("chunk-size-later", "the same in a later read", lambda wire: [CHUNKED_HEAD + chunked(b"{", end=False), b"zz\r\nx", hang]),
        malformed("chunk-size-17", "a chunk size of 17 digits", lambda wire: [CHUNKED_HEAD + b"1" * 17 + b"\r\n" + text(wire), hang]),
        malformed("chunk-end", "a chunk that is longer than its size", lambda wire: [CHUNKED_HEAD + b"1\r\n" + text(wire), hang]),
        malformed("chunk-lf", "chunks with bare line feeds", lambda wire: [CHUNKED_HEAD, b"5\nhello\n", hang]),
        malformed("chunk-extension", "a chunk extension without end", lambda wire: [CHUNKED_HEAD + b"5;" + b"y" * 10**6, hang]),
        malformed(
            "trailers",
            "trailers without end",
            lambda wire: [CHUNKED_HEAD + chunked(text(wire), end=False) + b"0\r\nx: " + b"y" * 10**6, hang],
        ),
        Case("hang", "silence in the body", lambda wire: [wire.document()[:-9], hang], LATE, "timeout", WHOLE),
        Case(
            "drip",
            "a body that comes byte by byte without end, where the route has a `total` deadline",
            lambda wire: [CHUNKED_HEAD, drip(b"1\r\n \r\n", 0.002)],
            LATE,
            "timeout",
            WHOLE,
            changes=changes(total=1),
        ),
        malformed("endless", "a body without end", lambda wire: [CHUNKED_HEAD + b"ffffffff\r\n" + b" " * LARGE, hang]),
        malformed("large", "a body larger than `limits.answer`", lambda wire: [document(more('"x":"' + "x" * LARGE + '"')(wire))]),
        malformed(
            "large-told",
            "a content-length larger than `limits.answer`",
            lambda wire: [b"HTTP/1.1 200 OK\r\ncontent-length: 999999999\r\n\r\n", hang],
        ),
        unreadable("empty", "an empty body", b""),
        unreadable("blank", "a blank body", b" \r\n"),
        Case("no-content", "204 No Content", [b"HTTP/1.1 204 No Content\r\n\r\n"], INVALID, "invalid", WHOLE),
        unreadable("page", "a page with status 200", PAGE),
        Case(
            "page-typed",
            "the same, called text/html",
            [b"HTTP/1.1 200 OK\r\ncontent-type: text/html\r\n\r\n" + PAGE],
            INVALID,
            "invalid",
            WHOLE,
        ),
        unreadable("text", "words", b"upstream connect error or disconnect/reset before headers"),
        unreadable("cut-json", "JSON cut in its middle", lambda wire: text(wire)[:-9]),
        unreadable("two-documents", "two documents", lambda wire: text(wire) * 2),
        unreadable("after", "something after the document", lambda wire: text(wire) + b"x"),
        unreadable("stream", "a stream that nobody asked for, not called so", b'data: {"x":1}\n\ndata: [DONE]\n\n'),
        unreadable("scalar", "a number", b"42"),
        unreadable("string", "a string", b'"Hello"'),
        unreadable("null", "null", b"null"),
        unreadable("list", "a list", b"[]"),
        unreadable("nan", "NaN", more('"x":NaN')),
        unreadable("infinity", "-Infinity", more('"x":-Infinity')),
        unreadable("utf-16", "UTF-16", lambda wire: text(wire).decode().encode("utf-16")),
        unreadable("bad-utf-8", "a string that is no UTF-8", lambda wire: text(wire).replace(b"Hello", b"Hel\xff")),
        unreadable("control", "a control character in a string", lambda wire: text(wire).replace(b"Hello", b"Hel\x01")),
        unreadable("deep", "lists nested 50,000 deep", more('"x":' + "[" * 50_000 + "]" * 50_000)),
        fine("deep-100", "lists nested a hundred deep", more('"x":' + "[" * 100 + "]" * 100)),
        passed("huge-integer-passed", "an integer of 5,000 digits in a member that nobody reads, passed through", UNREAD % (b"9" * 5000)),
        passed("huge-float-passed", "a number that no float can hold, in such a member, passed through", UNREAD % b"1e999"),
        fine(
            "huge-integer",
            "an integer of 5,000 digits in a member that nobody reads, translated",
            more('"x":' + "9" * 5000),
            tries=TRANSLATED,
        ),
        fine("huge-float", "a number that no float can hold, in such a member, translated", more('"x":1e999'), tries=TRANSLATED),
        fine("twenty-digits", "an integer of 20 digits", more('"x":12345678901234567890')),
        fine("duplicate", "a member that comes twice", more('"x":1,"x":2')),
        fine("duplicate-model", "the model's name twice", more('"model":"other"')),
        fine("surrogate-pair", "an escaped surrogate pair", saying(r"\ud83d\ude00"), "\N{GRINNING FACE}"),
        fine("escapes", "escapes of all kinds", saying(r"\"\\\/\n\u00e9\u2028"), '"\\/\n\u00e9\u2028'),
        fine("separators", "U+2028 as it is", saying("\u2028"), "\u2028"),
        fine("blanks", "blanks around it", lambda wire: b"\r\n \t" + text(wire) + b"\n\n"),
        fine("unknown", "members of any type that nobody knows", more('"x":{"y":[null,true,1.5,"z"]}')),
        fine("lone-surrogate", "half a surrogate pair, translated", saying(r"Hel\ud83dlo"), "Hel\ufffdlo", TRANSLATED),
        passed("lone-surrogate-passed", "half a surrogate pair, passed through", COMPLETION % rb'[{"message":{"content":"Hel\ud83dlo"}}]'),
        passed("choices-null-passed", "`choices: null`, passed through", COMPLETION % b"null"),
        passed("choices-scalar-passed", "`choices: 5`, passed through", COMPLETION % b"5"),
        passed("no-choices-passed", "an object without anything", b"{}"),
        unreadable("other-object", "an object of another kind, translated", b"{}", TRANSLATED),
        unreadable("parts-null", "null where the text should be, translated", b'{"content":null,"candidates":null}', TRANSLATED),
        unreadable("parts-scalar", "a number where the text should be, translated", b'{"content":5,"candidates":5}', TRANSLATED),
        inside(
            "openai",
            "an error inside a 200",
            {"error": {"message": "No more.", "code": 429}},
            Status(429, "429", "rate_limit_error"),
            "openai",
        ),
        inside("plain", "an error inside a 200, without a status", {"error": "No more."}, Status(502, None, "server_error"), "openai"),
        inside(
            "anthropic",
            "the same of another vendor",
            {"type": "error", "error": {"type": "overloaded_error", "message": "No more."}},
            Status(503, "overloaded_error", "server_error"),
            "anthropic",
        ),
        inside(
            "gemini",
            "the same of one that names its status",
            {"error": {"code": 429, "message": "No more.", "status": "RESOURCE_EXHAUSTED"}},
            Status(429, "RESOURCE_EXHAUSTED", "rate_limit_error"),
            "gemini",
        ),
        Case("gzip", "gzip that nobody asked for", gzipped(), Answered(), tries=WHOLE),
        Case(
            "gzip-members",
            "gzip of two members",
            lambda wire: [document(gzip.compress(text(wire)[:9]) + gzip.compress(text(wire)[9:]), b"200 OK", GZIP)],
            Answered(),
            tries=WHOLE,
        ),
        Case("gzip-corrupt", "corrupt gzip", gzipped(lambda data: data[:20] + b"xxxx" + data[24:]), INVALID, "protocol", WHOLE),
        Case(
            "gzip-checksum", "gzip with a wrong checksum", gzipped(lambda data: data[:-8] + b"xxxx" + data[-4:]), INVALID, "protocol", WHOLE
        ),
        Case("gzip-truncated", "gzip cut short, its length right", gzipped(lambda data: data[:-12]), TRUNCATED, "truncated", WHOLE),
        Case("gzip-after", "gzip with something behind it", gzipped(lambda data: data + b"x"), TRUNCATED, "truncated", WHOLE),
        Case("gzip-lie", "JSON that says it is gzip", lambda wire: [wire.document(b"200 OK", GZIP)], INVALID, "protocol", WHOLE),
        Case("gzip-twice", "gzip in gzip", gzipped(gzip.compress, b"content-encoding: gzip, gzip"), INVALID, "protocol", WHOLE),
        Case("brotli", "a coding that is not known", gzipped(coding=b"content-encoding: br"), INVALID, "protocol", WHOLE),
        Row(
            "32 of the worst at once: gzip of 600 MB, endless bodies and events, 30 MB of text or of empty lists, bodies held back",
            "502, 503 or 504, and the good ones are served; the process grows by less than 200 MB",
            "their lines",
            "tests/faults/test_memory.py::test_thirty_two_of_the_worst",
        ),
        Row(
            "a large answer while others hold all of `limits.answers`",
            "503 `overloaded`, with Retry-After; small ones are served",
            "`blame: gateway`",
            "tests/exchange/test_held.py::test_a_whole_answer_that_finds_no_room",
        ),
        Row(
            "a large event of a stream while others hold all of `limits.answers`",
            "an error event `overloaded`, the connection cut",
            "`blame: gateway`",
            "tests/exchange/test_held.py::test_an_event_that_finds_no_room",
        ),
        Case(
            "crowd",
            "more than a megabyte of JSON, made of half a million values and more",
            [document(CROWDED)],
            INVALID,
            "invalid",
            WHOLE,
            changes={"server": {"limits": {"answer": 2**22}}},
        ),
        Case(
            "bomb",
            "gzip of much more than `limits.answer`",
            [document(gzip.compress(b" " * 10**7), b"200 OK", GZIP)],
            INVALID,
            "protocol",
            WHOLE,
        ),
    ),
)
