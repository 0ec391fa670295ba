"""Before the first byte another target may take over; after it, and in silence, the client is told. And a client that leaves is noticed."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from dataclasses import replace
from typing import Any

import pytest
import pytest_asyncio

from tests.corpus.grammar import judge
from tests.corpus.readings import OPENAI
from tests.stage.client import DEADLINE, Connection
from tests.stage.fixtures import Play
from tests.stage.gateway import PROVIDERS, Gateway, routes
from tests.stage.upstream import Script, Upstream, named, whole
from tests.stage.wires import claude_events, say

pytestmark = pytest.mark.asyncio(loop_scope="session")

SOON = 0.15  # seconds: an upstream's patience where a test waits for its end
STREAM = {"content-type": "text/event-stream"}


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def pair() -> AsyncIterator[Play]:
    """`both` goes to a Claude, then to an OpenAI; every upstream has little time, and none is left alone after a failure."""
    timeouts = {"timeouts": {"first_event": SOON, "idle": SOON}, "cooldown": {"after": 0, "seconds": 0.001}}
    async with Upstream() as upstream:
        document = routes(
            upstream.port,
            providers=dict.fromkeys(PROVIDERS, timeouts),
            routes=[{"model": "both", "to": ["anthropic/one", "openai/two"]}],
        )
        async with Gateway(document) as gateway:
            yield Play(upstream, gateway.address)


OVERLOADED = {"type": "error", "error": {"type": "overloaded_error", "message": "Overloaded"}}
OPENINGS: dict[str, Script] = {
    "an error as the first event": named(OVERLOADED),
    "an empty stream": Script([], headers=STREAM),
    "a cut in the first event": Script([b"event: mess"], headers=STREAM, end="cut"),
    "no head": Script([], head=False, end="cut"),
    "a head and silence": Script([], headers=STREAM, end="hang"),
    "silence": Script([], head=False, end="hang"),
    "nothing but comments": Script([b": wait\n\n"] * 5, headers=STREAM, end="hang"),
    "a 500": whole({"type": "error", "error": {"type": "api_error", "message": "Oops"}}, 500),
    "a 529": whole(OVERLOADED, 529),
    "a 429": whole({"type": "error", "error": {"type": "rate_limit_error", "message": "Slow down"}}, 429),
    "not JSON": Script([b"<html>"], headers={"content-type": "text/html"}),
}


@pytest.mark.parametrize("name", OPENINGS)
async def test_before_the_first_byte_the_next_target_takes_over(pair: Play, name: str) -> None:
    facts = await pair.stream("both", OPENINGS[name], replace(say("openai", "Hello"), headers=STREAM))
    assert facts.choices[0].text == "Hello"
    # a reused connection that dies without a byte is tried once more on a fresh one
    assert list(dict.fromkeys(asked.path for asked in pair.upstream.asked)) == ["/v1/messages", "/chat/completions"]
    assert pair.upstream.asked[0].headers.get("authorization") is None
    assert pair.upstream.last.headers.get("x-api-key") is None


async def test_a_clients_fault_stays_with_the_first_target(pair: Play) -> None:
    refusal = whole({"type": "error", "error": {"type": "invalid_request_error", "message": "No"}}, 400)
    served = await pair.ask("both", refusal, say("openai", "Hello"), stream=True)
    assert (served.status, served.json()["error"]["message"]) == (400, "No")
    assert len(pair.upstream.asked) == 1


async def test_after_the_first_byte_the_break_is_told(pair: Play) -> None:
    begun = list(named(*claude_events({"type": "text", "text": "Hello"})[:5]).pieces)
    facts, _ = await pair.broken("both", Script(begun, headers=STREAM, end="cut"), say("openai", "Hello"))
    assert facts.choices[0].text == "Hello"
    assert len(pair.upstream.asked) == 1


LULLS: dict[str, bytes] = {"silence": b"", "nothing but comments": b": wait\n\n"}


@pytest.mark.parametrize("name", LULLS)
@pytest.mark.parametrize("provider", PROVIDERS)
async def test_silence_in_the_middle_is_told(pair: Play, provider: str, name: str) -> None:
    pieces = list(say(provider, "Hello you").pieces)[: {"anthropic": 5}.get(provider, 2)]
    comments = [LULLS[name]] * 4 if LULLS[name] and provider != "ollama" else []
    facts, body = await pair.broken(provider, replace(say(provider, ""), pieces=[*pieces, *comments], end="hang"))
    assert facts.error is not None
    assert "[DONE]" not in body
    async with asyncio.timeout(DEADLINE):
        await pair.upstream.last.gone.wait()


@pytest.mark.parametrize("provider", ["openai", "anthropic", "deepseek", "ollama"])
async def test_an_upstream_that_stays_after_its_end_holds_nobody(pair: Play, provider: str) -> None:
    facts = await pair.stream(provider, replace(say(provider, "Hello"), end="hang"))
    assert facts.choices[0].text == "Hello"


async def test_a_silent_whole_answer_is_504(pair: Play) -> None:
    served = await pair.ask("openai", Script([], head=False, end="hang"))
    assert served.status == 504


# ── a client that leaves ──

LEAVINGS = {
    "before the upstream's head": (Script([], head=False, end="hang"), True),
    "before the first event": (Script([], headers=STREAM, end="hang"), True),
    "in the middle": (replace(say("anthropic", "Hello you"), pieces=list(say("anthropic", "Hello you").pieces)[:5], end="hang"), True),
    "waiting for a whole answer": (Script([], head=False, end="hang"), False),
    "in the middle of a whole answer": (Script([b'{"id": "x"'], end="hang"), False),
}


@pytest.mark.parametrize("name", LEAVINGS)
async def test_a_client_that_leaves_ends_the_upstreams_work(play: Play, name: str) -> None:
    script, streamed = LEAVINGS[name]
    play.upstream.answer(script)
    body: Any = b'{"model": "anthropic/m", "messages": [{"role": "user", "content": "Hi"}], "stream": %s}' % (
        b"true" if streamed else b"false"
    )
    async with asyncio.timeout(DEADLINE), Connection(play.address) as connection:
        connection.send("POST", "/v1/chat/completions", body, {"content-type": "application/json"})
        if name == "in the middle":
            await connection.head()
            await connection.chunk()
        else:
            await play.upstream.arrived.wait()
        connection.leave()
        async with asyncio.timeout(20):
            await play.upstream.last.gone.wait()


# ── bytes ──

TEXT = '안녕하세요 😀 \u2028 \u0085 \u2029 \x7f Grüße \\ " \t\n 中文 \U0001f1f0\U0001f1f7'


@pytest.mark.parametrize("provider", PROVIDERS)
async def test_a_characters_bytes_may_come_apart(play: Play, provider: str) -> None:
    body = b"".join(say(provider, TEXT, pieces=4).pieces)
    if provider != "ollama":
        body = body.replace(b"data: ", b"data:").replace(b"\n", b"\r\n")
    once = await play.ask(provider, replace(say(provider, ""), pieces=[body]), stream=True, usage=True)
    crumbs = await play.ask(
        provider, replace(say(provider, ""), pieces=[body[at : at + 1] for at in range(len(body))]), stream=True, usage=True
    )
    for served in (once, crumbs):
        assert not judge(served.body, usage_asked=True, complete=served.complete)
        assert OPENAI.stream(served.body.decode()).choices[0].text == TEXT


@pytest.mark.parametrize("provider", PROVIDERS)
async def test_a_last_event_without_its_blank_line_counts(play: Play, provider: str) -> None:
    body = b"".join(say(provider, "Hello").pieces)
    facts = await play.stream(provider, replace(say(provider, ""), pieces=[body.rstrip(b"\n")]))
    assert facts.choices[0].text == "Hello"
    assert facts.usage is not None


@pytest.mark.parametrize("provider", ["openai", "deepseek"])
async def test_an_upstreams_comments_stay_with_us(play: Play, provider: str) -> None:
    pieces = [piece for event in say(provider, "Hello").pieces for piece in (b": OPENROUTER PROCESSING\n\n", event)]
    served = await play.ask(provider, replace(say(provider, ""), pieces=pieces), stream=True, usage=True)
    assert b"PROCESSING" not in served.body
    assert OPENAI.stream(served.body.decode()).choices[0].text == "Hello"
