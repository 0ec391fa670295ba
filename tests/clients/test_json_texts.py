"""Every JSON text as (a part of) a request's body and as an upstream's answer: read or refused as the standard says, nothing else."""

from __future__ import annotations

import contextlib
import itertools
from collections.abc import Iterable

import pytest

from tests.clients.json_texts import Text, texts
from tests.exchange.wire import Client, Served, json_answer, serving
from tests.upstream.scripted import Peer, Step, request

ALL = list(texts())
#: An answer of each dialect.
ANSWERS = {
    "openai": b'{"id":"c","object":"chat.completion","created":1,"model":"up","choices":[]}',
    "anthropic": b'{"id":"m","type":"message","role":"assistant","model":"up","content":[],"stop_reason":"end_turn"}',
    "gemini": b'{"candidates":[{"content":{"parts":[{"text":"Hi"}]},"finishReason":"STOP"}]}',
}


def answering(*bodies: bytes) -> list[Step]:
    """An upstream that answers each request with the next of these, over and over, on whatever connection it comes."""
    turn = itertools.cycle(bodies)

    async def again(peer: Peer) -> None:
        while True:
            await request(peer)
            peer.requests.clear()
            await peer.write(json_answer(next(turn)))

    return [again]


async def statuses(served: Served, bodies: Iterable[bytes]) -> list[int]:
    """The statuses that these bodies get, one after another; each answer is JSON."""
    found = []
    async with contextlib.AsyncExitStack() as stack:
        client: Client | None = None
        for body in bodies:
            client = client or await stack.enter_async_context(await served.client(limit=2**22))
            client.send(body)
            reply = await client.reply()
            assert reply.status == 200 or reply.error["message"].endswith(".")
            found.append(reply.status)
            if reply.headers.get("connection") == "close":
                client = None
    return found


def wrong(verdicts: list[Text], found: list[int], accepted: set[int], refused: int) -> list[tuple[str, str, int]]:
    """The texts that were treated otherwise than their verdict says."""
    allowed = {"y": accepted, "n": {refused}, "i": accepted | {refused}}
    return [(name, verdict, status) for (name, _, verdict), status in zip(verdicts, found, strict=True) if status not in allowed[verdict]]


@pytest.mark.parametrize("dialect", ANSWERS)
async def test_as_a_part_of_a_request(dialect: str) -> None:
    async with serving(answering(ANSWERS[dialect]), providers={"p0": {"dialect": dialect}}) as served:
        bodies = (b'{"model":"m","messages":[{"role":"user","content":"Hi"}],"x":%b}' % text for _, text, _ in ALL)
        assert not wrong(ALL, await statuses(served, bodies), {200}, 400)


async def test_as_a_whole_request() -> None:
    """None of them names a model, so that each is refused by us."""
    async with serving(answering(ANSWERS["openai"])) as served:
        assert set(await statuses(served, (text for _, text, _ in ALL))) == {400}
        assert served.upstream.peers == []


ASKED = b'{"model":"m","messages":[{"role":"user","content":"Hi"}]}'


@pytest.mark.parametrize("dialect", ANSWERS)
async def test_as_an_answer(dialect: str) -> None:
    """Of an upstream that says it is JSON. What is no object is none of its answers; an object may be one."""
    async with serving(answering(*(text for _, text, _ in ALL)), providers={"p0": {"dialect": dialect}}) as served:
        assert not wrong(ALL, await statuses(served, (ASKED for _ in ALL)), {200, 502}, 502)


@pytest.mark.parametrize("dialect", ANSWERS)
async def test_as_a_part_of_an_answer(dialect: str) -> None:
    bodies = (ANSWERS[dialect][:-1] + b',"x":%b}' % text for _, text, _ in ALL)
    async with serving(answering(*bodies), providers={"p0": {"dialect": dialect}}) as served:
        assert not wrong(ALL, await statuses(served, (ASKED for _ in ALL)), {200}, 502)
