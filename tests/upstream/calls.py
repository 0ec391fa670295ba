"""What the tests of calls share: origins, a request, a sink that remembers, ways to wait."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable

from proxy.errors import UpstreamError
from proxy.upstream import Call, Origin, Pool

from .scripted import Upstream

HEAD = b"POST /v1/chat HTTP/1.1\r\nhost: upstream\r\n"
BODY = b'{"model":"m"}'
MIB = 2**20


def origin_of(upstream: Upstream) -> Origin:
    return Origin("http", "127.0.0.1", upstream.port)


def later(seconds: float = 20.0) -> float:
    """A time of the loop's clock."""
    return asyncio.get_running_loop().time() + seconds


async def exchange(
    pool: Pool, origin: Origin, body: bytes | AsyncIterator[bytes] = BODY, *, head: float = 20.0, idle: float = 20.0
) -> tuple[Call, bytes]:
    """One whole exchange: the call and its body. `head` and `idle` are seconds."""
    call = await pool.send(origin, HEAD, body, connect=20)
    try:
        await call.head(later(head))
        return call, await call.read(MIB, idle)
    finally:
        call.abort()


async def failure(pool: Pool, origin: Origin, *, head: float = 20.0, idle: float = 20.0) -> UpstreamError:
    """The error of an exchange that must fail."""
    try:
        call, body = await exchange(pool, origin, head=head, idle=idle)
    except UpstreamError as error:
        return error
    raise AssertionError(f"answered {call.status} {body[:100]!r}")


class Gathering:
    """A sink that remembers everything, and that nothing comes after the end."""

    def __init__(self) -> None:
        self.pieces: list[bytes] = []
        self.over = asyncio.Event()
        self.came = asyncio.Event()
        self.error: UpstreamError | None = None

    @property
    def body(self) -> bytes:
        return b"".join(self.pieces)

    def data(self, piece: bytes) -> None:
        assert piece
        assert not self.over.is_set()
        self.pieces.append(piece)
        self.came.set()

    def end(self) -> None:
        assert not self.over.is_set()
        self.over.set()

    def fail(self, error: UpstreamError) -> None:
        assert not self.over.is_set()
        self.error = error
        self.over.set()


async def soon(event: asyncio.Event, seconds: float = 20.0) -> None:
    """Wait for an event, but not for long."""
    async with asyncio.timeout(seconds):
        await event.wait()


async def until(condition: Callable[[], bool]) -> None:
    """Give the loop turns until something holds that nobody signals."""
    async with asyncio.timeout(20):
        while not condition():  # noqa: ASYNC110
            await asyncio.sleep(0.002)
