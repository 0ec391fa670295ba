"""What all exchanges of one configuration share."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from proxy.config.model import Server
from proxy.exchange.body import BodyLimits
from proxy.exchange.client import ClientRequest
from proxy.exchange.held import Memory
from proxy.exchange.scrub import Scrubber
from proxy.exchange.target import TargetCall
from proxy.routing import Router
from proxy.upstream import Pool


@dataclass(frozen=True, slots=True)
class Rooms:
    """The decisions (`router`), the way out (`pool`), and the bounds. `memory`: what large answers share.

    `own_key` finds a client's own key for an upstream in its request.
    """

    server: Server
    limits: BodyLimits
    router: Router[TargetCall]
    pool: Pool
    scrubber: Scrubber
    memory: Memory
    own_key: Callable[[ClientRequest], str | None]
