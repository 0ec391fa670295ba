"""What happens after a failure: it is noted where it belongs, and another target is asked, or the same once more, or the client told.

Entered by a failure only; a request that goes well never comes here.
"""

from __future__ import annotations

import asyncio
import logging
import time
from time import monotonic
from typing import TYPE_CHECKING

from proxy.config.policy import LOCAL
from proxy.errors import ExchangeError, UpstreamError
from proxy.exchange.target import TargetCall
from proxy.record import Failed
from proxy.routing import Asking, Failure, Resolution, Turns, failure_of

if TYPE_CHECKING:
    from proxy.exchange.exchange import Exchange

logger = logging.getLogger(__name__)

_SAFE = frozenset(("GET", "HEAD"))


class Recovery:
    """The rest of one request's attempts."""

    def __init__(self, exchange: Exchange, resolution: Resolution[TargetCall]) -> None:
        self._exchange = exchange
        asking = Asking(whole=not exchange.asked.stream, safe=exchange.operation.method in _SAFE)
        self._turns = Turns(resolution, exchange.known_by(resolution.route), asking, exchange.record.start)
        self._began = exchange.record.start

    async def run(self, target: TargetCall, error: ExchangeError) -> None:
        """`error` is what came of asking `target`. Returns when the client has its answer. Raises ExchangeError: what to tell it."""
        told = error
        while True:
            failure = failure_of(error, time.time())
            if failure is None:
                raise error
            self._note(target, failure, error)
            if failure.reason not in LOCAL or told is error:
                told = error
            following = await self._following(failure)
            if following is None:
                self._explain(told)
                raise told from None
            target = following
            if failure.maybe_processed:
                self._exchange.record.failures[-1].risked = True
            try:
                await self._ask(target)
            except ExchangeError as another:
                error = another
            else:
                target.standing.succeeded(self._began)
                return

    async def _following(self, failure: Failure) -> TargetCall | None:
        """Whom to ask next, once it is time; None: nobody."""
        exchange = self._exchange
        if exchange.answer.started or not exchange.asked.repeatable:
            return None
        while (step := self._turns.next(failure, monotonic())) is not None:
            target, pause = step
            await asyncio.sleep(pause)
            if target.standing.usable(monotonic()):
                return target
        return None

    async def _ask(self, target: TargetCall) -> None:
        exchange = self._exchange
        exchange.tried = b"".join(b"%b: %b\r\n" % (name.encode(), value.encode()) for name, value in self._trail(1).items())
        exchange.record.dropped = ()
        self._began = monotonic()
        target.standing.take(self._began, target.provider.cooldown.seconds)
        await exchange.ask(target)

    def _note(self, target: TargetCall, failure: Failure, error: ExchangeError) -> None:
        now = monotonic()
        self._turns.failed(target, failure, now)
        set_aside = target.standing.failed(failure, now, self._began, target.provider.cooldown)
        if set_aside:
            seconds = target.standing.back_at(now) - now
            logger.warning("%s (key %d) is left alone for %.3g seconds: %s", target.name, target.choice.key + 1, seconds, failure.reason)
        kind = error.kind if isinstance(error, UpstreamError) else ""
        failed = Failed(provider=target.provider.vendor, name=target.provider.name, kind=kind, reason=failure.reason, set_aside=set_aside)
        self._exchange.record.failures = [*self._exchange.record.failures, failed]

    def _explain(self, error: ExchangeError) -> None:
        """Tells the client what was tried; and, once the budget is spent, not to start it all anew."""
        headers = {**error.headers}
        if len(self._exchange.record.failures) > 1:
            headers |= self._trail()
        if self._turns.spent:
            headers["x-should-retry"] = "false"
        error.headers = headers

    def _trail(self, more: int = 0) -> dict[str, str]:
        """Our headers about the attempts: how many (with `more` that are to come), and why the failed ones failed."""
        failures = self._exchange.record.failures
        why = ", ".join(f"{failed.name} {failed.reason}" for failed in failures)
        return {"x-samewire-attempts": str(self._turns.attempts + more), "x-samewire-failures": why}
