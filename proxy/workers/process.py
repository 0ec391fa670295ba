"""One worker as its parent sees it."""

from __future__ import annotations

import asyncio
import logging
import os
import signal
import socket
import sys
from collections.abc import Awaitable, Callable
from contextlib import suppress
from dataclasses import dataclass
from time import monotonic

from proxy.workers.channel import Channel
from proxy.workers.handing import Hand
from proxy.workers.summing import Families, parse

logger = logging.getLogger(__name__)

#: Seconds between an answer and the next question whether it is still there.
PAUSE = 5.0
#: Seconds without an answer after which it hangs. They are counted in parts: when the whole machine or container stood still, only one
#: of them has passed, and the answers that came meanwhile are read before the next.
SILENCE = 30.0
_PARTS = 10

#: Seconds that a process which has closed its channel has to be gone.
_LAST_BREATH = 2.0

_ENDING = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP, signal.SIGUSR1)


class Process:
    """A worker. `ready`: it serves; `failure`: why it could not, or does not any more; `measured`: its metrics, as it last told them."""

    def __init__(self, pid: int, hand: Hand, measure: Callable[[], Awaitable[bytes]]) -> None:
        self.pid = pid
        self.hand = hand
        self.channel = Channel(self._answer)
        self.ready = asyncio.Event()
        self.failure = ""
        self.measured: Families = {}
        self._born = monotonic()
        self._measure = measure
        self._ended = asyncio.Event()
        self._telling: set[asyncio.Task[None]] = set()

    def age(self) -> float:
        """Seconds since it was born."""
        return monotonic() - self._born

    async def settled(self) -> None:
        """Returns when it serves, or is gone."""
        either = [asyncio.create_task(event.wait()) for event in (self.ready, self.channel.closed)]
        await asyncio.wait(either, return_when=asyncio.FIRST_COMPLETED)
        for task in either:
            task.cancel()

    def tell(self, name: str, body: bytes = b"") -> None:
        """Says something whose answer nobody waits for."""
        task = asyncio.create_task(self._tell(name, body))
        self._telling.add(task)
        task.add_done_callback(self._telling.discard)

    async def attend(self) -> None:
        """Returns when it has closed its channel, which one that hangs is made to do: nothing else ends it."""
        while await self._answers():
            with suppress(TimeoutError):
                async with asyncio.timeout(PAUSE):
                    await self.channel.closed.wait()
                    return
        logger.error("the worker %d has not answered for %g s and is killed", self.pid, SILENCE)
        self.failure = "it did not answer"
        self.kill()
        await self.channel.closed.wait()

    async def _answers(self) -> bool:
        """Whether it says anything in time. One that is gone is not silent."""
        asked = asyncio.create_task(self._tell("there", b""))
        for _ in range(_PARTS):
            if (await asyncio.wait((asked,), timeout=SILENCE / _PARTS))[0]:
                return True
        asked.cancel()
        return False

    async def measure(self, seconds: float) -> None:
        """Asks for its metrics."""
        with suppress(TimeoutError, ConnectionError):
            async with asyncio.timeout(seconds):
                self.measured = parse((await self.channel.ask("measure")).decode())

    async def end(self, seconds: float) -> None:
        """Returns when it is gone, killed if need be."""
        with suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await self._ended.wait()
                return
        logger.error("the worker %d does not end and is killed", self.pid)
        self.kill()
        await self._ended.wait()

    def kill(self) -> None:
        """Ends it at once. Only for one that is not reaped yet: its number may be another's afterwards."""
        os.kill(self.pid, signal.SIGKILL)

    async def reaped(self) -> str:
        """Takes note of the end of a process that has closed its channel. Returns how it ended."""
        deadline = monotonic() + _LAST_BREATH
        while True:
            pid, status = os.waitpid(self.pid, os.WNOHANG)  # noqa: ASYNC222 - it does not wait
            if pid:
                break
            if monotonic() > deadline:
                self.kill()
            await asyncio.sleep(0.01)
        self._ended.set()
        code = os.waitstatus_to_exitcode(status)
        return signal.Signals(-code).name if code < 0 else f"exit code {code}"

    async def _tell(self, name: str, body: bytes) -> None:
        with suppress(ConnectionError):
            await self.channel.ask(name, body)

    async def _answer(self, name: str, body: bytes) -> bytes:
        if name == "sum":
            return await self._measure()
        if name == "farewell":
            self.measured = parse(body.decode())
        elif name == "failed":
            self.failure = body.decode()
        elif name == "ready":
            self.ready.set()
        return b""


@dataclass(frozen=True, slots=True)
class Ends:
    """A worker's ends of what leads to its parent: questions and answers, and connections that come from there."""

    channel: socket.socket
    hand: socket.socket


async def fork(run: Callable[[Ends], int], measure: Callable[[], Awaitable[bytes]]) -> Process:
    """A new worker, in which `run` gets its ends and returns the exit code. `measure`: all workers' metrics, for its page."""
    loop = asyncio.get_running_loop()
    ours, theirs = zip(socket.socketpair(), socket.socketpair(), strict=True)
    ends = Ends(*theirs)
    born: asyncio.Future[int] = loop.create_future()
    # Not in a task: a worker's own event loop must find none running.
    loop.call_soon(lambda: born.set_result(_fork(run, ends)))
    process = Process(await born, Hand(ours[1]), measure)
    for end in theirs:
        end.close()
    await process.channel.open(ours[0])
    return process


def _fork(run: Callable[[Ends], int], ends: Ends) -> int:
    sys.stdout.flush()
    sys.stderr.flush()
    signal.pthread_sigmask(signal.SIG_BLOCK, _ENDING)
    pid = os.fork()
    if not pid:
        code = 1
        try:
            code = run(ends)
        except BaseException:
            logger.exception("a worker failed")
        finally:
            os._exit(code)
    signal.pthread_sigmask(signal.SIG_UNBLOCK, _ENDING)
    return pid
