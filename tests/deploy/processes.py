"""The gateway and nginx as processes, each in a folder of its own, each ready once it says so."""

from __future__ import annotations

import asyncio
import os
import re
import socket
import sys
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import yaml

from tests.deploy.programs import program

ROOT = Path(__file__).parent.parent.parent
NGINX_CONF = (ROOT / "deploy" / "nginx.conf").read_text("utf-8")
DEADLINE = 20.0  # seconds for a process to start
#: Paths that Debian's build has for root alone, each with what the test says instead.
TEMPORARY = "".join(f"\n    {kind}_temp_path {kind};" for kind in ("client_body", "proxy", "fastcgi", "uwsgi", "scgi"))


@asynccontextmanager
async def running(ready: str, *command: str, folder: Path) -> AsyncIterator[asyncio.subprocess.Process]:
    """A process, from the moment it writes `ready` to stderr; told to stop at the end."""
    process = await asyncio.create_subprocess_exec(
        *command, cwd=folder, env=os.environ | {"PYTHONPATH": str(ROOT)}, stdout=asyncio.subprocess.DEVNULL, stderr=asyncio.subprocess.PIPE
    )
    assert process.stderr is not None
    said = b""
    try:
        async with asyncio.timeout(DEADLINE):
            while ready.encode() not in said:
                line = await process.stderr.readline()
                said += line
                assert line, f"{command[0]} ended: {said.decode()}"
        yield process
    finally:
        if process.returncode is None:
            process.terminate()
        async with asyncio.timeout(DEADLINE):
            await process.communicate()


@asynccontextmanager
async def gateway(document: Mapping[str, Any], folder: Path) -> AsyncIterator[None]:
    """`python -m proxy serve` with this configuration."""
    (folder / "routes.yaml").write_text(yaml.safe_dump(dict(document), sort_keys=False), "utf-8")
    async with running("base_url", sys.executable, "-m", "proxy", "serve", folder=folder):
        yield


def derived(port: int, upstream: str, changes: Mapping[str, str]) -> str:
    """deploy/nginx.conf with other addresses, its files in nginx's own folder, and `changes`; each must find its place, once."""
    text = NGINX_CONF
    here = {"listen 80;": f"listen 127.0.0.1:{port};", "server 127.0.0.1:8787;": f"server {upstream};"}
    for old, new in {**here, "http {": "http {\n    access_log off;" + TEMPORARY, **changes}.items():
        assert text.count(old) == 1, f"{old!r} is not in deploy/nginx.conf just once"
        text = text.replace(old, new)
    return text


@asynccontextmanager
async def nginx(upstream: str, folder: Path, changes: Mapping[str, str] | None = None) -> AsyncIterator[tuple[str, int]]:
    """nginx in front of `upstream` (as its `server` directive says it). Gives its address."""
    executable = program("nginx", "nginx")
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    (folder / "nginx.conf").write_text(derived(port, upstream, changes or {}), "utf-8")
    user = "user root root; " if os.geteuid() == 0 else ""
    settings = f"{user}daemon off; pid nginx.pid; error_log stderr notice;"
    async with running(
        "start worker process ", executable, "-p", f"{folder}/", "-e", "stderr", "-c", "nginx.conf", "-g", settings, folder=folder
    ):
        yield "127.0.0.1", port


def seconds(directive: str) -> int:
    """The value of a directive of deploy/nginx.conf that is a time in seconds."""
    (value,) = re.findall(rf"^\s*{directive} (\d+)s;", NGINX_CONF, re.MULTILINE)
    return int(value)
