"""Rounds over the wire: whole answers, answers at a rate, streams at a pace and at once; one round of each with each contender in turn."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import partial

from tests.bench import payloads
from tests.bench.contenders import Contender, Direct
from tests.bench.plan import Scale, Step
from tests.bench.results import CLIENT_WORKS, Results


@dataclass(frozen=True)
class Work:
    """`connections`: how many ask at once, and how many ask slow contenders; `direct`: measured without anyone too, as time matters.

    `client`: the language of those who ask.
    """

    name: str
    upstream: str
    stream: bool = False
    connections: tuple[int, int] = (32, 8)
    rate: bool = False
    direct: bool = False
    client: str = "chat"

    @property
    def section(self) -> str:
        return self.name.partition("-")[0]


WORKS = [
    *(Work("whole" + suffix, f"{source}-burst") for source, suffix in zip(payloads.CHATS, ("", "-blocks", "-parts"), strict=True)),
    Work("latency", "openai-burst", connections=(64, 64), rate=True, direct=True),
    *(
        Work("paced" + suffix, f"{source}-paced", stream=True, connections=(20, 5), direct=not suffix)
        for source, suffix in zip(payloads.CHATS, ("", "-blocks", "-parts"), strict=True)
    ),
    *(
        Work("burst" + suffix, f"{source}-burst", stream=True, connections=(8, 2))
        for source, suffix in zip(payloads.CHATS, ("", "-blocks", "-parts"), strict=True)
    ),
    *(
        Work(f"clients-{client}-{source}", f"{source}-burst", stream=True, connections=(8, 2), client=client)
        for client, source in CLIENT_WORKS
    ),
]
SECTIONS = ("whole", "latency", "paced", "burst", "clients")
#: Requests per second where latency is measured; and for those who could not keep up with it.
RATE, SLOW_RATE = 200, 20


def steps(contenders: Sequence[Contender], direct: Direct, sections: Sequence[str], scale: Scale, results: Results) -> Iterator[Step]:
    """A round to warm up, then those that count."""
    works = [work for work in WORKS if work.section in sections]
    for number in range(scale.rounds + 1):
        into = results if number else Results()
        label = f"round {number} of {scale.rounds}" if number else "warm-up"
        for work in works:
            order = [*contenders[number % len(contenders) :], *contenders[: number % len(contenders)]]  # no one always comes after the same
            if number > scale.slow_rounds:
                order = [contender for contender in order if not contender.slow]
            for contender in [direct, *order] if work.direct else order:
                if contender.serves(contender.ends.upstreams[work.upstream], work.client):
                    yield _step(work, contender, scale, into, label)


def _step(work: Work, contender: Contender, scale: Scale, results: Results, label: str) -> Step:
    upstream = contender.ends.upstreams[work.upstream]
    if upstream.every:
        seconds = 0.01  # each connection asks once
        length = upstream.pieces * upstream.every / 1000
    else:
        seconds = length = scale.slow_seconds if contender.slow else scale.seconds
        if work.rate:
            seconds = length = scale.rate_seconds
    run = partial(_measure, work, contender, seconds, results)
    return Step(f"{label}: {work.name}, {contender.name}", length + 0.15, run, contender.slow)


def _measure(work: Work, contender: Contender, seconds: float, results: Results) -> None:
    upstream = contender.ends.upstreams[work.upstream]
    rate = (SLOW_RATE if contender.slow else RATE) if work.rate else 0
    contender.thaw()
    try:
        found = contender.load(upstream, work.stream, work.connections[contender.slow], seconds, rate, work.client)
    finally:
        contender.freeze()
    if not isinstance(contender, Direct):
        units = found["requests"] * (upstream.pieces if work.stream else 1)
        results.add(f"{work.name}.cpu", contender.name, sum(found["cpu_us"].values()) / units)
        if not rate and not upstream.every:
            results.add(f"{work.name}.rate", contender.name, units / found["seconds"])
    for share in ("p50", "p99"):
        if rate:
            results.add(f"{work.name}.time_{share}", contender.name, found[f"{share}_us"])
        elif upstream.every:
            results.add(f"{work.name}.time_{share}", contender.name, found[f"lag_{share}_us"])
