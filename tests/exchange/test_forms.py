"""Forms, files and bytes: what is streamed through without being held."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import pytest

from proxy.exchange.body import BodyLimits
from tests.exchange.test_requests import sent, sent_headers
from tests.exchange.wire import json_answer, serving, sse
from tests.upstream.scripted import Peer, after, hang, request, request_head


def form(*fields: tuple[str, bytes]) -> bytes:
    parts = [b'--X\r\ncontent-disposition: form-data; name="%b"\r\n\r\n%b\r\n' % (name.encode(), value) for name, value in fields]
    return b"".join(parts) + b"--X--\r\n"


FORM = {"content-type": "multipart/form-data; boundary=X"}
AUDIO = bytes(range(256)) * 200


def unchunked(body: bytes) -> bytes:
    """The bytes of a chunked body."""
    found = b""
    while body:
        size, _, body = body.partition(b"\r\n")
        found, body = found + body[: int(size, 16)], body[int(size, 16) + 2 :]
    return found


@pytest.mark.parametrize(
    "fields", [(("model", b"m"), ("file", AUDIO)), (("file", AUDIO), ("model", b"m"))], ids=["model first", "file first"]
)
async def test_a_form_is_routed_by_its_model_and_streamed_through(fields: tuple[tuple[str, bytes], ...]) -> None:
    answer = b"HTTP/1.1 200 OK\r\ncontent-type: text/plain\r\ncontent-length: 5\r\n\r\nhello"
    async with serving([request, answer]) as served:
        reply = await served.ask(form(*fields), "/v1/audio/transcriptions", FORM)
        assert (reply.status, reply.body, reply.headers["content-type"]) == (200, b"hello", "text/plain")
        renamed = tuple((name, b"up" if name == "model" else value) for name, value in fields)
        assert unchunked(sent(served)) == form(*renamed)
        assert sent_headers(served)["content-type"] == FORM["content-type"]
        assert served.upstream.requests[0].startswith(b"POST /v1/audio/transcriptions HTTP/1.1\r\n")


async def test_a_form_goes_up_while_it_is_still_coming() -> None:
    first, rest = form(("model", b"m"), ("file", AUDIO))[:100], form(("model", b"m"), ("file", AUDIO))[100:]
    gate = asyncio.Event()

    async def beginning(peer: Peer) -> None:
        await peer.reader.readuntil(b"up\r\n")
        gate.set()
        await peer.reader.readuntil(b"0\r\n\r\n")

    async with serving([request_head, beginning, json_answer({"text": "hello"})]) as served, await served.client() as client:
        client.send(first, "/v1/audio/transcriptions", {**FORM, "content-length": str(len(first) + len(rest))})
        await gate.wait()
        client.writer.write(rest)
        assert (await client.reply()).json() == {"text": "hello"}


@pytest.mark.parametrize(
    ("body", "headers", "status", "code"),
    [
        (form(("file", b"x")), FORM, 400, "missing_parameter"),
        (form(("model", b"nobody")), FORM, 404, "model_not_found"),
        (form(("model", b"m"), ("model", b"m")), FORM, 400, "invalid_form"),
        (form(("model", b"m")), {"content-type": "multipart/form-data"}, 400, "invalid_form"),
        (b"{}", {}, 415, "unsupported_media_type"),
        (form(("file", b"x" * 2**20), ("model", b"m")), FORM, 413, "request_too_large"),
        (form(("model", b"m")), {**FORM, "content-encoding": "gzip"}, 415, "unsupported_media_type"),
    ],
    ids=["no model", "unknown model", "two models", "no boundary", "JSON", "model too far behind", "compressed"],
)
async def test_forms_that_are_refused(body: bytes, headers: dict[str, str], status: int, code: str) -> None:
    async with serving([request, json_answer({"text": "x"})], server={"limits": {"body": 1000}}) as served:
        reply = await served.ask(body, "/v1/audio/transcriptions", headers)
        assert (reply.status, reply.error["code"]) == (status, code)


async def test_an_early_refusal_ends_an_upload() -> None:
    """An upstream that refuses while the form is still coming is heard at once."""
    refusal = json_answer({"error": {"message": "too loud"}}, b"413 Too Large")
    async with serving([request_head, refusal, hang]) as served, await served.client() as client:
        client.send(form(("model", b"m"), ("file", b"xxxx"))[:-10], "/v1/audio/transcriptions", {**FORM, "content-length": str(2**30)})
        await (await served.upstream.peer()).asked.wait()
        client.writer.write(b"x" * 2**20)
        reply = await client.reply()
        assert (reply.status, reply.error["message"]) == (413, "too loud")


async def test_a_client_that_leaves_in_the_middle_of_its_form() -> None:
    async with serving([request_head, hang]) as served, await served.client() as client:
        client.send(form(("model", b"m"), ("file", AUDIO))[:20000], "/v1/audio/transcriptions", {**FORM, "content-length": "99999999"})
        peer = await served.upstream.peer()
        await peer.asked.wait()
        client.leave()
        async with asyncio.timeout(20):
            await peer.closed.wait()
        await served.counted('samewire_client_disconnects_total{gen_ai_operation_name="transcription"} 1')


async def test_a_form_that_stalls_has_a_deadline(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(BodyLimits.__init__, "__defaults__", (2**20, 0.05, 1.0))
    async with serving([request_head, hang]) as served, await served.client() as client:
        client.send(form(("model", b"m"), ("file", AUDIO))[:20000], "/v1/audio/transcriptions", {**FORM, "content-length": "99999999"})
        reply = await client.reply()
        assert (reply.status, reply.error["code"]) == (408, "request_timeout")
        await served.upstream.peers[0].closed.wait()


async def test_the_first_event_is_waited_for_from_the_end_of_the_form_on() -> None:
    """A long upload takes its time."""
    body = form(("model", b"m"), ("file", AUDIO))
    timeouts = {"providers": {"p0": {"timeouts": {"first_event": 1.5}}}}
    async with serving([request, json_answer({"text": "x"})], **timeouts) as served, await served.client() as client:
        client.send(body[:20000], "/v1/audio/transcriptions", {**FORM, "content-length": str(len(body))})
        await served.upstream.peer()
        await asyncio.sleep(1.7)
        client.writer.write(body[20000:])
        assert (await client.reply()).status == 200


async def test_a_transcription_can_stream() -> None:
    events = [b'data: {"type":"transcript.text.delta","delta":"Hi"}\n\n', b'data: {"type":"transcript.text.done","text":"Hi"}\n\n']
    async with serving([request, sse(*events)], [request, sse(events[0])]) as served:
        reply = await served.ask(form(("model", b"m"), ("stream", b"true")), "/v1/audio/transcriptions", FORM)
        assert (reply.body, reply.whole) == (b"".join(events), True)
        reply = await served.ask(form(("model", b"m"), ("stream", b"true")), "/v1/audio/transcriptions", FORM)
        assert (reply.whole, reply.error["code"]) == (False, "upstream_truncated")


# ── files and bytes ──


async def test_files() -> None:
    listed = {"object": "list", "data": []}
    script = [request, json_answer({"id": "file-1"}), request, json_answer(listed), request, json_answer({"id": "file-1"})]
    script += [
        request,
        b"HTTP/1.1 200 OK\r\ncontent-type: application/jsonl\r\ncontent-length: 3\r\n\r\n{}\n",
        request,
        json_answer({"deleted": True}),
    ]
    # A form goes up on a connection of its own.
    async with serving(script[:2], script[2:]) as served:
        assert (await served.ask(form(("purpose", b"batch"), ("file", AUDIO)), "/v1/files", FORM)).json() == {"id": "file-1"}
        assert (await served.ask(b"", "/v1/files?purpose=batch&limit=2", {"content-type": ""}, "GET")).json() == listed
        assert (await served.ask(b"", "/v1/files/file-1", {"content-type": ""}, "GET")).json() == {"id": "file-1"}
        content = await served.ask(b"", "/v1/files/file-1/content", {"content-type": ""}, "GET")
        assert (content.body, content.headers["content-type"], content.headers["content-length"]) == (b"{}\n", "application/jsonl", "3")
        assert (await served.ask(b"", "/v1/files/file-1", {"content-type": ""}, "DELETE")).json() == {"deleted": True}
        lines = [message.partition(b" HTTP/1.1")[0] for message in served.upstream.requests]
        assert lines == [
            b"POST /v1/files",
            b"GET /v1/files?purpose=batch&limit=2",
            b"GET /v1/files/file-1",
            b"GET /v1/files/file-1/content",
            b"DELETE /v1/files/file-1",
        ]
        assert not any(b"content-type" in message.partition(b"\r\n\r\n")[0] for message in served.upstream.requests[1:])


@pytest.mark.parametrize("framing", ["length", "chunked", "close"])
async def test_speech_streams_through(framing: str) -> None:
    gate = asyncio.Event()
    head = b"HTTP/1.1 200 OK\r\ncontent-type: audio/mpeg\r\n"
    steps: dict[str, list[Any]] = {
        "length": [head + b"content-length: 8\r\n\r\n\xff\xfbab", after(gate), b"cdef"],
        "chunked": [head + b"transfer-encoding: chunked\r\n\r\n4\r\n\xff\xfbab\r\n", after(gate), b"4\r\ncdef\r\n0\r\n\r\n"],
        "close": [head + b"\r\n\xff\xfbab", after(gate), b"cdef"],
    }
    async with serving([request, *steps[framing]]) as served, await served.client() as client:
        client.send({"model": "m", "input": "Hi", "voice": "alloy"}, "/v1/audio/speech")
        status, headers = await client.head()
        assert (status, headers["content-type"]) == (200, "audio/mpeg")
        if framing == "length":
            assert await client.reader.readexactly(4) == b"\xff\xfbab"
            gate.set()
            assert await client.reader.readexactly(4) == b"cdef"
        else:
            assert await client.chunk() == b"\xff\xfbab"
            gate.set()
            assert (await client.chunk(), await client.chunk()) == (b"cdef", b"")


async def test_speech_that_breaks_off_is_cut() -> None:
    async with serving(
        [request, b"HTTP/1.1 200 OK\r\ncontent-type: audio/mpeg\r\ntransfer-encoding: chunked\r\n\r\n4\r\nabcd\r\n"]
    ) as served:
        reply = await served.ask({"model": "m", "input": "Hi"}, "/v1/audio/speech")
        assert (reply.status, reply.body, reply.whole) == (200, b"abcd", False)


async def test_other_operations() -> None:
    usage = {"prompt_tokens": 7, "total_tokens": 7}
    script = [
        request,
        json_answer({"object": "list", "model": "up", "data": [], "usage": usage}),
        request,
        json_answer({"id": "modr", "results": []}),
    ]
    async with serving(script) as served:
        assert (await served.ask({"model": "m", "input": [[1, 2]]}, "/v1/embeddings")).json()["model"] == "m"
        assert (await served.ask({"input": "Hi"}, "/v1/moderations")).json()["results"] == []
        assert sent(served, 1) == b'{"input": "Hi", "model": "up"}' or json.loads(sent(served, 1)) == {"input": "Hi", "model": "up"}
        assert 'gen_ai_operation_name="embeddings"' in await served.metrics()


async def test_an_operation_that_no_target_has() -> None:
    async with serving([hang], providers={"p0": {"dialect": "deepseek"}}) as served:
        reply = await served.ask({"model": "m", "input": "Hi"}, "/v1/embeddings")
        assert (reply.status, reply.error["code"], reply.error["param"]) == (400, "unsupported_operation", "model")
        reply = await served.ask(b"", "/v1/files", {"content-type": ""}, "GET")
        assert (reply.status, reply.error["code"]) == (404, "unsupported_operation")
