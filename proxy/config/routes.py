"""The `routes:` section → Routes: names, targets, policy; and which of them can never be reached."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from proxy.config.globs import Glob
from proxy.config.model import Provider, Route, Target
from proxy.config.policy import CLASSES, REASONS, Causes, Failover, Order, Retry, Sticky
from proxy.config.providers import lower_headers
from proxy.config.report import Report
from proxy.errors import SpecPath

#: Two names for one thing: a rule about one is a rule about the other.
_TWINS = {"max_tokens": "max_completion_tokens", "max_completion_tokens": "max_tokens"}
_FILTERS = {"min": "at_least", "max": "at_most"}
_POLICY = ("unsupported", "answer_model", "credential", "reasoning_field")


@dataclass(frozen=True, slots=True)
class Aim:
    """One target as it is written, and where."""

    provider: str
    model: str | None
    weight: int | None
    path: SpecPath
    after: Causes = field(default_factory=Causes)


def aims(entry: Mapping[str, Any], path: SpecPath) -> list[Aim]:
    """The targets of a route. `provider/model` is taken apart at the first slash."""
    given = entry["to"]
    if not isinstance(given, list):
        return [_aim(given, (*path, "to"))]
    return [_aim(one, (*path, "to", position)) for position, one in enumerate(given)]


def _aim(given: Any, path: SpecPath) -> Aim:
    if isinstance(given, Mapping):
        return Aim(given["provider"], given.get("model"), given.get("weight"), (*path, "provider"), _causes(given.get("after", ())))
    provider, slash, model = given.partition("/")
    return Aim(provider, model if slash and model else None, None, path)


@dataclass(eq=False)
class Routes:
    """Builds routes. `names`: every provider that is written down → its entry; `providers`: those that could be built."""

    report: Report
    names: Mapping[str, Any]
    providers: Mapping[str, Provider]
    operations: Mapping[str, Sequence[str]]  # provider → the operations of its dialect

    def build(self, position: int, entry: Mapping[str, Any]) -> list[tuple[SpecPath, Route]]:
        """One route for each name in `model`, with the name's place; none when the targets have faults."""
        path: SpecPath = ("routes", position)
        patterns = _patterns(entry, path)
        aimed = aims(entry, path)
        targets = self.targets(aimed, entry.get("timeouts", {}), min(glob.stars if glob else 0 for glob, _ in patterns))
        globs = tuple(Glob(text) for text in entry["operations"]) if "operations" in entry else None
        self.known_operations(globs, aimed, path)
        if targets is None:
            return []
        if entry.get("credential") == "client":
            self.lends(targets, aimed)
        route = Route(
            None,
            globs,
            targets,
            order=self.order(entry, aimed, path),
            members=_members(entry),
            drop=_dropped(entry),
            headers=lower_headers(entry),
            failover=_failover(entry.get("failover", {})),
            retry=Retry(**entry.get("retry", {})),
            sticky=_sticky(entry.get("sticky", {})),
            **{key: entry[key] for key in _POLICY if key in entry},
        )
        return [(place, replace(route, pattern=glob, line=self.line(place))) for glob, place in patterns]

    def targets(self, aimed: Sequence[Aim], timeouts: Mapping[str, float], stars: int) -> tuple[Target, ...] | None:
        """None when a target has faults, or its provider has."""
        built: list[Target] = []
        for aim in aimed:
            if aim.provider not in self.names:
                self.report.unknown(aim.path, "provider", aim.provider, self.names)
            elif aim.model is not None and aim.model.count("*") > stars:
                message = "this target has more * than the route's model: there is nothing to put in their place"
                self.report.add(aim.path, "unmatched-star", message)
            elif aim.provider in self.providers:
                provider = self.providers[aim.provider]
                built.append(Target(provider, aim.model, aim.weight or 1, replace(provider.timeouts, **timeouts), aim.after))
        return tuple(built) if len(built) == len(aimed) else None

    def lends(self, targets: Sequence[Target], aimed: Sequence[Aim]) -> None:
        """Each client's own key is one vendor's: after a failure it must not go to another."""
        first = targets[0].provider
        for target, aim in zip(targets, aimed, strict=True):
            if target.provider.vendor != first.vendor:
                message = f"this route sends the client's own key, which is {first.name}'s, and '{aim.provider}' is another vendor"
                hint = "give it a route of its own; if both take one key, give both the same `vendor`"
                self.report.add(aim.path, "conflict", message, hint, length=len(aim.provider))

    def order(self, entry: Mapping[str, Any], aimed: Sequence[Aim], path: SpecPath) -> Order:
        """As it is said, or as the other keys imply it; and whether they fit together."""
        implied: Order = "sticky" if "sticky" in entry else "weighted" if any(aim.weight is not None for aim in aimed) else "ordered"
        order: Order = entry.get("order", implied)
        if "sticky" in entry and order != "sticky":
            self.report.add((*path, "order"), "conflict", f"sticky says who stays at which target, and order says {order}", "remove one")
        if all(aim.after for aim in aimed):
            message = "every target has `after`: there is none to ask first"
            self.report.add(aimed[0].path, "conflict", message, "remove `after` from the first")
        return order

    def known_operations(self, globs: tuple[Glob, ...] | None, aimed: Sequence[Aim], path: SpecPath) -> None:
        """Each pattern names at least one operation of a target."""
        if any(aim.provider not in self.operations for aim in aimed):
            return
        known = sorted({operation for aim in aimed for operation in self.operations[aim.provider]})
        for position, glob in enumerate(globs or ()):
            if not any(glob.match(operation) is not None for operation in known):
                self.report.unknown((*path, "operations", position), "operation", glob.text, known)

    def line(self, path: SpecPath) -> int:
        _, node, _ = self.report.document.find(path)
        return node.start_mark.line + 1 if node else 0

    def implied(self) -> Iterator[Route]:
        """The routes of `provider_prefix`: `<provider>/*`."""
        for name, provider in self.providers.items():
            yield Route(Glob(f"{name}/*"), None, (Target(provider, "*", 1, provider.timeouts),), implied=True)

    def shadowed(self, built: Sequence[tuple[SpecPath, Route]]) -> None:
        """Reports routes whose every request an earlier one takes, wherever keys are set.

        A name that is written out is found before all patterns, so only the same name can hide it.
        """
        for position, (path, route) in enumerate(built):
            for _, earlier in built[:position]:
                if self.hides(earlier, route):
                    name = f"'{route.pattern.text}'" if route.pattern else "this"
                    message = f"{name} is never reached: the route for '{earlier.name}' on line {earlier.line} takes all its requests"
                    hint = "remove one of them" if earlier.pattern == route.pattern else f"move it before line {earlier.line}"
                    self.report.add(path, "shadowed-route", message, hint, length=len(name) - 2 if route.pattern else 1)
                    break

    def hides(self, earlier: Route, later: Route) -> bool:
        return _covers(earlier.pattern, later.pattern) and self.served(later) <= self.served(earlier)

    def served(self, route: Route) -> set[str]:
        operations = (operation for target in route.targets for operation in self.operations[target.provider.name])
        return {operation for operation in operations if route.serves(operation)}


def _covers(earlier: Glob | None, later: Glob | None) -> bool:
    if later is None or earlier is None:
        return earlier is None and (later is None or later.stars > 0)
    return earlier.covers(later) if later.stars else earlier.text == later.text


def _patterns(entry: Mapping[str, Any], path: SpecPath) -> list[tuple[Glob | None, SpecPath]]:
    """Each name with its place."""
    model = entry.get("model")
    if model is None:
        return [(None, path)]
    if isinstance(model, str):
        return [(Glob(model), (*path, "model"))]
    return [(Glob(text), (*path, "model", position)) for position, text in enumerate(model)]


def _members(entry: Mapping[str, Any]) -> dict[str, Any]:
    """`default`, `clamp` and `set` as templates of the mapping language, one for each request field.

    Bounds hold for defaults too; what is set is set.
    """
    defaults, clamps = entry.get("default", {}), entry.get("clamp", {})
    clamps = {_TWINS[name]: bounds for name, bounds in clamps.items() if name in _TWINS} | clamps
    members: dict[str, Any] = {}
    for name in dict.fromkeys((*defaults, *clamps)):
        bounds = clamps.get(name, {})
        members[name] = " | ".join([f".{name}", *(f"{_FILTERS[end]}({value})" for end, value in bounds.items())])
        if name in defaults:
            members[name] = {"$first": [members[name], _default(name, defaults[name], bounds)]}
    return members | {name: {"$lit": value} for name, value in entry.get("set", {}).items()}


def _default(name: str, value: Any, bounds: Mapping[str, float]) -> Any:
    if isinstance(value, int | float) and not isinstance(value, bool):
        value = min(max(value, bounds.get("min", value)), bounds.get("max", value))
    literal = {"$lit": value}
    return {"$if": f"not .{_TWINS[name]}", "$then": literal} if name in _TWINS else literal


def _dropped(entry: Mapping[str, Any]) -> tuple[str, ...]:
    """What never goes up; a field that is set under one name must not go up under its other."""
    fields = entry.get("set", {})
    return (*entry.get("drop", ()), *(_TWINS[name] for name in fields if name in _TWINS and _TWINS[name] not in fields))


def _failover(entry: Sequence[str | int] | Mapping[str, Any]) -> Failover:
    """A list is short for `on`."""
    given = entry if isinstance(entry, Mapping) else {"on": entry}
    return Failover(**{**given, "on": _causes(given["on"])} if "on" in given else given)


def _causes(words: Sequence[str | int]) -> Causes:
    statuses = (status for word in words for status in ((word,) if isinstance(word, int) else CLASSES.get(word, ())))
    return Causes(frozenset(word for word in words if isinstance(word, str) and word in REASONS), frozenset(statuses))


def _sticky(entry: Mapping[str, Sequence[str]]) -> Sticky:
    """A header alone leaves the body alone."""
    headers = tuple(header.lower() for header in entry.get("headers", ()))
    return Sticky(headers, tuple(entry.get("fields", () if headers else Sticky().fields)))
