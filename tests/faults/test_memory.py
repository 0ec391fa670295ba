"""Thirty-two of the worst answers at once, with the limits that the gateway has by default: it grows by less than 200 MB and goes on."""

from __future__ import annotations

import asyncio
import re
import signal
import sys
import zlib
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from functools import cache
from itertools import cycle, islice
from pathlib import Path

import yaml

from tests.docs.compatibility import ROOT
from tests.exchange.wire import Client
from tests.faults.wires import WIRES
from tests.upstream.scripted import CHUNKED_HEAD, Peer, Upstream, chunked, request

MB = 10**6
#: What one exchange may take: the machine may be busy, and some of these answers are long.
PATIENCE = 100.0
ALLOWED = 200 * MB
AT_ONCE = 32


def told(head: bytes, length: int) -> bytes:
    return b"HTTP/1.1 200 OK\r\n%bcontent-length: %d\r\n\r\n" % (head, length)


@cache
def bomb() -> bytes:
    """600 MB of a JSON string, in gzip."""
    press = zlib.compressobj(9, wbits=31)
    block = b"x" * MB
    return b"".join([press.compress(b'{"content":"'), *(press.compress(block) for _ in range(600)), press.flush()])


async def repeated(peer: Peer, block: bytes, times: int) -> None:
    for _ in range(times):
        await peer.write(block)


async def bombs(peer: Peer) -> None:
    await peer.write(told(b"content-encoding: gzip\r\n", len(bomb())) + bomb())


async def endless(peer: Peer) -> None:
    """A JSON string without end."""
    await peer.write(CHUNKED_HEAD + chunked(b'{"content":"', end=False))
    await repeated(peer, chunked(b"x" * 2**16, end=False), 10**6)


async def dripping(peer: Peer) -> None:
    """As much as an answer may have, but for its end."""
    await peer.write(told(b"", 32 * 2**20))
    await repeated(peer, b" " * 2**16, 2**9 - 1)
    await peer.reader.read(1)


async def large(peer: Peer) -> None:
    """A good answer of 30 MB."""
    text = b"x" * (30 * MB)
    body = b'{"id":"c","object":"chat.completion","created":1,"model":"up","choices":[{"index":0,"message":{"content":"%b"}}]}' % text
    await peer.write(told(b"", len(body)))
    await peer.write(body)


async def little(peer: Peer) -> None:
    """30 MB of empty lists, each of which takes twenty times its text."""
    block = b"[]," * 10**5
    await peer.write(told(b"", len(block) * 100 + 14))
    await peer.write(b'{"content":[')
    await repeated(peer, block, 99)
    await peer.write(block[:-1] + b" ]}")


async def event(peer: Peer) -> None:
    """An event without end."""
    await peer.write(WIRES["openai"].head() + chunked(b'data: {"choices":"', end=False))
    await repeated(peer, chunked(b"x" * 2**16, end=False), 10**6)


async def event_bomb(peer: Peer) -> None:
    """A stream of one event, 600 MB in gzip."""
    await peer.write(WIRES["openai"].head(b"content-encoding: gzip") + chunked(bomb()))


async def document(peer: Peer) -> None:
    """A document without end instead of a stream."""
    await endless(peer)


async def on_and_on(peer: Peer) -> None:
    """A good stream of 100 MB, and no more than it takes to see that it goes on."""
    wire = WIRES["openai"]
    await peer.write(wire.head())
    await repeated(peer, chunked(wire.hello[1].replace(b"Hello", b"x" * 2**15), end=False), 100 * MB // 2**15)
    await peer.write(chunked(*wire.rest))


async def headers(peer: Peer) -> None:
    await peer.write(b"HTTP/1.1 200 OK\r\n")
    await repeated(peer, b"x: " + b"y" * 2**16 + b"\r\n", 10**6)


#: What is done, and whether a stream was asked for.
WORST: dict[str, tuple[Callable[[Peer], Awaitable[None]], bool]] = {
    "bombs": (bombs, False),
    "endless": (endless, False),
    "dripping": (dripping, False),
    "large": (large, False),
    "little": (little, False),
    "event": (event, True),
    "event_bomb": (event_bomb, True),
    "document": (document, True),
    "headers": (headers, False),
}
GOOD = {"on_and_on": (on_and_on, True)}
PLAYS = WORST | GOOD
DIALECTS = ("openai", "anthropic")


async def worst(peer: Peer) -> None:
    """Answers by the name of the model."""
    await request(peer)
    found = re.search(rb'"model": ?"(\w+)"', peer.requests[-1])
    assert found is not None
    play, _ = PLAYS[found[1].decode()]
    await play(peer)


@asynccontextmanager
async def process(folder: Path, port: int) -> AsyncIterator[tuple[int, tuple[str, int]]]:
    """A gateway as users run it: process id and address."""
    providers = {name: {"base_url": f"http://127.0.0.1:{port}", "dialect": name, "key": "k", "timeouts": {"idle": 3}} for name in DIALECTS}
    log = {"level": "error", "requests": "off"}
    document = {"version": 1, "server": {"log": log}, "providers": providers, "provider_prefix": True}
    (folder / "routes.yaml").write_text(yaml.safe_dump(document))
    command = [sys.executable, "-m", "proxy", "--port", "0"]
    running = await asyncio.create_subprocess_exec(*command, cwd=folder, env={"PYTHONPATH": str(ROOT)}, stderr=asyncio.subprocess.PIPE)
    try:
        assert running.stderr is not None
        async for line in running.stderr:
            if found := re.search(rb"base_url +http://127\.0\.0\.1:(\d+)", line):
                break
        yield running.pid, ("127.0.0.1", int(found[1]))
    finally:
        with suppress(ProcessLookupError):
            running.send_signal(signal.SIGKILL)
        await running.communicate()


def memory(pid: int, name: str) -> int:
    """VmRSS (now) or VmHWM (at its highest) of a process, in bytes."""
    (found,) = re.findall(rf"^{name}:\s+(\d+) kB", Path(f"/proc/{pid}/status").read_text(), re.MULTILINE)
    return int(found) * 1024


async def ask(address: tuple[str, int], dialect: str, name: str) -> int:
    """The status; what follows is read and thrown away."""
    asked = {"model": f"{dialect}/{name}", "stream": PLAYS[name][1], "messages": [{"role": "user", "content": "Hi"}], "max_tokens": 9}
    async with asyncio.timeout(PATIENCE), await Client.connect(address) as client:
        client.send(asked, headers={"connection": "close"})
        line = await client.reader.readline()
        while await client.reader.read(2**16):
            pass
        return int(line.split()[1])


async def running(address: tuple[str, int]) -> None:
    """Asks for a page: what is loaded at first use has been loaded then, and the gateway is well."""
    async with await Client.connect(address) as client:
        client.send(b"", "/metrics", method="GET")
        assert (await client.reply()).status == 200


async def test_thirty_two_of_the_worst(tmp_path: Path) -> None:
    asked = list(islice(cycle((dialect, name) for name in WORST for dialect in DIALECTS), AT_ONCE))
    async with Upstream([worst]) as upstream, process(tmp_path, upstream.port) as (pid, address):
        await running(address)
        before = memory(pid, "VmRSS")
        statuses = await asyncio.gather(*(ask(address, dialect, name) for dialect, name in asked))
        assert memory(pid, "VmHWM") - before < ALLOWED
        assert {status for status, (_, name) in zip(statuses, asked, strict=True) if name != "large"} <= {502, 503, 504}
        await running(address)


async def test_a_stream_without_end(tmp_path: Path) -> None:
    async with Upstream([worst]) as upstream, process(tmp_path, upstream.port) as (pid, address):
        await running(address)
        before = memory(pid, "VmRSS")
        assert await ask(address, "openai", "on_and_on") == 200
        assert upstream.peers[0].written > 100 * MB
        assert memory(pid, "VmHWM") - before < 20 * MB
