"""The blocks of docs/clients to copy: run as they are there, but for the address and the key."""

from __future__ import annotations

import asyncio
import os
import re
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

from tests.real.clients import Client, node
from tests.real.said import PLAYS
from tests.real.stage import KEY, Stage

PAGES = Path(__file__).parent.parent.parent / "docs" / "clients"
#: What stands on the pages, for what readers have instead.
#: What the pretended model says, and what it fills forms with.
SAMPLE = "example"
ADDRESS, PLACEHOLDER = "127.0.0.1:8787", "your-samewire-key"
_BLOCK = re.compile(r"(?:`~/(?P<file>[^`\n]+)`[^\n]*\n\n)?```(?P<language>\w+)\n(?P<text>.*?)```", re.DOTALL)
DEADLINE = 120.0


def blocks(page: str) -> Iterator[tuple[str, str, str]]:
    """Language, text, and the file below the home folder that it is the content of, or ""."""
    for found in _BLOCK.finditer((PAGES / page).read_text("utf-8")):
        yield found["language"], found["text"], found["file"] or ""


def filled(text: str, stage: Stage) -> str:
    """A block with the stage's address and key."""
    return text.replace(ADDRESS, "{}:{}".format(*stage.address)).replace(PLACEHOLDER, KEY)


async def run_page(client: Client, stage: Stage) -> str:
    """Does what the client's page says: writes its files, runs its blocks. "ok", or "failed: why"."""
    with tempfile.TemporaryDirectory() as home:
        for language, text, file in blocks(client.page):
            if file:
                path = Path(home) / file
                path.parent.mkdir(parents=True, exist_ok=True)
                path.write_text(filled(text, stage), "utf-8")
            elif not re.match(r"(pip|npm|uv|npx) ", text) and (why := await _run(client, language, filled(text, stage), home)):
                return f"failed: {why}"
    return "ok"


async def _run(client: Client, language: str, text: str, home: str) -> str:
    """Why a block failed: "" when it ended well and said what the model said."""
    environ = {"HOME": home, "PATH": f"{client.folder}/bin:{client.folder}/node_modules/.bin:{os.environ['PATH']}", "LANG": "C.UTF-8"}
    if client.node:
        environ["PATH"] = f"{node().parent}:{environ['PATH']}"
    argv = ["bash", "-euc", text]
    if language == "python":
        argv = [sys.executable if client.light else str(client.folder / "bin" / "python"), "-c", text]
    if language == "js":
        file = client.folder / "page.mjs"  # modules are looked for beside the file
        file.write_text(text, "utf-8")
        argv = ["node", str(file)]
    process = await asyncio.create_subprocess_exec(
        *argv, cwd=home, env=environ, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE
    )
    try:
        async with asyncio.timeout(DEADLINE):
            out, said = await process.communicate()
    except TimeoutError:
        return "it did not end"
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
    if process.returncode or not any(said in out.decode() for said in (PLAYS["text"], SAMPLE)):
        return " ".join(f"ended with {process.returncode}: {(said or out).decode()[-300:]}".split())
    return ""
