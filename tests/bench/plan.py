"""How much is done, in which order, and how long it still takes."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from tests.bench.processes import BenchError


@dataclass(frozen=True)
class Scale:
    """How long and how often. Times in seconds."""

    rounds: int = 6
    slow_rounds: int = 3  # for contenders that are slow
    seconds: float = 1.2  # of one measurement
    slow_seconds: float = 2.0
    rate_seconds: float = 2.0  # of one at a given rate
    paced_pieces: int = 100
    slow_stream: tuple[int, int] = (6, 1000)  # of memory's streams: pieces, ms between two
    streams: int = 1000  # open at once
    slow_streams: int = 100
    starts: int = 7
    loops: int = 30  # of which the best counts, where no sockets are
    blocks: int = 10  # large requests, scrapes
    worker_rounds: int = 4


STANDARD = Scale()
#: Does it run, and is all there? Its figures mean nothing.
SMOKE = Scale(
    rounds=1,
    slow_rounds=1,
    seconds=0.1,
    slow_seconds=0.3,
    rate_seconds=0.2,
    paced_pieces=10,
    slow_stream=(3, 200),
    streams=50,
    slow_streams=10,
    starts=1,
    loops=1,
    blocks=2,
    worker_rounds=1,
)


@dataclass(frozen=True)
class Step:
    """`seconds`: how long `run` will take, roughly. `rival`: whose failure does not fail the run."""

    label: str
    seconds: float
    run: Callable[[], None]
    rival: bool = False


def carry_out(steps: Sequence[Step], left_out: dict[str, str]) -> bool:
    """One after another, with a line on stderr that tells what is going on and how long it will take.

    What fails is noted in `left_out`, and the others go on. False: it was not a rival that failed.
    """
    sound = True
    live = sys.stderr.isatty()
    begun, done, all_seconds = time.monotonic(), 0.0, sum(step.seconds for step in steps)
    for number, step in enumerate(steps):
        passed = time.monotonic() - begun
        left = (all_seconds - done) * (passed / done if done > 5 else 1)
        line = f"[{number + 1}/{len(steps)}] {step.label} ({left // 60:.0f}:{left % 60:02.0f} left)"
        if live:
            print(f"\r\x1b[K{line}", end="", file=sys.stderr, flush=True)
        elif number % 25 == 0:
            print(line, file=sys.stderr, flush=True)
        try:
            step.run()
        except BenchError as error:
            left_out[step.label] = str(error).splitlines()[0]
            sound = sound and step.rival
            print(f"failed: {step.label}: {error}", file=sys.stderr)
        done += step.seconds
    took = time.monotonic() - begun
    print(f"{chr(13) + chr(27) + '[K' if live else ''}{len(steps)} steps in {took // 60:.0f}:{took % 60:02.0f}", file=sys.stderr)
    return sound
