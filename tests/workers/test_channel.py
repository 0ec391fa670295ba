"""Questions and answers over a socket pair."""

from __future__ import annotations

import asyncio
import socket

import pytest

from proxy.workers.channel import Channel


async def pair(one: Channel, other: Channel) -> None:
    left, right = socket.socketpair()
    await one.open(left)
    await other.open(right)


async def test_both_sides_ask_at_once() -> None:
    async def here(name: str, body: bytes) -> bytes:
        return b"here " + await left.ask("back", body) if name == "ask" else b"here"

    async def there(name: str, body: bytes) -> bytes:
        return b"there " + body

    left, right = Channel(here), Channel(there)
    await pair(left, right)
    big = b"x" * 3_000_000
    answers = await asyncio.gather(left.ask("a", b"1"), right.ask("ask", b"2"), left.ask("b", big))
    assert answers == [b"there 1", b"here there 2", b"there " + big]
    await left.close()
    await right.close()


async def test_the_others_end_is_seen() -> None:
    asked = asyncio.Event()

    async def never(name: str, body: bytes) -> bytes:
        asked.set()
        return await asyncio.get_running_loop().create_future()

    left, right = Channel(never), Channel(never)
    await pair(left, right)
    waiting = asyncio.create_task(left.ask("a"))
    await asked.wait()
    await right.close()
    with pytest.raises(ConnectionError):
        await waiting
    assert left.closed.is_set()
    with pytest.raises(ConnectionError):
        await left.ask("b")


async def test_an_answer_that_fails_is_empty_and_told(caplog: pytest.LogCaptureFixture) -> None:
    async def broken(name: str, body: bytes) -> bytes:
        raise RuntimeError("broken")

    left, right = Channel(broken), Channel(broken)
    await pair(left, right)
    assert await left.ask("a") == b""
    assert "the question a between parent and worker has no answer" in caplog.text
    await left.close()
    await right.close()
