"""Runs one Case: a gateway with small deadlines and limits before its upstream, one request, and all that can be seen of it."""

from __future__ import annotations

import asyncio
import json
import re
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import yaml

from proxy.app import start
from proxy.config import load
from proxy.config.model import Config
from tests.exchange.wire import Client, Reply, merged
from tests.faults import places
from tests.faults.promise import Case, How
from tests.faults.wires import WIRES
from tests.upstream.scripted import Step, Upstream, chunked, request

#: Seconds by which each case must be over, whatever happens: far more than its deadlines, and than a busy machine needs.
BOUND = 30.0
#: Deadlines of the upstream calls that are to miss one.
TIMEOUTS = {"connect": 0.5, "first_event": 0.5, "idle": 0.4}
#: Of all others: none comes near them, however busy the machine is.
PATIENT = {"connect": 60, "first_event": 60, "idle": 60}
LIMITS = {"event": 2**16, "answer": 2**17}


@dataclass(frozen=True, slots=True)
class Outcome:
    """What could be seen: the client's answer, the line of the request log, the scrape's figures, what the upstream was asked."""

    reply: Reply
    line: Mapping[str, Any]
    figures: Mapping[str, float]
    requests: int


@cache
def configuration(url: str, changes: str, hasty: str) -> Config:
    """Providers called after their dialects, all at one address; `changes` is JSON. `hasty`: the one that does not wait long, if any."""
    provider = {"base_url": url.format(port=places.port())}
    document = {
        "version": 1,
        "server": {"port": 0, "limits": LIMITS, "log": {"level": "error"}},
        "providers": {
            name: provider | {"dialect": name, "key": f"sk-secret-{name}", "timeouts": TIMEOUTS if name == hasty else PATIENT}
            for name in WIRES
        },
        "routes": [
            *({"model": name, "to": [f"{name}/up"]} for name in WIRES),
            *(_or_else(name, "stream") for name in WIRES),
            *(_or_else(name, "whole") | {"failover": {"maybe_processed": "always"}} for name in WIRES),
        ],
    }
    with TemporaryDirectory() as folder:
        path = Path(folder) / "routes.yaml"
        path.write_text(yaml.safe_dump(merged(document, json.loads(changes)), sort_keys=False))
        return load(path, {})


@asynccontextmanager
async def gateway(config: Config) -> AsyncIterator[tuple[str, int]]:
    """Runs it. What it began must be over when it ends."""
    before = asyncio.all_tasks()
    async with await start(config) as running:
        yield running.addresses[0]
    async with asyncio.timeout(BOUND):
        while {task for task in asyncio.all_tasks() - before if "Upstream" not in repr(task.get_coro())}:  # noqa: ASYNC110
            await asyncio.sleep(0.002)


def script_of(case: Case, dialect: str) -> Sequence[Step]:
    """What the upstream does."""
    return case.script(WIRES[dialect]) if callable(case.script) else case.script


def _or_else(name: str, how: How) -> dict[str, Any]:
    return {"model": f"{name}-or-else-{how}", "to": [f"{name}/up", f"{second(name)}/up"]}


async def play(case: Case, dialect: str, how: How, read_log: Any) -> Outcome:
    """Injects the fault. `read_log`: gives what has been written to the request log."""
    script = script_of(case, dialect)
    config = configuration(case.place.url, json.dumps(dict(case.changes)), dialect if case.kind == "timeout" else "")
    model = f"{dialect}-or-else-{how}" if case.elsewhere else dialect
    asked = {"model": model, "stream": how == "stream", "messages": [{"role": "user", "content": "Hi"}]}
    async with asyncio.timeout(BOUND), case.place.opens(places.port(), [request, *script], [request, _good(dialect, how)]) as upstream:
        async with gateway(config) as address:
            reply = await _ask(address, asked, upstream)
            figures = await _figures(address)
        return Outcome(reply, json.loads(read_log()), figures, len(upstream.requests) if upstream else 0)


def second(dialect: str) -> str:
    """Who is asked next where a case has a second target."""
    return "openai" if dialect == "ollama" else "ollama"


def _good(dialect: str, how: How) -> bytes:
    """What the second target answers."""
    wire = WIRES[second(dialect)]
    return wire.head() + chunked(*wire.events) if how == "stream" else wire.document()


async def _ask(address: tuple[str, int], asked: Any, upstream: Upstream | None) -> Reply:
    async with await Client.connect(address, 2**26) as client:
        client.send(asked)
        status, headers = await client.head()
        if "transfer-encoding" not in headers:
            body = await client.reader.readexactly(int(headers["content-length"]))
            return Reply(status, headers, body)
        first = await client.chunk()
        for peer in upstream.peers if upstream else ():
            peer.shown.set()
        return await client.chunked(Reply(status, headers, first))


async def _figures(address: tuple[str, int]) -> dict[str, float]:
    """The scrape, once it counts the request: it does when its answer has left."""
    while True:
        async with await Client.connect(address) as client:
            client.send(b"", "/metrics", method="GET")
            text = (await client.reply()).body.decode()
        figures = {name: float(value) for name, value in re.findall(r"^([^#].*) (\S+)$", text, re.MULTILINE)}
        if any(name.startswith("gen_ai_server_request_duration_seconds_count") for name in figures):
            return figures
        await asyncio.sleep(0.002)
