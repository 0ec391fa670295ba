"""`python -m tests.bench.run`: CPU-µs per request and per piece of a stream, against a bare aiohttp proxy and nginx in the same run.

Every contender is one process on one core; upstream and load generator (wire.c, compiled here with cc) sit on the other. Rounds are
interleaved; the figures are the contender's own CPU time (/proc/PID/task/*/schedstat), the table shows minimum and median over the
rounds, and the ratio of minima. Only ratios within one run mean anything. Linux, two cores, cc and nginx are needed.
"""

from __future__ import annotations

import argparse
import contextlib
import hashlib
import json
import os
import platform
import shutil
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tests.bench import payloads

HERE = Path(__file__).parent
SOURCES = {"openai": payloads.openai, "blocks": payloads.blocks, "parts": payloads.parts}
DIALECTS = {"openai": "openai", "blocks": "anthropic", "parts": "gemini"}
#: (name, what the upstream speaks, stream, paced, connections)
WORK = [
    ("whole", "openai", False, False, 32),
    ("whole, Messages translated", "blocks", False, False, 32),
    ("whole, generateContent translated", "parts", False, False, 32),
    ("burst", "openai", True, False, 8),
    ("burst, Messages translated", "blocks", True, False, 8),
    ("burst, generateContent translated", "parts", True, False, 8),
    ("paced", "openai", True, True, 20),
    ("paced, Messages translated", "blocks", True, True, 20),
    ("paced, generateContent translated", "parts", True, True, 20),
]


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def start(command: list[str], cpu: int, **options: Any) -> subprocess.Popen[str]:
    """A process on one core; returns when it says that it is ready (its first line), or listens."""
    return subprocess.Popen(["taskset", "-c", str(cpu), *command], text=True, **options)


def wait_for(port: int, process: subprocess.Popen[str], errors: Path | None = None) -> None:
    for _ in range(600):
        if process.poll() is not None:
            raise SystemExit(f"{process.args} ended with {process.returncode}: {errors.read_text() if errors else ''}")
        with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), 1):
            return
        time.sleep(0.05)
    raise SystemExit(f"{process.args} does not listen on {port}")


def cpu_ns(pid: int) -> int:
    """CPU time of all threads of a process."""
    return sum(int(Path(task, "schedstat").read_text().split()[0]) for task in Path(f"/proc/{pid}/task").iterdir())


@dataclass
class Contender:
    """`ports[paced]` for those that can only forward; `models` for the one that chooses by model."""

    name: str
    process: subprocess.Popen[str]
    ports: dict[bool, int]
    translates: bool = False
    figures: dict[str, list[float]] = field(default_factory=dict)
    lags: dict[str, list[float]] = field(default_factory=dict)


@contextlib.contextmanager
def running(folder: Path) -> Iterator[tuple[str, list[Contender]]]:
    """Upstreams and contenders, all stopped again at the end."""
    wire = str(folder / "wire")
    subprocess.run([os.environ.get("CC", "cc"), "-O2", "-o", wire, str(HERE / "wire.c")], check=True)
    processes: list[subprocess.Popen[str]] = []
    upstreams: dict[tuple[str, bool], int] = {}
    try:
        for source, build in SOURCES.items():
            whole, stream = build()
            (folder / f"{source}.json").write_text(whole)
            (folder / f"{source}.sse").write_text(stream)
            for paced in (False, True):
                port = upstreams[source, paced] = free_port()
                command = [wire, "upstream", str(port), str(folder / f"{source}.json"), str(folder / f"{source}.sse")]
                processes.append(start(command + (["10"] if paced else []), 0, stdout=subprocess.DEVNULL))
                wait_for(port, processes[-1])
        contenders = [samewire(folder, upstreams), bare(upstreams), *nginx(folder, upstreams)]
        processes += [contender.process for contender in contenders]
        for contender in contenders:
            for port in set(contender.ports.values()):
                wait_for(port, contender.process, folder / "samewire.err" if contender.translates else None)
        yield wire, contenders
    finally:
        for process in processes:
            process.terminate()
        for process in processes:
            process.wait(10)


def samewire(folder: Path, upstreams: dict[tuple[str, bool], int]) -> Contender:
    """The gateway with everything on: a key to check, metrics, usage, the request log."""
    port = free_port()
    digest = hashlib.sha256(b"sk-bench").hexdigest()
    providers = {
        f"{source}-{'paced' if paced else 'burst'}": {
            "base_url": f"http://127.0.0.1:{upstream}" + ("/v1" if source == "openai" else ""),
            "dialect": DIALECTS[source],
            "key": "sk-upstream",
        }
        for (source, paced), upstream in upstreams.items()
    }
    config = {
        "version": 1,
        "server": {
            "host": "127.0.0.1",
            "port": port,
            "keys": [{"name": "bench", "sha256": digest}],
            "log": {"requests": "stdout"},
        },
        "providers": providers,
        "routes": [{"model": name, "to": f"{name}/bench"} for name in providers],
    }
    path = folder / "routes.yaml"
    path.write_text(json.dumps(config))
    command = [sys.executable, "-m", "proxy", "serve", "--config", str(path)]
    process = start(command, 1, stdout=(folder / "requests.log").open("w"), stderr=(folder / "samewire.err").open("w"), cwd=HERE.parents[1])
    return Contender("samewire", process, {False: port, True: port}, translates=True)


def bare(upstreams: dict[tuple[str, bool], int]) -> Contender:
    ports = {False: free_port(), True: free_port()}
    arguments = [str(number) for paced in ports for number in (upstreams["openai", paced], ports[paced])]
    return Contender("bare aiohttp", start([sys.executable, str(HERE / "bare_app.py"), *arguments], 1, stdout=subprocess.DEVNULL), ports)


def nginx(folder: Path, upstreams: dict[tuple[str, bool], int]) -> list[Contender]:
    if not shutil.which("nginx"):
        print("nginx is not installed: its column is missing", file=sys.stderr)
        return []
    ports = {False: free_port(), True: free_port()}
    servers = "".join(
        f"upstream u{number} {{ server 127.0.0.1:{upstreams['openai', paced]}; keepalive 64; }}\n"
        f"server {{ listen 127.0.0.1:{port}; keepalive_requests 100000000;"
        f" location / {{ proxy_pass http://u{number}; proxy_http_version 1.1;"
        f' proxy_set_header Connection ""; proxy_buffering off; }} }}\n'
        for number, (paced, port) in enumerate(ports.items())
    )
    (folder / "nginx.conf").write_text(
        f"daemon off; master_process off; worker_processes 1; pid {folder}/nginx.pid; error_log {folder}/nginx.err;\n"
        f"events {{ worker_connections 4096; }}\nhttp {{ access_log off;\n"
        f"client_body_temp_path {folder}/body; proxy_temp_path {folder}/proxy;\n"
        f"fastcgi_temp_path {folder}/fastcgi; uwsgi_temp_path {folder}/uwsgi; scgi_temp_path {folder}/scgi;\n{servers}}}\n"
    )
    return [Contender("nginx", start(["nginx", "-c", str(folder / "nginx.conf"), "-p", str(folder)], 1), ports)]


def measure(wire: str, contender: Contender, work: tuple[str, str, bool, bool, int], folder: Path, seconds: float) -> None:
    """One round of one kind of work: CPU-µs per request (whole) or per piece (streams)."""
    name, source, stream, paced, connections = work
    port = contender.ports[paced]
    model = f"{source}-{'paced' if paced else 'burst'}"
    asked = folder / "request"
    asked.write_bytes(payloads.request(model, stream, port))
    before = cpu_ns(contender.process.pid)
    command = ["taskset", "-c", "0", wire, "load", str(port), str(asked), str(connections), str(seconds), payloads.MARK]
    done = subprocess.run(command, check=True, capture_output=True, text=True)
    spent = cpu_ns(contender.process.pid) - before
    result = json.loads(done.stdout)
    pieces = result["requests"] * (payloads.PIECES if stream else 40)
    if result["bad"] or result["unfinished"] or result["marks"] != pieces or not pieces:
        raise SystemExit(f"{contender.name}, {name}: wrong answers: {result}, expected {pieces} marks")
    contender.figures.setdefault(name, []).append(spent / 1000 / (pieces if stream else result["requests"]))
    contender.lags.setdefault(name, []).append(result["first_p50_us"])


def table(contenders: list[Contender]) -> list[dict[str, Any]]:
    """A row for each kind of work and contender, with ratios to the bare proxy's passthrough of the same kind."""
    rows = []
    for name, *_ in WORK:
        plain = name.partition(",")[0]
        for contender in contenders:
            if name not in contender.figures:
                continue
            figures = contender.figures[name]
            ratios = {
                other.name: min(figures) / min(other.figures[plain])
                for other in contenders
                if other.name != contender.name and not other.translates and plain in other.figures
            }
            rows.append(
                {
                    "work": name,
                    "contender": contender.name,
                    "min_us": min(figures),
                    "median_us": statistics.median(figures),
                    "ratios": ratios,
                }
            )
    return rows


def show(rows: list[dict[str, Any]]) -> str:
    lines = ["| work | contender | CPU-µs min | median | × bare aiohttp | × nginx |", "|---|---|---:|---:|---:|---:|"]
    for row in rows:
        ratios = [f"{row['ratios'][name]:.2f}" if name in row["ratios"] else "" for name in ("bare aiohttp", "nginx")]
        lines.append(f"| {row['work']} | {row['contender']} | {row['min_us']:.2f} | {row['median_us']:.2f} | {ratios[0]} | {ratios[1]} |")
    return "\n".join(lines)


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m tests.bench.run", description=__doc__)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seconds", type=float, default=3.0, help="of each measurement")
    parser.add_argument("--short", action="store_true", help="one quick round: does it run at all?")
    parser.add_argument("--only", default="", help="kinds of work whose name contains this")
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    rounds, seconds = (1, 0.3) if options.short else (options.rounds, options.seconds)
    work = [row for row in WORK if options.only in row[0]]
    with tempfile.TemporaryDirectory() as name, running(Path(name)) as (wire, contenders):
        folder = Path(name)
        for round_number in range(rounds + 1):  # the first warms up
            for row in work:
                for contender in contenders:
                    if row[1] == "openai" or contender.translates:
                        measure(wire, contender, row, folder, seconds if round_number else 0.3)
            if not round_number:
                for contender in contenders:
                    contender.figures.clear()
            print(f"round {round_number} of {rounds}", file=sys.stderr)
    rows = table(contenders)
    if options.json:
        print(
            json.dumps({"machine": platform.processor() or platform.machine(), "python": platform.python_version(), "rows": rows}, indent=1)
        )
    else:
        print(f"Python {platform.python_version()}, {platform.machine()}, {os.cpu_count()} cores; CPU-µs per request or piece\n")
        print(show(rows))


if __name__ == "__main__":
    main()
