"""The same rules, compiled so that each tells what it read and what came of it: for `samewire explain`."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import msgspec

from proxy.errors import SpecPath

Trace = Callable[[SpecPath, str, Any], None]


class Step(msgspec.Struct, frozen=True):
    """One rule that ran: its place in the dialect file, its text, and its result (None: absent)."""

    path: SpecPath
    rule: str
    result: Any


def traced(function: Callable[..., Any]) -> Callable[..., tuple[Any, list[Step]]]:
    """Run a function compiled with tracing → (its result, the steps in the order they ran)."""

    def run(*arguments: Any) -> tuple[Any, list[Step]]:
        steps: list[Step] = []
        result = partial(function, *arguments)(trace=lambda path, rule, value: steps.append(Step(path, rule, value)))
        return result, steps

    return run
