"""Other client dialects than OpenAI's, by way of an upstream's chat: requests, answers, streams, failures."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import pytest

from proxy.codecs import SseDecoder
from tests.exchange.test_requests import sent
from tests.exchange.test_streams import after
from tests.exchange.wire import DONE, FINISH, STREAM, USAGE, USAGE_EVENT, delta, event, json_answer, serving, sse
from tests.upstream.scripted import Step, hang, request

MESSAGE: dict[str, Any] = {"model": "m", "max_tokens": 9, "system": "S", "messages": [{"role": "user", "content": "Hi"}]}
STREAMED = MESSAGE | {"stream": True}
PATH = "/v1/messages"
CHOICE = {"index": 0, "message": {"role": "assistant", "content": "Hello"}, "finish_reason": "stop"}
COMPLETION = {"id": "c1", "object": "chat.completion", "created": 1, "model": "up-1", "choices": [CHOICE], "usage": USAGE}
GOOD_STREAM = [request, sse(delta("Hel"), delta("lo"), FINISH, USAGE_EVENT, DONE)]


def events(body: bytes) -> list[dict[str, Any]]:
    """Each named as its data's type."""
    read = SseDecoder().feed(body)
    for name, data in read:
        assert json.loads(data)["type"] == name
    return [json.loads(data) for _, data in read]


def kinds(body: bytes) -> list[str]:
    return [found["type"] for found in events(body)]


async def test_a_whole_answer() -> None:
    async with serving([request, json_answer(COMPLETION)]) as served:
        reply = await served.ask(MESSAGE, PATH)
        message = reply.json()
        assert (reply.status, message["type"], message["model"], message["stop_reason"]) == (200, "message", "m", "end_turn")
        assert message["content"] == [{"type": "text", "text": "Hello"}]
        assert message["usage"]["input_tokens"] == 3
        asked = json.loads(sent(served))
        assert asked["model"] == "up"
        assert asked["max_completion_tokens"] == 9
        assert "stream" not in asked
        assert asked["messages"] == [{"role": "system", "content": "S"}, {"role": "user", "content": "Hi"}]
        assert served.upstream.requests[0].startswith(b"POST /v1/chat/completions ")


async def test_a_stream() -> None:
    async with serving(GOOD_STREAM) as served:
        reply = await served.ask(STREAMED, PATH)
        assert (reply.status, reply.whole) == (200, True)
        assert kinds(reply.body)[:2] == ["message_start", "content_block_start"]
        found = events(reply.body)
        assert [each["delta"]["text"] for each in found if each["type"] == "content_block_delta"] == ["Hel", "lo"]
        assert found[-2]["delta"]["stop_reason"] == "end_turn"
        assert found[-2]["usage"]["output_tokens"] == 2
        assert found[-1] == {"type": "message_stop"}
        asked = json.loads(sent(served))
        assert asked["stream"] is True
        assert asked["stream_options"] == {"include_usage": True}


BROKEN: dict[str, list[Step]] = {
    "cut": [request, sse(delta("Hel"), end=False)],
    "an error": [request, sse(delta("Hel"), event({"error": {"message": "no", "type": "server_error"}}))],
    "garbage": [request, sse(delta("Hel"), b"data: {oops\n\n")],
    "silence": [request, sse(delta("Hel"), end=False), hang],
}


@pytest.mark.parametrize("script", BROKEN.values(), ids=BROKEN)
async def test_a_stream_that_fails_never_ends_well(script: list[Step]) -> None:
    async with serving(script, providers={"p0": {"timeouts": {"idle": 0.1}}}) as served:
        reply = await served.ask(STREAMED, PATH)
        found = events(reply.body)
        assert not reply.whole
        assert found[-1]["type"] == "error"
        assert found[-1]["error"]["message"]
        assert "message_stop" not in kinds(reply.body)


@pytest.mark.parametrize(
    ("body", "status", "kind"),
    [
        (MESSAGE | {"model": "nothing"}, 404, "not_found_error"),
        ({"model": "m", "max_tokens": 1, "stream": 1}, 400, "invalid_request_error"),
    ],
)
async def test_a_refusal_is_in_its_own_words(body: Any, status: int, kind: str) -> None:
    async with serving([request, json_answer(COMPLETION)]) as served:
        reply = await served.ask(body, PATH)
        assert (reply.status, reply.json()["type"], reply.json()["error"]["type"]) == (status, "error", kind)


async def test_a_status_of_its_own() -> None:
    overloaded = {"error": {"message": "busy", "type": "server_error"}}
    async with serving([request, json_answer(overloaded, b"503 No", b"retry-after: 7")], routes=ONCE) as served:
        reply = await served.ask(MESSAGE, PATH)
        assert (reply.status, reply.json()["error"]) == (529, {"type": "overloaded_error", "message": "busy"})
        assert reply.headers["retry-after"] == "7"


ONCE = [{"model": "m", "to": ["p0/up"], "retry": {"attempts": 1}}]


async def test_the_next_target_answers_in_the_same_dialect() -> None:
    async with serving([request, json_answer({}, b"500 No")], others=[GOOD_STREAM]) as served:
        reply = await served.ask(STREAMED, PATH)
        assert (reply.whole, kinds(reply.body)[-1], reply.headers["x-samewire-provider"]) == (True, "message_stop", "p1")


async def test_signs_of_life() -> None:
    """Comments before the first event, the dialect's own event after it."""
    gate = asyncio.Event()
    script: list[Step] = [request, after(gate), sse(delta("Hel"), end=False), hang]
    async with serving(script, server={"heartbeat": 0.02}) as served, await served.client() as client:
        client.send(STREAMED, PATH)
        await client.head()
        assert await client.chunk() == b": keep-alive\n"
        gate.set()
        seen = b""
        while b"event: ping" not in seen:
            seen += await client.chunk()
        names = kinds(seen)
        assert (names[0], names.count("message_start"), names[-1]) == ("message_start", 1, "ping")


async def test_a_dead_upstream_after_a_sign_of_life_is_told_as_an_event() -> None:
    async with serving([request, hang], server={"heartbeat": 0.05}, providers={"p0": {"timeouts": {"first_event": 0.3}}}) as served:
        reply = await served.ask(STREAMED, PATH)
        assert (reply.status, reply.whole, kinds(reply.body)) == (200, False, ["error"])


async def test_a_route_for_chats_serves_it_and_its_rules_are_about_chats() -> None:
    routes = [{"model": "m", "operations": ["chat"], "to": ["p0/up"], "set": {"seed": 7}, "drop": ["max_completion_tokens"]}]
    async with serving([request, json_answer(COMPLETION)], routes=routes) as served:
        assert (await served.ask(MESSAGE, PATH)).status == 200
        asked = json.loads(sent(served))
        assert (asked["seed"], "max_completion_tokens" in asked) == (7, False)


async def test_what_is_lost_is_reported() -> None:
    async with serving([request, json_answer(COMPLETION)]) as served:
        reply = await served.ask(MESSAGE | {"wonder": 1}, PATH)
        assert reply.headers["x-samewire-dropped"] == "wonder"


async def test_chat_is_as_ever() -> None:
    async with serving(GOOD_STREAM) as served:
        reply = await served.ask(STREAM)
        assert (reply.whole, reply.body.count(DONE)) == (True, 1)
