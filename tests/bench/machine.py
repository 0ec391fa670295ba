"""Where and with what was measured."""

from __future__ import annotations

import os
import platform
import subprocess
from collections.abc import Sequence
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import Any

from tests.bench.contenders import Contender


def describe(contenders: Sequence[type[Contender]]) -> dict[str, Any]:
    """`machine` and `versions`, for people and machines."""
    return {
        "date": datetime.now(UTC).strftime("%Y-%m-%d %H:%M UTC"),
        "machine": {
            "processor": _field("/proc/cpuinfo", "model name"),
            "cores": len(os.sched_getaffinity(0)),
            "memory_gb": round(int(_field("/proc/meminfo", "MemTotal").split()[0]) / 2**20, 1),
            "kernel": platform.release(),
            "architecture": platform.machine(),
            "load_before": os.getloadavg()[0],
        },
        "versions": {
            **{kind.name: kind.version() for kind in contenders},
            "Python": platform.python_version(),
            **{name: version(name) for name in ("aiohttp", "uvloop", "msgspec", "httptools")},
            "cc": _first_line([os.environ.get("CC", "cc"), "--version"]),
        },
        "notes": {kind.name: kind.note for kind in contenders if kind.note},
    }


def _first_line(command: Sequence[str]) -> str:
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout.splitlines()[0]


def _field(file: str, name: str) -> str:
    for line in Path(file).read_text().splitlines():
        key, _, value = line.partition(":")
        if key.strip() == name:
            return value.strip()
    return "0"
