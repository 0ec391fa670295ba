"""`python -m tests.bench.profile [WORK …]`: where Samewire's microseconds go; PROFILE.md tells what came of it.

For each kind of work (tests/bench/rounds.py): instructions per request or piece by library (valgrind's callgrind, which other work on
the machine does not disturb), system calls (strace), the shares of Python functions (py-spy). A tool that is not installed is left out.
"""

from __future__ import annotations

import argparse
import collections
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from tests.bench.contenders import Samewire
from tests.bench.ends import Ends
from tests.bench.plan import STANDARD
from tests.bench.rounds import WORKS, Work

SECONDS = 5.0


class Counted(Samewire):
    """Under callgrind: some fifty times slower."""

    ready_in = 180.0

    def config(self) -> dict[str, Any]:
        config = super().config()
        for provider in config["providers"].values():
            provider["timeouts"] = {"connect": 300}
        return config

    def command(self) -> list[str]:
        counts = str(self.folder / "counts")
        return ["valgrind", "--tool=callgrind", f"--callgrind-out-file={counts}", "--separate-threads=no", *super().command()]


def tool(name: str) -> str | None:
    """Beside Python, or on the path."""
    return shutil.which(name, path=str(Path(sys.executable).parent)) or shutil.which(name)


def beside(command: list[str]) -> subprocess.Popen[bytes]:
    return subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)


def units(found: dict[str, Any], work: Work, ends: Ends) -> int:
    pieces = ends.upstreams[work.upstream].pieces if work.stream else 1
    return int(found["requests"] * pieces)


def instructions(work: Work, ends: Ends) -> str:
    """Per request or piece, and the libraries in which they are."""
    upstream = ends.upstreams[work.upstream]
    with Counted(ends) as contender:
        assert contender.process is not None
        contender.load(upstream, work.stream, 8, 0.01 if work.stream else 2)
        pid = contender.process.pids[0]
        subprocess.run(["callgrind_control", "-z", str(pid)], check=True, capture_output=True)
        found = contender.load(upstream, work.stream, 8, 0.01 if work.stream else 5)
        subprocess.run(["callgrind_control", "-d", str(pid)], check=True, capture_output=True)
        counts = contender.folder / "counts.1"
    total = int(re.findall(r"^summary: (\d+)", counts.read_text(errors="replace"), re.MULTILINE)[-1])
    said = subprocess.run(["callgrind_annotate", "--threshold=100", str(counts)], capture_output=True, text=True, check=True).stdout
    libraries: collections.Counter[str] = collections.Counter()
    for count, share, library in re.findall(r"^\s*([\d,]+) \(([ \d.]+)%\)\s.*\[(.*?)\]$", said, re.MULTILINE):
        if float(share) < 90:  # what was running when the counters were set to zero is shown with all it has called
            libraries[Path(library).name.partition(".cpython")[0]] += int(count.replace(",", ""))
    parts = ", ".join(f"{library} {100 * count / total:.0f} %" for library, count in libraries.most_common(9))
    return f"{total / units(found, work, ends):,.0f} instructions: {parts}"


def system_calls(work: Work, ends: Ends) -> str:
    """Of each kind, per request or piece."""
    upstream = ends.upstreams[work.upstream]
    with Samewire(ends) as contender:
        assert contender.process is not None
        contender.load(upstream, work.stream, work.connections[0], 0.2)
        output = contender.folder / "calls"
        with beside(["strace", "-f", "-c", "-U", "name,calls", "-o", str(output), "-p", str(contender.process.pids[0])]) as tracer:
            time.sleep(0.5)
            found = contender.load(upstream, work.stream, work.connections[0], 0.01 if upstream.every else 1)
            tracer.send_signal(signal.SIGINT)
            tracer.wait(10)
        text = output.read_text()
    calls = [(name, int(count) / units(found, work, ends)) for name, count in re.findall(r"^(\w+)\s+(\d+)$", text, re.MULTILINE)]
    return ", ".join(
        f"{name} {count:.2f}" for name, count in sorted(calls, key=lambda call: -call[1]) if count >= 0.005 and name != "total"
    )


def functions(work: Work, ends: Ends) -> str:
    """The Python functions that were on top of the stack, by share of samples; C code counts for the function that called it."""
    upstream = ends.upstreams[work.upstream]
    sampler = tool("py-spy")
    assert sampler is not None
    with Samewire(ends) as contender:
        assert contender.process is not None
        contender.load(upstream, work.stream, work.connections[0], 0.2)
        output = contender.folder / "samples"
        how = ["-d", str(int(SECONDS)), "-r", "400", "-f", "raw", "-o", str(output)]
        with beside([sampler, "record", "-p", str(contender.process.pids[0]), *how]) as recorder:
            deadline = time.monotonic() + SECONDS
            while time.monotonic() < deadline:
                contender.load(upstream, work.stream, work.connections[0], 0.01 if upstream.every else 1)
            recorder.wait(30)
        stacks = [line.rpartition(" ") for line in output.read_text().splitlines()]
    tops: collections.Counter[str] = collections.Counter()
    for stack, _, count in stacks:
        if "concurrent/futures/thread.py" in stack.rpartition(";")[2]:  # a thread that waits for work
            continue
        tops[re.sub(r":\d+\)", ")", stack.rpartition(";")[2])] += int(count)
    total = sum(tops.values())
    return "\n".join(f"  {100 * count / total:4.1f} %  {name}" for name, count in tops.most_common(25))


def main() -> int:
    names = [work.name for work in WORKS if not work.rate]
    parser = argparse.ArgumentParser(prog="python -m tests.bench.profile", description=__doc__)
    parser.add_argument("work", nargs="*", default=["whole", "paced", "burst-blocks"], choices=names)
    wanted = parser.parse_args().work
    with tempfile.TemporaryDirectory(prefix="profile-") as folder, Ends(Path(folder), STANDARD) as ends:
        for work in (work for work in WORKS if work.name in wanted):
            print(f"\n{work.name}, per {'piece' if work.stream else 'request'}")
            for name, measure in (("valgrind", instructions), ("strace", system_calls), ("py-spy", functions)):
                print(f"{name}:\n{measure(work, ends)}" if tool(name) else f"{name} is not installed: left out", flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
