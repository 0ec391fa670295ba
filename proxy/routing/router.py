"""(operation, model) → targets in order. Names are resolved once and remembered.

A name written out in a route wins over patterns; among patterns the first in the file that serves the operation wins.
"""

from __future__ import annotations

import difflib
import random
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Generic, TypeVar

from proxy.config.model import Route, Target
from proxy.errors import ClientError

P = TypeVar("P")

#: Names that clients made up must not fill the memory.
_CACHE_SIZE = 4096
_NAME_SHOWN = 100


@dataclass(frozen=True, slots=True)
class Choice:
    """One target of a resolved request. `public`: the name the client used; `model`: the one the provider knows; None: no name at all."""

    operation: str
    route: Route
    target: Target
    public: str | None
    model: str | None


@dataclass(frozen=True, slots=True)
class Resolution(Generic[P]):
    """Where a request may go: what was built of each choice, in the order of the file."""

    route: Route
    public: str | None
    plans: tuple[P, ...]
    weights: tuple[int, ...] = ()

    def order(self, pick: Callable[[], float] = random.random) -> tuple[P, ...]:
        """The order to try them in: the file's, or drawn by weight, the heavier the likelier to be early.

        Each gets the key u ** (1 / weight) of a random u; sorting by it draws without replacement (Efraimidis, Spirakis 2006).
        """
        if not self.weights:
            return self.plans
        keys = [pick() ** (1 / weight) for weight in self.weights]
        return tuple(self.plans[at] for at in sorted(range(len(keys)), key=keys.__getitem__, reverse=True))


class Router(Generic[P]):
    """Resolves names once and remembers; `build` makes of a choice what its user needs for each request to it."""

    def __init__(self, routes: Iterable[Route], build: Callable[[Choice], P]) -> None:
        self._routes = tuple(routes)
        self._build = build
        self._cache: dict[tuple[str, str | None], Resolution[P]] = {}
        self._named: dict[str, list[Route]] = {}
        for route in self._routes:
            if route.pattern is not None and not route.pattern.stars:
                self._named.setdefault(route.pattern.text, []).append(route)

    def resolve(self, operation: str, model: str | None) -> Resolution[P]:
        """Raises ClientError: 404 model_not_found, or 400 when the model is there and does something else."""
        known = self._cache.get((operation, model))
        if known is not None:
            return known
        resolution = self._resolve(operation, model)
        if len(self._cache) >= _CACHE_SIZE:
            self._cache.clear()
        self._cache[operation, model] = resolution
        return resolution

    def models(self) -> Iterator[tuple[str, Route]]:
        """The names that a client can be told: those written out, of routes that can be used, in the order of the file."""
        shown: set[str] = set()
        for name, routes in self._named.items():
            for route in routes:
                if route.ready and name not in shown:
                    shown.add(name)
                    yield name, route

    def route_of(self, model: str) -> Route:
        """The route that a name leads to, whatever is asked of it. Raises ClientError 404."""
        for route, _ in self._fitting(model):
            if route.ready and (route.pattern is not None or route.operations is None):
                return route
        raise self._unknown(model)

    def _resolve(self, operation: str, model: str | None) -> Resolution[P]:
        fitting = [(route, parts) for route, parts in self._fitting(model) if route.pattern is not None or route.serves(operation)]
        for route, parts in fitting:
            if not route.serves(operation):
                continue
            targets = [target for target in route.ready if operation in target.provider.dialect.operations]
            if targets:
                return self._resolution(operation, route, targets, model, parts)
        if model is None:
            raise ClientError(f"No provider here does {_words(operation)}.", status=404, code="unsupported_operation")
        if not fitting:
            raise self._unknown(model)
        raise _unusable(operation, model, [route for route, _ in fitting])

    def _resolution(self, operation: str, route: Route, targets: list[Target], model: str | None, parts: tuple[str, ...]) -> Resolution[P]:
        plans = tuple(self._build(Choice(operation, route, target, model, _upstream_name(target, model, parts))) for target in targets)
        weights = tuple(target.weight for target in targets) if route.order == "weighted" and len(targets) > 1 else ()
        return Resolution(route, model, plans, weights)

    def _fitting(self, model: str | None) -> Iterator[tuple[Route, tuple[str, ...]]]:
        """The routes a name fits, best first. A request without a name fits the routes for any, then all others."""
        if model is None:
            yield from ((route, ()) for route in self._routes if route.pattern is None)
            yield from ((route, ()) for route in self._routes if route.pattern is not None)
            return
        yield from ((route, ()) for route in self._named.get(model, ()))
        for route in self._routes:
            if route.pattern is None:
                yield route, ()
            elif route.pattern.stars and (parts := route.pattern.match(model)) is not None:
                yield route, parts

    def _unknown(self, model: str) -> ClientError:
        near = difflib.get_close_matches(model[:_NAME_SHOWN], self._named, n=1, cutoff=0.6)
        hint = f" Did you mean `{near[0]}`?" if near else " GET /v1/models lists what is here."
        return _not_found(f"The model `{_short(model)}` does not exist here.{hint}")


def _upstream_name(target: Target, model: str | None, parts: tuple[str, ...]) -> str | None:
    if model is None:
        return target.model if target.model is None or "*" not in target.model else None
    return target.model_for(model, parts)


def _unusable(operation: str, model: str, routes: list[Route]) -> ClientError:
    """The name is known, yet nothing can serve the request: a key is missing, or no target does this operation."""
    missing = dict.fromkeys(name for route in routes if not route.ready for name in route.missing)
    if missing and not any(route.ready for route in routes):
        return _not_found(f"The model `{_short(model)}` is not available: {', '.join(missing)} is not set.")
    message = f"The model `{_short(model)}` does not do {_words(operation)}."
    return ClientError(message, status=400, code="unsupported_operation", param="model")


def _not_found(message: str) -> ClientError:
    return ClientError(message, status=404, code="model_not_found", param="model")


def _short(model: str) -> str:
    return model if len(model) <= _NAME_SHOWN else model[:_NAME_SHOWN] + "…"


def _words(operation: str) -> str:
    return operation.replace("_", " ")
