"""What goes wrong before an upstream has answered with its head."""

from __future__ import annotations

from tests.faults import places
from tests.faults.promise import Case, Row, Section, Status
from tests.faults.whole_bodies import changes
from tests.upstream.scripted import Step, drip, hang, reset

OK = b"HTTP/1.1 200 OK\r\n"
CONTINUE = b"HTTP/1.1 100 Continue\r\n\r\n"
#: Seconds between two bytes.
DRIP = 0.002

UNREACHABLE = Status(502, "upstream_unreachable")
TRUNCATED = Status(502, "upstream_truncated")
INVALID = Status(502, "upstream_invalid")
LATE = Status(504, "upstream_timeout")


def cut(name: str, fault: str, *steps: Step) -> Case:
    return Case(name, fault, steps, TRUNCATED, "truncated")


def nonsense(name: str, fault: str, data: bytes) -> Case:
    """The connection stays open: nothing is waited for."""
    return Case(name, fault, [data, hang], INVALID, "protocol")


def late(name: str, fault: str, *steps: Step) -> Case:
    return Case(name, fault, steps, LATE, "timeout")


POOL = "tests/upstream/test_pool.py::"
CONNECT = "tests/upstream/test_connect.py::"
NOT_TWICE = "502 `upstream_truncated`; the request is not sent again"

SECTION = Section(
    "before_headers",
    "Before the head of an answer",
    "A target that cannot be reached, breaks off, talks nonsense or says nothing. Each request is sent once, and the connection is closed. "
    "`first_event` is a deadline for all that comes before the head, however busily it comes.",
    (
        Case("refused", "the connection is refused", [], UNREACHABLE, "connect", place=places.refusing, requests=0),
        Case("dns", "the host's name is unknown", [], UNREACHABLE, "connect", place=places.unknown, requests=0),
        Case("connect-hang", "nobody takes the connection", [], LATE, "timeout", place=places.deaf, requests=0),
        Case(
            "tls-untrusted",
            "nobody has signed its certificate",
            [],
            UNREACHABLE,
            "tls",
            place=places.untrusted,
            requests=0,
            changes=changes(connect=2),
        ),
        Case(
            "tls-none",
            "HTTP where TLS is spoken",
            [b"HTTP/1.1 400 No\r\n\r\n"],
            UNREACHABLE,
            "tls",
            place=places.no_tls,
            requests=0,
            changes=changes(connect=2),
        ),
        Case("tls-closed", "closed in the handshake", [], UNREACHABLE, "tls", place=places.no_tls, requests=0, changes=changes(connect=2)),
        Case("tls-hang", "silence in the handshake", [hang], LATE, "timeout", place=places.no_tls, requests=0),
        Row(
            "a certificate of another host",
            "502 `upstream_unreachable`",
            "`error_kind: tls`, and what is wrong with it as `error_detail`",
            CONNECT + "test_another_host_than_the_certificate_says",
        ),
        Row(
            "a proxy that refuses or breaks the tunnel",
            "502 `upstream_unreachable`",
            "`error_kind: connect`, and the proxy's answer as `error_detail`, without its password",
            CONNECT + "test_proxies_that_refuse",
        ),
        Row("a proxy that hangs", "504 `upstream_timeout`", "`error_kind: timeout`", CONNECT + "test_a_proxy_that_hangs"),
        Row(
            "one of a host's addresses is dead",
            "the answer: the next address is tried beside it after a quarter of a second",
            "a request that went well",
            "tests/upstream/test_faults.py::test_one_address_of_two_is_dead",
        ),
        cut("reset", "a reset instead of an answer", reset),
        cut("closed", "the connection is closed without an answer"),
        cut("half-status", "half a status line", b"HTTP/1.1 20"),
        cut("half-head", "half a head", OK + b"content-type: appl"),
        cut("half-head-reset", "half a head, then a reset", OK + b"content-type: appl", reset),
        cut("continue-closed", "100 Continue and nothing after it", CONTINUE),
        nonsense("garbage", "bytes that are no HTTP", b"\x00\xffgarbage"),
        nonsense("another-protocol", "another protocol", b"SSH-2.0-OpenSSH_9.2\r\n"),
        nonsense("http-0.9", "a page without a head", b"<html>hello</html>"),
        nonsense("status-999", "a status that does not exist", b"HTTP/1.1 999 What\r\ncontent-length: 0\r\n\r\n"),
        nonsense("status-099", "a status below 100", b"HTTP/1.1 099 What\r\ncontent-length: 0\r\n\r\n"),
        nonsense(
            "switching", "101 Switching Protocols that nobody asked for", b"HTTP/1.1 101 Go\r\nupgrade: x\r\nconnection: upgrade\r\n\r\n"
        ),
        nonsense("negative-length", "a negative content-length", OK + b"content-length: -5\r\n\r\nhello"),
        nonsense("two-lengths", "two content-lengths", OK + b"content-length: 5\r\ncontent-length: 3\r\n\r\nhello"),
        nonsense(
            "length-and-chunks", "content-length and chunks", OK + b"content-length: 5\r\ntransfer-encoding: chunked\r\n\r\n0\r\n\r\n"
        ),
        nonsense("coding", "a transfer coding other than chunked", OK + b"transfer-encoding: gzip, chunked\r\n\r\n0\r\n\r\n"),
        nonsense("bad-header", "a header that is none", OK + b"content type\r\n\r\n"),
        nonsense("nul", "a NUL in a header", OK + b"a: b\x00c\r\n\r\n"),
        nonsense("folded", "a folded header", OK + b"a: b\r\n c\r\n\r\n"),
        nonsense("header-flood", "a hundred thousand headers", OK + b"".join(b"x-%d: y\r\n" % n for n in range(100_000))),
        nonsense("giant-header", "a header of 2 MB", OK + b"x: " + b"y" * 2_000_000 + b"\r\n\r\n"),
        nonsense("endless-100", "100 Continue without end, at once", CONTINUE * 10_000),
        late("silence", "no answer at all", hang),
        late("half-head-silence", "silence in the head", OK + b"content-type: appl", hang),
        late("header-drip", "a header that comes byte by byte and never ends", drip(OK + b"a: " + b"a" * 9999, DRIP)),
        late("100-drip", "100 Continue without end, byte by byte", drip(CONTINUE, DRIP)),
        Row(
            "a connection from the pool is found dead: reset or closed when the next request arrives, without one byte of an answer",
            "the answer: the request goes out once more, on a fresh connection",
            "a request that went well: the upstream cannot have begun to work on it",
            "tests/faults/test_pooled.py::test_a_dead_connection_is_replaced",
        ),
        Row(
            "the fresh connection breaks off as well",
            NOT_TWICE + " a third time",
            "`error_kind: truncated`",
            "tests/faults/test_pooled.py::test_never_a_third_time",
        ),
        Row(
            "a connection from the pool breaks off after one byte of an answer",
            NOT_TWICE,
            "`error_kind: truncated`",
            "tests/faults/test_pooled.py::test_never_after_a_byte",
        ),
        Row(
            "a connection from the pool ends a second or more after the request, without one byte of an answer",
            "502 `upstream_truncated`; the request is not sent again: it may have been worked on",
            "`error_kind: truncated`",
            "tests/faults/test_pooled.py::test_never_after_a_while",
        ),
        Row(
            "a connection from the pool says nothing",
            "504 `upstream_timeout`; the request is not sent again",
            "`error_kind: timeout`",
            "tests/faults/test_pooled.py::test_never_after_a_deadline",
        ),
        Row(
            "a connection from the pool is dead, and a form was to be sent on it",
            "forms are sent on fresh connections: they could not be sent twice",
            "a request that went well",
            "tests/upstream/test_calls.py::test_a_body_in_pieces_is_chunked",
        ),
        Row(
            "a second answer to one request, or any other bytes on an idle connection",
            "nothing: the connection is closed, and no other client sees them",
            "nothing",
            POOL + "test_bytes_on_an_idle_connection_close_it",
        ),
        Row(
            "more bytes than the answer has",
            "the answer without them; the connection is closed",
            "nothing",
            "tests/upstream/test_answer.py::test_bytes_after_the_answer_end_the_connection_not_the_answer",
        ),
        Row(
            "it closes while idle, or says with `Keep-Alive: timeout=` when it will",
            "nothing: the next request gets a fresh connection",
            "nothing",
            POOL + "test_closed_while_idle",
        ),
    ),
)
