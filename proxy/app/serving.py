"""One configuration, ready to serve by: made at the start and at each reload, and never changed."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial

from proxy.app.clients import Clients
from proxy.app.cors import Cors
from proxy.app.keys import Keys
from proxy.app.pages import Measure, Page, Pages, Readiness
from proxy.app.urls import Endpoint, Urls
from proxy.app.voices import Voices
from proxy.client_dialect import Operation
from proxy.config.client_dialects import ClientDialects
from proxy.config.model import Config
from proxy.exchange.body import BodyLimits
from proxy.exchange.gate import Gates
from proxy.exchange.held import Memory
from proxy.exchange.rooms import Rooms
from proxy.exchange.scrub import Scrubber, secrets_of
from proxy.exchange.target import build
from proxy.metrics import Metrics
from proxy.routing import Router, Standings
from proxy.upstream import Pool


@dataclass(frozen=True, slots=True)
class Lasting:
    """What outlives a configuration: connections, counts, how these are told, and whether requests are taken at all."""

    clients: ClientDialects
    metrics: Metrics
    measure: Measure
    pool: Pool
    readiness: Readiness
    standings: Standings
    gates: Gates
    memory: Memory


@dataclass(frozen=True, slots=True, weakref_slot=True)
class Serving:
    """All that a request needs of the configuration. It reads this once and keeps it to its end, whatever is loaded meanwhile.

    `quiet`: the operations that are neither counted nor logged.
    """

    rooms: Rooms
    keys: Keys
    clients: Clients
    cors: Cors
    urls: Urls[Operation | Page]
    voices: Voices
    quiet: frozenset[str]


def serving(config: Config, lasting: Lasting) -> Serving:
    """Serves `config` with what is there already."""
    settings = config.server
    for provider in config.providers.values():
        if provider.concurrency is not None:  # who waits already need not wait for the next request to learn of other bounds
            lasting.gates.of(provider.name, provider.concurrency)
    cors = Cors(settings.cors)
    keys = Keys(config.keys, cors)
    mappings = lasting.clients.mappings
    built = partial(build, metrics=lasting.metrics, standings=lasting.standings, gates=lasting.gates, clients=mappings)
    router = Router(config.routes, built, lasting.clients.translated)
    shelf = Pages(router, lasting.readiness, lasting.measure if settings.admin is None else None)
    pages = shelf.all()
    rooms = Rooms(
        server=settings,
        limits=BodyLimits(settings.limits.body),
        router=router,
        pool=lasting.pool,
        scrubber=Scrubber(secret for provider in config.providers.values() for secret in secrets_of(provider, config.routes)),
        memory=lasting.memory,
        own_key=keys.own,
    )
    endpoints: list[Endpoint[Operation | Page]] = [Endpoint("GET", page.path, page) for page in pages]
    for dialect in lasting.clients.dialects:
        endpoints += [Endpoint(operation.method, operation.path, operation, dialect.roots) for operation in dialect.operations]
        endpoints += [Endpoint(page.method, page.path, page, dialect.roots, page.header) for page in shelf.of(dialect)]
    urls = Urls("/v1", endpoints)
    return Serving(
        rooms=rooms,
        keys=keys,
        clients=Clients(settings.trusted_proxies),
        cors=cors,
        urls=urls,
        voices=Voices(lasting.clients.dialects),
        quiet=frozenset(page.name for page in pages if not page.logged),
    )


def model_names(config: Config) -> Iterator[str]:
    """The model names that the configuration itself has: no client can make more of them."""
    for route in config.routes:
        if route.pattern is not None and not route.pattern.stars:
            yield route.pattern.text
        for target in route.targets:
            if target.model is not None and "*" not in target.model:
                yield target.model
