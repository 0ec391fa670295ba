"""Comments that keep a silent stream's connection alive through proxies that would close it."""

from __future__ import annotations

import asyncio

from proxy.exchange.answer import EVENT_STREAM, HEARTBEAT, Answer


class Heartbeat:
    """Writes an SSE comment whenever nothing has been written for `seconds`; the first one takes the answer's head with it."""

    __slots__ = ("_answer", "_loop", "_seconds", "_seen", "_timer")

    def __init__(self, answer: Answer, seconds: float) -> None:
        self._loop = asyncio.get_running_loop()
        self._answer = answer
        self._seconds = seconds
        self._seen = 0
        self._timer = self._loop.call_later(seconds, self._beat)

    def stop(self) -> None:
        """No more of them."""
        self._timer.cancel()

    def _beat(self) -> None:
        answer = self._answer
        if answer.ended:
            return
        if not answer.started:
            answer.begin(200, EVENT_STREAM, HEARTBEAT)
        elif answer.sent_bytes == self._seen and not answer.unsent:
            answer.write(HEARTBEAT)
        self._seen = answer.sent_bytes
        self._timer = self._loop.call_later(self._seconds, self._beat)
