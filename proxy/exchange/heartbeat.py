"""Signs of life that keep a silent stream's connection open through proxies that would close it."""

from __future__ import annotations

import asyncio

from proxy.exchange.answer import Answer
from proxy.mapping.context import Context


class Heartbeat:
    """Gives one whenever nothing has been written for `seconds`; the first takes the answer's head with it. `context`: for its event."""

    __slots__ = ("_answer", "_context", "_loop", "_seconds", "_seen", "_timer")

    def __init__(self, answer: Answer, seconds: float, context: Context) -> None:
        self._loop = asyncio.get_running_loop()
        self._answer = answer
        self._context = context
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
        if not answer.started or (answer.sent_bytes == self._seen and not answer.unsent):
            answer.live_on(self._context)
        self._seen = answer.sent_bytes
        self._timer = self._loop.call_later(self._seconds, self._beat)
