"""Large requests: taken apart and sent in steps, equal to what a small one gets, and bounded in what they cost."""

from __future__ import annotations

import json

import pytest

from proxy.codecs.members import MEMBER_COUNT
from proxy.exchange import body as bodies
from proxy.exchange.request import LARGE
from tests.exchange.wire import COMPLETION, json_answer, serving
from tests.upstream.scripted import request

OK = [request, json_answer(COMPLETION)]
MESSAGES = b'"messages":[{"role":"user","content":"%b"}]'


@pytest.mark.parametrize("filling", [b"a", "ä".encode(), "€".encode(), "😀".encode()])
async def test_a_large_body_goes_up_as_it_came(filling: bytes) -> None:
    body = b'{ "model" : "m", %b}' % (MESSAGES % (b"x" + filling * (4 * LARGE // len(filling))))
    async with serving(OK) as served:
        assert (await served.ask(body)).status == 200
        sent = served.upstream.requests[0].partition(b"\r\n\r\n")[2]
        assert sent == body.replace(b'"m"', b'"up"', 1)


@pytest.mark.parametrize("at", [30, LARGE + 1, 2 * LARGE - 1, 2 * LARGE])
async def test_bytes_that_are_no_utf8_are_found_anywhere(at: int) -> None:
    body = bytearray(b'{"model":"m",%b}' % (MESSAGES % (b"\xc3\xa4" * LARGE + b"a" * LARGE)))
    body[at : at + 1] = b"\xff"
    async with serving(OK) as served:
        reply = await served.ask(bytes(body))
        assert (reply.status, reply.error["code"]) == (400, "invalid_json")
        with pytest.raises(UnicodeDecodeError) as caught:
            bytes(body).decode()
        assert reply.error["message"] == f"The body is not UTF-8: byte {caught.value.start} cannot be read."
        assert served.upstream.peers == []


async def test_no_object_is_refused_however_large() -> None:
    async with serving(OK) as served:
        for body in (b"[%b]" % (b'"a",' * LARGE + b"1"), b'{"model":"m","model":"n",%b}' % (MESSAGES % (b"a" * 2 * LARGE))):
            assert (await served.ask(body)).status == 400


async def test_members_are_counted() -> None:
    async with serving(OK) as served:
        for more, status in ((MEMBER_COUNT - 2, 200), (MEMBER_COUNT - 1, 400)):
            members = {"model": "m", "messages": []} | {f"x{number}": number for number in range(more)}
            reply = await served.ask(json.dumps(members).encode())
            assert reply.status == status
        assert reply.error["message"] == f"The body has more than {MEMBER_COUNT} members."


@pytest.mark.parametrize(("text", "status"), [('"a",' * 2000, 400), ('"' + '\\"' * 4000 + '",', 200)])
async def test_strings_are_counted_while_they_arrive(text: str, status: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bodies, "STRINGS", 1000)
    body = b'{"model":"m","messages":[%b1]}' % (text * 50).encode()
    async with serving(OK) as served:
        reply = await served.ask(body)
        assert reply.status == status
        if status == 400:
            assert reply.error["message"] == "The JSON has more than 1000 strings."
