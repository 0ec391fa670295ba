"""The operator's own listener: metrics, health, and the word to load the configuration again."""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable, Sequence
from typing import Protocol

import msgspec
from aiohttp import hdrs

from proxy.app.keys import Keys
from proxy.app.listeners import Listeners, admin_places
from proxy.app.pages import Written, json_page, metrics_page
from proxy.app.reload import Reloaded
from proxy.app.server import Server
from proxy.config.diagnostics import as_json
from proxy.config.model import Admin
from proxy.errors import ClientError, ExchangeError, GatewayError
from proxy.exchange.answer import JSON, Answer
from proxy.exchange.client import ClientRequest
from proxy.exchange.trace import request_id

logger = logging.getLogger(__name__)


class Operated(Protocol):
    """What is operated: a server, or the workers' parent."""

    @property
    def ready(self) -> bool:
        """Whether it takes requests."""
        ...

    async def measure(self) -> bytes:
        """The text of a scrape."""
        ...

    async def reload(self) -> Reloaded:
        """Loads the configuration again."""
        ...


class Operator:
    """Answers the operator. `keys` may be exchanged at any moment."""

    def __init__(self, operated: Operated, keys: Keys) -> None:
        self.keys = keys
        self._operated = operated
        alive, ready = (hdrs.METH_GET, self._alive, False), (hdrs.METH_GET, self._ready, False)
        #: Path ─▶ method, page, whether it is for key holders.
        self._pages: dict[str, tuple[str, Callable[[], Awaitable[Written]], bool]] = {
            "/health": alive,
            "/healthz": alive,
            "/livez": alive,
            "/ready": ready,
            "/readyz": ready,
            "/metrics": (hdrs.METH_GET, self._measured, True),
            "/-/reload": (hdrs.METH_POST, self._reloaded, True),
        }

    async def handle(self, request: ClientRequest) -> bool:
        """Answers one request. Returns whether its connection may be kept. Raises CancelledError only."""
        answer = Answer(request, request.connection, b"x-request-id: %b\r\n" % request_id(request.headers).encode())
        try:
            headers, body = await self._show(request)
            answer.whole(200, headers, body)
            await answer.flush()
        except _Refused as refused:
            answer.whole(refused.status, JSON, refused.body)
        except ExchangeError as error:
            answer.fail(error)
        return answer.keep_alive

    async def _show(self, request: ClientRequest) -> Written:
        page = self._pages.get(request.target.partition("?")[0])
        if page is None:
            raise ClientError("The operator's pages are /metrics, /health, /ready and /-/reload.", status=404, code="unknown_url")
        method, show, guarded = page
        if request.method not in (method, hdrs.METH_HEAD if method == hdrs.METH_GET else method):
            raise ClientError(f"This page is for {method}.", status=405, code="method_not_allowed", headers={"allow": method})
        if hdrs.ORIGIN in request.headers:  # a page in the operator's browser may ask loopback, too
            raise ClientError("Web pages may not ask here.", status=403, code="forbidden")
        if guarded:
            self.keys.check(request)
        return await show()

    async def _alive(self) -> Written:
        return json_page({"status": "ok"})

    async def _ready(self) -> Written:
        if not self._operated.ready:
            raise GatewayError("The gateway is shutting down.", code="shutting_down")
        return json_page({"status": "ready"})

    async def _measured(self) -> Written:
        return metrics_page(await self._operated.measure())

    async def _reloaded(self) -> Written:
        outcome = await self._operated.reload()
        found = [as_json(diagnostic) for diagnostic in outcome.diagnostics]
        if outcome.failure:
            raise _Refused(422 if found else 500, f"The old configuration stays: {outcome.failure}.", found)
        return json_page({"status": "reloaded", "diagnostics": found, "restart_needed": list(outcome.restart)})


class AdminServer:
    """The listener, where the configuration has one."""

    def __init__(self, operated: Operated, header_limit: int) -> None:
        self._operator = Operator(operated, Keys(()))
        self._server = Server(self._operator.handle, header_limit)
        self._listeners = Listeners(self._server)

    @property
    def addresses(self) -> Sequence[tuple[str, int]]:
        """Host and port of each TCP listener."""
        return self._listeners.addresses

    def move(self, settings: Admin | None) -> None:
        """To where the configuration says. Raises CannotListen, with everything as it was."""
        wanted = admin_places(settings)
        self._listeners.open(wanted)
        self._listeners.keep(wanted)
        self._operator.keys = Keys(settings.keys if settings is not None else ())

    async def close(self) -> None:
        """Ends at once."""
        self._listeners.close()
        await self._listeners.settled()
        await self._server.shutdown(0.1)


class _Refused(Exception):
    """A configuration that was not taken."""

    def __init__(self, status: int, message: str, diagnostics: list[dict[str, object]]) -> None:
        super().__init__(message)
        self.status = status
        error = {"message": message, "type": "invalid_request_error", "param": None, "code": "invalid_configuration"}
        self.body = msgspec.json.encode({"error": error, "diagnostics": diagnostics})
