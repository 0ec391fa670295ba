"""Every request's first and last step: find what it asks for, check who asks, hand it to an exchange, note what came of it."""

from __future__ import annotations

import asyncio
import time
from dataclasses import replace
from time import monotonic

from aiohttp import hdrs

from proxy.app.keys import without_keys
from proxy.app.pages import Page, Readiness
from proxy.app.realtime import RealtimeAttempt
from proxy.app.serving import Serving
from proxy.app.urls import Place
from proxy.client_dialect import Operation
from proxy.errors import ClientError, ExchangeError, GatewayError
from proxy.exchange.answer import Answer
from proxy.exchange.attempt import Attempt
from proxy.exchange.client import ClientRequest
from proxy.exchange.exchange import Exchange
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
        self._empty: asyncio.Event | None = None  # set when the last exchange has ended; there while somebody waits for that

    async def handle(self, request: ClientRequest) -> bool:
        """Answers one request. Returns whether its connection may be kept. Raises CancelledError only, when the client is gone."""
        serving = self.serving
        record = Record(operation="", request_id=request_id(request.headers), time=time.time(), start=monotonic())
        fixed = b"x-request-id: %b\r\n%b" % (record.request_id.encode(), serving.cors.headers(request.headers))
        answer = Answer(request, request.connection, fixed)
        answer.keep_alive = answer.keep_alive and self._readiness.keeps
        exchange = Exchange(serving.rooms, request, answer, record)
        try:
            place = self._place(serving, exchange)
            if place is None:
                self._tell_methods(serving, exchange)
            elif isinstance(place.serves, Page):
                headers, body = await place.serves.show(request, place.name)
                answer.whole(200, headers, body)
            else:
                self._enter(serving, exchange)
                await exchange.run(
                    place.serves, place.name, without_keys(place.query), RealtimeAttempt if place.serves.body == "websocket" else Attempt
                )
            if not answer.flushed:
                await answer.flush()
        except ExchangeError as error:
            exchange.fail(error)
        except asyncio.CancelledError:
            record.client_gone = True
            raise
        finally:
            exchange.account()
            self._leave(exchange)
            self._note(serving, exchange)
        return answer.keep_alive

    def _place(self, serving: Serving, exchange: Exchange) -> Place[Operation | Page] | None:
        """What is asked for, by somebody who may; None: which methods there are. Raises ClientError."""
        request, record = exchange.request, exchange.record
        if request.method == hdrs.METH_OPTIONS:
            return None
        try:
            place = serving.urls.find(request.method, request.target)
        except ClientError:
            exchange.answer.voice = serving.voices.of(request.target, request.headers)
            raise
        if place.others:
            place = replace(place, serves=place.among(request.headers), others=())
        serves = place.serves
        exchange.answer.voice = serves.voice
        record.operation = serves.name
        if isinstance(serves, Page):
            if serves.guarded:
                record.key = serving.keys.check(request, place.query)
            return place
        if request.method == hdrs.METH_HEAD:
            raise ClientError("HEAD is served for pages only.", status=405, code="method_not_allowed", headers={"allow": serves.method})
        record.key = serving.keys.check(request, place.query)
        return place

    def _tell_methods(self, serving: Serving, exchange: Exchange) -> None:
        """Answers OPTIONS."""
        request = exchange.request
        methods = serving.urls.methods(request.target)
        allow = f"allow: {', '.join((*methods, 'OPTIONS'))}\r\n".encode()
        exchange.answer.bare(204, allow + serving.cors.preflight(request.headers, methods))

    def _enter(self, serving: Serving, exchange: Exchange) -> None:
        """Takes an exchange in; who cannot be served now is turned away before anything is read."""
        if not self._readiness.ready:
            raise GatewayError("The gateway is shutting down.", code="shutting_down", headers={"retry-after": "1"})
        if self._metrics.in_flight >= serving.rooms.server.limits.in_flight:
            raise GatewayError("The gateway has too much to do.", code="overloaded", headers={"retry-after": "1"})
        self._exchanges.add(exchange)
        self._metrics.in_flight += 1

    def _leave(self, exchange: Exchange) -> None:
        """An exchange is over; one that was turned away never was in."""
        if exchange in self._exchanges:
            self._exchanges.remove(exchange)
            self._metrics.in_flight -= 1
            if self._empty is not None and not self._exchanges:
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

    def part(self) -> None:
        """Each answer from now on is its connection's last."""
        self._readiness.keeps = False
        for exchange in self._exchanges:
            exchange.answer.keep_alive = False

    async def drain(self, grace: float) -> None:
        """Takes no new requests; running ones get `grace` seconds to end, then a 503 or an error event."""
        self._readiness.ready = False
        self.part()
        if await self._ended(grace):
            return
        for exchange in tuple(self._exchanges):
            exchange.stop(GatewayError("The gateway is shutting down.", code="shutting_down"))
        await self._ended(LAST_WORDS)

    async def _ended(self, seconds: float) -> bool:
        self._empty = asyncio.Event()
        if not self._exchanges:
            return True
        try:
            async with asyncio.timeout(seconds):
                await self._empty.wait()
        except TimeoutError:
            return False
        return True
