"""Answers with a status that is no success, and answers that are no chat."""

from __future__ import annotations

from typing import Any

from tests.faults.promise import ANY, Case, Row, Section, Status, Try
from tests.faults.whole_bodies import PAGE
from tests.faults.wires import document
from tests.upstream.scripted import Step, reset

FAILURES = "tests/exchange/test_failures.py::"
OTHER = "tests/faults/test_other_operations.py::"
OPENAI: tuple[Try, ...] = (("openai", "whole"), ("openai", "stream"))


def refused(name: str, fault: str, status: int, type: str, body: Any, *rest: Step, message: str = "", tries: tuple[Try, ...] = ANY) -> Case:
    """The status goes on; `message`: what is told where the body says nothing of its own."""
    sees = Status(status, None, type, message or f"^The upstream answered with status {status}\\.$")
    return Case(name, fault, [document(body, b"%d No" % status), *rest], sees, "status", tries)


def redirect(status: int) -> Case:
    line = b"HTTP/1.1 %d Go\r\nlocation: http://127.0.0.1:1/\r\ncontent-length: 0\r\n\r\n" % status
    return Case(f"redirect-{status}", f"a redirect: {status}", [line], Status(502, "upstream_redirect"), "status")


def head(status: int) -> bytes:
    return b"HTTP/1.1 %d No\r\ncontent-length: 99\r\n\r\n" % status


REFUSALS = Section(
    "refusals",
    "Refusals",
    "An answer with a status of 400 or more keeps its status and its words, in OpenAI's envelope; a redirect is not followed.",
    (
        *(redirect(status) for status in (301, 302, 307, 308)),
        Case("not-modified", "304 Not Modified", [b"HTTP/1.1 304 Not Modified\r\n\r\n"], Status(502, "upstream_redirect"), "status"),
        refused("page-404", "404 with a page", 404, "not_found_error", PAGE),
        refused("page-500", "500 with a page", 500, "server_error", PAGE),
        refused("empty-500", "500 without a body", 500, "server_error", b""),
        refused("empty-429", "429 without a body", 429, "rate_limit_error", b""),
        refused("scalar-500", "500 with a number", 500, "server_error", b"42"),
        refused("garbage-503", "503 with bytes that are no JSON", 503, "server_error", b'{"error":{"mess\xff'),
        refused("deep-500", "500 with JSON nested 50,000 deep", 500, "server_error", b"[" * 50_000 + b"]" * 50_000),
        refused("large-500", "500 with 2 MB", 500, "server_error", b"x" * 2**21),
        refused(
            "words-400",
            "400 in the vendor's words",
            400,
            "invalid_request_error",
            {"error": {"message": "Bad."}},
            message=r"^Bad\.$",
            tries=OPENAI,
        ),
        refused(
            "number-400",
            "400 whose message is a number",
            400,
            "invalid_request_error",
            {"error": {"message": 42}},
            tries=OPENAI,
        ),
        Case("short-500", "500 whose body breaks off", [head(500) + b"x"], Status(500, None, "server_error"), "status"),
        Case("reset-500", "500 and a reset", [head(500), reset], Status(500, None, "server_error"), "status"),
        Row(
            "a body that hangs or drips",
            "the status, without its words",
            "`error_kind: status`",
            FAILURES + "test_what_an_error_says_is_not_waited_for_long",
        ),
        Row(
            "Retry-After and x-ratelimit headers of a refusal",
            "they are kept; other headers are not",
            "`error_kind: status`",
            FAILURES + "test_an_upstreams_error_keeps_its_status_and_words",
        ),
        Row(
            "a refusal that echoes our key",
            "`***` in its place",
            "the same",
            FAILURES + "test_secrets_are_scrubbed_from_what_upstreams_echo",
        ),
        Row(
            "a header that echoes our key",
            "`***` in its place",
            "nothing",
            FAILURES + "test_secrets_are_scrubbed_from_headers_that_reach_the_client",
        ),
    ),
)
MEDIA = Section(
    "other_operations",
    "Media and files",
    "What is neither a JSON answer nor events streams through as it comes, without a limit on its size.",
    (
        Row(
            "JSON or a page with status 200 instead of speech",
            "the status that the error names, else 502",
            "`error_kind: status` or `invalid`",
            OTHER + "test_what_is_no_media_is_an_error",
        ),
        Row(
            "a break, a bad chunk or silence in the middle",
            "what came before it, and the connection cut",
            "`error_kind: truncated`, `protocol` or `timeout`",
            OTHER + "test_media_that_break_off_are_cut",
        ),
        Row("a file that is JSON and holds an error", "the file", "a request that went well", OTHER + "test_a_file_of_json_is_a_file"),
    ),
)
