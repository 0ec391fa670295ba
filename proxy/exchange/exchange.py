"""One client request and its answer: read it, ask one target after another, remember what it cost.

Whatever a step raises ends in one of two places: the next target, or `Answer.fail`.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from time import monotonic
from typing import Any, Protocol
from urllib.parse import unquote_plus

import msgspec

from proxy.client_dialect import Operation
from proxy.config.model import Route
from proxy.errors import ClientError, ClientGone, ExchangeError, GatewayError, UpstreamError
from proxy.exchange.answer import Answer
from proxy.exchange.attempt import Attempt
from proxy.exchange.body import encoding
from proxy.exchange.client import ClientRequest
from proxy.exchange.heartbeat import Heartbeat
from proxy.exchange.held import Held
from proxy.exchange.kept import Kept
from proxy.exchange.recovery import Recovery
from proxy.exchange.request import BareRequest, Request, read_arrived, read_request
from proxy.exchange.rooms import Rooms
from proxy.exchange.target import TargetCall
from proxy.exchange.trace import trace_headers, via
from proxy.mapping.context import Context
from proxy.metrics import Series
from proxy.record import Record, Usage
from proxy.routing import Resolution, first
from proxy.upstream import header_line

logger = logging.getLogger(__name__)

#: The envelope's `code` by UpstreamError's kind, where the upstream itself named none.
_CODES = {
    "connect": "upstream_unreachable",
    "tls": "upstream_unreachable",
    "timeout": "upstream_timeout",
    "truncated": "upstream_truncated",
    "protocol": "upstream_invalid",
    "invalid": "upstream_invalid",
}


class Asking(Protocol):
    """One target being asked. `answered`: when its answer was whole, 0 before; `usage` and `amount`: what is known of the tokens."""

    answered: float
    amount: int
    usage: dict[str, Any] | None

    async def run(self) -> None:
        """Returns when the client has its answer. Raises ExchangeError."""
        ...


class Exchange:
    """One request on its way. `record` is filled as things happen; `series` is where it counts, once a target is known.

    `tried`: header lines about attempts that failed.
    """

    __slots__ = (
        "_ask_target",
        "_attempt",
        "_heartbeat",
        "_running",
        "_since",
        "_stopped",
        "_trace",
        "answer",
        "asked",
        "connection",
        "held",
        "identifier",
        "kept",
        "operation",
        "query",
        "record",
        "request",
        "rooms",
        "series",
        "tried",
    )

    def __init__(self, rooms: Rooms, request: ClientRequest, answer: Answer, record: Record) -> None:
        self.rooms = rooms
        self.connection = request.connection
        self.answer = answer
        self.record = record
        self.asked: Request = BareRequest()
        self.kept: Kept | None = None
        self.series: Series | None = None
        self.tried = b""
        self.held = Held(rooms.memory, rooms.server.limits.answers)
        self.request = request
        self._trace = b""
        self._attempt: Asking | None = None
        self._heartbeat: Heartbeat | None = None
        self._stopped: ExchangeError | None = None
        self._running = False
        self._since = record.start

    async def run(self, operation: Operation, identifier: str, query: str, ask: Callable[[Exchange, TargetCall], Asking] = Attempt) -> None:
        """Answers the request, one way or another. `identifier` and `query` are the URL's.

        Raises CancelledError when the client is gone.
        """
        self.operation = operation
        self.identifier = identifier
        self.query = _without(query, operation.framed_by) if query and operation.framed_by else query
        self.answer.framing = operation.framing(query)
        self._ask_target = ask
        self._running = True
        try:
            if not self._read_arrived():
                await self._read_arriving()
            resolution = self._resolve()
            await self._ask_in_turn(resolution)
        except ExchangeError as error:
            self.fail(error)
        except asyncio.CancelledError:
            if self._stopped is None:
                self.record.client_gone = True
                raise
            self.fail(self._stopped)
        except Exception:
            logger.exception("a request failed in our own hands (%s)", self.record.request_id)
            self.fail(GatewayError("The gateway failed to handle this request.", status=500, code="internal_error"))
        finally:
            self._running = False
            if self._heartbeat is not None:
                self._heartbeat.stop()

    def stop(self, error: ExchangeError) -> None:
        """Ends the exchange from outside, in whatever phase it is: with a status, or with an error event."""
        self._stopped = error
        self.answer.keep_alive = False
        if self._running:
            self.connection.interrupt()

    def prepared(self) -> None:
        """The upstream's request is ready: up to here the time was ours."""
        self.record.overhead += monotonic() - self._since

    def lines_for(self, target: TargetCall) -> bytes:
        """The header lines of this request that go up to a target."""
        headers = self.request.headers
        lines = self._trace
        for name, line in target.forward:
            value = headers.get(name)
            lines += line if value is None else header_line(name, value)
        if target.choice.route.credential == "client":
            key = self.rooms.own_key(self.request)
            if key is None:
                message = "This model takes your own key of its provider: as `Authorization: Bearer`, or as `x-api-key` beside ours."
                raise ClientError(message, status=401, code="invalid_api_key")
            lines += target.client_key_line(key)
        return lines

    def _read_arrived(self) -> bool:
        """Reads the request, if it came with its head, and not compressed; nearly every one does."""
        if self.operation.body != "json" or not self.request.content.is_eof() or encoding(self.request):
            return False
        self.asked = read_arrived(self.request, self.operation, self.identifier, self.rooms.limits)
        return True

    async def _read_arriving(self) -> None:
        """Reads the request as it comes; that time is the client's."""
        began = monotonic()
        self.asked = await read_request(self.request, self.operation, self.identifier, self.query, self.rooms.limits)
        self._since += monotonic() - began

    def _resolve(self) -> Resolution[TargetCall]:
        asked, record = self.asked, self.record
        record.stream = asked.stream
        record.public_model = asked.model or ""
        router, operation = self.rooms.router, self.operation
        resolution = None
        if operation.ids is not None:
            self.kept = Kept(operation.ids, asked, self.identifier)
            self.identifier = self.kept.identifier
            resolution = self.kept.resolve(router, operation.name, asked.model)
        if resolution is None:
            resolution = router.resolve(operation.name, asked.model)
        trace = trace_headers(self.request.headers)
        record.trace_id = trace[16:48].decode()
        self._trace = b"x-request-id: %b\r\n%b%b" % (record.request_id.encode(), trace, via(self.request.headers))
        heartbeat = self.rooms.server.heartbeat
        if heartbeat is not None and asked.stream:
            name = asked.model or ""
            self._heartbeat = Heartbeat(self.answer, heartbeat, Context(model=name, public=name, now=int(record.time)))
        return resolution

    async def _ask_in_turn(self, resolution: Resolution[TargetCall]) -> None:
        """Asks the best target; what a failure leads to is another matter."""
        target = resolution.only
        if target is None:
            now = monotonic()
            target = first(resolution, self.known_by(resolution.route), now)
            target.standing.take(now, target.provider.cooldown.seconds)
        try:
            await self.ask(target)
        except ExchangeError as error:
            await Recovery(self, resolution).run(target, error)
        else:
            if target.standing.ailing and not (target.client is not None and target.client.estimated):
                target.standing.succeeded(self.record.start)

    def known_by(self, route: Route) -> bytes | None:
        """What this request's client is told from others by, where that decides about its target."""
        if route.order != "sticky":
            return None
        for header in route.sticky.headers:
            if value := self.request.headers.get(header):
                return value.encode("utf-8", "surrogateescape")
        members = (self.asked.member(name) for name in route.sticky.fields)
        return next((raw for raw in members if raw not in (None, b"null", b'""')), None)

    async def ask(self, target: TargetCall) -> None:
        """Asks one target. Raises ExchangeError."""
        record, gate = self.record, target.gate
        record.provider = target.provider.vendor
        record.route = target.route
        record.target = target.name
        self.series = target.series
        if record.failures:
            self._since = monotonic()
        if gate is not None and not gate.try_enter():
            began = monotonic()
            await gate.enter()
            self._since += monotonic() - began
        target.standing.target.load += 1
        try:
            self._attempt = attempt = self._ask_target(self, target)
            if target.timeouts.total is None:
                await attempt.run()
            else:
                await _in_time(attempt, target.timeouts.total)
        except ExchangeError as error:
            error.__traceback__ = error.__context__ = None  # their frames hold the answer; nobody reads them
            raise
        finally:
            target.standing.target.load -= 1
            if gate is not None:
                gate.leave()

    def fail(self, error: ExchangeError) -> None:
        """Tells the log, and the client unless it is gone."""
        own_key = self.rooms.own_key(self.request)
        self.rooms.scrubber.error(error, own_key or "")
        self.blame(error)
        if not self.record.client_gone:
            self.answer.fail(error)

    def blame(self, error: ExchangeError) -> None:
        """Notes what went wrong, and whose fault it was."""
        record = self.record
        record.error_type = error.type
        record.error_detail = error.detail
        record.blame = error.blame
        record.client_gone = isinstance(error, ClientGone)
        if isinstance(error, UpstreamError):
            record.error_kind = error.kind
            error.code = error.code or _CODES.get(error.kind)

    def account(self) -> None:
        """Completes the record. Called once, when the answer has left or the client has."""
        record, attempt = self.record, self._attempt
        if self.held.taken:
            self.held.resize(0)
        self._attempt = None  # it knows us: together they would stay until the garbage collector comes
        record.end = monotonic()
        record.status = 499 if record.client_gone else self.answer.status
        record.sent_bytes = self.answer.sent_bytes
        if attempt is None:
            record.overhead += record.end - self._since
            return
        if attempt.answered:
            record.overhead += record.end - attempt.answered
        if attempt.usage:
            record.usage = Usage.read(attempt.usage)
            if not attempt.answered:  # what was told of an answer that broke off may be but its beginning
                record.usage = msgspec.structs.replace(record.usage, output=max(record.usage.output, attempt.amount))
                record.estimated = True
        elif self.operation.tokens and (attempt.amount or record.client_gone):
            record.usage = Usage(self.asked.size // 4, attempt.amount)
            record.estimated = True


def _without(query: str, own: str) -> str:
    """A query without the parameter by which the client says to us how it wants its stream."""
    return "&".join(part for part in query.split("&") if unquote_plus(part.partition("=")[0]) != own)


async def _in_time(attempt: Asking, seconds: float) -> None:
    try:
        async with asyncio.timeout(seconds):
            await attempt.run()
    except TimeoutError:
        raise UpstreamError("The answer took longer than it may.", status=504, kind="timeout") from None
