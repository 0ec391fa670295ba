"""Where a provider's address leads: to a scripted upstream, or to one of the many ways not to reach anybody."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import ssl
import subprocess
import tempfile
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from tests.upstream.scripted import Step, Upstream

Script = Sequence[Step]


@dataclass(frozen=True, slots=True)
class Place:
    """`url`: the provider's base URL, with {port}. `opens`: holds the place open on that port; gives the upstream if there is one.

    The first script is that of the first connection, the second that of all others.
    """

    url: str
    opens: Callable[[int, Script, Script], AbstractAsyncContextManager[Upstream | None]]


@cache
def reserved() -> socket.socket:
    """Holds a port for this process as long as it runs, without listening: configurations are loaded once for all tests."""
    held = socket.socket()
    held.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
    held.bind(("127.0.0.1", 0))
    return held


def port() -> int:
    """Where all upstreams of this process are, one after another."""
    number: int = reserved().getsockname()[1]
    return number


@asynccontextmanager
async def _scripted(port: int, script: Script, second: Script) -> AsyncIterator[Upstream]:
    async with Upstream(script, second, port=port) as upstream:
        yield upstream


@asynccontextmanager
async def _nobody(port: int, script: Script, second: Script) -> AsyncIterator[None]:
    yield None


@asynccontextmanager
async def _deaf(port: int, script: Script, second: Script) -> AsyncIterator[None]:
    """Listens and never accepts, its queue full: the system drops further attempts without a word."""
    loop = asyncio.get_running_loop()
    with contextlib.ExitStack() as stack:
        listener = stack.enter_context(socket.socket())
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        listener.bind(("127.0.0.1", port))
        listener.listen(0)
        for _ in range(2):
            waiting = stack.enter_context(socket.socket())
            waiting.setblocking(False)
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(0.05):
                    await loop.sock_connect(waiting, ("127.0.0.1", port))
        yield None


@asynccontextmanager
async def _no_tls(port: int, script: Script, second: Script) -> AsyncIterator[Upstream]:
    """What comes is no request in HTTP: none is waited for."""
    async with Upstream(script[1:], port=port) as upstream:
        yield upstream


@asynccontextmanager
async def _untrusted(port: int, script: Script, second: Script) -> AsyncIterator[Upstream]:
    async with Upstream(script, port=port, tls=_certificate_of_nobody()) as upstream:
        yield upstream


@cache
def _certificate_of_nobody() -> ssl.SSLContext:
    """A server's certificate that nobody has signed but itself."""
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    with tempfile.TemporaryDirectory() as folder:
        key, certificate = Path(folder) / "key.pem", Path(folder) / "certificate.pem"
        command = "openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 2 -subj /CN=127.0.0.1"
        subprocess.run([*command.split(), "-keyout", key, "-out", certificate], check=True, capture_output=True)
        context.load_cert_chain(certificate, key)
    return context


scripted = Place("http://127.0.0.1:{port}", _scripted)
refusing = Place("http://127.0.0.1:{port}", _nobody)
unknown = Place("http://no-such-host.invalid:{port}", _nobody)
deaf = Place("http://127.0.0.1:{port}", _deaf)
no_tls = Place("https://127.0.0.1:{port}", _no_tls)
untrusted = Place("https://127.0.0.1:{port}", _untrusted)
