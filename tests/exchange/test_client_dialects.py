"""Other client dialects than OpenAI's, by way of an upstream's chat: requests, answers, streams, failures."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import pytest

from proxy.codecs import SseDecoder
from tests.exchange.test_requests import sent
from tests.exchange.test_streams import after, leaves_no_garbage
from tests.exchange.wire import DONE, FINISH, STREAM, USAGE, USAGE_EVENT, Reply, delta, event, json_answer, serving, sse
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
    async with serving(script, providers={"p0": {"timeouts": {"idle": 0.5}}}) as served:
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


#: How each dialect asks for a stream, and how it may end.
ASKING: dict[str, tuple[str, dict[str, Any]]] = {
    "messages": (PATH, STREAMED),
    "responses": ("/v1/responses", {"model": "m", "input": "Hi", "stream": True}),
    "generate-content": ("/v1beta/models/m:streamGenerateContent?alt=sse", {"contents": [{"role": "user", "parts": [{"text": "Hi"}]}]}),
    "generate-content, an array": ("/v1beta/models/m:streamGenerateContent", {"contents": [{"role": "user", "parts": [{"text": "Hi"}]}]}),
    "ollama": ("/api/chat", {"model": "m", "messages": [{"role": "user", "content": "Hi"}]}),
}
GOOD_ENDS = (b"message_stop", b"response.completed", b'"finishReason"', b'"done":true')
DEAD: dict[str, list[Step]] = {
    "silent": [request, hang],
    "refusing": [request, json_answer({"error": {"message": "no"}}, b"400 No")],
    "failing": [request, sse(event({"error": {"message": "no"}}))],
}


@pytest.mark.parametrize("script", DEAD.values(), ids=DEAD)
@pytest.mark.parametrize(("path", "body"), ASKING.values(), ids=ASKING)
async def test_a_dead_upstream_after_a_sign_of_life_is_told_as_an_event(script: list[Step], path: str, body: Any) -> None:
    gate = asyncio.Event()
    changes = {"server": {"heartbeat": 0.02}, "providers": {"p0": {"operations": ["chat"], "timeouts": {"first_event": 0.2}}}}
    async with serving([request, after(gate), *script[1:]], **changes) as served, await served.client() as client:
        client.send(body, path)
        status, headers = await client.head()
        silence = await client.chunk()
        gate.set()
        reply = await client.chunked(Reply(status, headers, silence))
        assert (reply.status, reply.whole) == (200, False)
        assert b"error" in reply.body
        assert not any(end in reply.body.replace(b" ", b"") for end in GOOD_ENDS)


async def test_a_route_for_chats_serves_it_and_its_rules_are_about_chats() -> None:
    routes = [{"model": "m", "operations": ["chat"], "to": ["p0/up"], "set": {"seed": 7}, "drop": ["max_completion_tokens"]}]
    async with serving([request, json_answer(COMPLETION)], routes=routes) as served:
        assert (await served.ask(MESSAGE, PATH)).status == 200
        asked = json.loads(sent(served))
        assert (asked["seed"], "max_completion_tokens" in asked) == (7, False)


@pytest.mark.parametrize(("asked", "answer"), [(MESSAGE, json_answer(COMPLETION)), (STREAMED, GOOD_STREAM[1])], ids=["whole", "stream"])
async def test_a_translated_request_leaves_nothing_to_the_garbage_collector(asked: Any, answer: bytes) -> None:
    async with serving([request, answer] * 4) as served, await served.client() as client:
        await leaves_no_garbage(served, client, asked, PATH)


async def test_what_is_lost_is_reported() -> None:
    async with serving([request, json_answer(COMPLETION)]) as served:
        reply = await served.ask(MESSAGE | {"wonder": 1}, PATH)
        assert reply.headers["x-samewire-dropped"] == "wonder"


async def test_chat_is_as_ever() -> None:
    async with serving(GOOD_STREAM) as served:
        reply = await served.ask(STREAM)
        assert (reply.whole, reply.body.count(DONE)) == (True, 1)


RESPONSE = {"id": "resp_1", "object": "response", "status": "completed", "model": "up-1", "output": [], "usage": {"input_tokens": 1}}
ASKED = {"model": "m", "input": "Hi"}
CHAT_ONLY = {"operations": ["chat"]}
NATIVE, TRANSLATED = b"POST /v1/responses ", b"POST /v1/chat/completions "


def response_events(status: str = "completed") -> bytes:
    """A stream of Responses as an upstream sends it, with an event that nobody knows."""
    types = ["response.created", "response.wonder", f"response.{status}"]
    events = [{"type": kind, "sequence_number": number, "response": RESPONSE} for number, kind in enumerate(types)]
    return sse(*(b"event: %b\ndata: %b\n\n" % (each["type"].encode(), json.dumps(each).encode()) for each in events))


async def test_a_host_without_an_operation_is_asked_for_a_chat() -> None:
    async with serving([request, json_answer(COMPLETION)], providers={"p0": CHAT_ONLY}) as served:
        reply = await served.ask(ASKED, "/v1/responses")
        assert served.upstream.requests[0].startswith(TRANSLATED)
        assert (reply.status, reply.json()["object"], reply.json()["model"]) == (200, "response", "m")


@pytest.mark.parametrize("own", ["p0", "p1"])
async def test_the_next_target_may_serve_it_the_other_way(own: str) -> None:
    """From what passes through to what is translated, and back; each is asked in its own words."""
    answers = {"p0": [request, json_answer({}, b"500 No")], "p1": [request, json_answer(RESPONSE if own == "p1" else COMPLETION)]}
    chats = "p1" if own == "p0" else "p0"
    async with serving(answers["p0"], others=[answers["p1"]], providers={chats: CHAT_ONLY}, routes=FAILING_OVER) as served:
        reply = await served.ask(ASKED, "/v1/responses")
        heads = [upstream.requests[0].partition(b"HTTP")[0] for upstream in served.upstreams]
        assert heads == ([NATIVE, TRANSLATED] if own == "p0" else [TRANSLATED, NATIVE])
        assert (reply.status, reply.json()["object"], reply.json()["model"]) == (200, "response", "m")


FAILING_OVER = [{"model": "m", "to": ["p0/up", "p1/up"], "failover": {"maybe_processed": "always"}}]


async def test_streams_fail_over_between_the_two_ways() -> None:
    cut = [request, sse(end=False)]
    async with serving(cut, others=[GOOD_STREAM], providers={"p1": CHAT_ONLY}) as served:
        reply = await served.ask(ASKED | {"stream": True}, "/v1/responses")
        assert (reply.whole, kinds(reply.body)[-1]) == (True, "response.completed")
    async with serving(cut, others=[[request, response_events()]], providers={"p0": CHAT_ONLY}) as served:
        reply = await served.ask(ASKED | {"stream": True}, "/v1/responses")
        assert (reply.whole, kinds(reply.body)) == (True, ["response.created", "response.wonder", "response.completed"])


async def test_responses_that_pass_by_and_break_off_end_with_an_event_of_their_own() -> None:
    begun = event({"type": "response.created", "sequence_number": 0, "response": {"id": "resp_1"}})
    async with serving([request, sse(begun, end=False)]) as served:
        reply = await served.ask(ASKED | {"stream": True}, "/v1/responses")
        name, data = SseDecoder().feed(reply.body)[-1]
        last = json.loads(data)
        assert (reply.whole, name, last["type"], last["code"]) == (False, "error", "error", "upstream_truncated")
        assert last["message"] == last["error"]["message"] != ""


GOOGLE = {"p0": {"dialect": "gemini"}}
CONTENTS = {"contents": [{"role": "user", "parts": [{"text": "Hi"}]}]}
GENERATE = "/v1beta/models/m:streamGenerateContent"


def content(text: str, finish: str | None = None) -> dict[str, Any]:
    """One of Google's own events."""
    candidate: dict[str, Any] = {"content": {"role": "model", "parts": [{"text": text}]}, "index": 0}
    return {"candidates": [candidate | ({"finishReason": finish} if finish else {})], "modelVersion": "up-1"}


SAID = [content("Hel"), content("lo", "STOP")]


@pytest.mark.parametrize("query", ["", "?alt=json", "?alt=sse", "?alt=sse&key=mine"])
@pytest.mark.parametrize(
    ("providers", "script"),
    [(GOOGLE, [request, sse(*map(event, SAID))]), ({"p0": CHAT_ONLY}, GOOD_STREAM)],
    ids=["natively", "translated"],
)
async def test_the_client_says_how_it_wants_its_events(providers: Any, script: list[Step], query: str) -> None:
    async with serving(script, providers=providers) as served:
        reply = await served.ask(CONTENTS, GENERATE + query)
        if "sse" in query:
            found = [json.loads(data) for _, data in SseDecoder().feed(reply.body)]
        else:
            found = json.loads(reply.body)
            assert reply.headers["content-type"].startswith("application/json")
        parts = [part for each in found for part in each["candidates"][0].get("content", {}).get("parts", ())]
        assert "".join(part.get("text", "") for part in parts) == "Hello"
        assert (reply.whole, found[-1]["candidates"][0]["finishReason"]) == (True, "STOP")
        line = served.upstream.requests[0].partition(b" HTTP")[0]
        if providers is GOOGLE:
            assert line == b"POST /v1/v1beta/models/up:streamGenerateContent?alt=sse"
        assert b"key=" not in line


@pytest.mark.parametrize("query", ["", "?alt=sse"])
@pytest.mark.parametrize("providers", [GOOGLE, {"p0": CHAT_ONLY}], ids=["natively", "translated"])
async def test_events_that_break_off(providers: Any, query: str) -> None:
    said = event(SAID[0]) if providers is GOOGLE else delta("Hel")
    async with serving([request, sse(said, end=False)], providers=providers) as served:
        reply = await served.ask(CONTENTS, GENERATE + query)
        assert not reply.whole
        assert b"STOP" not in reply.body
        last = json.loads(reply.body + b"]")[-1] if not query else json.loads(SseDecoder().feed(reply.body)[-1][1])
        assert last["error"]["message"]


async def test_what_an_upstream_that_speaks_it_is_asked_for() -> None:
    async with serving([request, json_answer(content("Hello", "STOP"))], providers=GOOGLE) as served:
        reply = await served.ask(CONTENTS, "/v1beta/models/m:generateContent?key=mine")
        assert reply.json() == content("Hello", "STOP")
        assert served.upstream.requests[0].startswith(b"POST /v1/v1beta/models/up:generateContent HTTP")
        assert json.loads(sent(served)) == CONTENTS
