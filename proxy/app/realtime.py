"""Realtime as one way of asking a target: an upgrade on both sides instead of a request and its answer."""

from __future__ import annotations

import time
from typing import Any
from urllib.parse import parse_qsl, urlencode

from aiohttp import hdrs

from proxy.app.keys import PROTOCOL_PREFIX
from proxy.exchange.exchange import Exchange
from proxy.exchange.target import TargetCall
from proxy.record import Failed
from proxy.routing import failure_of
from proxy.websocket import RealtimeLimits, RealtimeOutcome, RealtimeUpstream, relay

#: Seconds until an upstream must have accepted the upgrade, where no deadline for connecting is set.
_OPEN = 10.0
#: What aiohttp's own handshake says.
_OF_THE_HANDSHAKE = frozenset(("host", "accept-encoding"))


class RealtimeAttempt:
    """Connects one target with the exchange's client, until either of them ends."""

    def __init__(self, exchange: Exchange, target: TargetCall) -> None:
        self._exchange = exchange
        self._target = target
        self.answered = 0.0
        self.amount = 0
        self.usage: dict[str, Any] | None = None

    async def run(self) -> None:
        """Raises ExchangeError until both have upgraded; what fails afterwards is told by a close frame, and noted."""
        exchange, target = self._exchange, self._target
        record, answer = exchange.record, exchange.answer
        server = exchange.rooms.server
        limits = RealtimeLimits(open=target.timeouts.connect or _OPEN, message=server.limits.event, origins=server.cors)
        upstream = self._upstream()
        outcome = RealtimeOutcome()
        exchange.prepared()
        try:
            await relay(exchange.request.for_aiohttp(), upstream, limits, outcome, {"x-request-id": record.request_id})
        finally:
            answer.keep_alive = False
            if outcome.code:  # both had upgraded: there is no status to send any more
                answer.started = answer.ended = True
                answer.status = 101
            answer.sent_bytes = outcome.sent_bytes
            record.first_token = outcome.first_frame
            record.usage = outcome.usage
            if outcome.failure is not None:
                exchange.blame(outcome.failure)
                found = failure_of(outcome.failure, time.time())
                failed = Failed(
                    provider=target.provider.vendor,
                    name=target.provider.name,
                    kind=outcome.failure.kind,
                    reason=found.reason if found else "",
                )
                record.failures = [*record.failures, failed]
            record.client_gone = outcome.client_gone

    def _upstream(self) -> RealtimeUpstream:
        exchange, target = self._exchange, self._target
        asked = dict(parse_qsl(exchange.query)) | ({"model": target.choice.model} if target.choice.model else {})
        lines = (target.lines + exchange.lines_for(target)).decode("latin-1").split("\r\n")
        headers = dict(line.split(": ", 1) for line in lines if line)
        offered = exchange.request.headers.get(hdrs.SEC_WEBSOCKET_PROTOCOL, "").split(",")
        return RealtimeUpstream(
            url=target.url(urlencode(asked)),
            headers={name: value for name, value in headers.items() if name not in _OF_THE_HANDSHAKE},
            subprotocols=tuple(name for name in map(str.strip, offered) if name and not name.startswith(PROTOCOL_PREFIX)),
            ssl=exchange.rooms.pool.tls(target.origin) or True,
            proxy=target.origin.proxy,
            uds=target.origin.uds,
            clean=exchange.rooms.scrubber.text,
        )
