"""The share of memory that all large answers have: who finds no room in it is turned away, and what was taken comes back."""

from __future__ import annotations

import asyncio

import pytest

from proxy.errors import GatewayError
from proxy.exchange.held import FREE, VALUES, Held, Memory, crowded
from tests.exchange.wire import CHAT, COMPLETION, DEADLINE, STREAM, delta, json_answer, serving, sse
from tests.upstream.scripted import CHUNKED_HEAD, after, chunked, hang, request, sets

MIB = 2**20


def test_small_ones_are_free() -> None:
    memory = Memory()
    for _ in range(100):
        Held(memory, 1).resize(FREE)
    assert memory.used == 0


def test_large_ones_share() -> None:
    memory = Memory()
    one, other = Held(memory, MIB), Held(memory, MIB)
    one.resize(FREE + MIB // 2)
    with pytest.raises(GatewayError):
        other.resize(FREE + MIB // 2 + 1)
    other.resize(FREE + MIB // 2)
    assert memory.used == MIB
    one.resize(0)
    other.resize(FREE + MIB)
    other.resize(0)
    assert memory.used == 0


def test_a_crowd() -> None:
    assert not crowded(b'"' + b"x" * 10 * MIB + b'"')
    assert not crowded(b"[" + b"0," * 1000 + b"0]")
    assert crowded(b"[" + b"0," * VALUES + b"0]")


async def test_a_whole_answer_that_finds_no_room() -> None:
    held, go = asyncio.Event(), asyncio.Event()
    first = [request, CHUNKED_HEAD + chunked(b" " * 2 * MIB, end=False), sets(held), after(go), chunked(json_body())]
    second = [request, CHUNKED_HEAD + chunked(b" " * 2 * MIB, end=False), hang]
    async with serving(first, second, [request, json_answer(COMPLETION)], server={"limits": {"answers": "2MiB"}}) as served:
        async with await served.client() as client, asyncio.timeout(DEADLINE):
            client.send(CHAT)
            await held.wait()
            reply = await served.ask(CHAT)
            assert (reply.status, reply.error["code"], reply.headers["retry-after"]) == (503, "overloaded", "1")
            assert (await served.ask(CHAT)).status == 200  # a small one
            go.set()
            assert (await client.reply()).status == 200
        assert served.running._lasting.memory.used == 0


async def test_an_event_that_finds_no_room() -> None:
    script = [request, sse(delta("Hello"), b"data: " + b"x" * 3 * MIB, end=False), hang]
    async with serving(script, server={"limits": {"answers": "2MiB"}}) as served:
        reply = await served.ask(STREAM)
        assert (reply.whole, reply.error["code"]) == (False, "overloaded")
        assert served.running._lasting.memory.used == 0


def json_body() -> bytes:
    return json_answer(COMPLETION).partition(b"\r\n\r\n")[2]
