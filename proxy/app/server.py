"""aiohttp's low-level server with what a gateway needs of it: back-pressure told to the stream, faults as JSON.

One minor version of aiohttp is pinned: this file alone builds on the inside of its RequestHandler.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable
from http import HTTPStatus
from typing import Any, cast

from aiohttp import web

from proxy.errors import ClientError, ExchangeError, GatewayError
from proxy.exchange.answer import Answer, Flow, Sent
from proxy.exchange.trace import request_id

logger = logging.getLogger(__name__)

#: Seconds from the connection to its first whole request head; keep-alive waits longer.
HEAD_TIMEOUT = 15
#: Seconds that the rest of a refused body is read, so that the client sees why.
LINGERING_TIME = 2.0
#: Longer than a front's own keep-alive (nginx: 60 s), so that it is never we who close first.
KEEPALIVE_TIMEOUT = 75

Handler = Callable[[web.BaseRequest], Awaitable[Sent]]


class ClientConnection(web.RequestHandler):
    """One client's connection. `busy`: a request is being served; `flow` is told when the client reads slowly."""

    __slots__ = ("_head_deadline", "busy", "flow")

    def __init__(self, server: Server, **options: Any) -> None:
        super().__init__(server, **options)
        self.busy = False
        self.flow: Flow | None = None
        self._head_deadline: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        super().connection_made(transport)
        # aiohttp's keep-alive timer alone would leave a silent or dripping client 75 s.
        self._head_deadline = asyncio.get_running_loop().call_later(HEAD_TIMEOUT, self.force_close)

    def begin(self) -> None:
        """A request has arrived: the connection has shown that it speaks."""
        self.busy = True
        if self._head_deadline is not None:
            self._head_deadline.cancel()
            self._head_deadline = None

    def connection_lost(self, exc: BaseException | None) -> None:
        self.begin()
        super().connection_lost(exc)

    def pause_writing(self) -> None:
        super().pause_writing()
        if self.flow is not None:
            self.flow.pause()

    def resume_writing(self) -> None:
        super().resume_writing()
        if self.flow is not None:
            self.flow.resume()

    def resume_reading(self, resume_parser: bool = True) -> None:
        # aiohttp calls this after each read of a body, paused or not, and then feeds its parser nothing.
        if self._reading_paused:
            super().resume_reading(resume_parser)

    def log_exception(self, *args: Any, **kwargs: Any) -> None:
        # A client that goes while the rest of its body is being read is no news.
        if self.transport is not None:
            super().log_exception(*args, **kwargs)

    def handle_error(
        self,
        request: web.BaseRequest,
        status: int = 500,
        exc: BaseException | None = None,
        message: str | None = None,
    ) -> web.StreamResponse:
        """Answers what is not HTTP (400) in the envelope. aiohttp's own sentence would show the client's bytes, so it is not used."""
        self.begin()
        error: ExchangeError
        if status == HTTPStatus.BAD_REQUEST:
            error = ClientError("This is not a valid HTTP/1.1 request.", code="invalid_http")
        else:
            error = GatewayError("The gateway failed to handle this request.", status=status)
            logger.error("a request failed outside of its exchange", exc_info=exc)
        answer = Answer(request, self, b"x-request-id: %b\r\n" % request_id(request.headers).encode())
        answer.keep_alive = False
        answer.fail(error)
        return cast("web.StreamResponse", Sent(False))


class Server(web.Server):
    """Makes a ClientConnection of each accepted socket; `handler` serves its requests, and is cancelled when the client goes."""

    def __init__(self, handler: Handler, header_limit: int) -> None:
        self._header_limit = header_limit
        super().__init__(cast("Callable[[web.BaseRequest], Awaitable[web.StreamResponse]]", handler), handler_cancellation=True)

    def close_idle(self) -> None:
        """Closes the connections that wait for a request."""
        for connection in self.connections:
            if isinstance(connection, ClientConnection) and not connection.busy:
                connection.force_close()

    def __call__(self) -> web.RequestHandler:
        return ClientConnection(
            self,
            loop=self._loop,
            keepalive_timeout=KEEPALIVE_TIMEOUT,
            access_log=None,
            auto_decompress=False,
            lingering_time=LINGERING_TIME,
            max_line_size=self._header_limit,  # aiohttp's own 8190 is too little: some clients send more in one field
            max_field_size=self._header_limit,
        )
