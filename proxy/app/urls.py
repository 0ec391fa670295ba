"""URL → what serves it: one exact look-up for what is written as it should be, a patient one for what is not.

Accepted beside the exact path: without the root (`/v1`), with the root twice, with doubled slashes, with a slash at the end; the first
user's error with any gateway is a base URL that is slightly off. A path that fits nothing is told which one was meant.
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Generic, TypeVar

from proxy.errors import ClientError

T = TypeVar("T")

#: A name in a path: never a way out of it.
_PARAMETERS = {"{id}": r"(?!\.{1,2}(?:/|$))([A-Za-z0-9._:~-]{1,256})", "{model}": r"(\S{1,256})"}
_SLASHES = re.compile(r"/{2,}")


@dataclass(frozen=True, slots=True)
class Endpoint(Generic[T]):
    """One method on one path, and what serves it."""

    method: str
    path: str
    serves: T


@dataclass(frozen=True, slots=True)
class Place(Generic[T]):
    """Where a request's URL leads: what serves it, the name in the path, the query string."""

    serves: T
    name: str = ""
    query: str = ""


class Urls(Generic[T]):
    """The table of all endpoints. `root` is the prefix that may be left out."""

    def __init__(self, root: str, endpoints: Iterable[Endpoint[T]]) -> None:
        self._root = root
        self._exact: dict[str, dict[str, Place[T]]] = {}
        self._patterns: list[tuple[re.Pattern[str], dict[str, T]]] = []
        self._known: list[str] = []
        patterns: dict[str, dict[str, T]] = {}
        for endpoint in endpoints:
            self._known.append(endpoint.path)
            if "{" in endpoint.path:
                patterns.setdefault(endpoint.path, {})[endpoint.method] = endpoint.serves
            else:
                place = Place(endpoint.serves)
                for path in (endpoint.path, root + endpoint.path):
                    self._exact.setdefault(path, {})[endpoint.method] = place
        for path, methods in patterns.items():
            expression = re.sub(r"\\?\{\w+\\?\}", lambda match: _PARAMETERS[match[0].replace("\\", "")], re.escape(path))
            self._patterns.append((re.compile(expression), methods))

    def find(self, method: str, target: str) -> Place[T]:
        """Raises ClientError 404 or 405. `target` is the request target as it came: path and query."""
        methods = self._exact.get(target)
        if methods is not None and (place := methods.get(method)) is not None:
            return place
        path, _, query = target.partition("?")
        name = ""
        for candidate in self._readings(path):
            found, name = self._methods(candidate)
            if found is not None:
                return Place(_choose(found, method, candidate), name, query)
        raise self._unknown(method, path)

    def methods(self, target: str) -> tuple[str, ...]:
        """The methods of a path, for OPTIONS. Raises ClientError 404."""
        path = target.partition("?")[0]
        for candidate in self._readings(path):
            found, _ = self._methods(candidate)
            if found is not None:
                return tuple(found)
        raise self._unknown("OPTIONS", path)

    def _readings(self, path: str) -> Iterator[str]:
        """The path as it is, then with the root taken off as often as it is there."""
        path = _SLASHES.sub("/", path)
        if len(path) > 1:
            path = path.rstrip("/") or "/"
        yield path
        while path.startswith(self._root + "/"):
            path = path[len(self._root) :]
            yield path
        if path == self._root:
            yield "/"

    def _methods(self, path: str) -> tuple[Mapping[str, T] | None, str]:
        exact = self._exact.get(path)
        if exact is not None:
            return {method: place.serves for method, place in exact.items()}, ""
        for pattern, methods in self._patterns:
            match = pattern.fullmatch(path)
            if match is not None:
                return methods, match[1]
        return None, ""

    def _unknown(self, method: str, path: str) -> ClientError:
        shown = path if len(path) <= 200 else path[:200] + "…"
        bare = list(self._readings(path))[-1]
        near = difflib.get_close_matches(bare, self._known, n=1, cutoff=0.6)
        hint = f" Did you mean {self._root}{near[0]}?" if near else f" The addresses are those of OpenAI's API, below {self._root}."
        return ClientError(f"There is no {method} {shown} here.{hint}", status=404, code="unknown_url")


def _choose(methods: Mapping[str, T], method: str, path: str) -> T:
    serves = methods.get(method)
    if serves is None and method == "HEAD":
        serves = methods.get("GET")
    if serves is None:
        allow = ", ".join(methods)
        raise ClientError(f"{path} takes {allow}, not {method}.", status=405, code="method_not_allowed", headers={"allow": allow})
    return serves
