"""Every request's first and last step: find what it asks for, check who asks, hand it to an exchange, note what came of it."""

from __future__ import annotations

import asyncio
import time
from time import monotonic

from aiohttp import hdrs

from proxy.app.pages import Page, Readiness
from proxy.app.realtime import RealtimeAttempt
from proxy.app.serving import Serving
from proxy.app.urls import Place
from proxy.errors import ClientError, ExchangeError, GatewayError
from proxy.exchange.answer import Answer
from proxy.exchange.attempt import Attempt
from proxy.exchange.client import ClientRequest
from proxy.exchange.exchange import Exchange
from proxy.exchange.operation import Operation
from proxy.exchange.trace import request_id
from proxy.log import RequestLog
from proxy.metrics import Metrics
from proxy.record import Record

#: Seconds for the last words to clients, once the grace is over.
LAST_WORDS = 5.0


class Gateway:
    """Serves requests by `serving`, and writes to `log` (None: not logged); both may be exchanged at any moment."""

    def __init__(self, serving: Serving, readiness: Readiness, metrics: Metrics, log: RequestLog | None) -> None:
        self.serving = serving
        self._readiness = readiness
        self._metrics = metrics
        self.log = log
        self._exchanges: set[Exchange] = set()
        self._empty = asyncio.Event()
        self._empty.set()

    async def handle(self, request: ClientRequest) -> bool:
        """Answers one request. Returns whether its connection may be kept. Raises CancelledError only, when the client is gone."""
        serving = self.serving
        record = Record(operation="", request_id=request_id(request.headers), time=time.time(), start=monotonic())
        fixed = b"x-request-id: %b\r\n%b" % (record.request_id.encode(), serving.cors.headers(request.headers))
        answer = Answer(request, request.connection, fixed)
        answer.keep_alive = answer.keep_alive and self._readiness.ready
        exchange = Exchange(serving.rooms, request, answer, record)
        try:
            await self._dispatch(serving, exchange, request)
            await answer.flush()
        except ExchangeError as error:
            exchange.fail(error)
        except asyncio.CancelledError:
            record.client_gone = True
            raise
        finally:
            exchange.account()
            self._note(serving, exchange)
        return answer.keep_alive

    async def _dispatch(self, serving: Serving, exchange: Exchange, request: ClientRequest) -> None:
        """Raises ExchangeError for what is refused before it is asked of anybody."""
        answer, record = exchange.answer, exchange.record
        target = request.target
        if request.method == hdrs.METH_OPTIONS:
            methods = serving.urls.methods(target)
            allow = f"allow: {', '.join((*methods, 'OPTIONS'))}\r\n".encode()
            answer.bare(204, allow + serving.cors.preflight(request.headers, methods))
            return
        place = serving.urls.find(request.method, target)
        serves = place.serves
        record.operation = serves.name
        if isinstance(serves, Page):
            if serves.guarded:
                record.key = serving.keys.check(request)
            headers, body = await serves.show(place.name)
            answer.whole(200, headers, body)
        elif request.method == hdrs.METH_HEAD:
            raise ClientError("HEAD is served for pages only.", status=405, code="method_not_allowed", headers={"allow": serves.method})
        else:
            record.key = serving.keys.check(request)
            self._admit(serving)
            await self._run(exchange, serves, place)

    def _admit(self, serving: Serving) -> None:
        """Who cannot be served now is turned away before anything is read."""
        if not self._readiness.ready:
            raise GatewayError("The gateway is shutting down.", code="shutting_down", headers={"retry-after": "1"})
        if self._metrics.in_flight >= serving.rooms.server.limits.in_flight:
            raise GatewayError("The gateway has too much to do.", code="overloaded", headers={"retry-after": "1"})

    async def _run(self, exchange: Exchange, operation: Operation, place: Place[Operation | Page]) -> None:
        self._metrics.in_flight += 1
        self._exchanges.add(exchange)
        self._empty.clear()
        try:
            ask = RealtimeAttempt if operation.body == "websocket" else Attempt
            await exchange.run(operation, place.name, place.query, ask)
            await exchange.answer.flush()
        finally:
            self._metrics.in_flight -= 1
            self._exchanges.discard(exchange)
            if not self._exchanges:
                self._empty.set()

    def _note(self, serving: Serving, exchange: Exchange) -> None:
        """Metrics and log; not for probes and scrapes."""
        record = exchange.record
        if record.operation in serving.quiet:
            return
        series = exchange.series or self._metrics.series(record.operation, "", record.public_model, "")
        series.observe(record)
        if self.log is not None:
            record.client = serving.clients.address(exchange.request.connection.peer, exchange.request.headers)
            self.log.write(record)

    async def drain(self, grace: float) -> None:
        """Takes no new requests; running ones get `grace` seconds to end, then a 503 or an error event."""
        self._readiness.ready = False
        for exchange in self._exchanges:
            exchange.answer.keep_alive = False
        if await self._ended(grace):
            return
        for exchange in tuple(self._exchanges):
            exchange.stop(GatewayError("The gateway is shutting down.", code="shutting_down"))
        await self._ended(LAST_WORDS)

    async def _ended(self, seconds: float) -> bool:
        try:
            async with asyncio.timeout(seconds):
                await self._empty.wait()
        except TimeoutError:
            return False
        return True
