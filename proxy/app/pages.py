"""What the gateway answers by itself: models, health, metrics, a word at the door."""

from __future__ import annotations

import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from functools import partial
from typing import Any
from urllib.parse import unquote

import msgspec

from proxy import __version__
from proxy.config.model import Route
from proxy.errors import ClientError, GatewayError
from proxy.exchange.answer import JSON
from proxy.exchange.target import TargetCall
from proxy.metrics import CONTENT_TYPE
from proxy.routing import Router

#: Header lines and body of a page; an error is raised.
Written = tuple[bytes, bytes]
#: Makes the text of a scrape.
Measure = Callable[[], Awaitable[bytes]]


@dataclass(frozen=True, slots=True)
class Page:
    """`show` gets the name in the path. `guarded`: a client key is needed. `logged`: worth a line."""

    name: str
    path: str
    show: Callable[[str], Awaitable[Written]]
    guarded: bool = False
    logged: bool = False


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

    async def _banner(self, name: str) -> Written:
        return json_page({"name": "samewire", "version": __version__, "base_url": "/v1", "models": "/v1/models", "health": "/healthz"})

    async def _alive(self, name: str) -> Written:
        return json_page({"status": "ok"})

    async def _readiness(self, name: str) -> Written:
        if not self._state.ready:
            raise GatewayError("The gateway is shutting down.", code="shutting_down")
        return json_page({"status": "ready"})

    async def _models(self, name: str) -> Written:
        models = [self._entry(name, route) for name, route in self._router.models()]
        return json_page({"object": "list", "data": models})

    async def _model(self, name: str) -> Written:
        """One model, also one that only a pattern knows. Its name may have slashes, percent-encoded or not."""
        name = unquote(name)
        if not name.isprintable():
            raise ClientError("This is not a model's name.", param="model")
        return json_page(self._entry(name, self._router.route_of(name)))

    def _entry(self, name: str, route: Route) -> dict[str, Any]:
        return {"id": name, "object": "model", "created": self._created, "owned_by": route.ready[0].provider.vendor}


async def _measured(measure: Measure, name: str) -> Written:
    return metrics_page(await measure())


def json_page(document: dict[str, Any]) -> Written:
    """A JSON object."""
    return JSON, msgspec.json.encode(document)


def metrics_page(text: bytes) -> Written:
    """A scrape."""
    return f"content-type: {CONTENT_TYPE}\r\n".encode(), text
