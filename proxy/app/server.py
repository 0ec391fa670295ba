"""aiohttp's low-level server with what a gateway needs of it: back-pressure told to the stream, faults as JSON.

One minor version of aiohttp is pinned: this file and arriving.py alone build on the inside of its RequestHandler.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable
from typing import Any, cast

from aiohttp import web
from aiohttp.http import RawRequestMessage, StreamWriter
from aiohttp.streams import StreamReader
from aiohttp.web_protocol import ERROR

from proxy.app.arriving import Arriving
from proxy.errors import ClientError
from proxy.exchange.answer import Answer
from proxy.exchange.client import ClientRequest, Content, Flow
from proxy.exchange.trace import request_id

logger = logging.getLogger(__name__)

#: Seconds from the connection to its first whole request head; keep-alive waits longer.
HEAD_TIMEOUT = 15
#: Seconds that the rest of a refused body is read, so that the client sees why.
LINGERING_TIME = 2.0
#: Longer than a front's own keep-alive (nginx: 60 s), so that it is never we who close first.
KEEPALIVE_TIMEOUT = 75

Handler = Callable[[ClientRequest], Awaitable[bool]]


class ClientConnection(Arriving):
    """One client's connection. `busy`: a request is being served; `flow` is told when the client reads slowly; `peer`: its address, if any.

    One task serves a connection's requests, one after another. aiohttp's own loop starts another task for each.
    """

    __slots__ = ("_head_deadline", "_serve", "admitted", "busy", "flow", "peer")

    def __init__(self, server: Server, header_limit: int, **options: Any) -> None:
        super().__init__(server, header_limit, **options)
        self._serve = server.serve
        self._head_deadline: asyncio.TimerHandle | None = None
        self.busy = False
        self.flow: Flow | None = None
        self.peer = ""
        self.admitted: tuple[object, bytes, str] | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        super().connection_made(transport)
        peer = transport.get_extra_info("peername")
        self.peer = str(peer[0]) if isinstance(peer, tuple) else ""
        # aiohttp's keep-alive timer alone would leave a silent or dripping client 75 s.
        self._head_deadline = self._loop.call_later(HEAD_TIMEOUT, self.force_close)

    def connection_lost(self, exc: BaseException | None) -> None:
        self._has_spoken()
        super().connection_lost(exc)

    async def start(self) -> None:
        """Serves one request after another until the connection is not to be kept. Cancelled when the client goes."""
        try:
            while not self._force_close and not self._close:
                message, content = await self.next_message()
                if not await self._answer(message, content):
                    break
                self._wait_for_another()
        finally:
            self.force_close()

    async def _answer(self, message: RawRequestMessage | ClientError, content: Content) -> bool:
        """Has one request answered. Returns whether the connection can serve another."""
        self._has_spoken()
        if isinstance(message, ClientError):
            self._refuse(message, content)
            await self._part()
            return False
        self.busy = True
        try:
            request = ClientRequest(self, message, content)
            keep = await self._serve(request)
            if not content.is_eof():
                await self._linger(content)
            if keep and self._close:  # the client has sent too much ahead of this answer
                await self._part()
            return keep and content.is_eof()
        except Exception:
            logger.exception("a request failed outside of its exchange")
            return False
        finally:
            self.busy = False

    def _has_spoken(self) -> None:
        """The first request is here: the connection is no silent one."""
        if self._head_deadline is not None:
            self._head_deadline.cancel()
            self._head_deadline = None

    def _wait_for_another(self) -> None:
        """aiohttp's timer closes a connection that brings no other request in time."""
        self._next_keepalive_close_time = self._loop.time() + self._keepalive_timeout
        if self._keepalive_handle is None:
            self._keepalive_handle = self._loop.call_at(self._next_keepalive_close_time, self._process_keepalive)

    def _refuse(self, error: ClientError, content: Content) -> None:
        """Answers what is not HTTP, in the envelope."""
        request = ClientRequest(self, ERROR, content)
        answer = Answer(request, self, b"x-request-id: %b\r\n" % request_id(request.headers).encode())
        answer.fail(error)

    async def _part(self) -> None:
        """Closes so that the client gets to see the answer: what still comes is read and dropped for a while (RFC 9112 §9.6)."""
        self._close = True
        if self.transport is not None:
            self.transport.write_eof()
            await asyncio.sleep(self._lingering_time)  # cancelled when the client goes

    async def _linger(self, content: Content) -> None:
        """Reads a little more of a body that was refused, so that the client gets to see why."""
        try:
            async with asyncio.timeout(self._lingering_time):
                while not content.is_eof():
                    await content.readany()
        except (TimeoutError, ConnectionError, web.RequestPayloadError):
            return

    # ── for the exchange ──

    def interrupt(self) -> None:
        """Cancels what is being served."""
        if self._task_handler is not None:
            self._task_handler.cancel()

    async def drain(self) -> None:
        """Returns when the client has taken enough; raises ConnectionError when it has gone."""
        await self._drain_helper()

    def hand_over(self, message: RawRequestMessage, content: StreamReader) -> web.BaseRequest:
        """The request as aiohttp's own parts want it."""
        task = cast("asyncio.Task[None]", self._task_handler)
        return web.BaseRequest(message, content, self, StreamWriter(self, self._loop), task, self._loop)

    # ── told by the transport ──

    def pause_writing(self) -> None:
        super().pause_writing()
        if self.flow is not None:
            self.flow.pause()

    def resume_writing(self) -> None:
        super().resume_writing()
        if self.flow is not None:
            self.flow.resume()


class Server(web.Server):
    """Makes a ClientConnection of each accepted socket; `serve` answers one request, and is cancelled when the client goes."""

    def __init__(self, serve: Handler, header_limit: int) -> None:
        self.serve = serve
        self.header_limit = header_limit
        super().__init__(cast("Callable[[web.BaseRequest], Awaitable[web.StreamResponse]]", serve), handler_cancellation=True)

    def close_idle(self) -> None:
        """Closes the connections that wait for a request."""
        for connection in self.connections:
            if isinstance(connection, ClientConnection) and not connection.busy:
                connection.force_close()

    def __call__(self) -> web.RequestHandler:
        return ClientConnection(
            self,
            self.header_limit,
            loop=self._loop,
            keepalive_timeout=KEEPALIVE_TIMEOUT,
            access_log=None,
            auto_decompress=False,
            lingering_time=LINGERING_TIME,
        )
