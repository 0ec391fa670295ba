"""Streams: what reaches the client when all goes well, and in how many pieces."""

from __future__ import annotations

import asyncio
import gc
import gzip

import pytest

from proxy.exchange import attempt, relay
from tests.exchange.wire import (
    CHAT,
    COMPLETION,
    DEADLINE,
    DONE,
    EVENT_HEAD,
    FINISH,
    STREAM,
    USAGE_EVENT,
    Client,
    Served,
    delta,
    event,
    json_answer,
    serving,
    sse,
)
from tests.upstream.scripted import after, chunked, hang, in_pieces, request

SHOWN = delta("Hel", model="m") + delta("lo", model="m") + delta("", "stop", model="m") + DONE
USUAL = (delta("Hel"), delta("lo"), FINISH, USAGE_EVENT, DONE)


async def test_a_stream_passes_with_the_public_name_and_without_the_usage_nobody_asked_for() -> None:
    async with serving([request, sse(*USUAL)]) as served:
        reply = await served.ask(STREAM)
        assert (reply.status, reply.body, reply.whole) == (200, SHOWN, True)
        assert reply.headers["content-type"] == "text/event-stream; charset=utf-8"
        assert reply.headers["x-accel-buffering"] == "no"
        assert reply.headers["cache-control"] == "no-cache"
        assert reply.headers["x-samewire-provider"] == "p0"
        asked = served.upstream.requests[0]
        assert b'"stream_options":{"include_usage":true}' in asked
        assert b'"model": "up"' in asked
        labels = 'gen_ai_request_model="m",gen_ai_response_model="up",gen_ai_token_type="input",samewire_estimated="false"'
        assert f"{labels}}} 3" in await served.metrics()


async def test_the_usage_chunk_is_passed_to_who_asked_for_it() -> None:
    async with serving([request, sse(*USUAL)]) as served:
        reply = await served.ask(STREAM | {"stream_options": {"include_usage": True}})
        assert reply.body == SHOWN[: -len(DONE)] + USAGE_EVENT.replace(b"up-1", b"m") + DONE


async def test_the_upstreams_name_is_shown_where_the_route_says_so() -> None:
    routes = [{"model": "m", "to": "p0/up", "answer_model": "upstream"}]
    async with serving([request, sse(*USUAL)], routes=routes) as served:
        assert (await served.ask(STREAM)).body == SHOWN.replace(b'"m"', b'"up-1"')


async def test_all_events_of_one_read_are_one_write() -> None:
    async with serving([request, sse(*USUAL)]) as served:
        assert len((await served.ask(STREAM)).chunks) == 1


@pytest.mark.parametrize("size", [1, 2, 7, 64])
async def test_any_pieces_give_the_same_bytes(size: int) -> None:
    async with serving([request, in_pieces(sse(*USUAL), size)]) as served:
        assert (await served.ask(STREAM)).body == SHOWN


ODDITIES = {
    "done twice": sse(*USUAL, DONE),
    "data after done": sse(*USUAL, delta("more"), b"data: {\n\n"),
    "no done, but finished": sse(*USUAL[:-1]),
    "no blank line at the end": sse(*USUAL[:-1], b"data: [DONE]"),
    "comments": sse(b": hello\n\n", USUAL[0], b":\n", *USUAL[1:], b": bye\n\n"),
    "CR LF": EVENT_HEAD + chunked(b"".join(USUAL).replace(b"\n", b"\r\n")),
    "CR": EVENT_HEAD + chunked(b"".join(USUAL).replace(b"\n", b"\r")),
    "byte order mark": EVENT_HEAD + chunked(b"\xef\xbb\xbf" + b"".join(USUAL)),
    "no space": EVENT_HEAD + chunked(b"".join(USUAL).replace(b"data: ", b"data:")),
    "other fields": sse(*(b"id: 1\nretry: 5\n" + each for each in USUAL)),
    "closed instead of chunked": b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\n\r\n" + b"".join(USUAL),
    "HTTP/1.0": b"HTTP/1.0 200 OK\r\ncontent-type: text/event-stream\r\n\r\n" + b"".join(USUAL),
    "no content type": b"HTTP/1.1 200 OK\r\n\r\n" + b"".join(USUAL),
    "wrong content type": b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\n\r\n" + b"".join(USUAL),
    "gzip": b"HTTP/1.1 200 OK\r\ncontent-encoding: gzip\r\n\r\n" + gzip.compress(b"".join(USUAL)),
}


@pytest.mark.parametrize("answer", ODDITIES.values(), ids=ODDITIES)
async def test_legal_oddities_are_no_matter(answer: bytes) -> None:
    async with serving([request, answer]) as served:
        reply = await served.ask(STREAM)
        assert (reply.status, reply.body, reply.whole) == (200, SHOWN, True)


async def test_text_in_many_scripts_and_events_of_many_lines() -> None:
    said = "각 😀 \u2028 \u0085 é"
    lines = event(b'{"choices":[{"index":0,\ndata: "delta":{"content":"x"}}]}')
    async with serving([request, in_pieces(sse(delta(said), lines, FINISH, DONE), 1)]) as served:
        assert (await served.ask(STREAM)).body == delta(said, model="m") + lines + delta("", "stop", model="m") + DONE


async def test_the_head_waits_for_the_first_event() -> None:
    gate = asyncio.Event()
    script = [request, EVENT_HEAD, chunked(b": busy\n\n", end=False), after(gate), chunked(*USUAL)]
    async with serving(script) as served, await served.client() as client:
        client.send(STREAM)
        await (await served.upstream.peer()).asked.wait()
        assert (await served.ask(b"", "/healthz", method="GET")).status == 200  # the gateway has had its turns
        assert client.reader._buffer == b""  # type: ignore[attr-defined]
        gate.set()
        assert (await client.reply()).body == SHOWN


async def test_each_event_comes_when_it_comes() -> None:
    gate = asyncio.Event()
    async with serving([request, sse(USUAL[0], end=False), after(gate), chunked(*USUAL[1:])]) as served, await served.client() as client:
        client.send(STREAM)
        await client.head()
        assert await client.chunk() == delta("Hel", model="m")
        gate.set()
        assert b"".join([await client.chunk(), await client.chunk()]) == SHOWN[len(delta("Hel", model="m")) :]


async def test_nothing_is_read_after_the_end_marker(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(attempt, "PARTING", 0.05)
    async with serving([request, sse(*USUAL, end=False), hang]) as served:
        reply = await served.ask(STREAM)
        assert (reply.body, reply.whole) == (SHOWN, True)
        async with asyncio.timeout(DEADLINE):
            await served.upstream.peers[0].closed.wait()


async def test_after_the_finish_a_missing_end_marker_is_waited_for_a_short_while(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(relay, "FINISH_GRACE", 0.05)
    async with serving([request, sse(*USUAL[:-1], end=False), hang]) as served:
        reply = await served.ask(STREAM)
        assert (reply.body, reply.whole) == (SHOWN, True)
        await served.upstream.peers[0].closed.wait()


async def test_a_good_stream_leaves_its_connection_to_the_next() -> None:
    async with serving([request, sse(*USUAL), request, sse(*USUAL)]) as served:
        for _ in range(2):
            assert (await served.ask(STREAM)).body == SHOWN
        assert len(served.upstream.peers) == 1


async def test_one_connection_serves_streams_and_whole_answers_in_turn() -> None:
    async with serving([request, sse(*USUAL)] * 3) as served, await served.client() as client:
        for _ in range(3):
            client.send(STREAM)
            assert (await client.reply()).body == SHOWN


async def test_pipelined_requests_are_answered_in_order() -> None:
    async with (
        serving([request, sse(delta("a"), FINISH, DONE), request, sse(delta("b"), FINISH, DONE)]) as served,
        await served.client() as client,
    ):
        client.send(STREAM)
        client.send(STREAM)
        assert b'"a"' in (await client.reply()).body
        assert b'"b"' in (await client.reply()).body


async def test_http_1_0_gets_its_stream_unframed_and_closed() -> None:
    async with serving([request, sse(*USUAL)]) as served, await served.client() as client:
        body = b'{"model":"m","stream":true}'
        client.writer.write(b"POST /v1/chat/completions HTTP/1.0\r\ncontent-length: %d\r\n\r\n%b" % (len(body), body))
        reply = await client.reply()
        assert "transfer-encoding" not in reply.headers
        assert (reply.body, reply.headers["connection"], reply.closed) == (SHOWN, "close", True)


async def test_two_choices_are_both_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(relay, "FINISH_GRACE", 0.01)
    gate = asyncio.Event()
    second = FINISH.replace(b'"index":0', b'"index":1')
    async with (
        serving([request, sse(delta("a"), FINISH, end=False), after(gate), chunked(second, DONE)]) as served,
        await served.client() as client,
    ):
        client.send(STREAM | {"n": 2})
        await client.head()
        await client.chunk()
        asyncio.get_running_loop().call_later(0.1, gate.set)
        assert await client.chunk() == second.replace(b"up-1", b"m") + DONE


async def test_usage_is_estimated_where_the_upstream_told_none() -> None:
    async with serving([request, sse(delta("Hel"), delta("lo"), FINISH, DONE)]) as served:
        await served.ask(STREAM)
        text = await served.metrics()
        assert 'gen_ai_token_type="output",samewire_estimated="true"' in text


async def test_other_operations_stream_by_their_own_end() -> None:
    events = [
        b'event: response.created\ndata: {"type":"response.created","response":{"model":"up-1"}}\n\n',
        b'event: response.completed\ndata: {"type":"response.completed","response":{"model":"up-1","usage":{"input_tokens":3}}}\n\n',
    ]
    async with serving([request, sse(*events)]) as served:
        reply = await served.ask({"model": "m", "input": "Hi", "stream": True}, "/v1/responses")
        assert (reply.body, reply.whole) == (b"".join(events).replace(b"up-1", b"m"), True)
        assert served.upstream.requests[0].startswith(b"POST /v1/responses HTTP/1.1\r\n")
        assert "gen_ai_client_token_usage_sum" in await served.metrics()


async def test_heartbeats_take_the_head_with_them() -> None:
    gate = asyncio.Event()
    async with serving([request, after(gate), sse(*USUAL)], server={"heartbeat": 0.02}) as served, await served.client() as client:
        client.send(STREAM)
        assert (await client.head())[0] == 200
        for _ in range(2):
            assert await client.chunk() == b": keep-alive\n"
        gate.set()
        pieces = []
        while piece := await client.chunk():
            pieces.append(piece)
        assert b"".join(pieces).replace(b": keep-alive\n", b"") == SHOWN


@pytest.mark.parametrize(("asked", "answer"), [(CHAT, json_answer(COMPLETION)), (STREAM, sse(*USUAL))], ids=["whole", "stream"])
async def test_a_request_leaves_nothing_to_the_garbage_collector(asked: object, answer: bytes) -> None:
    """Cycles would keep each request's objects until the collector comes, and its memory out of the processor's cache."""
    async with serving([request, answer] * 4) as served, await served.client() as client:
        await leaves_no_garbage(served, client, asked)


async def leaves_no_garbage(served: Served, client: Client, asked: object, path: str = "/v1/chat/completions") -> None:
    """Asks three times; of what the first one needs some stays for good."""
    client.send(asked, path)
    await client.reply()
    gc.collect()
    gc.disable()
    try:
        for _ in range(2):
            client.send(asked, path)
            await client.reply()
        await served.ask(b"", "/healthz", method="GET")  # the gateway has let go of the last request
        gc.set_debug(gc.DEBUG_SAVEALL)
        gc.collect()
        assert [found for found in gc.garbage if type(found).__module__.startswith("proxy")] == []
    finally:
        gc.set_debug(0)
        gc.garbage.clear()
        gc.enable()
