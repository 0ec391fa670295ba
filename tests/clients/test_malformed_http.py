"""Messages that are no HTTP/1.1, or could be read in two ways: refused, and nothing of them reaches an upstream.

Written anew after RFC 9112 and the usual lists (h1spec, request smuggling). Each row: what is wrong, the bytes, the status.
"""

from __future__ import annotations

import asyncio
import contextlib
import json

import pytest

from tests.exchange.wire import CHAT, COMPLETION, json_answer, serving
from tests.upstream.scripted import after, request, times

OK = [request, json_answer(COMPLETION)]
BODY = json.dumps(CHAT).encode()
LENGTH = b"content-length: %d" % len(BODY)
CHUNKED = b"transfer-encoding: chunked"
CHUNKS = b"%x\r\n%b\r\n0\r\n\r\n" % (len(BODY), BODY)


def post(*lines: bytes, body: bytes = BODY, first: bytes = b"POST /v1/chat/completions HTTP/1.1", host: bool = True) -> bytes:
    """A request for chat, with these header lines."""
    return b"\r\n".join([first, *([b"host: gateway"] if host else []), *lines, b"", b""]) + body


MALFORMED: dict[str, tuple[bytes, int]] = {
    # the request line
    "no request line": (b"hello\r\n\r\n", 400),
    "something before the request": (b"x" + post(LENGTH), 400),
    "unknown method": (post(LENGTH, first=b"PSOT /v1/chat/completions HTTP/1.1"), 400),
    "method in small letters": (post(LENGTH, first=b"post /v1/chat/completions HTTP/1.1"), 400),
    "no version": (post(LENGTH, first=b"POST /v1/chat/completions"), 400),
    "version 9.9": (post(LENGTH, first=b"POST /v1/chat/completions HTTP/9.9"), 400),
    "version in small letters": (post(LENGTH, first=b"POST /v1/chat/completions http/1.1"), 400),
    "HTTP/2's preface": (b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", 400),
    "TLS instead of HTTP": (b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + b"\x00" * 64, 400),
    "NUL in the path": (post(LENGTH, first=b"POST /v1/chat/\x00completions HTTP/1.1"), 400),
    "a blank in the path": (post(LENGTH, first=b"POST /v1/chat completions HTTP/1.1"), 400),
    "a bare CR in the request line": (post(LENGTH, first=b"POST /v1/chat/completions\rHTTP/1.1"), 400),
    "a path without a slash": (post(LENGTH, first=b"POST v1/chat/completions HTTP/1.1"), 400),
    "a request line without end": (b"GET /" + b"a" * 200_000, 431),
    # header fields
    "no Host": (post(LENGTH, host=False), 400),
    "two Hosts": (post(b"host: other", LENGTH), 400),
    "a blank before the colon": (post(b"x-a : 1", LENGTH), 400),
    "a blank before the colon of Content-Length": (post(b"content-length : 5"), 400),
    "no colon": (post(b"x-a", LENGTH), 400),
    "no name": (post(b": 1", LENGTH), 400),
    "brackets in a name": (post(b"x[a]: 1", LENGTH), 400),
    "a control character in a value": (post(b"x-a: a\x07b", LENGTH), 400),
    "NUL in a value": (post(b"x-a: a\x00b", LENGTH), 400),
    "a bare CR in a value": (post(b"x-a: a\rx-b: c", LENGTH), 400),
    "a bare LF as line end": (post(LENGTH).replace(b"\r\n", b"\n", 1), 400),
    "bare LFs as line ends": (post(LENGTH).replace(b"\r\n", b"\n"), 400),
    "a bare CR at the end of the head": (post(LENGTH, body=b"").removesuffix(b"\r\n") + b"\rx-a: 1\r\n\r\n", 400),
    "a folded line": (post(b"x-a: 1\r\n 2", LENGTH), 400),
    "a folded Transfer-Encoding": (post(b"transfer-encoding:\r\n chunked", body=CHUNKS), 400),
    "a blank first line of the head": (post(b" x-a: 1", LENGTH), 400),
    "a field of 70 kB": (post(b"x-a: " + b"a" * 70_000, LENGTH), 431),
    "a name of 70 kB": (post(b"a" * 70_000 + b": 1", LENGTH), 431),
    "fields of 80 kB together": (post(*(b"x-%d: %b" % (at, b"a" * 8000) for at in range(10)), LENGTH), 431),
    "200 fields": (post(*(b"x-%d: 1" % at for at in range(200)), LENGTH), 400),
    # the length
    "two lengths": (post(b"content-length: 5", b"content-length: 6"), 400),
    "the same length twice": (post(LENGTH, LENGTH), 400),
    "a list of lengths": (post(b"content-length: 5, 5"), 400),
    "a negative length": (post(b"content-length: -1"), 400),
    "a length with a plus": (post(b"content-length: +5"), 400),
    "a length in hexadecimal": (post(b"content-length: 0x5"), 400),
    "a length of letters": (post(b"content-length: abc"), 400),
    "an empty length": (post(b"content-length: "), 400),
    "a length beyond all numbers": (post(b"content-length: 99999999999999999999999"), 400),
    "a length with a vertical tab": (post(b"content-length: \x0b5"), 400),
    # the transfer coding
    "length and chunks": (post(LENGTH, CHUNKED, body=CHUNKS), 400),
    "chunks and length": (post(CHUNKED, LENGTH, body=CHUNKS), 400),
    "chunks on HTTP/1.0": (post(CHUNKED, body=CHUNKS, first=b"POST /v1/chat/completions HTTP/1.0"), 400),
    "xchunked": (post(b"transfer-encoding: xchunked", body=CHUNKS), 400),
    "chunked in quotes": (post(b'transfer-encoding: "chunked"', body=CHUNKS), 400),
    "chunked before another coding": (post(b"transfer-encoding: chunked, gzip", body=CHUNKS), 400),
    "chunked twice": (post(CHUNKED, CHUNKED, body=CHUNKS), 400),
    "chunked, chunked": (post(b"transfer-encoding: chunked, chunked", body=CHUNKS), 400),
    "identity and chunked": (post(b"transfer-encoding: identity, chunked", body=CHUNKS), 400),
    "a coding behind a vertical tab": (post(b"transfer-encoding: \x0bchunked", body=CHUNKS), 400),
    # the chunks
    "a chunk size that is none": (post(CHUNKED, body=b"zz\r\n"), 400),
    "a chunk size with 0x": (post(CHUNKED, body=b"0x5\r\nhello\r\n0\r\n\r\n"), 400),
    "a chunk size with a sign": (post(CHUNKED, body=b"+5\r\nhello\r\n0\r\n\r\n"), 400),
    "a negative chunk size": (post(CHUNKED, body=b"-5\r\nhello\r\n0\r\n\r\n"), 400),
    "a chunk size of 20 digits": (post(CHUNKED, body=b"1" * 20 + b"\r\nhello\r\n0\r\n\r\n"), 400),
    "a chunk longer than its size": (post(CHUNKED, body=b"2\r\nhello\r\n0\r\n\r\n"), 400),
    "chunks with bare LFs": (post(CHUNKED, body=CHUNKS.replace(b"\r\n", b"\n")), 400),
    "a bare LF behind a chunk's size": (post(CHUNKED, body=CHUNKS.replace(b"\r\n", b"\n", 1)), 400),
}


@pytest.mark.parametrize(("message", "status"), MALFORMED.values(), ids=MALFORMED)
async def test_it_is_refused_and_nothing_reaches_an_upstream(message: bytes, status: int) -> None:
    async with serving(OK) as served, await served.client() as client:
        client.writer.write(message)
        reply = await client.reply()
        assert (reply.status, reply.error["type"], reply.headers["connection"]) == (status, "invalid_request_error", "close")
        assert reply.error["message"].endswith(".")
        assert reply.headers["x-request-id"].startswith("req_")
        assert await client.ended()
        assert served.upstream.peers == []


@pytest.mark.parametrize(
    "rest", [b"zz\r\n", b"-1\r\n", b"1\r\n{}\r\n", b"5;" + b"a" * 2**22], ids=["size", "sign", "too long", "extension"]
)
async def test_chunks_that_go_wrong_in_a_later_read(rest: bytes) -> None:
    """They are refused at once, not at a deadline."""
    async with serving(OK) as served, await served.client() as client:
        client.writer.write(post(CHUNKED, body=b"1\r\n{\r\n"))
        assert (await served.ask(b"", "/healthz", method="GET")).status == 200  # it has read the first part
        client.writer.write(rest)
        with contextlib.suppress(ConnectionResetError, asyncio.IncompleteReadError):  # it may still be writing when it is closed
            reply = await client.reply()
            assert (reply.status, reply.error["code"], reply.headers["connection"]) == (400, "invalid_http", "close")
            assert await client.ended()
        assert served.upstream.peers == []


async def test_the_limit_of_headers_is_one_for_all_fields() -> None:
    large = post(*(b"x-%d: %b" % (at, b"a" * 8000) for at in range(10)), LENGTH)
    async with serving(times(9, *OK)) as served, await served.client() as client:
        client.writer.write(post(LENGTH))
        assert (await client.reply()).status == 200
        client.writer.write(post(LENGTH) + large + post(LENGTH))
        assert (await client.reply()).status == 200
        reply = await client.reply()
        assert (reply.status, reply.error["code"]) == (431, "headers_too_large")
        assert await client.ended()
        assert len(served.upstream.requests) == 2


CUTS = [b"P", b"POST", b"POST /", b"POST / HTTP/1", b"POST / HTTP/1.1\r", b"POST / HTTP/1.1\r\nho", b"POST / HTTP/1.1\r\nhost: x\r\n\r"]


@pytest.mark.parametrize("cut", CUTS)
async def test_a_request_in_pieces_is_waited_for(cut: bytes) -> None:
    async with serving(OK) as served, await served.client() as client:
        message = b"POST / HTTP/1.1\r\nhost: x\r\n\r\n"
        client.writer.write(cut)
        assert (await served.ask(b"", "/healthz", method="GET")).status == 200  # it has read the first part
        client.writer.write(message[len(cut) :])
        assert (await client.reply()).status == 405


LAWFUL: dict[str, bytes] = {
    "tabs, empty values, odd case": post(b"HosT-x:\tgateway", b"empty:", b"ConTent-LengTh:   %d  " % len(BODY)),
    "chunks": post(CHUNKED, body=CHUNKS),
    "chunks in another case": post(b"Transfer-Encoding: Chunked", body=CHUNKS),
    "a chunk for each byte": post(CHUNKED, body=b"".join(b"1\r\n%c\r\n" % byte for byte in BODY) + b"0\r\n\r\n"),
    "a small chunk extension": post(CHUNKED, body=CHUNKS.replace(b"\r\n", b";a=b\r\n", 1)),
    "trailers": post(CHUNKED, body=CHUNKS.removesuffix(b"\r\n") + b"x-sum: 1\r\n\r\n"),
    "an empty line before the request": b"\r\n" + post(LENGTH),
    "fields of 60 kB together": post(*(b"x-%d: %b" % (at, b"a" * 6000) for at in range(10)), LENGTH),
    "the whole address": post(LENGTH, first=b"POST http://gateway/v1/chat/completions HTTP/1.1"),
    "bytes beyond ASCII in a value": post("x-a: Grüße".encode(), b"x-b: \xff\xfe", LENGTH),
    "Expect with its body at once": post(LENGTH, b"expect: 100-continue"),
}


@pytest.mark.parametrize("message", LAWFUL.values(), ids=LAWFUL)
async def test_what_is_odd_but_lawful_is_served(message: bytes) -> None:
    async with serving(OK) as served, await served.client() as client:
        client.writer.write(message)
        assert (await client.reply()).status == 200  # and no 100 for a body that is here
        assert served.upstream.requests[0].partition(b"\r\n\r\n")[2] == json.dumps(CHAT | {"model": "up"}).encode()


async def test_trailers_and_odd_fields_do_not_go_up() -> None:
    async with serving(OK) as served, await served.client() as client:
        client.writer.write(
            post(CHUNKED, b"x-a: \xff", b"connection: x-b", b"x-b: 1", body=CHUNKS.removesuffix(b"\r\n") + b"x-sum: 1\r\n\r\n")
        )
        assert (await client.reply()).status == 200
        head = served.upstream.requests[0].partition(b"\r\n\r\n")[0].lower()
        assert not any(name in head for name in (b"x-a", b"x-b", b"x-sum", b"transfer-encoding", b"trailer"))


# ── several requests in one piece ──

GARBAGE = [b"garbage\r\n\r\n", b"\x00\x01\x02", b"GET / HTTP/1.1\r\nx : y\r\n\r\n", post(b"content-length: 5", b"content-length: 6")]


@pytest.mark.parametrize("garbage", GARBAGE)
async def test_valid_requests_before_garbage_are_answered_first(garbage: bytes) -> None:
    async with serving(times(2, *OK)) as served, await served.client() as client:
        client.writer.write(post(LENGTH) + b"GET /healthz HTTP/1.1\r\nhost: x\r\n\r\n" + post(CHUNKED, body=CHUNKS) + garbage + b"more")
        assert [(await client.reply()).status for _ in range(4)] == [200, 200, 200, 400]
        assert await client.ended()
        assert len(served.upstream.requests) == 2


async def test_garbage_behind_a_body_that_comes_late() -> None:
    async with serving(OK) as served, await served.client() as client:
        client.writer.write(post(LENGTH, body=BODY[:9]))
        assert (await served.ask(b"", "/healthz", method="GET")).status == 200  # it has read the first part
        client.writer.write(BODY[9:] + b"garbage\r\n\r\n")
        assert [(await client.reply()).status for _ in range(2)] == [200, 400]
        assert await client.ended()


async def test_many_requests_in_one_piece() -> None:
    async with serving(times(3, *OK)) as served, await served.client() as client:
        client.writer.write(b"GET /healthz HTTP/1.1\r\nhost: x\r\n\r\n" * 500 + post(LENGTH))
        assert {(await client.reply()).status for _ in range(501)} == {200}
        client.writer.write(post(LENGTH, body=BODY[:9]))
        assert (await served.ask(b"", "/healthz", method="GET")).status == 200
        client.writer.write(BODY[9:] + post(LENGTH))
        assert {(await client.reply()).status for _ in range(2)} == {200}


async def test_large_bodies_one_after_another() -> None:
    """They are no bytes sent ahead."""
    large = BODY + b" " * 1_500_000
    async with serving(times(4, *OK)) as served, await served.client() as client:
        for _ in range(4):
            client.writer.write(post(b"content-length: %d" % len(large), body=large))
            assert (await client.reply()).status == 200


async def test_who_sends_much_ahead_gets_the_answer_that_is_due_and_no_more() -> None:
    gate = asyncio.Event()
    async with serving([request, after(gate), *OK[1:]]) as served, await served.client() as client:
        client.writer.write(post(LENGTH) + post(b"content-length: 5000000", body=b" " * 5_000_000))
        async with asyncio.timeout(20):
            await client.writer.drain()
        gate.set()
        assert (await client.reply()).status == 200
        assert await client.ended()
        assert len(served.upstream.requests) == 1


async def test_a_request_hidden_in_a_body_is_none() -> None:
    """Whoever reads another length than we do would see a second request."""
    inner = post(LENGTH)
    async with serving(times(2, *OK)) as served, await served.client() as client:
        client.writer.write(post(b"content-length: %d" % len(inner), body=inner) + b"GET /healthz HTTP/1.1\r\nhost: x\r\n\r\n")
        assert [(await client.reply()).status for _ in range(2)] == [400, 200]
        assert served.upstream.peers == []
