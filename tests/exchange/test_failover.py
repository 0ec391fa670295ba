"""The next target: when it is asked, and when it must not be."""

from __future__ import annotations

from typing import Any

import pytest

from tests.exchange.test_forms import FORM, form
from tests.exchange.wire import CHAT, COMPLETION, DONE, FINISH, STREAM, USAGE_EVENT, delta, event, json_answer, serving, sse
from tests.upstream.scripted import Step, hang, request

GOOD_STREAM = [request, sse(delta("Hello"), FINISH, USAGE_EVENT, DONE)]
GOOD_ANSWER = [request, json_answer(COMPLETION)]
ERROR = {"error": {"message": "no", "type": "server_error"}}

MOVES_ON: dict[str, list[Step]] = {
    "closed": [request],
    "500": [request, json_answer(ERROR, b"500 No")],
    "503": [request, json_answer(ERROR, b"503 No")],
    "429": [request, json_answer(ERROR, b"429 Slow down")],
    "401": [request, json_answer(ERROR, b"401 Who")],
    "not HTTP": [request, b"hello\r\n\r\n"],
    "a redirect": [request, b"HTTP/1.1 302 Go\r\nlocation: /\r\ncontent-length: 0\r\n\r\n"],
    "silence": [request, hang],
    "a page": [request, b"HTTP/1.1 200 OK\r\ncontent-type: text/html\r\n\r\n<html>"],
}
STREAM_MOVES_ON: dict[str, list[Step]] = {
    "an error as first event": [request, sse(event(ERROR))],
    "an empty stream": [request, sse()],
    "a stream cut before its first event": [request, sse(end=False)],
    "garbage": [request, sse(b"data: {oops\n\n")],
}
FAST = {"p0": {"timeouts": {"first_event": 0.5}}}


@pytest.mark.parametrize("script", MOVES_ON.values(), ids=MOVES_ON)
@pytest.mark.parametrize(("asked", "good"), [(CHAT, GOOD_ANSWER), (STREAM, GOOD_STREAM)], ids=["whole", "stream"])
async def test_the_next_target_answers(script: list[Step], asked: Any, good: list[Step]) -> None:
    routes = [{"model": "m", "to": ["p0/up", "p1/up"], "failover": {"maybe_processed": "always"}}]
    async with serving(script, others=[good], providers=FAST, routes=routes) as served:
        reply = await served.ask(asked)
        assert (reply.status, reply.whole, reply.headers["x-samewire-provider"]) == (200, True, "p1")
        assert "samewire_upstream_errors_total{" in await served.metrics()


@pytest.mark.parametrize("script", STREAM_MOVES_ON.values(), ids=STREAM_MOVES_ON)
async def test_the_next_target_streams(script: list[Step]) -> None:
    async with serving(script, others=[GOOD_STREAM], providers=FAST) as served:
        reply = await served.ask(STREAM)
        assert (reply.whole, reply.body.count(DONE), b"no" in reply.body) == (True, 1, False)


async def test_an_upstream_that_cannot_be_reached() -> None:
    async with serving(others=[GOOD_ANSWER]) as served:
        assert (await served.ask()).status == 200
    routes = [{"model": "m", "to": ["gone/up", "p0/up"]}]
    async with serving(GOOD_ANSWER, providers={"gone": {"base_url": "http://127.0.0.1:1", "key": "k"}}, routes=routes) as served:
        assert (await served.ask()).headers["x-samewire-provider"] == "p0"
        assert 'samewire_upstream_errors_total{gen_ai_provider_name="gone",kind="connect"} 1' in await served.metrics()


STAYS: dict[str, tuple[list[Step], Any, int]] = {
    "400": ([request, json_answer(ERROR, b"400 Bad")], CHAT, 400),
    "404": ([request, json_answer(ERROR, b"404 What")], CHAT, 404),
    "an event with status 400": ([request, sse(event({"error": {"message": "no", "code": 400}}))], STREAM, 400),
    "after output": ([request, sse(delta("Hello"), end=False)], STREAM, 200),
}


@pytest.mark.parametrize(("script", "asked", "status"), STAYS.values(), ids=STAYS)
async def test_the_next_target_is_not_asked(script: list[Step], asked: Any, status: int) -> None:
    async with serving(script, others=[GOOD_ANSWER]) as served:
        reply = await served.ask(asked)
        assert reply.status == status
        assert served.upstreams[1].peers == []


async def test_a_route_says_what_lets_the_next_one_try() -> None:
    route = {"model": "m", "to": ["p0/up", "p1/up"], "failover": [400]}
    script = [request, json_answer(ERROR, b"400 Bad"), request, json_answer(ERROR, b"500 No")]
    async with serving(script, others=[GOOD_ANSWER], routes=[route]) as served:
        assert (await served.ask()).status == 200
        assert (await served.ask()).status == 500


async def test_the_last_failure_is_what_is_told() -> None:
    async with serving(
        [request, json_answer(ERROR, b"500 No")], others=[[request, json_answer(ERROR, b"503 No", b"retry-after: 9")]]
    ) as served:
        reply = await served.ask()
        assert (reply.status, reply.headers["retry-after"]) == (503, "9")


async def test_a_form_is_sent_once() -> None:
    async with serving([request, json_answer(ERROR, b"500 No")], others=[[request, json_answer({"text": "x"})]]) as served:
        assert (await served.ask(form(("model", b"m"), ("file", b"x")), "/v1/audio/transcriptions", FORM)).status == 500
        assert served.upstreams[1].peers == []


async def test_a_form_that_nobody_has_begun_to_read_can_go_elsewhere() -> None:
    routes = [{"model": "m", "to": ["gone/up", "p0/up"]}]
    script = [request, json_answer({"text": "x"})]
    async with serving(script, providers={"gone": {"base_url": "http://127.0.0.1:1", "key": "k"}}, routes=routes) as served:
        assert (await served.ask(form(("model", b"m"), ("file", b"x")), "/v1/audio/transcriptions", FORM)).json() == {"text": "x"}


async def test_each_target_gets_its_own_model_and_key() -> None:
    routes = [{"model": "m", "to": ["p0/one", "p1/two"]}]
    async with serving([request, json_answer(ERROR, b"500 No")], others=[GOOD_ANSWER], routes=routes) as served:
        await served.ask()
        first, second = served.upstreams[0].requests[0], served.upstreams[1].requests[0]
        assert b'"model": "one"' in first
        assert b"sk-secret-0" in first
        assert b'"model": "two"' in second
        assert b"sk-secret-0" not in second


async def test_heartbeats_end_the_choice() -> None:
    """Once the head is out there is no other target: its headers have named the status already."""
    changes = {"server": {"heartbeat": 0.02}, "providers": FAST}
    async with serving([request, hang], others=[GOOD_STREAM], **changes) as served:
        reply = await served.ask(STREAM)
        assert (reply.status, reply.whole) == (200, False)
        assert served.upstreams[1].peers == []
