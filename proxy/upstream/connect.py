"""Opening connections: addresses, TCP or Unix sockets, a proxy's tunnel, TLS."""

from __future__ import annotations

import asyncio
import contextlib
import os
import re
import socket
import ssl
from collections.abc import Callable, Iterator, Sequence
from functools import partial

from aiohappyeyeballs import AddrInfoType, start_connection

from ..errors import UpstreamError
from .origin import Origin, ProxyAddress, proxy_address

#: Seconds that resolved addresses are used again.
ADDRESS_TTL = 30.0

#: Seconds before the next address of a host is tried beside the first (RFC 8305, 5).
NEXT_ADDRESS = 0.25

#: What a client is told, by kind: where the upstream is and how it is reached is none of its business.
_SAID = {"connect": "The upstream cannot be reached.", "tls": "No secure connection to the upstream can be made."}

_TUNNEL_HEAD_LIMIT = 16 * 1024
_TUNNEL_OPEN = re.compile(rb"HTTP/1\.[01] 2\d\d[ \r]")

Addresses = Sequence[AddrInfoType]


class Connector:
    """Opens connections, and remembers what is dear: resolved addresses for a while, TLS contexts for ever."""

    __slots__ = ("_contexts", "_lookups", "_loop")

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop
        self._lookups: dict[tuple[str, int], tuple[float, asyncio.Task[Addresses]]] = {}
        self._contexts: dict[tuple[str | None, str | None, str | None, bytes], ssl.SSLContext] = {}

    async def connect(self, protocol: Callable[[], asyncio.Protocol], origin: Origin, seconds: float) -> None:
        """Open one connection, TLS and all, within so many seconds. A cancelled or failed attempt leaves no socket open.

        Raises UpstreamError of kind connect, tls or timeout, always `unprocessed`.
        """
        try:
            async with asyncio.timeout(seconds):
                context = self.tls(origin)
                name = origin.host if context else None
                sock = await self._socket(origin)
                with _reported("tls", f"no secure connection to {origin.host}"):
                    await self._loop.create_connection(protocol, sock=sock, ssl=context, server_hostname=name)
        except TimeoutError:
            detail = f"{origin.host} could not be reached in time"
            raise UpstreamError(
                "The upstream could not be reached in time.", 504, kind="timeout", unprocessed=True, detail=detail
            ) from None

    async def _socket(self, origin: Origin) -> socket.socket:
        """A connected socket to the origin, through its proxy if it needs a tunnel."""
        if origin.uds is not None:
            with _reported("connect", f"cannot connect to {origin.host} at its Unix socket"):
                return await self._dial_unix(origin.uds)
        if origin.proxy is None:
            with _reported("connect", f"cannot connect to {origin.host}"):
                return await self._dial(origin.host, origin.port)
        proxy = proxy_address(origin.proxy)
        with _reported("connect", f"cannot connect to {origin.host}: the proxy {proxy.host} fails"):
            sock = await self._dial(proxy.host, proxy.port)
            if origin.scheme == "https":
                try:
                    await self._tunnel(sock, origin, proxy)
                except BaseException:
                    sock.close()
                    raise
            return sock

    async def _dial(self, host: str, port: int) -> socket.socket:
        addresses = await self._resolve(host, port)
        try:
            sock = await start_connection(addresses, happy_eyeballs_delay=NEXT_ADDRESS, interleave=1, loop=self._loop)
        except (OSError, RuntimeError):
            self._lookups.pop((host, port), None)  # perhaps the host has moved
            raise
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
        return sock

    async def _resolve(self, host: str, port: int) -> Addresses:
        """The host's addresses. Connections opened at the same time share one lookup: each takes a thread of the loop's executor."""
        now = self._loop.time()
        until, lookup = self._lookups.get((host, port), (now, None))
        if lookup is None or now >= until:
            lookup = self._loop.create_task(self._look_up(host, port))
            self._lookups[host, port] = now + ADDRESS_TTL, lookup
            lookup.add_done_callback(partial(self._looked_up, (host, port)))
        return await asyncio.shield(lookup)

    async def _look_up(self, host: str, port: int) -> Addresses:
        return await self._loop.getaddrinfo(host, port, type=socket.SOCK_STREAM)

    def _looked_up(self, key: tuple[str, int], lookup: asyncio.Task[Addresses]) -> None:
        """Forget a lookup that failed, so that the next connection asks again."""
        if lookup.cancelled() or lookup.exception() is not None:
            self._lookups.pop(key, None)

    async def _dial_unix(self, path: str) -> socket.socket:
        sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        try:
            sock.setblocking(False)
            await self._loop.sock_connect(sock, path)
        except BaseException:
            sock.close()
            raise
        return sock

    async def _tunnel(self, sock: socket.socket, origin: Origin, proxy: ProxyAddress) -> None:
        """Ask the proxy for a tunnel (RFC 9110, 9.3.6). The far side speaks only after us, so nothing may follow the proxy's head."""
        authority = origin.authority.encode("ascii")
        request = b"CONNECT %b HTTP/1.1\r\nhost: %b\r\n%b\r\n" % (authority, authority, proxy.authorization)
        await self._loop.sock_sendall(sock, request)
        head = b""
        while b"\r\n\r\n" not in head:
            piece = await self._loop.sock_recv(sock, 4096)
            head += piece
            if not piece or len(head) > _TUNNEL_HEAD_LIMIT:
                raise ConnectionError("it did not answer CONNECT")
        if not _TUNNEL_OPEN.match(head) or not head.endswith(b"\r\n\r\n"):
            raise ConnectionError(f"it answered CONNECT with {head[:12].decode('ascii', 'replace')!a}")

    def tls(self, origin: Origin) -> ssl.SSLContext | None:
        """The context for an https origin, made once for what each set of certificate files held. Raises UpstreamError of kind tls."""
        if origin.scheme != "https":
            return None
        files = origin.ca, origin.cert, origin.key, origin.held
        context = self._contexts.get(files)
        if context is None:
            with _reported("tls", f"the certificate files for {origin.host} cannot be used"):
                context = ssl.create_default_context(cafile=origin.ca)
                context.set_alpn_protocols(["http/1.1"])
                if origin.cert is not None:
                    context.load_cert_chain(origin.cert, origin.key)
            self._contexts[files] = context
        return context


@contextlib.contextmanager
def _reported(kind: str, failure: str) -> Iterator[None]:
    """What the operating system or OpenSSL says, as the error's detail. A timeout is left to the deadline around it."""
    try:
        yield
    except TimeoutError:
        raise
    except (OSError, RuntimeError) as error:  # uvloop raises RuntimeError for some socket failures
        raise UpstreamError(_SAID[kind], kind=kind, unprocessed=True, detail=f"{failure}: {_reason(error)}") from error


def _reason(error: Exception) -> str:
    if isinstance(error, ssl.SSLCertVerificationError):
        return f"its certificate is not trusted ({error.verify_message})"
    if isinstance(error, ssl.SSLError) and error.reason:
        return error.reason.lower().replace("_", " ")
    if isinstance(error, socket.gaierror):
        return error.strerror or "its name is unknown"
    if isinstance(error, OSError) and error.errno:
        return os.strerror(error.errno)  # asyncio puts addresses into error.strerror
    return str(error) or "the connection was closed"
