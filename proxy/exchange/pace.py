"""The deadlines of one answer."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Pace:
    """Deadlines in seconds; None: none.

    `first`: to the first piece for the client. `idle`: between two events. `write`: a client that takes nothing.
    """

    first: float | None
    idle: float | None
    write: float | None
