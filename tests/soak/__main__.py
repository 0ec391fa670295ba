"""`python -m tests.soak --minutes 30`: mixed load with random faults; exit 0 when every request is accounted for and nothing grew."""

from __future__ import annotations

import argparse
import asyncio
import json
import random
import sys
import time
from collections import Counter
from dataclasses import asdict
from pathlib import Path

from tests.soak.soak import Balance, soak

_HEIGHT = 8
_WIDTH = 72


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.soak", description=__doc__)
    parser.add_argument("--minutes", type=float, default=30.0)
    parser.add_argument("--rate", type=float, default=150.0, help="requests a second, all clients together (default 150)")
    parser.add_argument("--seed", type=int, default=random.SystemRandom().randrange(10**6))
    parser.add_argument("--json", type=Path, help="write everything that was measured to this file")
    arguments = parser.parse_args()
    print(f"seed {arguments.seed}", file=sys.stderr)
    said = time.monotonic()

    def tell(text: str) -> None:
        nonlocal said
        if sys.stderr.isatty() or time.monotonic() - said >= 30:
            said = time.monotonic()
            print(f"\r{text}", end="" if sys.stderr.isatty() else "\n", file=sys.stderr, flush=True)

    balance = asyncio.run(soak(arguments.minutes * 60, arguments.rate, arguments.seed, tell))
    print(report(balance))
    if arguments.json:
        told = asdict(balance) | {"table": [[*key, count] for key, count in sorted(balance.table.items())]}
        arguments.json.write_text(json.dumps(told, indent=1), "utf-8")
    return 1 if balance.faults else 0


def report(balance: Balance) -> str:
    """The balance for people."""
    faults = sorted({fault for _, fault, _ in balance.table})
    lines = ["", f"{'fault':<10}{'answered':>10}{'failed':>10}{'cancelled':>10}{'lost':>10}"]
    for fault in faults:
        counts: Counter[str] = Counter()
        for (_, which, kind), count in balance.table.items():
            counts[kind] += count if which == fault else 0
        lines.append(f"{fault:<10}" + "".join(f"{counts[kind]:>10}" for kind in ("answered", "failed", "cancelled", "lost")))
    kinds = balance.kinds
    total = "".join(f"{kinds.get(kind, 0):>10}" for kind in ("answered", "failed", "cancelled", "lost"))
    lines += [f"{'all':<10}{total}", "", *picture([sample.memory for sample in balance.samples]), ""]
    before, after = balance.idle
    lines.append(
        f"{balance.sent} requests in {balance.seconds:.0f} s, {balance.reloads} reloads; "
        f"descriptors {before} before, {after} after; exit {balance.exit_code}"
    )
    lines += [f"  ! {fault[:300]}" for fault in balance.faults[:40]]
    lines.append("every request is accounted for; nothing grew" if not balance.faults else f"{len(balance.faults)} faults")
    return "\n".join(lines)


def picture(values: list[float]) -> list[str]:
    """Memory over time."""
    step = max(1, -(-len(values) // _WIDTH))
    columns = [max(values[at : at + step]) for at in range(0, len(values), step)]
    top = max(columns)
    rows = []
    for row in range(_HEIGHT, 0, -1):
        bar = "".join("█" if value >= top * (row - 0.5) / _HEIGHT else " " for value in columns)
        rows.append(f"{top * row / _HEIGHT:7.1f} MB │{bar}")
    return rows


if __name__ == "__main__":
    sys.exit(main())
