"""Signs of life that break no client, and figures that are there whether or not the client asked for them."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from dataclasses import replace

import openai
import pytest
import pytest_asyncio
from prometheus_client.parser import text_string_to_metric_families

from tests.corpus.readings import OPENAI
from tests.stage.client import DEADLINE, Connection
from tests.stage.fixtures import Play
from tests.stage.gateway import PROVIDERS, Gateway, routes
from tests.stage.upstream import Script, Upstream, named, whole
from tests.stage.wires import claude_answer, claude_events, claude_stream, say

pytestmark = pytest.mark.asyncio(loop_scope="session")

REQUEST = b'{"model": "anthropic/m", "messages": [{"role": "user", "content": "Hi"}], "stream": true}'
JSON = {"content-type": "application/json"}
TEXT = {"type": "text", "text": "Hello"}


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def beating() -> AsyncIterator[Play]:
    """A gateway that shows a sign of life every few milliseconds."""
    async with Upstream() as upstream, Gateway(routes(upstream.port, server={"heartbeat": 0.01})) as gateway:
        yield Play(upstream, gateway.address)


def _late(script: Script) -> tuple[Script, asyncio.Event]:
    """The script, with nothing but a comment until the event is set."""
    gate = asyncio.Event()
    return replace(script, pieces=[b": wait\n\n", *script.pieces], gate=gate), gate


async def test_signs_of_life_are_comments_in_the_middle_of_nothing(beating: Play) -> None:
    script, gate = _late(claude_stream(TEXT))
    beating.upstream.answer(script)
    async with asyncio.timeout(DEADLINE), Connection(beating.address) as connection:
        connection.send("POST", "/v1/chat/completions", REQUEST, JSON)
        status, headers = await connection.head()
        first = [await connection.chunk() for _ in range(3)]
        gate.set()
        rest, complete = await connection.body(headers)
    assert status == 200
    assert all(piece.startswith(b":") and piece.endswith(b"\n") and not piece.endswith(b"\n\n") for piece in first)  # no empty event
    assert complete
    assert OPENAI.stream((b"".join(first) + rest).decode()).choices[0].text == "Hello"


async def test_the_sdk_reads_past_them(beating: Play) -> None:
    script, gate = _late(claude_stream(TEXT, step=1))
    beating.upstream.answer(script)
    host, port = beating.address
    async with openai.AsyncOpenAI(base_url=f"http://{host}:{port}/v1", api_key="any", max_retries=0, timeout=DEADLINE) as client:
        stream = await client.chat.completions.create(model="anthropic/m", messages=[{"role": "user", "content": "Hi"}], stream=True)
        gate.set()
        assert "".join([choice.delta.content or "" async for chunk in stream for choice in chunk.choices]) == "Hello"


async def test_after_a_sign_of_life_an_error_is_an_event(beating: Play) -> None:
    error = {"type": "error", "error": {"type": "overloaded_error", "message": "Overloaded"}}
    script, gate = _late(named(error))
    beating.upstream.answer(script)
    async with asyncio.timeout(DEADLINE), Connection(beating.address) as connection:
        connection.send("POST", "/v1/chat/completions", REQUEST, JSON)
        status, headers = await connection.head()
        await connection.chunk()
        gate.set()
        rest, complete = await connection.body(headers)
    facts = OPENAI.stream(rest.decode())
    assert status == 200
    assert facts.error is not None
    assert facts.error.message == "Overloaded"
    assert not complete
    assert b"[DONE]" not in rest


# ── metrics ──


async def _figures(play: Play) -> dict[tuple[str, str], float]:
    """(name, what tells them apart) → value, of all that a scrape shows."""
    async with asyncio.timeout(DEADLINE), Connection(play.address) as connection:
        connection.send("GET", "/metrics")
        status, headers = await connection.head()
        body, _ = await connection.body(headers)
    assert status == 200
    words = ("gen_ai_token_type", "kind")
    found: dict[tuple[str, str], float] = {}
    for family in text_string_to_metric_families(body.decode()):
        for sample in family.samples:
            word = next((sample.labels[word] for word in words if word in sample.labels), "")
            key = (sample.name, f"estimated {word}" if sample.labels.get("samewire_estimated") == "true" else word)
            found[key] = found.get(key, 0) + sample.value
    return found


async def _change(play: Play, *wanted: tuple[str, str], model: str, script: Script, **body: object) -> list[float]:
    before = await _figures(play)
    await play.ask(model, script, **body)
    after = await _figures(play)
    return [after.get(key, 0) - before.get(key, 0) for key in wanted]


TOKENS = "gen_ai_client_token_usage_sum"


@pytest.mark.parametrize("usage", [True, False])
@pytest.mark.parametrize("provider", PROVIDERS)
async def test_tokens_are_counted_though_nobody_asked(play: Play, provider: str, usage: bool) -> None:
    wanted = [(TOKENS, "input"), (TOKENS, "output")]
    assert await _change(play, *wanted, model=provider, script=say(provider, "Hello"), stream=True, usage=usage) == [10, 5]


async def test_cached_tokens_are_counted_once(play: Play) -> None:
    spent = {"input_tokens": 10, "cache_read_input_tokens": 100, "cache_creation_input_tokens": 20, "output_tokens": 33}
    wanted = [(TOKENS, kind) for kind in ("input", "cached_input", "cache_creation_input", "output")]
    for script, body in ((claude_answer(TEXT, usage=spent), {}), (claude_stream(TEXT, usage=spent), {"stream": True})):
        assert await _change(play, *wanted, model="anthropic", script=script, **body) == [130, 100, 20, 33]


async def test_what_a_broken_stream_told_of_its_tokens_is_an_estimate(play: Play) -> None:
    """Anthropic begins with `output_tokens: 1` and says how many there were at the end."""
    cut = named(*claude_events(TEXT, step=1)[:8], end="cut")
    wanted = [(TOKENS, "input"), (TOKENS, "output"), (TOKENS, "estimated input"), (TOKENS, "estimated output")]
    counted = await _change(play, *wanted, model="anthropic", script=cut, stream=True)
    assert counted[:3] == [0, 0, 10]
    assert counted[3] >= 5


async def test_what_a_client_that_left_had_asked_is_an_estimate(play: Play) -> None:
    play.upstream.answer(Script([], head=False, end="hang"))
    before = await _figures(play)
    async with asyncio.timeout(DEADLINE), Connection(play.address) as connection:
        connection.send("POST", "/v1/chat/completions", REQUEST, JSON)
        await play.upstream.arrived.wait()
        connection.leave()
        await play.upstream.last.gone.wait()
    after = await _figures(play)
    wanted = [(TOKENS, "input"), (TOKENS, "estimated input"), ("samewire_client_disconnects_total", "")]
    assert [after.get(key, 0) - before.get(key, 0) for key in wanted] == [0, len(REQUEST) // 4, 1]


async def test_a_break_is_counted_as_one(play: Play) -> None:
    cut = named(*claude_events(TEXT)[:5], end="cut")
    assert await _change(play, ("samewire_upstream_errors_total", "truncated"), model="anthropic", script=cut, stream=True) == [1]


async def test_what_was_dropped_is_counted(play: Play) -> None:
    name = ("samewire_dropped_parameters_total", "")
    assert await _change(play, name, model="anthropic", script=claude_answer(TEXT), logit_bias={"1": 2}, seed=1) == [2]


async def test_names_that_clients_make_up_make_no_series(play: Play) -> None:
    before = len(await _figures(play))
    for number in range(50):
        await play.ask(f"anthropic/made-up-{number}", whole({}, 404))
        await play.ask(f"nobody/made-up-{number}", whole({}, 404))
    assert len(await _figures(play)) - before < 60
