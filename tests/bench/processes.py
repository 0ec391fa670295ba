"""Processes that the benchmark starts: pinned to cores, stopped while others are measured, ended for certain. Linux only."""

from __future__ import annotations

import contextlib
import os
import random
import signal
import socket
import subprocess
import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

#: Upstream and load generator sit on one core, what is measured on the other.
_CORES = sorted(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else [0]
ENDS, MEASURED, BOTH = str(_CORES[0]), str(_CORES[-1]), f"{_CORES[0]},{_CORES[-1]}"


class BenchError(Exception):
    """Something did not start, or did not answer as it must; the benchmark ends with this sentence."""


def free_port() -> int:
    """Below those that the system gives out by itself: until a slow program listens, no one else gets it."""
    while True:
        port = random.randint(10_000, 32_000)
        with contextlib.suppress(OSError), socket.socket() as probe:
            probe.bind(("127.0.0.1", port))
            return port


class Process:
    """One child and whatever it starts; it does not outlive us. What it says goes to `log`."""

    def __init__(
        self, command: Sequence[str], log: Path, *, cores: str = MEASURED, environ: Mapping[str, str] | None = None, cwd: Path | None = None
    ) -> None:
        self.command = command
        self.log = log
        with log.open("wb") as output:
            self._child = subprocess.Popen(
                ["setpriv", "--pdeathsig", "KILL", "taskset", "-c", cores, *command],
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                env={**os.environ, **(environ or {})},
                cwd=cwd,
                start_new_session=True,
            )

    @property
    def pids(self) -> list[int]:
        """Its own and those of its children, and theirs."""
        return list(_family(self._child.pid))

    def wait_for(self, port: int, seconds: float = 60) -> None:
        """Until it listens. Raises BenchError when it ends before, or takes longer."""
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline:
            if self._child.poll() is not None:
                break
            with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), 1):
                return
            time.sleep(0.002)
        raise BenchError(f"{' '.join(self.command)} does not listen on {port}:\n{self.log.read_text(errors='replace')[-2000:]}")

    def cpu_ns(self) -> dict[int, int]:
        """CPU time that each process has had, all its threads, also ended ones."""
        return {pid: time.clock_gettime_ns((~pid << 3) | 2) for pid in self.pids}  # CPUCLOCK_SCHED of the process: clock_getcpuclockid(3)

    def wait_until_idle(self, seconds: float) -> None:
        """Until what it does after its start is done: it has had less than a twentieth of a core for a while, or time is up."""
        deadline, had = time.monotonic() + seconds, -1
        while time.monotonic() < deadline:
            now = sum(self.cpu_ns().values())
            if had >= 0 and now - had < 10_000_000:
                return
            had = now
            time.sleep(0.2)

    def reset_peak(self) -> None:
        """`peak_kb` then tells the peak since now."""
        for pid in self.pids:
            Path(f"/proc/{pid}/clear_refs").write_text("5")

    def resident_kb(self, field: str = "VmRSS") -> int:
        """Memory in RAM, of all its processes; `VmHWM`: the most there has been."""
        found = 0
        for pid in self.pids:
            lines = Path(f"/proc/{pid}/status").read_text().splitlines()
            found += sum(int(line.split()[1]) for line in lines if line.startswith(field))
        return found

    def send(self, number: int) -> None:
        for pid in self.pids:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, number)

    def stop(self) -> None:
        """Politely, then not: a frozen process is thawed first."""
        self.send(signal.SIGCONT)
        pids = self.pids
        self._child.terminate()
        with contextlib.suppress(subprocess.TimeoutExpired):
            self._child.wait(5)
        for pid in pids:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        self._child.wait(5)


def _family(pid: int) -> Iterator[int]:
    try:
        tasks = list(Path(f"/proc/{pid}/task").iterdir())
    except FileNotFoundError:
        return
    yield pid
    for task in tasks:
        with contextlib.suppress(FileNotFoundError):
            for child in (task / "children").read_text().split():
                yield from _family(int(child))
