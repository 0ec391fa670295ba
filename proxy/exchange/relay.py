"""Carries one upstream answer to the client as it comes: pushed, one write for each read, nothing held but the head.

The law of the end: the client's stream ends well only after the upstream proved that its own did. Everything else (cut, silence,
garbage, an error event) fails the relay; before anything reached the client that is a status code or the next target, after it an
error event and a connection cut without its last chunk (`Answer.fail`).
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from time import monotonic

from proxy.codecs import Decoder
from proxy.errors import ExchangeError, GatewayError, UpstreamError
from proxy.exchange.answer import Answer
from proxy.exchange.faults import reported
from proxy.exchange.held import FREE, Held
from proxy.exchange.lanes import MISFIT, Lane
from proxy.exchange.pace import Pace
from proxy.mapping.stream import StreamFault
from proxy.upstream import Call, Watch

logger = logging.getLogger(__name__)

#: Seconds for the end marker once every choice has finished. Some hosts never send it, and some never close.
FINISH_GRACE = 10.0
#: Bytes of a document that came instead of a stream: enough for an error to say what it is.
DOCUMENT = 2**20


class Relay:
    """What both kinds share: back-pressure, deadlines, one future for the end.

    `done` resolves when the client's answer is whole, and raises ExchangeError when it cannot be.
    `first_at`: when the first piece for the client came (time.monotonic); 0 before it. `closed`: the upstream's answer came to its end.
    """

    __slots__ = ("_answer", "_call", "_held", "_loop", "_pace", "_paused", "_watch", "closed", "done", "first_at")

    def __init__(self, call: Call, answer: Answer, pace: Pace) -> None:
        self._loop = asyncio.get_running_loop()
        self._call = call
        self._answer = answer
        self._pace = pace
        self._watch = Watch(self._loop, self._expired)
        self._paused = False
        self._held = 0
        self.done: asyncio.Future[None] = self._loop.create_future()
        self.first_at = 0.0
        self.closed = False

    def start(self, deadline: float) -> None:
        """Lets the answer flow. `deadline`: the loop's time by which its first piece must be there."""
        self._arm(max(0.0, deadline - self._loop.time()))
        self._call.pipe(self)  # type: ignore[arg-type]  # both kinds have `data` and `end`

    # ── the client's side ──

    def pause(self) -> None:
        """The client reads more slowly than the upstream writes."""
        self._paused = True
        self._held = self._answer.unsent
        self._call.pause()
        self._arm(self._pace.write)

    def resume(self) -> None:
        """The client has caught up."""
        self._paused = False
        self._call.resume()
        self._arm(self._patience)

    # ── the upstream's side ──

    def fail(self, error: ExchangeError) -> None:
        """The answer cannot be whole."""
        if not self.done.done():
            self._watch.cancel()
            self._call.abort()
            self.done.set_exception(error)

    def stop(self) -> None:
        """Nothing more is waited for; called once, when the answer is over."""
        self._watch.cancel()
        del self._watch  # it knows us: together they would stay until the garbage collector comes

    def _complete(self) -> None:
        self._watch.cancel()
        if not self.done.done():
            self.done.set_result(None)

    # ── deadlines ──

    @property
    def _patience(self) -> float | None:
        """Seconds that the upstream may be silent now."""
        return self._pace.idle if self.first_at else self._pace.first

    def _arm(self, seconds: float | None) -> None:
        if self.done.done() or seconds is None:
            self._watch.cancel()
        else:
            self._watch.arm(seconds)

    def _expired(self) -> None:
        if not self._paused:
            self._silent()
        elif self._answer.unsent < self._held:  # slow, but it reads
            self._held = self._answer.unsent
            self._arm(self._pace.write)
        else:
            self._answer.abort()

    def _silent(self) -> None:
        """The upstream has sent nothing for too long."""
        self.fail(UpstreamError("The upstream did not go on with its answer in time.", status=504, kind="timeout"))


class ByteRelay(Relay):
    """Passes bytes through as they are (speech, files): with the upstream's own length where it told one.

    `head`: the header lines.
    """

    __slots__ = ("_head", "_length", "_status")

    def __init__(self, call: Call, answer: Answer, pace: Pace, head: bytes, length: int | None) -> None:
        super().__init__(call, answer, pace)
        self._head = head
        self._status = call.status
        self._length = length

    def data(self, piece: bytes) -> None:
        if self.first_at:
            self._watch.touch()
            self._answer.write(piece)
            return
        self.first_at = monotonic()
        self._arm(self._pace.idle)
        self._answer.begin(self._status, self._head, piece, length=self._length)

    def end(self) -> None:
        self.closed = True
        if self.first_at:
            self._answer.end()
        else:
            self._answer.begin(self._status, self._head, length=self._length or 0, last=True)
        self._complete()


class EventRelay(Relay):
    """Decodes events, puts them through the lane, writes what comes of one read in one write.

    `document` is set when the upstream sent one document instead of a stream; the relay is done then, nothing has reached the client,
    and the coroutine judges the document. `events`: how many have come.
    """

    __slots__ = (
        "_decoder",
        "_finishing",
        "_gathered",
        "_head",
        "_held_back",
        "_inflate",
        "_lane",
        "_large",
        "_single",
        "_sniff",
        "_stream",
        "document",
        "events",
    )

    def __init__(self, call: Call, answer: Answer, pace: Pace, lane: Lane, head: bytes) -> None:
        super().__init__(call, answer, pace)
        self._lane = lane
        self._stream = lane.stream
        self._head = head
        self._gathered = bytearray()
        self._finishing = False
        self.document: bytes | None = None
        self.events = 0

    def prepare(self, decoder: Decoder, held: Held, *, single: bool, inflate: Callable[[bytes], bytes] | None = None) -> None:
        """How to read the stream. `held`: where an unfinished event counts. `single`: the client wants one choice.

        `inflate` undoes a content coding.
        """
        self._decoder = decoder
        self._held_back = held
        self._large = False
        self._single = single
        self._inflate = inflate
        self._sniff = self._stream.mapping.decode == "sse"

    def data(self, piece: bytes) -> None:
        if self.done.done():
            return  # after the end marker nothing counts
        try:
            if self._inflate is not None:
                piece = self._inflate(piece)
            if self._sniff:
                piece = self._look(piece)
            self._read(piece)
        except Exception as error:
            self._broken(error)

    def end(self) -> None:
        self.closed = True
        if self.done.done():
            return
        if self._gathered:
            self.document = bytes(self._gathered)
            self._complete()
            return
        cut = self._decoder.pending
        try:
            if last := self._decoder.close():
                self._lane.read(last)
                cut = False  # all that it lacked was its end
            whole = self._stream.complete() and not cut
        except ValueError:
            whole = False  # an event cut in its middle
        except Exception as error:
            self._broken(error)
            return
        if whole:
            self._finish()
        else:
            self.fail(UpstreamError("The upstream's stream ended before its answer did.", kind="truncated"))

    def _read(self, piece: bytes) -> None:
        events = self._decoder.feed(piece)
        if not events or self._large:
            self._count(self._decoder.size)
        if not events:
            return
        self.events += len(events)
        stream = self._stream
        try:
            self._lane.read(events)
            if stream.ended:
                self._finish()
                return
        finally:
            # What came before a fault in the same read is the client's.
            if not self.done.done() and (output := self._lane.take()):
                if self.first_at:
                    self._answer.write(output)
                else:
                    self._begin(output)
        if self._single and stream.writer.finished is not self._finishing:
            self._finishing = not self._finishing
            if not self._paused:
                self._arm(self._patience)
        elif self.first_at and not self._finishing:
            self._watch.touch()

    def _count(self, size: int) -> None:
        """An event is not whole yet; a large one takes of the share that all large answers have."""
        if size > FREE or self._large:
            self._held_back.resize(size)
            self._large = size > FREE

    def _begin(self, output: bytes) -> None:
        self.first_at = monotonic()
        self._arm(self._pace.idle)
        self._answer.begin_events(self._head, output)

    def _finish(self) -> None:
        """The upstream's own clean end: the end marker may be written."""
        output = self._lane.take() + self._lane.end()
        if self.first_at:
            self._answer.end(output)
        else:
            self._answer.begin_events(self._head, output, last=True)
            self.first_at = monotonic()
        self._complete()

    @property
    def _patience(self) -> float | None:
        # Not extended by what comes after the finish: heartbeats may go on for ever.
        return FINISH_GRACE if self._finishing else super()._patience

    def _silent(self) -> None:
        if self._finishing and self._stream.complete():
            self._finish()
            self._call.abort()
        else:
            super()._silent()

    def _look(self, piece: bytes) -> bytes:
        """Finds out whether this is a stream at all by its first byte that is no space."""
        if self._gathered:
            self._gathered += piece
            if len(self._gathered) > DOCUMENT:
                raise UpstreamError("The upstream answered with a document that is too large instead of a stream.", kind="invalid")
            return b""
        start = piece.lstrip(b" \t\r\n\xef\xbb\xbf")[:1]
        if start in (b"{", b"[", b"<"):
            self._gathered += piece
            return b""
        self._sniff = not start
        return piece

    def _broken(self, error: Exception) -> None:
        if isinstance(error, ExchangeError):
            self.fail(error)
        elif isinstance(error, StreamFault):
            self.fail(reported(error.report))
        elif isinstance(error, ValueError):
            self.fail(UpstreamError(f"The upstream's stream cannot be read: {error}.", kind="invalid"))
        elif isinstance(error, MISFIT):
            logger.warning("an event does not fit the rules for it", exc_info=error)
            self.fail(UpstreamError("The upstream's stream cannot be read: an event is not of the form it should have.", kind="invalid"))
        else:
            logger.error("a stream failed in our own hands", exc_info=error)
            self.fail(GatewayError("The gateway failed to handle this stream.", status=500))
