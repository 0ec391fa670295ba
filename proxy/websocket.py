"""Realtime: two pumps between a client's WebSocket and its upstream's, and one close.

The upstream is asked first: when it refuses the upgrade, the client gets that as a status, before an upgrade of its own. Frames pass
untouched and in order, and a side that reads slowly slows the other down. When one side closes, the other is closed with the same code;
when one fails, with 1011 and the reason (RFC 6455 §7.4). Neither is ever left half open.

The only place that uses aiohttp's ClientSession; each connection has its own, so that nothing is shared: no cookies, no pool.
"""

from __future__ import annotations

import asyncio
import contextlib
import socket
from collections.abc import AsyncIterator, Callable, Iterator, Mapping
from dataclasses import dataclass, field
from ssl import SSLContext
from time import monotonic
from typing import Any, NamedTuple, cast

import aiohttp
import msgspec
from aiohttp import AddrInfoType, ClientWebSocketResponse, WSMsgType, web

from proxy.errors import ClientError, ClientGone, UpstreamError
from proxy.record import Usage

_AUTO_HEADERS = ("User-Agent", "Accept", "Accept-Encoding", "Content-Type")

#: Bytes read of the answer that refuses an upgrade.
_REFUSAL = 2**16

#: Bytes of a close frame's reason (RFC 6455 §5.5.1).
_REASON = 123

#: With 426: the protocol and its version to ask for (RFC 9110 §7.8, RFC 6455 §4.4).
_UPGRADE = {"upgrade": "websocket", "sec-websocket-version": "13"}

_DATA = (WSMsgType.TEXT, WSMsgType.BINARY)

_Side = web.WebSocketResponse[bool] | ClientWebSocketResponse[bool]


@dataclass(frozen=True, slots=True)
class RealtimeUpstream:
    """Where to connect, with all that the upgrade request carries.

    `url`: ws, wss, http or https. `subprotocols`: those to offer (a client's, less the one that holds its key).
    `ssl`: the context for a host with its own authority or a client certificate. `proxy`: the URL of an outbound proxy.
    `uds`: the path of a Unix socket to connect to instead. `clean` takes secrets out of what the upstream says as it closes.
    """

    url: str
    headers: Mapping[str, str] = field(repr=False)
    subprotocols: tuple[str, ...] = ()
    ssl: SSLContext | bool = True
    proxy: str | None = None
    uds: str | None = None
    clean: Callable[[str], str] = str


@dataclass(frozen=True, slots=True)
class RealtimeLimits:
    """Seconds and bytes. `origins` are those a browser's page may come from (or one "*")."""

    open: float = 10.0  # until the upstream has accepted the upgrade
    close: float = 0.8  # until both sides are gone, whether they answer a close frame or not
    heartbeat: float = 30.0  # between pings to either side; one that sends nothing for half of it then is gone
    message: int = 16 * 2**20
    origins: tuple[str, ...] = ()


@dataclass(slots=True)
class RealtimeOutcome:
    """What is known of a connection, filled as it goes: it is also true when the relay is cancelled."""

    usage: Usage | None = None
    first_frame: float = 0.0  # monotonic moment of the upstream's first frame; 0: none came
    sent_bytes: int = 0  # to the client
    code: int = 0  # what both sides were closed with
    failure: UpstreamError | None = None  # the upstream's, after the upgrade
    client_gone: bool = False  # without a close frame


class _End(NamedTuple):
    """Why it is over: what both sides are closed with, and who failed, if someone did."""

    code: int
    reason: bytes = b""
    failure: UpstreamError | None = None
    client_gone: bool = False


_CLIENT_GONE = _End(1011, b"the client is gone", client_gone=True)


class _Response(msgspec.Struct):
    usage: dict[str, Any] | None = None


class _Done(msgspec.Struct):
    """A `response.done` event, as far as it is read."""

    type: str
    response: _Response


class _Said(msgspec.Struct):
    message: str
    type: str | None = None
    code: str | None = None
    param: str | None = None


class _Refusal(msgspec.Struct):
    """OpenAI's error envelope."""

    error: _Said


_decode_done = msgspec.json.Decoder(_Done).decode
_decode_refusal = msgspec.json.Decoder(_Refusal).decode


async def relay(
    request: web.BaseRequest,
    upstream: RealtimeUpstream,
    limits: RealtimeLimits,
    outcome: RealtimeOutcome,
    headers: Mapping[str, str],
) -> web.WebSocketResponse[bool]:
    """Serves one client until either side ends. Returns the response for aiohttp's request loop.

    `headers` go to the client with the upgrade. Until that, raises ClientError (no upgrade asked, origin not allowed) or UpstreamError
    (not reached, or refused: with its own status). Cancelled (the client is gone, the server stops), it closes both sides with 1001.
    """
    _check(request, limits)
    # A task of its own: aiohttp cancels the handler whenever the client's transport closes, also when it is we who close it.
    task = asyncio.create_task(_serve(request, upstream, limits, outcome, headers))
    try:
        return await asyncio.shield(task)
    except asyncio.CancelledError:
        if not outcome.code:
            task.cancel()
        await asyncio.wait([task])
        if task.cancelled():
            raise
        cast("asyncio.Task[object]", asyncio.current_task()).uncancel()
        return task.result()


async def _serve(
    request: web.BaseRequest,
    upstream: RealtimeUpstream,
    limits: RealtimeLimits,
    outcome: RealtimeOutcome,
    headers: Mapping[str, str],
) -> web.WebSocketResponse[bool]:
    async with _connected(upstream, limits) as far:
        # A browser that offers subprotocols insists on one of them.
        chosen = far.protocol or next(iter(upstream.subprotocols or _offered(request)), None)
        near: web.WebSocketResponse[bool] = web.WebSocketResponse(
            timeout=limits.close / 2,
            autoclose=False,
            heartbeat=limits.heartbeat,
            protocols=(chosen,) if chosen else (),
            compress=False,
            max_msg_size=limits.message,
            decode_text=False,
        )
        near.headers.update(headers)
        try:
            await near.prepare(request)
        except ConnectionError:
            raise ClientGone from None
        try:
            await _Relay(near, far, outcome, upstream.clean).run(limits.close)
        finally:
            transport = request.transport
            if transport is not None and transport.get_write_buffer_size():  # a client that reads no more
                transport.abort()
    return near


def _offered(request: web.BaseRequest) -> list[str]:
    """The client's subprotocols."""
    header = request.headers.get("Sec-WebSocket-Protocol", "")
    return [name.strip() for name in header.split(",") if name.strip()]


def _check(request: web.BaseRequest, limits: RealtimeLimits) -> None:
    """Raises ClientError for what will not be upgraded: 426 says what would be (RFC 6455 §4.4), 400 that it is broken (§4.2.1)."""
    origin = request.headers.get("Origin")
    if origin is not None and origin not in limits.origins and "*" not in limits.origins:
        raise ClientError("Pages of this origin may not connect here.", status=403, code="origin_not_allowed")
    if request.headers.get("Upgrade", "").lower() != "websocket":
        raise ClientError("This address speaks WebSocket: ask for an upgrade.", status=426, headers=_UPGRADE)
    if request.headers.get("Sec-WebSocket-Version") != _UPGRADE["sec-websocket-version"]:
        raise ClientError("This address speaks version 13 of WebSocket.", status=426, headers=_UPGRADE)
    if not web.WebSocketResponse(protocols=_offered(request)).can_prepare(request):
        raise ClientError("The upgrade to WebSocket is not asked for as RFC 6455 says.", code="invalid_handshake")


@contextlib.asynccontextmanager
async def _connected(upstream: RealtimeUpstream, limits: RealtimeLimits) -> AsyncIterator[ClientWebSocketResponse[bool]]:
    """The upstream's WebSocket; nothing of it is left afterwards."""
    sockets: list[socket.socket] = []

    def open_socket(address: AddrInfoType) -> socket.socket:
        sockets.append(socket.socket(*address[:3]))
        return sockets[-1]

    connector = aiohttp.UnixConnector(upstream.uds) if upstream.uds else aiohttp.TCPConnector(socket_factory=open_socket)
    session = aiohttp.ClientSession(
        connector=connector,
        cookie_jar=aiohttp.DummyCookieJar(),
        skip_auto_headers=_AUTO_HEADERS,
        middlewares=(_refuse,),
        timeout=aiohttp.ClientTimeout(total=None),
    )
    async with session:
        with _reported():
            async with asyncio.timeout(limits.open):
                far = await session.ws_connect(
                    # A plain proxy is asked by the whole URL, and knows no ws.
                    upstream.url.replace("ws", "http", 1) if upstream.url.startswith("ws") else upstream.url,
                    protocols=upstream.subprotocols,
                    timeout=aiohttp.ClientWSTimeout(ws_close=limits.close / 2),
                    autoclose=False,
                    heartbeat=limits.heartbeat,
                    headers=upstream.headers,
                    proxy=upstream.proxy,
                    ssl=upstream.ssl,
                    max_msg_size=limits.message,
                    decode_text=False,
                )
        try:
            yield far
        finally:
            for sock in sockets:  # an upstream that reads no more would keep a closed one with unsent data
                with contextlib.suppress(OSError):
                    sock.shutdown(socket.SHUT_RDWR)


@contextlib.contextmanager
def _reported() -> Iterator[None]:
    """What aiohttp raises for an upstream that cannot be reached, as UpstreamError."""
    try:
        yield
    except TimeoutError:
        raise UpstreamError("The upstream did not accept the WebSocket in time.", status=504, kind="timeout", unprocessed=True) from None
    except aiohttp.ClientSSLError as error:
        raise UpstreamError("No secure connection to the upstream.", kind="tls", unprocessed=True) from error
    except aiohttp.ClientOSError as error:
        raise UpstreamError("Cannot connect to the upstream.", kind="connect", unprocessed=True) from error
    except aiohttp.ClientError as error:
        raise UpstreamError("The upstream's answer to the WebSocket upgrade cannot be understood.", kind="protocol") from error


async def _refuse(request: aiohttp.ClientRequest, handler: aiohttp.ClientHandlerType) -> aiohttp.ClientResponse:
    """Ends a handshake that is not accepted, before aiohttp can follow a redirect with our key."""
    response = await handler(request)
    if response.status == 101:
        return response
    body = b""
    try:
        while len(body) < _REFUSAL and (piece := await response.content.read(_REFUSAL)):
            body += piece
    finally:
        response.close()
    raise _refusal(response, body)


def _refusal(response: aiohttp.ClientResponse, body: bytes) -> UpstreamError:
    said = _Said(f"The upstream refused the WebSocket with status {response.status}.")
    with contextlib.suppress(ValueError):
        said = _decode_refusal(body).error
    return UpstreamError(
        said.message,
        status=response.status if 400 <= response.status <= 599 else 502,
        type=said.type or UpstreamError.type,
        code=said.code,
        param=said.param,
        headers={"retry-after": response.headers["Retry-After"]} if "Retry-After" in response.headers else {},
        kind="status",
    )


class _Relay:
    """The two pumps between the client (`near`) and the upstream (`far`)."""

    def __init__(self, near: _Side, far: _Side, outcome: RealtimeOutcome, clean: Callable[[str], str]) -> None:
        self._near = near
        self._far = far
        self._outcome = outcome
        self._clean = clean

    async def run(self, seconds: float) -> None:
        """Until one side ends; then both are closed, within so many seconds."""
        pumps = [asyncio.create_task(self._from_client()), asyncio.create_task(self._from_upstream())]
        try:
            await asyncio.wait(pumps, return_when=asyncio.FIRST_COMPLETED)
        finally:
            # Cancelled while both are running, nobody has said a reason.
            end = next((pump.result() for pump in pumps if pump.done()), _End(1001))
            outcome = self._outcome
            outcome.code, outcome.failure, outcome.client_gone = end.code, end.failure, end.client_gone
            await asyncio.gather(_close(self._near, end, seconds), _close(self._far, end, seconds))
            for pump in pumps:
                pump.cancel()
            await asyncio.wait(pumps)

    async def _from_client(self) -> _End:
        while True:
            message = await self._near.receive()
            if message.type not in _DATA:
                return _asked(message.type, message.data, message.extra) or _CLIENT_GONE
            try:
                await self._far.send_frame(message.data, message.type)
            except ConnectionError:
                return _broken("The upstream closed its connection.")

    async def _from_upstream(self) -> _End:
        outcome = self._outcome
        while True:
            message = await self._far.receive()
            if message.type not in _DATA:
                return _asked(message.type, message.data, self._clean(message.extra or "")) or _broken(
                    f"The upstream broke off: {message.data or 'connection closed'}."
                )
            data = message.data
            outcome.first_frame = outcome.first_frame or monotonic()
            outcome.sent_bytes += len(data)
            if b'"response.done"' in data:
                self._count(data)
            try:
                await self._near.send_frame(data, message.type)
            except ConnectionError:
                return _CLIENT_GONE

    def _count(self, event: bytes) -> None:
        with contextlib.suppress(ValueError):
            done = _decode_done(event)
            if done.type == "response.done" and done.response.usage is not None:
                self._outcome.usage = (self._outcome.usage or Usage()) + Usage.read(done.response.usage)


def _asked(kind: WSMsgType, code: Any, reason: Any) -> _End | None:
    """The end that a message asks for; None when it is no close frame."""
    if kind is not WSMsgType.CLOSE:
        return None
    # 0 stands for a frame without a code; 1006 may not be sent.
    return _End({0: 1000, 1006: 1011}.get(code, code), str(reason or "").encode())


def _broken(message: str) -> _End:
    return _End(1011, message.encode()[:_REASON], failure=UpstreamError(message, kind="truncated"))


async def _close(side: _Side, end: _End, seconds: float) -> None:
    """Closes one side; what it does not take in time is lost."""
    with contextlib.suppress(TimeoutError, ConnectionError):
        async with asyncio.timeout(seconds):
            await side.close(code=end.code, message=end.reason)
