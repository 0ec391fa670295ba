"""Clients of Gemini's API before an upstream that speaks it: what they say goes up byte for byte, and its answers come down as they came,
but for the framing. What keeps a silent stream alive is nothing to the SDKs."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import httpx
import ollama
import pytest
import pytest_asyncio
from google import genai
from google.genai import types

from tests.corpus.exchanges import RECORDINGS, Exchange, collection
from tests.stage.client import DEADLINE, Connection, call
from tests.stage.fixtures import Play, play
from tests.stage.gateway import Gateway, routes
from tests.stage.upstream import Script, Upstream, whole
from tests.stage.wires import gemini, say

__all__ = ["play"]
pytestmark = pytest.mark.asyncio(loop_scope="session")
ENTRIES = [json.loads(line) for line in Path(__file__).with_name("requests.jsonl").read_text("utf-8").splitlines()]
STREAMS = [one for one in collection(RECORDINGS) if one.api == "streamGenerateContent" and one.status == 200]
FAILURES = [one for one in collection(RECORDINGS) if one.api in ("generateContent", "streamGenerateContent") and one.status >= 400]
PATH = "/v1beta/models/gemini/gemini-2.5-flash:"


@pytest.mark.parametrize("method", ["generateContent", "streamGenerateContent", "countTokens"])
async def test_bodies_go_up_byte_for_byte(play: Play, method: str) -> None:
    for entry in ENTRIES:
        play.upstream.answer(whole({"totalTokens": 1}) if method == "countTokens" else _answer(method))
        served = await call(play.address, entry["body"], PATH + method)
        assert served.status == 200, served.body
        assert play.upstream.last.body == json.dumps(entry["body"]).encode()
        assert play.upstream.last.path.partition("?")[0] == f"/v1beta/models/gemini-2.5-flash:{method}"
        assert "x-samewire-dropped" not in served.headers


def _answer(method: str) -> Script:
    return say("gemini", "Hello") if method.startswith("stream") else whole(gemini({"text": "Hello"}))


def _events(exchange: Exchange) -> list[Any]:
    return [json.loads(line.removeprefix("data:")) for line in exchange.body().decode().splitlines() if line.startswith("data:")]


@pytest.mark.parametrize("framing", ["sse", "array"])
async def test_recorded_streams_come_down_as_they_came(play: Play, framing: str) -> None:
    for exchange in STREAMS:
        play.upstream.answer(Script([exchange.body()], headers={"content-type": "text/event-stream"}))
        served = await call(play.address, {"contents": []}, PATH + "streamGenerateContent" + ("?alt=sse" if framing == "sse" else ""))
        assert served.complete, exchange.path
        assert play.upstream.last.path.endswith(":streamGenerateContent?alt=sse")
        if framing == "sse":
            events = [json.loads(line.removeprefix("data: ")) for line in served.body.decode().splitlines() if line]
        else:
            events = served.json()
        expected = _events(exchange)
        assert events == expected, exchange.path
    assert len(STREAMS) >= 15


async def test_recorded_failures_keep_status_and_sentence(play: Play) -> None:
    for exchange in FAILURES:
        play.upstream.answer(Script([exchange.body()], exchange.status))
        served = await call(play.address, {"contents": []}, PATH + "generateContent")
        said = json.loads(exchange.body())
        error = (said[0] if isinstance(said, list) else said)["error"]
        assert served.status == exchange.status
        assert served.json()["error"]["message"] == error["message"]
        assert served.json()["error"]["code"] == exchange.status
        assert served.json()["error"]["status"] == error["status"]
    assert len(FAILURES) >= 4


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def beating() -> AsyncIterator[Play]:
    """A gateway that shows a sign of life every few milliseconds."""
    async with Upstream() as upstream, Gateway(routes(upstream.port, server={"heartbeat": 0.01})) as gateway:
        yield Play(upstream, gateway.address)


def silent(provider: str, early: bool) -> tuple[Script, asyncio.Event]:
    """A stream with a silence, until the event is set: before its first event, or behind it."""
    script, gate = say(provider, "Hello you", pieces=2), asyncio.Event()
    return replace(script, pieces=[*([b": wait\n\n"] if early else []), *script.pieces], gate=gate), gate


SIGNS = [
    ("openai", "/v1beta/models/openai/m:streamGenerateContent?alt=sse", b"\n"),
    ("openai", "/v1beta/models/openai/m:streamGenerateContent", b"\n"),
    ("gemini", "/v1beta/models/gemini/m:streamGenerateContent?alt=sse", b"\n"),
    ("gemini", "/v1beta/models/gemini/m:streamGenerateContent", b"\n"),
    ("openai", "/api/chat", b" "),
]


SAID = {"role": "user", "content": "Hi"}
CONTENT = {"role": "user", "parts": [{"text": "Hi"}]}


@pytest.mark.parametrize(("provider", "path", "sign"), SIGNS)
@pytest.mark.parametrize("early", [True, False], ids=["before the first event", "behind it"])
async def test_signs_of_life_are_nothing_that_a_parser_sees(beating: Play, provider: str, path: str, sign: bytes, early: bool) -> None:
    script, gate = silent(provider, early)
    beating.upstream.answer(script)
    body: dict[str, Any] = {"model": "openai/m", "messages": [SAID]} if "chat" in path else {"contents": [CONTENT]}
    async with asyncio.timeout(DEADLINE), Connection(beating.address) as connection:
        connection.send("POST", path, json.dumps(body).encode(), {"content-type": "application/json"})
        status, headers = await connection.head()
        seen: list[bytes] = []
        while seen.count(sign) < 3:
            seen.append(await connection.chunk())
        gate.set()
        rest, complete = await connection.body(headers)
    assert (status, complete) == (200, True)
    told = (b"".join(seen) + rest).decode()
    if "chat" in path:
        assert "".join(json.loads(line)["message"]["content"] for line in told.splitlines()) == "Hello you"
        return
    events = [json.loads(line.removeprefix("data: ")) for line in told.splitlines() if line] if "alt=sse" in path else json.loads(told)
    assert "".join(types.GenerateContentResponse.model_validate(event).text or "" for event in events) == "Hello you"


@pytest.mark.parametrize("early", [True, False], ids=["before the first event", "behind it"])
@pytest.mark.parametrize("provider", ["openai", "gemini"])
async def test_google_genai_reads_past_them(beating: Play, provider: str, early: bool) -> None:
    script, gate = silent(provider, early)
    beating.upstream.answer(script)
    host, port = beating.address
    async with httpx.AsyncClient(timeout=DEADLINE) as wire:
        client = genai.Client(api_key="any", http_options=types.HttpOptions(base_url=f"http://{host}:{port}", httpx_async_client=wire))
        asyncio.get_running_loop().call_later(0.1, gate.set)  # a few signs later
        stream = await client.aio.models.generate_content_stream(model=f"{provider}/m", contents="Hi")
        assert "".join([piece.text or "" async for piece in stream]) == "Hello you"


@pytest.mark.parametrize("early", [True, False], ids=["before the first event", "behind it"])
async def test_ollama_reads_past_them(beating: Play, early: bool) -> None:
    script, gate = silent("openai", early)
    beating.upstream.answer(script)
    host, port = beating.address
    async with ollama.AsyncClient(host=f"http://{host}:{port}") as client:
        asyncio.get_running_loop().call_later(0.1, gate.set)
        stream = await client.chat(model="openai/m", messages=[{"role": "user", "content": "Hi"}], stream=True)
        assert "".join([line.message.content or "" async for line in stream]) == "Hello you"
