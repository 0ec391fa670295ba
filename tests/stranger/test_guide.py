"""docs/add-a-provider.md, done as it says: its files are written out, its commands run. Blocks of one file follow one another."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]
GUIDE = ROOT / "docs" / "add-a-provider.md"
BLOCK = re.compile(r"^```(\w+)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
FILE = re.compile(r"(?:#|//) file: (\S+)\n")


def command(line: str, folder: Path) -> subprocess.CompletedProcess[str]:
    """A line of the guide; `samewire` is this project's."""
    words = line.split()
    assert words[0] == "samewire"
    environ = {**os.environ, "PYTHONPATH": str(ROOT), "NO_COLOR": "1", "COHERE_API_KEY": "none"}
    return subprocess.run(
        [sys.executable, "-m", "proxy", *words[1:]], cwd=folder, env=environ, capture_output=True, text=True, timeout=280, check=False
    )


def test_the_guide_does_what_it_says(tmp_path: Path) -> None:
    written: list[str] = []
    ran: list[str] = []
    for kind, text in BLOCK.findall(GUIDE.read_text(encoding="utf-8")):
        named = FILE.match(text)
        if named:
            file = tmp_path / named[1]
            file.parent.mkdir(parents=True, exist_ok=True)
            with file.open("a", encoding="utf-8") as out:
                out.write(text[named.end() :])
            written.append(named[1])
            continue
        assert kind == "console"
        for line in re.findall(r"^\$ (samewire .*)$", text, re.MULTILINE):
            done = command(line, tmp_path)
            assert done.returncode == 0, done.stdout + done.stderr
            ran.append(line)
    assert ran == ["samewire check", "samewire test cohere", "samewire test cohere", "samewire check"]
    assert {"routes.yaml", "cohere/dialect.yaml", "cohere/samples/chat/too_long/case.yaml"} <= set(written)
    for file in ("near/routes.yaml", "nearly/routes.yaml"):
        assert command(f"samewire check -c {file}", tmp_path).returncode == 0
