"""One gateway for all that is replayed here."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine, Iterator
from typing import Any, TypeVar

import pytest

from tests.corpus.replay import Stage, stage

Result = TypeVar("Result")


class Theatre:
    """A stage on an event loop of its own, for tests that hypothesis calls many times."""

    def __init__(self, runner: asyncio.Runner, on: Stage) -> None:
        self._runner = runner
        self.stage = on

    def run(self, play: Callable[[Stage], Coroutine[Any, Any, Result]]) -> Result:
        """Play once."""
        return self._runner.run(play(self.stage))


@pytest.fixture(scope="session")
def theatre() -> Iterator[Theatre]:
    with asyncio.Runner() as runner:
        context = stage()
        yield Theatre(runner, runner.run(context.__aenter__()))
        runner.run(context.__aexit__(None, None, None))
