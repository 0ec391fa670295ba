"""The rules of one answer, without a socket: whole, byte by byte, and cut anywhere."""

from __future__ import annotations

from collections.abc import Iterable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy.upstream.answer import AnswerReader

OK = b"HTTP/1.1 200 OK\r\n"
CHUNKED = OK + b"Transfer-Encoding: chunked\r\n\r\n"


def fed(pieces: Iterable[bytes], limit: int = 65536) -> tuple[AnswerReader, bytes]:
    """An answer after these reads (none follows a fault), and its body."""
    answer = AnswerReader(limit)
    body = b""
    for piece in pieces:
        if answer.fault or answer.complete:
            break
        body += answer.feed(piece)
    return answer, body


# name: (bytes, status, body, complete, keep_alive)
GOOD = {
    "length": (OK + b"Content-Length: 5\r\n\r\nhello", 200, b"hello", True, True),
    "length zero": (OK + b"Content-Length: 0\r\n\r\n", 200, b"", True, True),
    "chunks": (CHUNKED + b"5\r\nhello\r\n1\r\n!\r\n0\r\n\r\n", 200, b"hello!", True, True),
    "chunk extensions": (CHUNKED + b'5;a=b;c="d"\r\nhello\r\n0\r\n\r\n', 200, b"hello", True, True),
    "trailers": (CHUNKED + b"5\r\nhello\r\n0\r\nX-Sum: 1\r\nY: 2\r\n\r\n", 200, b"hello", True, True),
    "until the end": (OK + b"\r\nhello", 200, b"hello", False, False),
    "close": (OK + b"Connection: close\r\nContent-Length: 5\r\n\r\nhello", 200, b"hello", True, False),
    "close in a list": (OK + b"Connection: x, close\r\nContent-Length: 0\r\n\r\n", 200, b"", True, False),
    "no content": (b"HTTP/1.1 204 No Content\r\n\r\n", 204, b"", True, True),
    "not modified with a length": (b"HTTP/1.1 304 Not Modified\r\nContent-Length: 9\r\n\r\n", 304, b"", True, True),
    "HTTP/1.0": (b"HTTP/1.0 200 OK\r\nContent-Length: 5\r\n\r\nhello", 200, b"hello", True, False),
    "HTTP/1.0 kept": (b"HTTP/1.0 200 OK\r\nConnection: keep-alive\r\nContent-Length: 5\r\n\r\nhello", 200, b"hello", True, True),
    "HTTP/1.0 in chunks": (
        b"HTTP/1.0 200 OK\r\nConnection: keep-alive\r\nTransfer-Encoding: chunked\r\n\r\n1\r\na\r\n0\r\n\r\n",
        200,
        b"a",
        True,
        False,
    ),
    "no reason": (b"HTTP/1.1 200\r\nContent-Length: 2\r\n\r\nok", 200, b"ok", True, True),
    "an upgrade offered, not made": (OK + b"Connection: upgrade\r\nUpgrade: h2c\r\nContent-Length: 2\r\n\r\nok", 200, b"ok", True, True),
    "100 and 103 first": (
        b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\nLink: x\r\nContent-Length: 7\r\n\r\n"
        + OK
        + b"Content-Length: 2\r\n\r\nok",
        200,
        b"ok",
        True,
        True,
    ),
    "an error": (b"HTTP/1.1 529 Overloaded\r\nContent-Length: 2\r\n\r\nno", 529, b"no", True, True),
}

# name: (bytes, part of the fault)
BAD = {
    "garbage": (b"\x16\x03\x01garbage", "HTTP/"),
    "HTTP/0.9": (b"<html>hello</html>", "HTTP/"),
    "HTTP/3": (b"HTTP/3.0 200 OK\r\n\r\n", "version"),
    "status 099": (b"HTTP/1.1 099 No\r\nContent-Length: 0\r\n\r\n", "status"),
    "status 999": (b"HTTP/1.1 999 No\r\nContent-Length: 0\r\n\r\n", "status 999"),
    "status 600": (b"HTTP/1.1 600 No\r\nContent-Length: 0\r\n\r\n", "status 600"),
    "status 2000": (b"HTTP/1.1 2000 No\r\n\r\n", "status"),
    "101": (b"HTTP/1.1 101 Switching\r\nConnection: upgrade\r\nUpgrade: websocket\r\n\r\n", "status 101"),
    "101 without a word": (b"HTTP/1.1 101 Switching\r\n\r\n", "status 101"),
    "endless informational": (b"HTTP/1.1 100 Continue\r\n\r\n" * 40, "informational"),
    "negative length": (OK + b"Content-Length: -5\r\n\r\nhello", "Content-Length"),
    "signed length": (OK + b"Content-Length: +5\r\n\r\nhello", "Content-Length"),
    "empty length": (OK + b"Content-Length: \r\n\r\nhello", "Content-Length"),
    "huge length": (OK + b"Content-Length: 99999999999999999999999\r\n\r\n", "Content-Length"),
    "two equal lengths": (OK + b"Content-Length: 5\r\nContent-Length: 5\r\n\r\nhello", "Content-Length"),
    "two lengths": (OK + b"Content-Length: 5\r\nContent-Length: 6\r\n\r\nhello", "Content-Length"),
    "a list of lengths": (OK + b"Content-Length: 5, 5\r\n\r\nhello", "Content-Length"),
    "length and chunks": (OK + b"Content-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", "Content-Length"),
    "chunks and length": (OK + b"Transfer-Encoding: chunked\r\nContent-Length: 5\r\n\r\n0\r\n\r\n", "Content-Length"),
    "chunked twice": (OK + b"Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", "transfer coding"),
    "gzip transfer": (OK + b"Transfer-Encoding: gzip\r\n\r\nxx", "transfer coding"),
    "gzip and chunks": (OK + b"Transfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n", "transfer coding"),
    "xchunked": (OK + b"Transfer-Encoding: xchunked\r\n\r\n0\r\n\r\n", "transfer coding"),
    "chunk size no number": (CHUNKED + b"5\r\nhello\r\nzz\r\n", "chunk size"),
    "chunk size negative": (CHUNKED + b"-5\r\nhello\r\n", "chunk size"),
    "chunk size empty": (CHUNKED + b"\r\nhello\r\n", "chunk size"),
    "chunk size too long": (CHUNKED + b"f" * 17 + b"\r\nhello\r\n", "overflow"),
    "chunk longer than it says": (CHUNKED + b"5\r\nhello!\r\n0\r\n\r\n", "chunk data"),
    "bare LF": (b"HTTP/1.1 200 OK\nContent-Length: 0\n\n", "CR"),
    "bare LF in chunks": (CHUNKED + b"5\nhello\n0\n\n", "CR"),
    "a folded line": (OK + b"X: a\r\n b\r\n\r\n", "whitespace"),
    "NUL": (OK + b"X: a\0b\r\n\r\n", "header value"),
    "bare CR": (OK + b"X: a\rb\r\n\r\n", "header value"),
    "a space before the colon": (OK + b"X : a\r\n\r\n", "header token"),
    "no colon": (OK + b"X\r\n\r\n", "header token"),
    "no name": (OK + b": x\r\n\r\n", "header token"),
    "too many headers": (OK + b"".join(b"X-%d: y\r\n" % n for n in range(400)) + b"\r\n", "256 headers"),
    "one giant header": (OK + b"X: " + b"y" * 70_000 + b"\r\n\r\n", "65536 bytes"),
    "a giant head": (OK + (b"X: " + b"y" * 700 + b"\r\n") * 100 + b"\r\n", "65536 bytes"),
    "a head without end": (OK + b"X: " + b"y" * 200_000, "65536 bytes"),
    "a giant trailer": (CHUNKED + b"1\r\na\r\n0\r\nX: " + b"y" * 70_000 + b"\r\n\r\n", "65536 bytes"),
    "a chunk extension without end": (CHUNKED + b"1;" + b"y" * 70_000, "65536 bytes"),
}


@pytest.mark.parametrize("size", [1, 7, 10**6])
@pytest.mark.parametrize("name", GOOD)
def test_good_answers(name: str, size: int) -> None:
    data, status, expected, complete, keep_alive = GOOD[name]
    answer, body = fed(data[at : at + size] for at in range(0, len(data), size))
    assert (answer.fault, answer.status, body, answer.complete) == ("", status, expected, complete)
    assert answer.keep_alive is keep_alive
    assert answer.ends_at_eof is (name == "until the end")


@pytest.mark.parametrize("size", [1, 4096, 10**6])
@pytest.mark.parametrize("name", BAD)
def test_bad_answers(name: str, size: int) -> None:
    data, fault = BAD[name]
    answer, _ = fed(data[at : at + size] for at in range(0, len(data), size))
    assert fault.lower() in answer.fault.lower()
    assert not answer.complete


@given(st.data())
def test_cut_anywhere(data: st.DataObject) -> None:
    message, status, expected, complete, keep_alive = data.draw(st.sampled_from(list(GOOD.values())))
    cuts = sorted(data.draw(st.lists(st.integers(0, len(message)), max_size=8)))
    answer, body = fed(message[a:b] for a, b in zip([0, *cuts], [*cuts, len(message)], strict=True))
    assert (answer.fault, answer.status, body, answer.complete, answer.keep_alive) == ("", status, expected, complete, keep_alive)


@given(st.binary(max_size=300), st.integers(1, 40))
def test_no_bytes_raise(garbage: bytes, size: int) -> None:
    for start in (b"", OK, CHUNKED, CHUNKED + b"3\r\nabc\r\n"):
        data = start + garbage
        answer, _ = fed(data[at : at + size] for at in range(0, len(data), size))
        assert answer.status == 0 or 200 <= answer.status <= 599


def test_repeated_headers_are_joined() -> None:
    answer, _ = fed([OK + b"Set-Cookie: a\r\nX-Y:  b \t\r\nSET-COOKIE: c\r\nEmpty:\r\nContent-Length: 0\r\n\r\n"])
    assert answer.headers == {b"set-cookie": b"a, c", b"x-y": b"b", b"empty": b"", b"content-length": b"0"}


def test_informational_headers_and_trailers_are_not_shown() -> None:
    answer, _ = fed([b"HTTP/1.1 103 Hints\r\nLink: x\r\n\r\n" + CHUNKED + b"0\r\nX-Trailer: y\r\n\r\n"])
    assert answer.headers == {b"transfer-encoding": b"chunked"}


@pytest.mark.parametrize("extra", [b"x", b"\r\nx", OK + b"Content-Length: 2\r\n\r\nno", b"HTTP/1.1 100 Continue\r\n\r\n"])
@pytest.mark.parametrize("close", [b"", b"Connection: close\r\n"])
def test_bytes_after_the_answer_end_the_connection_not_the_answer(extra: bytes, close: bytes) -> None:
    answer = AnswerReader()
    body = answer.feed(OK + close + b"Content-Length: 2\r\n\r\nok" + extra)
    assert (body, answer.status, answer.complete, answer.fault) == (b"ok", 200, True, "")
    assert answer.keep_alive is False


def test_a_body_with_a_status_that_has_none_ends_the_connection() -> None:
    answer = AnswerReader()
    assert answer.feed(b"HTTP/1.1 204 No Content\r\nContent-Length: 2\r\n\r\nno") == b""
    assert (answer.complete, answer.keep_alive) == (True, False)


def test_pieces_before_a_fault_are_delivered() -> None:
    answer = AnswerReader()
    assert answer.feed(CHUNKED + b"2\r\nab\r\n2\r\ncd\r\nzz\r\n") == b"abcd"
    assert answer.fault


def test_one_answer_after_another() -> None:
    answer = AnswerReader()
    for number in range(3):
        answer.begin()
        assert (answer.status, answer.received, answer.headers) == (0, False, {})
        body = answer.feed(CHUNKED + b"1\r\n%d\r\n0\r\nX-Trailer: y\r\n\r\n" % number)
        assert (body, answer.complete, answer.keep_alive) == (b"%d" % number, True, True)


def test_a_long_body_in_small_reads_is_no_fault() -> None:
    answer = AnswerReader(head_limit=100)
    answer.feed(CHUNKED)
    for _ in range(200):
        assert answer.feed(b"1\r\n") + answer.feed(b"x\r\n") == b"x"
    assert not answer.fault


@pytest.mark.parametrize(("value", "seconds"), [(b"timeout=5", 5), (b"timeout=30, max=100", 30), (b"max=3", None), (b"timeout=x", None)])
def test_keep_alive_hint(value: bytes, seconds: int | None) -> None:
    answer, _ = fed([OK + b"Keep-Alive: " + value + b"\r\nContent-Length: 0\r\n\r\n"])
    assert answer.keep_alive_timeout == seconds
