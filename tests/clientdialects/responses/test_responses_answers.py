"""Every recorded answer and stream of every vendor, asked for by way of Responses: its facts are there, its form is Responses' own."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine, Iterator
from contextlib import asynccontextmanager
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from openai.types.responses import Response
from pydantic import TypeAdapter

from tests.clientdialects.responses import reading
from tests.clientdialects.responses.grammar import judge
from tests.corpus.exchanges import RECORDINGS, Exchange, collection
from tests.corpus.facts import Facts, compare
from tests.corpus.replay import Stage, crumbs, hosts, provider_of, script, whole
from tests.stage.client import Served, call
from tests.stage.gateway import PROVIDERS, Gateway, routes
from tests.stage.upstream import Script, Upstream

#: Without the oldest form of a call, which only its own question could have brought about.
EXCHANGES = [one for one in collection(RECORDINGS) if b'"function_call":' not in one.body()]
STREAMS = [one for one in EXCHANGES if one.streamed and one.status == 200 and not one.facts().error]
RESPONSE: TypeAdapter[Response] = TypeAdapter(Response)


@asynccontextmanager
async def stage() -> Any:
    """A scripted upstream and the gateway before it, which asks every provider for chats only."""
    async with Upstream() as upstream:
        here = {"base_url": f"http://127.0.0.1:{upstream.port}", "key": "a-key-of-theirs"}
        providers = {name: entry | here for name, entry in hosts().items()}
        chats = [{"model": f"chat-{name}/*", "operations": ["chat"], "to": f"{name}/*"} for name in {*PROVIDERS, *providers}]
        async with Gateway(routes(upstream.port, providers=providers, routes=chats)) as gateway:
            yield Stage(gateway.address, upstream)


Play = Callable[[Stage], Coroutine[Any, Any, Any]]


@pytest.fixture(scope="module")
def play() -> Iterator[Callable[[Play], Any]]:
    with asyncio.Runner() as runner:
        context = stage()
        on = runner.run(context.__aenter__())
        yield lambda scene: runner.run(scene(on))
        runner.run(context.__aexit__(None, None, None))


async def ask(on: Stage, exchange: Exchange, replayed: Script) -> Served:
    body = {"model": f"chat-{provider_of(exchange)}/{exchange.record['model'] or 'some-model'}", "input": "Hi", "store": False}
    on.upstream.answer(replayed)
    return await call(on.address, body | ({"stream": True} if exchange.streamed else {}), "/v1/responses")


def expected_of(exchange: Exchange) -> Facts:
    """What a Response can say of a recording: one choice, images without their type, no signature of a text."""
    facts = exchange.facts()
    facts.choices = {index: choice for index, choice in facts.choices.items() if not index}
    for choice in facts.choices.values():
        choice.images = [url.partition(";base64,")[2] or url for url in choice.images]
        if exchange.api.endswith("enerateContent"):
            choice.signatures = []
    return facts


def served_facts(served: Served) -> Facts:
    if served.headers["content-type"].startswith("text/event-stream"):
        return reading.stream(served.body)
    return reading.answer(served.status, served.json())


async def wrong(on: Stage, exchange: Exchange, cut: Callable[[bytes], list[bytes]]) -> list[str]:
    """All that went wrong."""
    served = await ask(on, exchange, script(exchange, cut(exchange.body())))
    if served.headers["content-type"].startswith("text/event-stream"):
        found = judge(served.body, complete=served.complete)
        if found:
            return found
    elif served.status == 200:
        RESPONSE.validate_python(served.json())
    return compare(expected_of(exchange), served_facts(served))


@pytest.mark.parametrize("vendor", sorted({exchange.vendor for exchange in EXCHANGES}))
def test_recordings_come_out_right(play: Callable[[Play], Any], vendor: str) -> None:
    async def scene(on: Stage) -> dict[str, list[str]]:
        return {one.path: found for one in EXCHANGES if one.vendor == vendor if (found := await wrong(on, one, whole))}

    assert play(scene) == {}


@pytest.mark.parametrize("vendor", sorted({exchange.vendor for exchange in STREAMS}))
def test_streams_in_crumbs_come_out_right(play: Callable[[Play], Any], vendor: str) -> None:
    async def scene(on: Stage) -> dict[str, list[str]]:
        return {one.path: found for one in STREAMS if one.vendor == vendor if (found := await wrong(on, one, crumbs))}

    assert play(scene) == {}


async def broken(on: Stage, exchange: Exchange, at: int, pieces: int) -> list[str]:
    """What is wrong with a stream whose upstream is cut off at a byte."""
    part = exchange.body()[:at]
    cuts = [at * number // pieces for number in range(pieces + 1)]
    served = await ask(on, exchange, script(exchange, [part[a:b] for a, b in pairwise(cuts) if a < b], "cut"))
    if served.status != 200:
        return [] if served.status in (502, 504) else [f"status {served.status}"]
    return judge(served.body, complete=served.complete)


@settings(max_examples=150, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(data=st.data())
def test_a_stream_broken_anywhere_keeps_the_grammar(play: Callable[[Play], Any], data: st.DataObject) -> None:
    exchange = data.draw(st.sampled_from([one for one in STREAMS if len(one.body()) < 20_000]), label="recording")
    at = data.draw(st.integers(0, len(exchange.body()) - 1), label="byte")
    pieces = data.draw(st.integers(1, 12), label="pieces")
    assert play(lambda on: broken(on, exchange, at, pieces)) == []
