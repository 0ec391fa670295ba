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

logger = logging.getLogger("samewire")

#: Codex sends a header of its own of several KiB; 8190 bytes a field is aiohttp's default.
FIELD_LIMIT = 32 * 2**10
#: Seconds from the connection to its first whole request head; keep-alive waits longer.
HEAD_TIMEOUT = 15
#: Longer than a front's own keep-alive (nginx: 60 s), so that it is never we who close first.
KEEPALIVE_TIMEOUT = 75

Handler = Callable[[web.BaseRequest], Awaitable[Sent]]


class ClientConnection(web.RequestHandler):
    """One client's connection."""

    __slots__ = ("_head_deadline", "flow")

    def __init__(self, server: Server, **options: Any) -> None:
        super().__init__(server, **options)
        self.flow: Flow | None = None
        self._head_deadline: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        super().connection_made(transport)
        # aiohttp's keep-alive timer alone would leave a silent or dripping client 75 s.
        self._head_deadline = asyncio.get_running_loop().call_later(HEAD_TIMEOUT, self.force_close)

    def head_arrived(self) -> None:
        """Called with each request: the connection has shown that it speaks."""
        if self._head_deadline is not None:
            self._head_deadline.cancel()
            self._head_deadline = None

    def connection_lost(self, exc: BaseException | None) -> None:
        self.head_arrived()
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

    def handle_error(
        self,
        request: web.BaseRequest,
        status: int = 500,
        exc: BaseException | None = None,
        message: str | None = None,
    ) -> web.StreamResponse:
        """Answers what is not HTTP (400) in the envelope. aiohttp's own sentence would show the client's bytes, so it is not used."""
        self.head_arrived()
        error: ExchangeError
        if status == HTTPStatus.BAD_REQUEST:
            error = ClientError("This is not a valid HTTP/1.1 request.", code="invalid_http")
        else:
            error = GatewayError("The gateway failed to handle this request.", status=status)
            logger.error("a request failed outside of its exchange", exc_info=exc)
        answer = Answer(request, self, b"")
        answer.keep_alive = False
        answer.fail(error)
        return cast("web.StreamResponse", answer.result)


class Server(web.Server):
    """Makes a ClientConnection of each accepted socket; `handler` serves its requests, and is cancelled when the client goes."""

    def __init__(self, handler: Handler) -> None:
        super().__init__(cast("Callable[[web.BaseRequest], Awaitable[web.StreamResponse]]", handler), handler_cancellation=True)

    def __call__(self) -> web.RequestHandler:
        return ClientConnection(
            self,
            loop=self._loop,
            keepalive_timeout=KEEPALIVE_TIMEOUT,
            access_log=None,
            auto_decompress=False,
            max_line_size=FIELD_LIMIT,
            max_field_size=FIELD_LIMIT,
        )
