"""One request and its answer: waiting for the head, then reading the body whole or having it pushed."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Mapping
from typing import TYPE_CHECKING, Protocol

from ..errors import ExchangeError, UpstreamError
from .answer import AnswerReader
from .connection import Connection
from .origin import Origin
from .request import LAST_CHUNK, Message, chunk

if TYPE_CHECKING:
    from .pool import Pool

#: Body bytes held for a call that is neither piped nor read yet; beyond them the connection stops being read.
BACKLOG = 256 * 1024

#: Seconds in which a used connection shows that it was dead. One that ends later may have taken the request, and worked on it.
STALE = 1.0


class Sink(Protocol):
    """Where a body is pushed. Called from the event loop's read callback: must not block.

    Any number of `data`, then exactly one of `end` and `fail`; nothing at all after `Call.abort`. A sink may pause, resume
    and abort its call from inside. A sink that raises loses its connection and gets `fail`; the loop's exception handler is told.
    """

    def data(self, piece: bytes) -> None:
        """All body bytes of one read from the socket, decoded from their chunks; never empty."""

    def end(self) -> None:
        """The body is whole."""

    def fail(self, error: UpstreamError) -> None:
        """The body broke off: kind truncated or protocol."""


class Call:
    """One request on one connection. Whoever has one ends it with `abort`, which does nothing when the answer is whole.

    status: of the answer, 200 to 599; 0 until the head is there. headers: value by lower-cased name.
    reused: the connection had carried another call before.
    """

    __slots__ = (
        "_backlog",
        "_backlog_size",
        "_capacity",
        "_complete",
        "_connect",
        "_connection",
        "_error",
        "_grown",
        "_idle",
        "_loop",
        "_message",
        "_opening",
        "_origin",
        "_paused",
        "_pool",
        "_refused",
        "_sent_at",
        "_sink",
        "_waiter",
        "headers",
        "reused",
        "status",
    )

    def __init__(self, pool: Pool, origin: Origin, connect: float) -> None:
        self._pool = pool
        self._origin = origin
        self._connect = connect
        self._loop = pool.loop
        self._connection: Connection | None = None
        self._opening: asyncio.Timeout | None = None
        self._message: Message = ()
        self._waiter: asyncio.Future[None] | None = None
        self._sink: Sink | None = None
        self._backlog: list[bytes] = []
        self._backlog_size = 0
        self._capacity = BACKLOG
        self._grown: Callable[[int], None] | None = None
        self._idle = 0.0
        self._paused = False
        self._refused: ExchangeError | None = None
        self._sent_at = 0.0
        self._complete = False
        self._error: UpstreamError | None = None
        self.status = 0
        self.headers: Mapping[bytes, bytes] = {}
        self.reused = False

    # ── the request ──

    def send(self, connection: Connection, message: Message) -> None:
        """Put the whole request on its way."""
        self._message = message
        self._connection = connection
        self.reused = connection.used
        self._sent_at = self._loop.time()
        connection.start(self, message, whole=True)

    async def stream(self, connection: Connection, head: bytes, body: AsyncIterator[bytes]) -> None:
        """Send the head and then the body in chunks, no faster than the upstream takes them.

        Stops without an error when the connection is lost, the answer refuses the request (status 300 and more) or is whole.
        """
        self._connection = connection
        connection.start(self, (head,), whole=False)
        try:
            async for piece in body:
                if self._connection is None or self.status >= 300:
                    return
                if piece:
                    connection.transport.write(chunk(piece))
                    await self._room(connection)
            if self._connection is not None:
                connection.transport.write(LAST_CHUNK)
                connection.sent = True
        except BaseException:
            self.abort()
            raise

    async def _room(self, connection: Connection) -> None:
        """Let the loop see to the answer; then wait while the transport takes no more."""
        await asyncio.sleep(0)
        while connection.full and self._connection is connection and self.status < 300:
            await self._change(self._loop.time() + self._pool.stall)
        if self._error is not None and self._error.kind == "timeout":
            raise self._error

    # ── the answer ──

    async def head(self, deadline: float) -> None:
        """Wait until `status` and `headers` are there; `deadline` is a time of the loop's clock, whatever comes meanwhile.

        A connection used before that turns out dead at once, without one byte of an answer: the same request goes out once more, on a
        fresh one.
        Raises UpstreamError (timeout, truncated, protocol, and connect or tls from that second attempt); the connection is closed then,
        and when the wait is cancelled.
        """
        try:
            while not self.status:
                if self._error is None:
                    await self._change(deadline)
                elif self._error.unprocessed and self._message:
                    await self._send_again(deadline)
                else:
                    raise self._error
        except asyncio.CancelledError:
            self.abort()
            raise
        self._message = ()

    async def _send_again(self, deadline: float) -> None:
        message, self._message, self._error = self._message, (), None
        try:
            async with asyncio.timeout_at(deadline) as self._opening:
                connection = await self._pool.open(self._origin, self._connect)
        except TimeoutError:
            self._error = self._error or self._timeout(unprocessed=True)
        except UpstreamError as error:
            self._error = error
        else:
            if self._error is None:
                self.send(connection, message)
            else:  # given up in the very turn of the loop that opened the connection
                connection.drop()
        finally:
            self._opening = None

    def body(self, limit: int) -> bytes | None:
        """The whole body, if it has come already and has at most `limit` bytes; else it is to be read."""
        return b"".join(self._backlog) if self._complete and self._backlog_size <= limit else None

    async def read(self, limit: int, idle: float, grown: Callable[[int], None] | None = None) -> bytes:
        """The whole body, at most `limit` bytes, with at most `idle` seconds between its pieces; after `head`.

        `grown` is told how many bytes there are as they come; what it raises, this raises.
        Raises UpstreamError: truncated, timeout, protocol (malformed or too large); the connection is closed then.
        """
        self._idle = idle
        self._grown = grown
        self._capacity = limit
        if not self._paused:
            self.resume()
        try:
            while not self._complete and self._error is None and self._refused is None and self._backlog_size <= limit:
                await self._change(self._loop.time() + idle)
        except asyncio.CancelledError:
            self.abort()
            raise
        if self._refused is not None:
            raise self._refused
        if self._backlog_size > limit:
            self._fail(UpstreamError(f"The upstream answered with more than {limit} bytes.", kind="protocol"))
        if self._error is not None:
            self._backlog.clear()
            raise self._error
        body = b"".join(self._backlog)
        self._backlog.clear()
        return body

    def pipe(self, sink: Sink) -> None:
        """From now on the body goes to `sink`; what came before goes first, from inside this call. At most once, after `head`.

        While the call is paused no further `data` comes; `end` may, when the body was whole already.
        """
        self._sink = sink
        if self._backlog:
            backlog = b"".join(self._backlog)
            self._backlog.clear()
            if not self._paused:
                self.resume()
            sink.data(backlog)
        if self._complete:
            self.ended()
        elif self._error is not None:
            self._fail(self._error)

    def pause(self) -> None:
        """Stop reading from the upstream. Idempotent."""
        self._paused = True
        if self._connection is not None:
            self._connection.pause()

    def resume(self) -> None:
        """Read on. Idempotent."""
        self._paused = False
        if self._connection is not None:
            self._connection.resume()

    def abort(self) -> None:
        """Give the call up: the connection is closed at once, the sink hears nothing more, a waiting `head` or `read` raises.

        Idempotent, and nothing to do once the answer is whole or has failed.
        """
        self._sink = None
        if not self._complete and self._error is None:
            self._fail(UpstreamError("The request was given up.", kind="truncated"))
        if self._opening is not None and not self._opening.expired():
            self._opening.reschedule(self._loop.time())

    # ── told by the connection ──

    def received(self, answer: AnswerReader, piece: bytes) -> None:
        if not self.status:
            self.status = answer.status
            self.headers = answer.headers
        if self._sink is not None:
            if piece:
                self._sink.data(piece)
            return
        if piece:
            self._backlog.append(piece)
            self._backlog_size += len(piece)
        if answer.complete:
            return  # `ended` follows
        if self._backlog_size > self._capacity:
            self._hold()
        elif self._idle:
            self._go_on()
        else:
            self.wake()

    def ended(self) -> None:
        self._connection = None
        self._complete = True
        sink, self._sink = self._sink, None
        if sink is not None:
            sink.end()
        else:
            self.wake()

    def spoiled(self, reason: str) -> None:
        detail = f"{self._origin.host} did not answer in valid HTTP: {reason}"
        self._fail(UpstreamError("The upstream did not answer in valid HTTP.", kind="protocol", detail=detail))

    def lost(self, received: bool) -> None:
        when = "its answer was whole" if received else "it answered"
        unprocessed = self.reused and not received and self._loop.time() - self._sent_at < STALE
        self._fail(UpstreamError(f"The upstream closed the connection before {when}.", kind="truncated", unprocessed=unprocessed))

    def wake(self) -> None:
        """Let the waiting coroutine, if there is one, look at what has changed."""
        if self._waiter is not None and not self._waiter.done():
            self._waiter.set_result(None)

    def expired(self) -> None:
        if self._waiter is not None and not self._waiter.done():  # else what was waited for has come
            self._fail(self._timeout())

    # ── inside ──

    def _hold(self) -> None:
        """As much is held as may be: read no more of it until somebody takes it."""
        if self._connection is not None:
            self._connection.pause()
        self.wake()

    def _go_on(self) -> None:
        """The body is being read and has more to come: its reader sleeps on, with a new deadline."""
        if self._grown is not None:
            try:
                self._grown(self._backlog_size)
            except ExchangeError as error:
                self._refused = error
                self._hold()
                return
        if self._connection is not None:
            self._connection.watch.arm_at(self._loop.time() + self._idle)

    def _change(self, deadline: float) -> asyncio.Future[None]:
        """What is done when something has changed; at the deadline the call fails."""
        self._waiter = self._loop.create_future()
        if self._connection is not None:
            self._connection.watch.arm_at(deadline)
        return self._waiter

    def _timeout(self, *, unprocessed: bool = False) -> UpstreamError:
        return UpstreamError("The upstream did not answer in time.", status=504, kind="timeout", unprocessed=unprocessed)

    def _fail(self, error: UpstreamError) -> None:
        """The call is over without its answer."""
        if self._connection is not None:
            self._connection.drop()
            self._connection = None
        self._error = error
        sink, self._sink = self._sink, None
        if sink is not None:
            sink.fail(error)
        else:
            self.wake()
