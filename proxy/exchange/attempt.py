"""One target being asked, and its answer passed on.

send ─▶ head ─┬▶ status 3xx to 5xx: an UpstreamError
              ├▶ events: an EventRelay through a lane
              ├▶ bytes:  a ByteRelay
              └▶ whole:  read, checked, mapped, one write
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Iterator
from contextlib import contextmanager
from time import monotonic
from typing import TYPE_CHECKING, Any

import msgspec

from proxy.client_dialect import ClientMapping
from proxy.codecs import DECODERS
from proxy.codecs.members import Members, MembersError
from proxy.errors import ClientError, ExchangeError, UpstreamError
from proxy.exchange.answer import JSON, SSE
from proxy.exchange.estimate import tokens_of
from proxy.exchange.faults import failed_inside, refused
from proxy.exchange.held import FREE, crowded
from proxy.exchange.inflate import Inflater
from proxy.exchange.lanes import MISFIT, Lane, Passed, Reframed, Translated
from proxy.exchange.relay import ByteRelay, EventRelay, Relay
from proxy.exchange.request import LARGE, Body
from proxy.exchange.target import Headers, TargetCall
from proxy.mapping.chunks import ChunkWriter
from proxy.mapping.completion import as_canonical
from proxy.mapping.documents import decode
from proxy.mapping.mappings import ResponseMapping
from proxy.mapping.stream import StreamMapping
from proxy.mapping.writer import SectionWriter
from proxy.upstream import Call, decode_body

if TYPE_CHECKING:
    from proxy.exchange.exchange import Exchange

logger = logging.getLogger(__name__)

#: Seconds that a finished stream's connection gets to end by itself, so that it can be used again.
PARTING = 1.0
#: "No deadline", for what needs a number.
NEVER = 10.0**8
#: Bytes that are read of an answer that is an error.
_ERROR_LIMIT = 2**20
#: Seconds that its body may take: the status is the news.
_ERROR_PATIENCE = 10.0
#: Content types of what is no media.
_NO_MEDIA = (b"application/json", b"text/html")
#: What a header's value may not hold.
_CONTROL = bytes([*range(32), 127])

_encode = msgspec.json.Encoder().encode
_encode_text = msgspec.json.encode


@contextmanager
def _fitting() -> Iterator[None]:
    """Raises ValueError for an answer whose parts are not what the rules for it expect."""
    try:
        yield
    except MISFIT as error:
        logger.warning("an answer does not fit the rules for it", exc_info=error)
        raise ValueError("it is not of the form it should have") from None


class Attempt:
    """Asks `target` for what `exchange` is about.

    `answered`: when the upstream's answer was whole; 0 before it. `usage`: as far as the upstream told it. `amount`: the answer's size,
    in events of a stream or quarters of a byte count, for an estimate when it did not.
    """

    __slots__ = ("_context", "_deadline", "_exchange", "_head", "_target", "amount", "answered", "usage")

    def __init__(self, exchange: Exchange, target: TargetCall) -> None:
        self._exchange = exchange
        self._target = target
        self._context = target.context(int(exchange.record.time), stream=exchange.asked.stream)
        self._deadline = 0.0
        self._head = exchange.tried
        exchange.answer.writer = self._writer()
        self.answered = 0.0
        self.amount = 0
        self.usage: dict[str, Any] | None = None

    async def run(self) -> None:
        """Returns when the client has its answer. Raises ExchangeError; whether anything has reached the client, the answer knows."""
        exchange, target = self._exchange, self._target
        head, body = self._request()
        if isinstance(body, bytes) and len(body) > LARGE:
            await asyncio.sleep(0)  # so much has been copied that others should have their turn
        if target.client is not None and target.client.estimated and isinstance(body, bytes):
            self._estimate(target.client, body)
            return
        exchange.record.attempts += 1  # what this target cannot be asked was none
        pool, connect = exchange.rooms.pool, target.timeouts.connect or NEVER
        call = pool.send_now(target.origin, head, body, connect=connect) or await pool.send(target.origin, head, body, connect=connect)
        # Only now: a form may take the client longer than an upstream may think.
        self._deadline = pool.loop.time() + (target.pace.first or NEVER)
        try:
            await call.head(self._deadline)
            exchange.record.first_byte = monotonic()
            if call.status >= 300:
                raise await self._refusal(call)
            self._head += target.relay(call.headers)
            if exchange.operation.answer != "json" or exchange.asked.stream:
                await self._pass_on(call)
            elif (whole := call.body(self._limit)) is not None:
                self._whole(call, whole)
            else:
                self._whole(call, await self._read(call))
        except BaseException:
            call.abort()
            raise

    def _estimate(self, client: ClientMapping, body: bytes) -> None:
        """Answers what a body that is not sent would come to."""
        answer = client.answer({"tokens": tokens_of(body)}, self._context.client or self._context)
        self.answered = monotonic()
        self._exchange.answer.whole(
            200, JSON + self._target.provider_line + b"x-samewire-estimated: true\r\n" + self._head, _encode(answer)
        )

    def _request(self) -> tuple[bytes, Body]:
        """What is sent: the head but for its framing, and the body. Raises ClientError."""
        exchange, target = self._exchange, self._target
        asked = exchange.asked
        if asked.stream and (target.operation.stream is None or (target.client is not None and target.client.stream is None)):
            message = f"The model `{target.choice.public}` does not stream {target.choice.operation}."
            raise ClientError(message, param="stream", code="unsupported_parameter", reason="unsupported")
        lines, body, dropped = asked.prepare(target, self._context)
        if dropped:
            self._report(dropped)
        query = exchange.query if target.client is None else ""  # which is about the client's own operation
        head = target.request_head(exchange.identifier, query, stream=asked.stream) + exchange.lines_for(target) + lines
        exchange.answer.write_stall = target.pace.write or NEVER
        exchange.prepared()
        return head, body

    def _report(self, dropped: tuple[str, ...]) -> None:
        names = ", ".join(dropped)
        if self._target.choice.route.unsupported == "reject":
            message = f"This model cannot serve the parameter {names}."
            raise ClientError(message, param=dropped[0], code="unsupported_parameter", reason="unsupported")
        self._exchange.record.dropped = dropped
        shown = names.encode("ascii", "replace").translate(None, _CONTROL)
        self._head += b"x-samewire-dropped: %b\r\n" % shown[:1000]

    async def _refusal(self, call: Call) -> UpstreamError:
        """What an error's body says, if that can be had at all."""
        try:
            async with asyncio.timeout(_ERROR_PATIENCE):
                body = await call.read(_ERROR_LIMIT, _ERROR_PATIENCE)
            body = decode_body(call.headers, body, _ERROR_LIMIT)
        except (UpstreamError, TimeoutError):
            body = b""
        return refused(call.status, body, self._target, call.headers, self._context)

    async def _pass_on(self, call: Call) -> None:
        """An answer that may be a stream."""
        headers = call.headers
        wanted, stream = self._exchange.operation.answer, self._target.operation.stream
        kind = headers.get(b"content-type", b"").partition(b";")[0].strip().lower()
        if stream is not None and (self._exchange.asked.stream or (kind == b"text/event-stream" and wanted != "json")):
            await self._events(call, stream, headers.get(b"content-encoding"))
        elif wanted == "json" or (wanted == "either" and kind == b"application/json"):
            self._whole(call, await self._read(call))
        elif wanted == "media" and kind in _NO_MEDIA:
            raise self._misplaced(await call.read(_ERROR_LIMIT, self._target.pace.idle or NEVER))
        else:
            await self._bytes(call, headers)

    # ── whole answers ──

    @property
    def _limit(self) -> int:
        """Bytes that a whole answer may have."""
        return self._exchange.rooms.server.limits.answer * (2 if self._exchange.operation.large else 1)

    async def _read(self, call: Call) -> bytes:
        """An answer that is still coming."""
        limit = self._limit
        if int(call.headers.get(b"content-length", b"0")) > limit:
            raise UpstreamError(f"The upstream answered with more than {limit} bytes.", kind="protocol")
        return await call.read(limit, self._target.pace.idle or NEVER, self._exchange.held.resize)

    def _whole(self, call: Call, body: bytes) -> None:
        operation = self._exchange.operation
        self.answered = monotonic()
        body = decode_body(call.headers, body, self._limit)
        if len(body) > FREE or self._exchange.held.taken:
            self._exchange.held.resize(len(body))
        mapping, client = self._target.operation.response, self._target.client
        if (mapping is not None or not operation.large) and crowded(body):
            raise UpstreamError("The upstream's answer is made of too many parts.", kind="invalid")
        try:
            if client is not None:
                body = self._for_client(body, mapping, client)
            else:
                body = self._returning(self._passed(body)) if mapping is None else self._translated(body, mapping)
        except ValueError as error:
            raise UpstreamError(f"The upstream's answer cannot be read: {error}.", kind="invalid") from None
        self.amount = len(body) // 4
        self._exchange.answer.whole(call.status, JSON + self._head, body)

    def _passed(self, body: bytes) -> bytes:
        """The upstream's bytes, checked; only the model's name may change."""
        target = self._target
        self.usage, model, failed = target.operation.peek(body, self._context)
        if failed:
            raise failed_inside(body, target.provider.dialect.errors, self._context)
        if not body.isascii():
            body.decode()
        if model is None:
            return body
        self._exchange.record.response_model = str(model)
        shown = target.shown
        if shown is None or model == target.choice.public:
            return body
        # An unescaped `"model"` is a name or a whole text; where it stands once only, it is the member that was read.
        member = b'"model":' + _encode_text(model)
        at = body.find(b'"model"')
        end = at + len(member)
        if body.startswith(member, at) and body.find(b'"model"', end) < 0:
            return b'%b"model":%b%b' % (body[:at], shown, body[end:])
        try:
            return Members.parse(body).splice({"model": shown})
        except MembersError:  # a name that comes twice, half a surrogate pair: it goes on as it came
            return body

    def _returning(self, body: bytes) -> bytes:
        """With the way back to what the provider keeps in its ids."""
        kept = self._exchange.kept
        return body if kept is None else kept.whole(body, kept.shows(self._exchange.rooms.router, self._target.choice))

    def _translated(self, body: bytes, mapping: ResponseMapping) -> bytes:
        with _fitting():
            answer = mapping.read(body, self._context) or mapping(self._in_full(body), self._context)
        self.usage = answer.get("usage")
        return _encode(answer)

    def _for_client(self, body: bytes, mapping: ResponseMapping | None, client: ClientMapping) -> bytes:
        """By way of the canonical answer, which may be what the upstream has sent."""
        context = self._context
        with _fitting():
            if mapping is not None:
                answer = mapping.read(body, context) or mapping(self._in_full(body), context)
            else:
                answer = as_canonical(self._in_full(body), client.by, context)
            self.usage = answer.get("usage")
            return _encode(client.answer(answer, context.client or context))

    def _in_full(self, body: bytes) -> Any:
        errors = self._target.provider.dialect.errors
        try:
            document = decode(body)
        except RecursionError:
            raise ValueError("it is nested too deeply") from None
        if errors.failed(document, self._context):
            raise failed_inside(body, errors, self._context)
        return document

    # ── streams ──

    async def _events(self, call: Call, mapping: StreamMapping, coding: bytes | None) -> None:
        limits = self._exchange.rooms.server.limits
        lane = self._lane(mapping)
        relay = EventRelay(call, self._exchange.answer, self._target.pace, lane, self._head)
        inflate = Inflater(coding, limits.event) if coding not in (None, b"", b"identity") else None
        decoder = DECODERS[lane.stream.mapping.decode](limits.event)
        relay.prepare(decoder, self._exchange.held, single=self._exchange.asked.single, inflate=inflate)
        try:
            await self._carry(relay)
        finally:
            self._exchange.record.first_token = relay.first_at
            self.usage = lane.stream.usage
            self.amount = relay.events
        if relay.document is not None:
            raise self._misplaced(relay.document)
        if not relay.closed:
            asyncio.get_running_loop().call_later(PARTING, call.abort)

    def _writer(self) -> SectionWriter | None:
        """Who writes the client's events in its own dialect, where they are translated; and tells a failure that comes before them."""
        exchange, client = self._exchange, self._target.client
        if client is None or client.stream is None or self._context.client is None or not exchange.asked.stream:
            return None
        return client.stream.open(self._context.client, framing=exchange.answer.framing)

    def _lane(self, mapping: StreamMapping) -> Lane:
        context, answer = self._context, self._exchange.answer
        usage_wanted = self._exchange.asked.usage_wanted
        if answer.writer is not None:
            return Translated(mapping.open(context, answer.writer), answer.writer)
        if mapping.passthrough and answer.framing is not SSE:
            return Reframed(mapping.open(context), answer.framing, self._target.shown)
        if mapping.passthrough:
            passed = Passed(mapping.open(context), usage_wanted=usage_wanted, shown=self._target.shown)
            kept = self._exchange.kept
            return passed if kept is None else kept.lane(passed, kept.shows(self._exchange.rooms.router, self._target.choice))
        writer = ChunkWriter(context.shown, context.now, usage_wanted=usage_wanted, reasoning=context.reasoning)
        return Translated(mapping.open(context, writer), writer)

    def _misplaced(self, document: bytes) -> ExchangeError:
        """The upstream sent one document where a stream or media were asked for: often an error, sometimes a page."""
        errors = self._target.provider.dialect.errors
        try:
            if errors.failed(decode(document), self._context):
                return failed_inside(document, errors, self._context)
            message = "The upstream answered with a whole document instead of what was asked for."
        except (ValueError, RecursionError):
            message = "The upstream answered with something that is neither JSON nor what was asked for."
        return UpstreamError(message, kind="invalid")

    async def _bytes(self, call: Call, headers: Headers) -> None:
        lines = self._head
        for name in (b"content-type", b"content-encoding", b"content-disposition"):
            if name in headers:
                lines += b"%b: %b\r\n" % (name, headers[name])
        length = headers.get(b"content-length")
        relay = ByteRelay(call, self._exchange.answer, self._target.pace, lines, None if length is None else int(length))
        await self._carry(relay)
        self.amount = self._exchange.answer.sent_bytes // 4

    async def _carry(self, relay: Relay) -> None:
        """Lets the answer flow until it ends."""
        connection = self._exchange.connection
        connection.flow = relay
        try:
            relay.start(self._deadline)
            await relay.done
            self.answered = monotonic()
        finally:
            connection.flow = None
            relay.stop()
