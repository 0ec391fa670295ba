"""The pool: idle connections by origin, and the door through which every request goes."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import AsyncIterator

from ..errors import UpstreamError
from .answer import HEAD_LIMIT
from .call import Call
from .connect import Connector
from .connection import Connection
from .origin import Origin
from .request import Body, chunked_head, whole_message


class Pool:
    """Connections without a limit on their number: admission is the business of whoever accepts requests.

    Made inside the running loop. `keepalive`: seconds an idle connection is kept (less when the upstream says so).
    `stall`: seconds the upstream may take none of a streamed request body. `head_limit`: bytes of an answer's head.
    """

    def __init__(self, *, keepalive: float = 60.0, stall: float = 60.0, head_limit: int = HEAD_LIMIT) -> None:
        self.stall = stall
        self._keepalive = keepalive
        self._head_limit = head_limit
        self.loop = asyncio.get_running_loop()
        self._connector = Connector(self.loop)
        self._connections: set[Connection] = set()
        self._idle: dict[Origin, list[Connection]] = {}
        self._sweeper: asyncio.TimerHandle | None = None
        self._closed = False
        self._emptied = asyncio.Event()

    def send_now(self, origin: Origin, head: bytes, body: Body | AsyncIterator[bytes], *, connect: float) -> Call | None:
        """What `send` does, without waiting; None, and nothing done, when there is no idle connection or the body comes in time."""
        if not isinstance(body, (bytes, tuple)) or (connection := self._take(origin)) is None:
            return None
        call = Call(self, origin, connect)
        call.send(connection, whole_message(origin, head, body))
        return call

    async def send(self, origin: Origin, head: bytes, body: Body | AsyncIterator[bytes], *, connect: float) -> Call:
        """Send a request; its answer is still to come.

        `head` is the request line and the headers (see request_line, header_line), each with its CRLF, without framing headers
        and without the empty line. Any method but HEAD and CONNECT. `connect`: seconds for opening a connection.

        A body that is iterated is sent with back-pressure before this returns, and always on a fresh connection: it could not be sent
        twice. When the upstream answers or breaks off before its end, the rest is not sent and `Call.head` tells what happened.
        What the iterator raises comes through; the connection is closed then.

        Raises UpstreamError: connect, tls or timeout while connecting (`unprocessed`), timeout while sending.
        """
        call = Call(self, origin, connect)
        if isinstance(body, (bytes, tuple)):
            call.send(self._take(origin) or await self.open(origin, connect), whole_message(origin, head, body))
        else:
            await call.stream(await self.open(origin, connect), chunked_head(origin, head), body)
        return call

    async def open(self, origin: Origin, seconds: float) -> Connection:
        """A fresh connection. Raises UpstreamError (`unprocessed`)."""
        if self._closed:
            raise UpstreamError("The gateway is closing its connections.", kind="connect", unprocessed=True)
        connection = Connection(self, origin, self._head_limit)
        await self._connector.connect(lambda: connection, origin, seconds)
        self._connections.add(connection)
        return connection

    def tls(self, origin: Origin) -> ssl.SSLContext | None:
        """What a connection to an https origin is secured with; for who opens one that is no HTTP. Raises UpstreamError of kind tls."""
        return self._connector.tls(origin)

    async def close(self) -> None:
        """Close every connection; the calls on busy ones fail as if the upstream had left. Returns when all are closed."""
        self._closed = True
        if self._sweeper is not None:
            self._sweeper.cancel()
        for connection in tuple(self._connections):
            connection.cut()
        if self._connections:
            await self._emptied.wait()

    def _take(self, origin: Origin) -> Connection | None:
        """The idle connection used last, if it can still be used."""
        idle = self._idle.get(origin)
        while idle:
            connection = idle.pop()
            if not connection.transport.is_closing():
                if self.loop.time() < connection.expires:
                    return connection
                connection.drop()
        return None

    # ── told by connections ──

    def keep(self, connection: Connection) -> None:
        """A connection's call is over, and it can carry another."""
        if self._closed:
            connection.drop()
            return
        seconds = self._keepalive
        hint = connection.answer.keep_alive_timeout
        if hint is not None:
            seconds = min(seconds, hint - 1)  # one second earlier than the upstream, so that we are not too late
        connection.expires = self.loop.time() + seconds
        self._idle.setdefault(connection.origin, []).append(connection)
        if self._sweeper is None:
            self._sweeper = self.loop.call_later(self._keepalive, self._sweep)

    def forget(self, connection: Connection) -> None:
        """A connection is closed."""
        self._connections.discard(connection)
        idle = self._idle.get(connection.origin)
        if idle and connection in idle:
            idle.remove(connection)
        if self._closed and not self._connections:
            self._emptied.set()

    def _sweep(self) -> None:
        """Close what has been idle too long; runs while anything is idle."""
        self._sweeper = None
        now = self.loop.time()
        for origin, idle in list(self._idle.items()):
            for connection in idle:
                if connection.expires <= now:
                    connection.drop()
            fresh = [connection for connection in idle if connection.expires > now]
            if fresh:
                self._idle[origin] = fresh
            else:
                del self._idle[origin]
        if self._idle:
            self._sweeper = self.loop.call_later(self._keepalive, self._sweep)
