"""URL → what serves it: one exact look-up for what is written as it should be, a patient one for what is not.

Accepted beside the exact path: without its root (`/v1`), with roots twice, with doubled slashes, with a slash at the end; the first
user's error with any gateway is a base URL that is slightly off. A path that fits nothing is told which one was meant.
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Generic, TypeVar

from multidict import istr

from proxy.errors import ClientError

T = TypeVar("T")

#: A name in a path: never a way out of it.
_PARAMETERS = {"{id}": r"(?!\.{1,2}(?:/|$))([A-Za-z0-9._:~-]{1,256})", "{model}": r"(\S{1,256})"}
_SLASHES = re.compile(r"/{2,}")


@dataclass(frozen=True, slots=True)
class Endpoint(Generic[T]):
    """One method on one path below each of its roots, and what serves it. `header`: only for requests that have that one."""

    method: str
    path: str
    serves: T
    roots: tuple[str, ...] = ()
    header: str = ""


@dataclass(frozen=True, slots=True)
class Place(Generic[T]):
    """Where a request's URL leads: what serves it, the name in the path, the query string. `others`: by a header that a request has."""

    serves: T
    name: str = ""
    query: str = ""
    others: tuple[tuple[istr, T], ...] = ()

    def among(self, headers: Mapping[str, str]) -> T:
        """What serves a request with these headers."""
        return next((serves for header, serves in self.others if header in headers), self.serves)


@dataclass(slots=True)
class _Methods(Generic[T]):
    """What one path serves, by method: the first that wants no header, and those that do."""

    plain: dict[str, T] = field(default_factory=dict)
    others: dict[str, list[tuple[istr, T]]] = field(default_factory=dict)

    def add(self, endpoint: Endpoint[T]) -> None:
        if endpoint.header:
            self.others.setdefault(endpoint.method, []).append((istr(endpoint.header), endpoint.serves))
        else:
            self.plain.setdefault(endpoint.method, endpoint.serves)

    def place(self, method: str, name: str, query: str) -> Place[T] | None:
        if method == "HEAD" and method not in self.plain:
            method = "GET"
        others = tuple(self.others.get(method, ()))
        if method in self.plain:
            return Place(self.plain[method], name, query, others)
        return Place(others[0][1], name, query, others) if others else None

    def __iter__(self) -> Iterator[str]:
        return iter(dict.fromkeys((*self.plain, *self.others)))


class Urls(Generic[T]):
    """The table of all endpoints. `root`: that of endpoints which name none; of what several have, the first is it."""

    def __init__(self, root: str, endpoints: Iterable[Endpoint[T]]) -> None:
        self._root = root
        self._roots: tuple[str, ...] = (root,)
        self._known: dict[str, str] = {}  # path → with its root
        tables: dict[str, _Methods[T]] = {}
        for endpoint in endpoints:
            roots = endpoint.roots or (root,)
            self._roots = tuple(dict.fromkeys(self._roots + roots))
            self._known.setdefault(endpoint.path, roots[0] + endpoint.path)
            for path in (*(above + endpoint.path for above in roots), endpoint.path):
                tables.setdefault(path, _Methods()).add(endpoint)
        self._exact = {path: methods for path, methods in tables.items() if "{" not in path}
        self._ready = {path: {method: methods.place(method, "", "") for method in methods} for path, methods in self._exact.items()}
        # Of two patterns that fit, the one that says more of the path's end is meant.
        patterns = sorted((path for path in tables if "{" in path), key=lambda path: -len(path.partition("}")[2]))
        self._patterns = [(_expression(path), tables[path]) for path in patterns]

    def find(self, method: str, target: str) -> Place[T]:
        """Raises ClientError 404 or 405. `target` is the request target as it came: path and query."""
        ready = self._ready.get(target)
        if ready is not None and (place := ready.get(method)) is not None:
            return place
        path, _, query = target.partition("?")
        for candidate in self.readings(path):
            allowed: dict[str, None] = {}
            for methods, name in self._fitting(candidate):
                found = methods.place(method, name, query)
                if found is not None:
                    return found
                allowed |= dict.fromkeys(methods)
            if allowed:
                raise _not_allowed(method, candidate, allowed)
        raise self._unknown(method, path)

    def methods(self, target: str) -> tuple[str, ...]:
        """The methods of a path, for OPTIONS. Raises ClientError 404."""
        path = target.partition("?")[0]
        for candidate in self.readings(path):
            found = dict.fromkeys(method for methods, _ in self._fitting(candidate) for method in methods)
            if found:
                return tuple(found)
        raise self._unknown("OPTIONS", path)

    def readings(self, path: str) -> Iterator[str]:
        """The path as it is, then with one root after the other taken off."""
        path = _SLASHES.sub("/", path)
        if len(path) > 1:
            path = path.rstrip("/") or "/"
        yield path
        while (root := next((root for root in self._roots if path.startswith(root + "/")), None)) is not None:
            path = path[len(root) :]
            yield path
        if path in self._roots:
            yield "/"

    def _fitting(self, path: str) -> Iterator[tuple[_Methods[T], str]]:
        """What a path may mean, each with the name in it; the best first."""
        exact = self._exact.get(path)
        if exact is not None:
            yield exact, ""
        for pattern, methods in self._patterns:
            match = pattern.fullmatch(path)
            if match is not None:
                yield methods, match[1]

    def _unknown(self, method: str, path: str) -> ClientError:
        shown = path if len(path) <= 200 else path[:200] + "…"
        bare = list(self.readings(path))[-1]
        near = difflib.get_close_matches(bare, self._known, n=1, cutoff=0.6)
        hint = f" Did you mean {self._known[near[0]]}?" if near else f" The addresses are those of OpenAI's API, below {self._root}."
        return ClientError(f"There is no {method} {shown} here.{hint}", status=404, code="unknown_url")


def _expression(path: str) -> re.Pattern[str]:
    return re.compile(re.sub(r"\\?\{\w+\\?\}", lambda match: _PARAMETERS[match[0].replace("\\", "")], re.escape(path)))


def _not_allowed(method: str, path: str, methods: Iterable[str]) -> ClientError:
    allow = ", ".join(methods)
    return ClientError(f"{path} takes {allow}, not {method}.", status=405, code="method_not_allowed", headers={"allow": allow})
