"""(operation, model) → targets in order. Names are resolved once and remembered.

A name written out in a route wins over patterns; among patterns the first in the file that serves the operation wins.
"""

from __future__ import annotations

import difflib
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Generic, TypeVar

from proxy.config.model import Route, Target
from proxy.errors import ClientError
from proxy.routing.ways import tag

P = TypeVar("P")

#: Names that clients made up must not fill the memory.
_CACHE_SIZE = 4096
_NAME_SHOWN = 100
_NONE: Mapping[str, str] = {}


@dataclass(frozen=True, slots=True)
class Choice:
    """One target of a resolved request, with one of its provider's keys.

    `public`: the name the client used; `model`: the one the provider knows; None: no name at all. `key`: which credential, from 0.
    `by`: the upstream's operation by way of which the client's is served; '' is its own of the same name.
    """

    operation: str
    route: Route
    target: Target
    public: str | None
    model: str | None
    key: int = 0
    by: str = ""

    @property
    def translated(self) -> bool:
        """Whether the upstream is asked for something else."""
        return bool(self.by)

    @property
    def spoken(self) -> str:
        """The operation that the upstream is asked for."""
        return self.by or self.operation

    @property
    def name(self) -> str:
        """The target, as routes.yaml would say it."""
        return f"{self.target.provider.name}/{self.model}" if self.model else self.target.provider.name


@dataclass(frozen=True, slots=True)
class Resolution(Generic[P]):
    """Where a request may go: what was built of each target, once for each key of its provider, in the order of the file.

    `only`: the one way there is, where there is but one.
    """

    route: Route
    public: str | None
    groups: tuple[tuple[P, ...], ...]
    only: P | None

    @property
    def plans(self) -> tuple[P, ...]:
        """One for each target."""
        return tuple(group[0] for group in self.groups)


class Router(Generic[P]):
    """Resolves names once and remembers; `build` makes of a choice what its user needs for each request to it."""

    def __init__(self, routes: Iterable[Route], build: Callable[[Choice], P], translated: Mapping[str, str] = _NONE) -> None:
        """`translated`: the operations that another of an upstream's can serve, and which."""
        self._routes = tuple(routes)
        self._build = build
        self._translated = translated
        self._cache: dict[tuple[str, str | None], Resolution[P]] = {}
        self._forks: dict[str, bool] = {}
        self._named: dict[str, list[Route]] = {}
        for route in self._routes:
            if route.pattern is not None and not route.pattern.stars:
                self._named.setdefault(route.pattern.text, []).append(route)

    def resolve(self, operation: str, model: str | None) -> Resolution[P]:
        """Raises ClientError: 404 model_not_found, or 400 when the model is there and does something else."""
        known = self._cache.get((operation, model))
        if known is not None:
            return known
        return self._remember((operation, model), self._resolve(operation, model))

    def _remember(self, asked: tuple[str, str | None], resolution: Resolution[P]) -> Resolution[P]:
        if len(self._cache) >= _CACHE_SIZE:
            self._cache.clear()
        self._cache[asked] = resolution
        return resolution

    def back(self, operation: str, model: str | None, way: str) -> Resolution[P] | None:
        """The one way (`ways.tag`) that leads back to what a provider keeps; None where no route for this model has it."""
        name = f"{operation} {way}"
        known = self._cache.get((name, model))
        if known is not None:
            return known
        for route, parts in self._fitting(model):
            for target in route.ready:
                if served_by(operation, route, target, _NONE) is None:
                    continue
                for key in _keys(route, target):
                    if tag(target.provider.name, key) == way:
                        built = self._build(Choice(operation, route, target, model, _upstream_name(target, model, parts), key))
                        return self._remember((name, model), Resolution(route, model, ((built,),), built))
        return None

    def forks(self, operation: str) -> bool:
        """Whether there is more than one way to those that serve an operation as their own."""
        known = self._forks.get(operation)
        if known is None:
            ways = {
                (target.provider.name, key)
                for route in self._routes
                for target in route.ready
                if served_by(operation, route, target, _NONE) is not None
                for key in _keys(route, target)
            }
            known = self._forks[operation] = len(ways) > 1
        return known

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
        fitting = [(route, parts) for route, parts in self._fitting(model) if route.pattern is not None or self._wants(route, operation)]
        for route, parts in fitting:
            served = [(target, served_by(operation, route, target, self._translated)) for target in route.ready]
            targets = [(target, "" if by == operation else by) for target, by in served if by is not None]
            if targets:
                return self._resolution(operation, route, targets, model, parts)
        if model is None:
            raise ClientError(f"No provider here does {_words(operation)}.", status=404, code="unsupported_operation")
        if not fitting:
            raise self._unknown(model)
        raise _unusable(operation, model, [route for route, _ in fitting])

    def _wants(self, route: Route, operation: str) -> bool:
        return route.serves(operation) or (operation in self._translated and route.serves(self._translated[operation]))

    def _resolution(
        self, operation: str, route: Route, targets: list[tuple[Target, str]], model: str | None, parts: tuple[str, ...]
    ) -> Resolution[P]:
        """`targets`: each with the operation by way of which it serves this one."""
        groups = tuple(
            tuple(
                self._build(Choice(operation, route, target, model, _upstream_name(target, model, parts), key, by))
                for key in _keys(route, target)
            )
            for target, by in targets
        )
        return Resolution(route, model, groups, groups[0][0] if len(groups) == len(groups[0]) == 1 else None)

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


def served_by(operation: str, route: Route, target: Target, translated: Mapping[str, str]) -> str | None:
    """The upstream's operation that serves a client's: its own of that name, else the one it can be translated to; None: neither."""
    known = target.provider.dialect.operations
    if operation in known and route.serves(operation):
        return operation
    by = translated.get(operation)
    return by if by is not None and by in known and (route.serves(operation) or route.serves(by)) else None


def _keys(route: Route, target: Target) -> range:
    """A client that brings its own key has but that."""
    return range(1 if route.credential == "client" else len(target.provider.credentials))


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
