"""As many requests at once as a provider may get; the next wait in the order in which they came.

Belongs to one event loop. A place that becomes free is handed to the first who waits, so nobody overtakes; who is cancelled, or waits in
vain, leaves nothing behind.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Iterator

from proxy.config.policy import Concurrency
from proxy.errors import GatewayError


class Gate:
    """`inside`: requests in work; `rejected`: how many were turned away since the start."""

    __slots__ = ("_bounds", "_waiting", "inside", "rejected")

    def __init__(self, bounds: Concurrency) -> None:
        self._bounds = bounds
        self._waiting: deque[asyncio.Future[None]] = deque()
        self.inside = 0
        self.rejected = 0

    @property
    def waiting(self) -> int:
        """Requests in the queue."""
        return len(self._waiting)

    def resize(self, bounds: Concurrency) -> None:
        """Other bounds from now on; who is inside stays inside."""
        self._bounds = bounds
        while self.inside < bounds.limit and self._admit():
            pass

    def try_enter(self) -> bool:
        """Takes a place, if one is free; none is while somebody waits."""
        if self.inside >= self._bounds.limit:
            return False
        self.inside += 1
        return True

    async def enter(self) -> None:
        """Takes a place, waiting for it if need be. Raises GatewayError 503 (`busy`) when the queue is full or the wait too long."""
        if self.try_enter():
            return
        if len(self._waiting) >= self._bounds.queue:
            raise self._rejection()
        place = asyncio.get_running_loop().create_future()
        self._waiting.append(place)
        try:
            async with asyncio.timeout(self._bounds.wait):
                await place
        except BaseException as error:
            if place.done() and not place.cancelled():
                self.leave()  # it was given in the very turn of the loop that took the patience
            else:
                self._waiting.remove(place)
            if isinstance(error, TimeoutError):
                raise self._rejection() from None
            raise

    def leave(self) -> None:
        """Gives the place back: to the first who waits."""
        self.inside -= 1
        if self._waiting and self.inside < self._bounds.limit:
            self._admit()

    def _admit(self) -> bool:
        """Lets the first one in, if there is one; one that is being cancelled takes itself out of the queue."""
        place = next((place for place in self._waiting if not place.done()), None)
        if place is None:
            return False
        self._waiting.remove(place)
        self.inside += 1
        place.set_result(None)
        return True

    def _rejection(self) -> GatewayError:
        self.rejected += 1
        message = "The provider of this model has as many requests in work as it may."
        return GatewayError(message, code="overloaded", headers={"retry-after": "1"}, reason="busy")


class Gates:
    """Every provider's gate by its name, so that a configuration that is read anew finds those who are inside.

    `workers`: the processes that share a provider's limits; each has its part of them, at least one.
    """

    def __init__(self, workers: int = 1) -> None:
        self._workers = workers
        self._gates: dict[str, Gate] = {}

    def of(self, provider: str, bounds: Concurrency) -> Gate:
        """The provider's gate, with these bounds from now on."""
        part = Concurrency(max(1, bounds.limit // self._workers), -(-bounds.queue // self._workers), bounds.wait)
        gate = self._gates.get(provider)
        if gate is None:
            gate = self._gates[provider] = Gate(part)
        else:
            gate.resize(part)
        return gate

    def all(self) -> Iterator[tuple[str, Gate]]:
        """Provider and gate."""
        yield from self._gates.items()
