"""What the gateway answers by itself: models, health, metrics, a word at the door."""

from __future__ import annotations

import time
from collections.abc import Awaitable, Callable, Iterator
from dataclasses import dataclass
from functools import partial
from typing import Any
from urllib.parse import unquote

import msgspec

from proxy import __version__
from proxy.client_dialect import PLAIN, ClientDialect, ClientPage, Voice
from proxy.config.model import Route
from proxy.errors import ClientError, GatewayError
from proxy.exchange.answer import JSON
from proxy.exchange.body import BodyLimits, read_whole
from proxy.exchange.client import ClientRequest
from proxy.exchange.target import TargetCall
from proxy.mapping.context import Context
from proxy.metrics import CONTENT_TYPE
from proxy.routing import Router

#: Header lines and body of a page; an error is raised.
Written = tuple[bytes, bytes]
#: Makes the text of a scrape.
Measure = Callable[[], Awaitable[bytes]]


#: What a body may have that names a model.
_SMALL = BodyLimits(2**16)


class _Naming(msgspec.Struct):
    """The body of a page about one model."""

    model: str = ""
    name: str = ""


_Asked = msgspec.json.Decoder(_Naming)


@dataclass(frozen=True, slots=True)
class Page:
    """`show` gets the request and the name in its path. `guarded`: a client key is needed. `logged`: worth a line.

    `voice`: how its failures are told.
    """

    name: str
    path: str
    show: Callable[[ClientRequest, str], Awaitable[Written]]
    guarded: bool = False
    logged: bool = False
    method: str = "GET"
    header: str = ""
    voice: Voice = PLAIN


@dataclass(slots=True)
class Readiness:
    """Whether requests are taken, and connections kept after them; `ready` becomes False when the server is told to stop."""

    ready: bool = True
    keeps: bool = True


class Pages:
    """The pages of one configuration. `measure` makes a scrape's text; None where the operator has a listener of his own for it."""

    def __init__(self, router: Router[TargetCall], readiness: Readiness, measure: Measure | None) -> None:
        self._router = router
        self._state = readiness
        self._measure = measure
        self._created = int(time.time())

    def all(self) -> tuple[Page, ...]:
        pages = (
            Page("banner", "/", self._banner),
            Page("healthz", "/healthz", self._alive),
            Page("livez", "/livez", self._alive),
            Page("readyz", "/readyz", self._readiness),
            Page("models", "/models", self._models, guarded=True, logged=True),
            Page("model", "/models/{model}", self._model, guarded=True, logged=True),
        )
        return pages if self._measure is None else (*pages, Page("metrics", "/metrics", partial(_measured, self._measure), guarded=True))

    async def _banner(self, request: ClientRequest, name: str) -> Written:
        return json_page({"name": "samewire", "version": __version__, "base_url": "/v1", "models": "/v1/models", "health": "/healthz"})

    async def _alive(self, request: ClientRequest, name: str) -> Written:
        return json_page({"status": "ok"})

    async def _readiness(self, request: ClientRequest, name: str) -> Written:
        if not self._state.ready:
            raise GatewayError("The gateway is shutting down.", code="shutting_down")
        return json_page({"status": "ready"})

    async def _models(self, request: ClientRequest, name: str) -> Written:
        return json_page({"object": "list", "data": self._entries()})

    async def _model(self, request: ClientRequest, name: str) -> Written:
        return json_page(self._known(unquote(name)))

    def of(self, dialect: ClientDialect) -> Iterator[Page]:
        """The pages of another client dialect."""
        for page in dialect.pages:
            yield Page(page.name, page.path, partial(self._in_dialect, page), True, True, page.method, page.header, page.voice)

    async def _in_dialect(self, page: ClientPage, request: ClientRequest, name: str) -> Written:
        context = Context(model="", now=int(time.time()))
        if not page.of_one:
            return json_page(page.body({"models": self._entries()}, context))
        name = unquote(name) if name else await _named(request)
        return json_page(page.body(self._known(name), context))

    def _known(self, name: str) -> dict[str, Any]:
        """One model, also one that only a pattern knows. Its name may have slashes, percent-encoded or not."""
        if not name.isprintable():
            raise ClientError("This is not a model's name.", param="model")
        return self._entry(name, self._router.route_of(name))

    def _entries(self) -> list[dict[str, Any]]:
        return [self._entry(name, route) for name, route in self._router.models()]

    def _entry(self, name: str, route: Route) -> dict[str, Any]:
        return {"id": name, "object": "model", "created": self._created, "owned_by": route.ready[0].provider.vendor}


async def _named(request: ClientRequest) -> str:
    """The model that a small JSON body names, whatever its content type says. Raises ClientError."""
    try:
        asked = _Asked.decode(await read_whole(request, _SMALL))
    except msgspec.DecodeError:
        raise ClientError("The body is no JSON object that names a `model`.", code="invalid_json") from None
    name = asked.model or asked.name
    if not name:
        raise ClientError("The body names no `model`.", param="model", code="missing_parameter")
    return name


async def _measured(measure: Measure, request: ClientRequest, name: str) -> Written:
    return metrics_page(await measure())


def json_page(document: Any) -> Written:
    """A JSON document."""
    return JSON, msgspec.json.encode(document)


def metrics_page(text: bytes) -> Written:
    """A scrape."""
    return f"content-type: {CONTENT_TYPE}\r\n".encode(), text
