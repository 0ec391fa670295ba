"""Ways to ask, made for a test: a resolution as the router makes it, and standings on a clock that the test moves."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, cast

from proxy.config.model import Credential, Provider, Route, Target
from proxy.config.policy import Causes
from proxy.dialect import Dialect
from proxy.routing import Choice, Resolution, Standing, Standings


@dataclass(frozen=True, slots=True)
class Plain:
    """A choice and its standing, and nothing else."""

    choice: Choice
    standing: Standing = field(compare=False)

    @property
    def text(self) -> str:
        """`target`, or `target#key` for a second key."""
        return self.choice.name + (f"#{self.choice.key + 1}" if self.choice.key else "")


def resolution(*targets: str, standings: Standings | None = None, keys: int = 1, **policy: Any) -> Resolution[Plain]:
    """`provider/model`, `provider/model*3` with a weight, `provider/model?reason` for one that is asked after that reason only."""
    standings = standings or Standings()
    built = [_target(text, keys) for text in targets]
    route = Route(None, None, tuple(built), **policy)
    groups = []
    for target in built:
        choices = [Choice("chat", route, target, "m", target.model, key) for key in range(keys)]
        groups.append(tuple(Plain(choice, standings.of(target.provider.name, choice.model or "", choice.key + 1)) for choice in choices))
    only = groups[0][0] if len(groups) == len(groups[0]) == 1 else None
    return Resolution(route, "m", tuple(groups), only)


def _target(text: str, keys: int) -> Target:
    text, _, reason = text.partition("?")
    text, _, weight = text.partition("*")
    name, _, model = text.partition("/")
    credentials = [Credential("key", secret=f"key-{number}") for number in range(keys)]
    provider = Provider(name, cast("Dialect", None), "http", "127.0.0.1", 1, credential=credentials[0], spare=tuple(credentials[1:]))
    after = Causes(frozenset((reason,)) if reason else frozenset())
    return Target(provider, model or None, int(weight or 1), after=after)
