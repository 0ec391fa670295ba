"""A head that comes again: what it begins is read as if it had been parsed."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Sequence

import pytest
from aiohttp.http import HttpVersion11, RawRequestMessage
from hypothesis import given, settings
from hypothesis import strategies as st
from multidict import CIMultiDict, CIMultiDictProxy
from yarl import URL

from proxy.app.again import SameHead
from proxy.app.arriving import Arriving
from proxy.app.server import Server
from proxy.exchange.client import ClientRequest

HEAD = b"POST /v1/chat/completions HTTP/1.1\r\nHost: x\r\nContent-Length: %b\r\nAuthorization: Bearer k\r\n\r\n"


def message(lines: bytes, *, upgrade: bool = False) -> RawRequestMessage:
    raw = tuple(tuple(line.split(b": ", 1)) for line in lines.split(b"\r\n")[1:-2])
    headers = CIMultiDictProxy(CIMultiDict([(name.decode(), value.decode()) for name, value in raw]))
    return RawRequestMessage("POST", "/v1/chat/completions", HttpVersion11, headers, raw, False, None, upgrade, False, URL("/"))


def known(head: bytes, **facts: bool) -> SameHead | None:
    return SameHead.of(head, message(head, **facts))


@pytest.mark.parametrize(
    ("data", "body"),
    [
        (HEAD % b"2" + b"{}", b"{}"),
        (HEAD % b"12" + b'{"model":""}', b'{"model":""}'),
        (HEAD % b"0", b""),
        (HEAD % b"02" + b"{}", b"{}"),
        (HEAD % b"3" + b"{}", None),  # more is to come
        (HEAD % b"2" + b"{}P", None),  # another request behind it
        (HEAD % b"" + b"{}", None),
        (HEAD % b"+2" + b"{}", None),
        (HEAD % b"2 " + b"{}", None),
        (HEAD % b"2\r\nx: y" + b"{}", None),
        (HEAD % "²".encode() + b"{}", None),
        (HEAD % b"000000002" + b"{}", None),  # longer than any that came in one read
        (HEAD.replace(b"Bearer k", b"Bearer K") % b"2" + b"{}", None),
        ((HEAD % b"2")[:-2], None),
        (b"", None),
    ],
)
def test_bodies(data: bytes, body: bytes | None) -> None:
    same = known(HEAD % b"7")
    assert same is not None
    found = same.body(data)
    assert (None if found is None else found.read_nowait()) == body


def test_the_length_is_no_part_of_it() -> None:
    same = known(HEAD % b"7")
    assert same is not None
    assert dict(same.message.headers) == {"Host": "x", "Authorization": "Bearer k"}


@pytest.mark.parametrize("line", [b"Transfer-Encoding: chunked", b"Expect: 100-continue", b"Upgrade: websocket", b"content-length: 7"])
def test_heads_that_say_more_are_not_remembered(line: bytes) -> None:
    assert known((HEAD % b"7")[:-2] + line + b"\r\n\r\n") is None


def test_heads_without_a_length_or_with_an_upgrade_are_not_remembered() -> None:
    assert known((HEAD % b"7").replace(b"Content-Length: 7\r\n", b"")) is None
    assert known(HEAD % b"7", upgrade=True) is None


# ── on a connection ──

BODIES = [b"", b"{}", b'{"a":1}', b"POST / HTTP/1.1\r\n\r\n", b"x" * 300]
HEADS = [HEAD, HEAD, HEAD, HEAD.replace(b"Bearer k", b"Bearer l"), HEAD.replace(b"Host: x", b"Host: x\r\nTransfer-Encoding: chunked")]
Seen = list[tuple[str, bytes]]


def framed(head: bytes, body: bytes) -> bytes:
    if b"chunked" not in head:
        return head % b"%d" % len(body) + body
    chunk = b"%x\r\n%b\r\n" % (len(body), body) if body else b""
    return head.replace(b"Content-Length: %b\r\n", b"") + chunk + b"0\r\n\r\n"


async def read(pieces: Sequence[bytes], turns: int, requests: int) -> Seen:
    """What a connection makes of these reads, with so many turns of the loop between two."""
    seen: Seen = []
    done = asyncio.Event()

    async def serve(request: ClientRequest) -> bool:
        body = b""
        while piece := await request.content.readany():
            body += piece
        seen.append((request.headers["authorization"], body))
        if len(seen) == requests:
            done.set()
        return True

    ours, theirs = socket.socketpair()
    connection = Server(serve, 8192)()
    transport, _ = await asyncio.get_running_loop().create_connection(lambda: connection, sock=ours)
    try:
        for piece in pieces:
            connection.data_received(piece)
            for _ in range(turns):
                await asyncio.sleep(0)
        async with asyncio.timeout(5):
            await done.wait()
    finally:
        transport.abort()
        theirs.close()
    return seen


@settings(max_examples=60, deadline=None)
@given(
    st.lists(st.tuples(st.sampled_from(HEADS), st.sampled_from(BODIES)), min_size=1, max_size=8),
    st.lists(st.integers(1, 2000), max_size=4),
    st.integers(0, 4),
    st.booleans(),
)
def test_requests_are_read_as_the_parser_reads_them(
    requests: list[tuple[bytes, bytes]], cuts: list[int], turns: int, together: bool
) -> None:
    whole = [framed(*each) for each in requests]
    pieces = [b"".join(whole)] if together else whole
    for cut in cuts:
        pieces = [part for piece in pieces for part in (piece[:cut], piece[cut:]) if part]
    expected = [("Bearer l" if b"Bearer l" in head else "Bearer k", body) for head, body in requests]
    assert asyncio.run(read(pieces, turns, len(requests))) == expected


async def test_what_the_parser_holds_of_another_request_comes_first() -> None:
    seen: list[str] = []
    gate, served = asyncio.Event(), asyncio.Semaphore(0)

    async def serve(request: ClientRequest) -> bool:
        seen.append(request.target)
        served.release()
        if len(seen) == 3:
            await gate.wait()
        return True

    ours, theirs = socket.socketpair()
    connection = Server(serve, 8192)()
    transport, _ = await asyncio.get_running_loop().create_connection(lambda: connection, sock=ours)
    try:
        async with asyncio.timeout(5):
            for _ in range(3):
                connection.data_received(framed(HEAD, b"{}"))
                await served.acquire()
                await asyncio.sleep(0)
            connection.data_received(b"POST /other HTTP/1.1\r\nx: ")
            gate.set()
            for _ in range(5):
                await asyncio.sleep(0)
            assert not connection.busy
            connection.data_received(framed(HEAD, b"{}"))
            await served.acquire()
    finally:
        transport.abort()
        theirs.close()
    assert seen[3] == "/other"


async def test_the_third_request_is_not_parsed_again(monkeypatch: pytest.MonkeyPatch) -> None:
    taken: list[bytes] = []
    again = Arriving._has_come_again

    def watched(connection: Arriving, same: SameHead, data: bytes) -> bool:
        came = again(connection, same, data)
        taken.append(data if came else b"")
        return came

    monkeypatch.setattr(Arriving, "_has_come_again", watched)
    requests = [framed(HEAD, b"{}"), framed(HEAD, b"[]"), framed(HEAD, b"[1]"), framed(HEAD, b'{"a":1}')]
    assert [body for _, body in await read(requests, 5, 4)] == [b"{}", b"[]", b"[1]", b'{"a":1}']
    assert taken == requests[2:]
