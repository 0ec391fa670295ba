"""`python -m tests.real [CLIENT …]`: installs clients, runs them against the server, prints what they did and notes it in results.json.

Without names: the light ones; `--all`: every one. `--keep` notes nothing; `--install` only installs. SAMEWIRE_TRACE=1 shows tracebacks.
"""

from __future__ import annotations

import argparse
import asyncio
import subprocess
import sys
import tempfile
from datetime import UTC, datetime
from pathlib import Path

from tests.real import results
from tests.real.clients import Client, clients, install, run
from tests.real.pages import run_page
from tests.real.stage import Stage


async def main() -> int:
    """The exit code: 1 when something failed."""
    parser = argparse.ArgumentParser(prog="python -m tests.real", description="Real clients against the running server.")
    parser.add_argument("names", nargs="*", metavar="CLIENT")
    for flag in ("all", "keep", "install"):
        parser.add_argument(f"--{flag}", action="store_true")
    asked = parser.parse_args()
    known = clients()
    if unknown := [name for name in asked.names if name not in known]:
        parser.error(f"no client {unknown[0]} among {', '.join(known)}")
    chosen = [known[name] for name in asked.names] or [client for client in known.values() if client.light or asked.all]
    ready = [client for client in chosen if installed(client)]
    if asked.install:
        return int(len(ready) < len(chosen))
    noted = results.read()
    with tempfile.TemporaryDirectory() as folder:
        async with Stage(Path(folder)) as stage:
            for client in ready:
                noted[client.name] = await noted_run(client, stage)
                if not asked.keep:
                    results.write({name: noted[name] for name in known if name in noted})
    failed = any("failed:" in str(noted[client.name]) for client in ready)
    return int(failed or len(ready) < len(chosen))


def installed(client: Client) -> bool:
    """Installs it, or says why not."""
    try:
        install(client)
    except subprocess.CalledProcessError as error:
        print(f"{client.name} cannot be installed: {error.stderr}", file=sys.stderr)
        return False
    return True


async def noted_run(client: Client, stage: Stage) -> dict[str, object]:
    """Runs it, and prints and returns what it did."""
    outcomes, page = await run(client, stage), await run_page(client, stage)
    fine = sum(outcome == "ok" for row in outcomes.values() for outcome in row.values())
    print(f"{client.name} {client.version}: {fine} fine; its page: {page}", flush=True)
    for upstream, row in outcomes.items():
        for capability, outcome in row.items():
            if outcome.startswith("failed"):
                print(f"  {upstream}, {capability}: {outcome}", flush=True)
    return {"version": client.version, "date": datetime.now(UTC).date().isoformat(), "page": page, "outcomes": outcomes}


sys.exit(asyncio.run(main()))
