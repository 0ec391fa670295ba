"""Every recorded chat exchange through the running gateway: `python -m tests.corpus.run [--corpus PATH] [--vendor X] [--failures N]`.

Prints a table: vendor × passed and failed, and the reasons. PATH (or $SAMEWIRE_CORPUS) is a full collection; by default the selection
in `recordings/` is taken. Ends with 1 when more than one exchange in a hundred fails.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import sys
from collections import Counter, defaultdict
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path

from tests.corpus.exchanges import RECORDINGS, Exchange, collection
from tests.corpus.replay import Stage, between, crumbs, replay, stage, whole

#: Each exchange is replayed in all these ways: (how its bytes are cut, whether the client asks for usage).
WAYS = tuple((cut, asked) for cut in (whole, crumbs, between) for asked in (True, False))


@dataclass(slots=True)
class Tally:
    """What came of it, by vendor."""

    passed: Counter[str] = field(default_factory=Counter)
    failed: Counter[str] = field(default_factory=Counter)
    reasons: dict[str, list[str]] = field(default_factory=lambda: defaultdict(list))

    def note(self, exchange: Exchange, breaches: list[str]) -> None:
        """One exchange was replayed."""
        if not breaches:
            self.passed[exchange.vendor] += 1
            return
        self.failed[exchange.vendor] += 1
        for breach in breaches:
            self.reasons[breach].append(exchange.path)

    def table(self, failures: int) -> str:
        """For people: the table, then up to `failures` reasons with an example each."""
        rows = [f"{'vendor':16}{'passed':>8}{'failed':>8}"]
        rows += [f"{name:16}{self.passed[name]:8}{self.failed[name]:8}" for name in sorted(self.passed | self.failed)]
        rows.append(f"{'all':16}{self.passed.total():8}{self.failed.total():8}")
        commonest = sorted(self.reasons.items(), key=lambda item: -len(item[1]))[:failures]
        return "\n".join([*rows, *(f"{len(paths):5} × {breach}\n        {paths[0]}" for breach, paths in commonest)])


async def run(exchanges: Iterable[Exchange], on: Stage) -> Tally:
    """Replay each exchange in all ways."""
    tally = Tally()
    for exchange in exchanges:
        streamed = exchange.streamed and exchange.status == 200
        ways = WAYS if streamed else ((whole, True), (between, True))
        breaches: dict[str, None] = {}
        for cut, asked in ways:
            breaches |= dict.fromkeys(await replay(on, exchange, cut, asked))
        tally.note(exchange, list(breaches))
    return tally


async def main(arguments: argparse.Namespace) -> int:
    """Run and print."""
    left_out: Counter[str] = Counter()
    chosen = (one for one in collection(arguments.corpus, left_out) if arguments.vendor in (None, one.vendor))
    async with stage() as on:
        tally = await run(chosen, on)
    print(tally.table(arguments.failures))
    for reason, count in left_out.items():
        print(f"left out, {count}: {reason}")
    return 1 if tally.failed.total() * 100 > (tally.passed + tally.failed).total() else 0


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--corpus", type=Path, default=Path(os.environ.get("SAMEWIRE_CORPUS", RECORDINGS)))
    parser.add_argument("--vendor")
    parser.add_argument("--failures", type=int, default=20, help="how many reasons are shown")
    sys.exit(asyncio.run(main(parser.parse_args())))
