"""One connection to an upstream, and the answer being read from it."""

from __future__ import annotations

import asyncio
from typing import Protocol, cast

from .answer import AnswerReader
from .origin import Origin
from .request import Message
from .watch import Watch

#: Bytes written at once: handing the kernel more would hold everybody else up.
SLICE = 256 * 1024


class Listener(Protocol):
    """Who is told what happens on a connection: the call it carries. After `ended`, `spoiled` or `lost` comes nothing more."""

    def received(self, answer: AnswerReader, piece: bytes) -> None:
        """One read: what is known of the answer, and all the body bytes that came."""

    def ended(self) -> None:
        """The answer is whole. The connection has gone back to its pool or is closed."""

    def spoiled(self, reason: str) -> None:
        """The bytes are not an HTTP answer. The connection is closed."""

    def lost(self, received: bool) -> None:
        """The connection is gone before the answer was whole; `received`: at least one byte of it came."""

    def wake(self) -> None:
        """The transport takes more bytes again."""

    def expired(self) -> None:
        """What was waited for did not come by its deadline."""


class Owner(Protocol):
    """Who keeps connections between calls: the pool."""

    loop: asyncio.AbstractEventLoop

    def keep(self, connection: Connection) -> None:
        """The connection is free for another call."""

    def forget(self, connection: Connection) -> None:
        """The connection is closed."""


class Connection(asyncio.Protocol):
    """Carries one call at a time. Bytes that come between calls close it: whatever they are, they answer nothing.

    transport: set before anybody else sees the connection.
    used: it has carried a call before (so it may have died unnoticed).
    sent: the request has been written to its end (it may still be in the transport's buffer).
    full: the transport asks to write no more for now.
    expires: while idle, the loop's time after which it is not used again.
    watch: the deadline of what its calls wait for, one after another; one timer for them all.
    """

    __slots__ = ("_call", "_owner", "_paused", "_rest", "answer", "expires", "full", "origin", "sent", "transport", "used", "watch")

    def __init__(self, owner: Owner, origin: Origin, head_limit: int) -> None:
        self._owner = owner
        self._call: Listener | None = None
        self._paused = False
        self._rest: list[memoryview] = []  # the next one last
        self.answer = AnswerReader(head_limit)
        self.expires = 0.0
        self.full = False
        self.origin = origin
        self.sent = False
        self.transport: asyncio.Transport
        self.used = False
        self.watch = Watch(owner.loop, self._expired)

    def start(self, call: Listener, message: Message, *, whole: bool) -> None:
        """Write a request, or the first part of one; `call` is told of its answer. All but the first piece leaves as it is taken."""
        self._call = call
        self.answer.begin()
        self.sent = whole and len(message) == 1
        self.transport.write(message[0])
        if len(message) > 1:
            self._rest = [memoryview(piece)[at : at + SLICE] for piece in message[1:] for at in range(0, len(piece), SLICE)][::-1]
            self._write_on()

    def _write_on(self) -> None:
        """Write a slice of the rest if the transport wants it, and the next one in the loop's next turn."""
        if self.full or not self._rest or self.transport.is_closing():
            return
        self.transport.write(self._rest.pop())
        self.sent = not self._rest
        if not self.full:
            self._owner.loop.call_soon(self._write_on)

    def drop(self) -> None:
        """Close at once; the call hears nothing more. Idempotent."""
        self._call = None
        self._rest = []
        self.transport.abort()

    def cut(self) -> None:
        """Close at once; the call fails as if the upstream had left."""
        call = self._call
        self.drop()
        if call is not None:
            call.lost(self.answer.received)

    def pause(self) -> None:
        """Stop reading from the socket. Idempotent."""
        if not self._paused and not self.transport.is_closing():
            self._paused = True
            self.transport.pause_reading()

    def resume(self) -> None:
        """Read on. Idempotent."""
        if self._paused and not self.transport.is_closing():
            self._paused = False
            self.transport.resume_reading()

    # ── asyncio.Protocol ──

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast(asyncio.Transport, transport)

    def data_received(self, data: bytes) -> None:
        call = self._call
        if call is None:
            self.transport.abort()
            return
        answer = self.answer
        piece = answer.feed(data)
        if answer.status:
            call.received(answer, piece)
        if self._call is not call:
            return  # the call has been given up meanwhile
        if answer.complete:
            self._finish(call)
        elif answer.fault:
            self.drop()
            call.spoiled(answer.fault)

    def connection_lost(self, exc: Exception | None) -> None:
        call, self._call = self._call, None
        self.watch.cancel()
        self._owner.forget(self)
        if call is None:
            return
        if exc is None and self.answer.ends_at_eof:
            call.ended()
        else:
            call.lost(self.answer.received)

    def pause_writing(self) -> None:
        self.full = True

    def resume_writing(self) -> None:
        self.full = False
        self._write_on()
        if self._call is not None:
            self._call.wake()

    def _expired(self) -> None:
        if self._call is not None:
            self._call.expired()

    def _finish(self, call: Listener) -> None:
        self._call = None
        transport = self.transport
        if self.answer.keep_alive and self.sent and not transport.is_closing() and transport.get_write_buffer_size() == 0:
            if self._paused:
                self.resume()  # an idle connection reads: that is how its end is noticed
            self.used = True
            self._owner.keep(self)
        else:
            transport.abort()
        call.ended()
