"""A listening socket of which nothing can be accepted for a while."""

from __future__ import annotations

import asyncio
import errno
import os
import socket
from collections.abc import Iterator

import pytest

from proxy.app import accepting
from proxy.app.accepting import Acceptor


class Scarce(socket.socket):
    """Refuses to accept as often as told. `tries`: when it was asked to, by the loop's clock."""

    def __init__(self, number: int, refusals: int) -> None:
        super().__init__()
        self.bind(("127.0.0.1", 0))
        self.number = number
        self.refusals = refusals
        self.tries: list[float] = []

    def accept(self) -> tuple[socket.socket, object]:
        self.tries.append(asyncio.get_running_loop().time())
        if len(self.tries) <= self.refusals:
            raise OSError(self.number, os.strerror(self.number))
        return super().accept()


def greet(accepted: socket.socket) -> None:
    accepted.sendall(b"hello")
    accepted.close()


@pytest.fixture(params=["EMFILE", "ENFILE", "ENOBUFS", "ENOMEM", "EPROTO"])
def scarce(request: pytest.FixtureRequest) -> Iterator[Scarce]:
    with Scarce(getattr(errno, request.param), 3) as sock:
        yield sock


async def test_it_tries_again_in_a_while_and_says_so_once(scarce: Scarce, caplog: pytest.LogCaptureFixture) -> None:
    acceptor = Acceptor(scarce, greet)
    acceptor.start()
    try:
        async with asyncio.timeout(10):
            reader, writer = await asyncio.open_connection("127.0.0.1", acceptor.port)
            assert await reader.read() == b"hello"
            writer.close()
            await writer.wait_closed()
    finally:
        acceptor.close()
    rests = [later - sooner for sooner, later in zip(scarce.tries[:3], scarce.tries[1:4], strict=True)]
    assert min(rests) > 0.9 * accepting._REST
    assert [record.getMessage() for record in caplog.records] == [f"connections have to wait: {os.strerror(scarce.number)}"]


async def test_it_can_be_closed_while_it_waits(caplog: pytest.LogCaptureFixture) -> None:
    with Scarce(errno.EMFILE, 1) as sock, socket.socket() as client:
        acceptor = Acceptor(sock, greet)
        acceptor.start()
        client.setblocking(False)
        loop = asyncio.get_running_loop()
        async with asyncio.timeout(10):
            await loop.sock_connect(client, sock.getsockname())
            while not sock.tries:  # noqa: ASYNC110 - the loop tells nobody
                await asyncio.sleep(0.01)
            acceptor.close()  # who has come is still taken
            assert await loop.sock_recv(client, 5) == b"hello"
    await asyncio.sleep(1.5 * accepting._REST)  # in which a forgotten timer would come
    assert len(sock.tries) == 3
