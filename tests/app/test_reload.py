"""The configuration exchanged while requests run; the operator's listener."""

from __future__ import annotations

import asyncio
import gc
import json
import logging
import socket
import sys
import weakref
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from hashlib import sha256
from pathlib import Path
from typing import Any

import pytest
import yaml

from proxy.app import reload as reloading
from proxy.app.running import RunningServer, start
from proxy.config import load
from tests.stage.client import DEADLINE, Connection, Served
from tests.stage.upstream import Upstream, events
from tests.stage.wires import chunk, openai_answer

HELLO = {"content": "Hello"}


class Site:
    """A configuration file, the server that it configures, the upstream it leads to."""

    def __init__(self, path: Path, upstream: Upstream) -> None:
        self.path = path
        self.upstream = upstream
        self.running: RunningServer

    def write(self, *, model: str = "m", **server: Any) -> None:
        settings = {"port": 0, "log": {"requests": "off", "level": "debug"}} | server
        up = {"base_url": f"http://127.0.0.1:{self.upstream.port}"}
        routes = [{"model": model, "to": "up"}]
        self.path.write_text(yaml.safe_dump({"version": 1, "server": settings, "providers": {"up": up}, "routes": routes}), "utf-8")

    @property
    def address(self) -> tuple[str, int]:
        return self.running.addresses[0]

    @property
    def admin(self) -> tuple[str, int]:
        return self.running.admin_addresses[0]

    async def ask(self, method: str, path: str, address: tuple[str, int] | None = None, body: bytes = b"", **headers: str) -> Served:
        async with asyncio.timeout(DEADLINE), Connection(address or self.address) as connection:
            fields = {name.replace("_", "-"): value for name, value in headers.items()}
            connection.send(method, path, body, {"connection": "close", "content-type": "application/json", **fields})
            status, answered = await connection.head()
            return Served(status, answered, *await connection.body(answered))

    async def chat(self, model: str) -> int:
        body = json.dumps({"model": model, "messages": [{"role": "user", "content": "Hi"}]}).encode()
        return (await self.ask("POST", "/v1/chat/completions", body=body)).status

    async def metric(self, name: str) -> float:
        text = (await self.running.measure()).decode()
        (value,) = (line.rpartition(" ")[2] for line in text.splitlines() if line.startswith(name))
        return float(value)


@asynccontextmanager
async def site(folder: Path, **server: Any) -> AsyncIterator[Site]:
    async with Upstream() as upstream:
        upstream.answer(openai_answer(HELLO))
        made = Site(folder / "routes.yaml", upstream)
        made.write(**server)

        async def read() -> Any:
            return await asyncio.to_thread(load, made.path, {})

        async with await start(load(made.path, {}), read) as made.running:
            yield made


async def until(true: Callable[[], bool]) -> None:
    async with asyncio.timeout(DEADLINE):
        while not true():  # noqa: ASYNC110 - files and log lines set no event
            await asyncio.sleep(0.01)


async def test_new_requests_go_by_the_new_configuration_and_running_ones_by_theirs(tmp_path: Path) -> None:
    async with site(tmp_path) as here:
        gate = asyncio.Event()
        script = events(chunk(HELLO), chunk({"content": " there"}), chunk(finish="stop"))
        script.gate = gate
        here.upstream.answer(script)
        async with asyncio.timeout(DEADLINE), Connection(here.address) as client:
            body = {"model": "m", "stream": True, "messages": [{"role": "user", "content": "Hi"}]}
            client.send("POST", "/v1/chat/completions", json.dumps(body).encode(), {"content-type": "application/json"})
            _, headers = await client.head()
            first = await client.chunk()

            here.write(model="other", limits={"body": 10})
            assert not (await here.running.reload()).failure
            assert await here.chat("m") == 413
            here.write(model="other")
            assert not (await here.running.reload()).failure
            assert await here.chat("m") == 404

            gate.set()
            rest, complete = await client.body(headers)
            assert complete
            assert b"Hello" in first
            assert rest.endswith(b"data: [DONE]\n\n")
            here.upstream.answer(openai_answer(HELLO))
            client.send("POST", "/v1/chat/completions", json.dumps(body).encode(), {"content-type": "application/json"})
            assert (await client.head())[0] == 404  # the same connection, a new request
        assert await here.chat("other") == 200


async def test_a_faulty_file_changes_nothing(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    async with site(tmp_path) as here:
        good = here.path.read_text("utf-8")
        here.path.write_text(good.replace("to: up", "to: nobody").replace("port: 0", "port: 70000"), "utf-8")
        outcome = await here.running.reload()
        assert [found.code for found in outcome.diagnostics] == ["unknown-provider", "wrong-value"]
        place = f"{here.path}:6:7: error[unknown-provider]: there is no provider 'nobody'"
        assert place in caplog.messages
        assert caplog.messages[-1] == "the old configuration stays: there are faults in it"
        assert await here.metric("samewire_config_last_reload_successful ") == 0
        assert await here.chat("m") == 200

        here.path.unlink()
        assert (await here.running.reload()).diagnostics[0].code == "missing-file"
        here.path.write_text(good, "utf-8")
        assert not (await here.running.reload()).failure
        assert await here.metric("samewire_config_last_reload_successful ") == 1


async def test_what_breaks_while_loading_is_told_and_changes_nothing(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    async with site(tmp_path) as here:

        async def broken() -> Any:
            raise RuntimeError("what nobody thought of")

        here.running._reloader._load = broken
        assert (await here.running.reload()).failure == "loading failed in our own hands"
        assert "what nobody thought of" in caplog.text
        assert await here.chat("m") == 200


async def test_nothing_of_an_old_configuration_is_left(tmp_path: Path) -> None:
    async with site(tmp_path) as here:
        gone = []
        for number in range(3):
            assert await here.chat("m") == 200
            old = here.running._gateway.serving
            gone += [weakref.ref(old), weakref.ref(old.rooms.router)]
            del old
            here.write(heartbeat=number + 1)
            await here.running.reload()
        await here.running.reload()
        gc.collect()
        assert [reference() for reference in gone] == [None] * 6


async def test_what_outlives_a_configuration(tmp_path: Path) -> None:
    """The counts, and the connections upstream."""
    async with site(tmp_path) as here:
        await here.chat("m")
        (connection,) = here.upstream.connections
        assert not (await here.running.reload()).failure
        await here.chat("m")
        assert set(here.upstream.connections) == {connection}
        assert await here.metric("gen_ai_server_request_duration_seconds_count") == 2


async def test_addresses_move(tmp_path: Path) -> None:
    async with site(tmp_path) as here:
        old = here.address
        with socket.create_server(("127.0.0.1", 0)) as free:
            port = free.getsockname()[1]
            here.write(port=port)
            taken = await here.running.reload()
            assert taken.failure == f"cannot listen on 127.0.0.1:{port}: Address already in use"
            assert here.address == old
            assert await here.chat("m") == 200
        here.write(port=port, socket=str(tmp_path / "s.sock"))
        assert not (await here.running.reload()).failure
        assert here.address == ("127.0.0.1", port)
        assert await here.chat("m") == 200
        with pytest.raises(ConnectionRefusedError):
            await here.ask("GET", "/healthz", old)
        reader, writer = await asyncio.open_unix_connection(str(tmp_path / "s.sock"))
        writer.write(b"GET /healthz HTTP/1.0\r\n\r\n")
        assert (await reader.read()).startswith(b"HTTP/1.1 200 ")
        writer.close()
        await writer.wait_closed()


async def test_an_address_may_overlap_the_old_one(tmp_path: Path) -> None:
    async with site(tmp_path) as here:
        _, port = here.address
        here.write(port=port, host="0.0.0.0")
        assert not (await here.running.reload()).failure
        assert here.address == ("0.0.0.0", port)
        assert (await here.ask("GET", "/healthz", ("127.0.0.1", port))).status == 200


async def test_what_needs_a_restart_is_said(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    async with site(tmp_path) as here:
        here.write(workers=2, event_loop="asyncio")
        assert (await here.running.reload()).restart == ("server.event_loop", "server.workers")
        assert caplog.messages[-1] == "a restart is needed for a change of server.event_loop, server.workers"


async def test_the_log_moves_and_opens_anew(tmp_path: Path) -> None:
    one, two = tmp_path / "one.log", tmp_path / "two.log"
    async with site(tmp_path, log={"requests": str(one)}) as here:
        await here.chat("m")
        here.write(log={"requests": str(two), "level": "warning"})
        assert not (await here.running.reload()).failure
        assert logging.getLogger().level == logging.WARNING
        await here.chat("m")
        await until(lambda: one.read_bytes().count(b"\n") == 1)

        two.rename(tmp_path / "two.log.1")
        here.running.reopen_log()
        await here.chat("m")
        await until(lambda: two.exists() and two.stat().st_size > 0)

        here.write(log={"requests": "/nowhere/at/all"})
        assert (await here.running.reload()).failure == "cannot write the request log /nowhere/at/all: No such file or directory"
        assert await here.metric("samewire_log_lines_lost_total{") == 0
    total = sum(path.read_bytes().count(b"\n") for path in (one, two, tmp_path / "two.log.1"))
    assert total == 3


async def test_lines_that_are_lost_are_counted(tmp_path: Path) -> None:
    async with site(tmp_path, log={"requests": "/dev/full"}) as here:
        await here.chat("m")
        here.write()
        await here.running.reload()
        await until(lambda: here.running._lines_lost() == 1)
        assert await here.metric("samewire_log_lines_lost_total{") == 1


async def test_a_changed_file_is_seen(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reloading, "LOOK", 0.01)
    async with site(tmp_path, watch=True) as here:
        here.write(model="second", watch=True)
        await until(lambda: here.running.config.routes[0].name == "second")
        good = here.path.read_text("utf-8")
        here.path.write_text(good.replace("to: up", "to: nobody"), "utf-8")
        await until(lambda: not here.running._reloader.ok)
        here.path.write_text(good.replace("second", "third"), "utf-8")
        await until(lambda: here.running.config.routes[0].name == "third")
        assert here.running._reloader.ok


async def test_a_file_that_changes_while_it_is_read_is_seen(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reloading, "LOOK", 0.01)
    async with site(tmp_path, watch=True) as here:
        read = here.running._reloader._load

        async def read_and_change() -> Any:
            config = await read()
            here.running._reloader._load = read
            here.write(model="third", watch=True)
            return config

        here.running._reloader._load = read_and_change
        here.write(model="second", watch=True)
        await until(lambda: here.running.config.routes[0].name == "third")


def test_who_computes_last_gives_the_interpreter_back() -> None:
    usual = sys.getswitchinterval()
    starting, reloading_too = reloading.gently(), reloading.gently()
    with starting:
        reloading_too.__enter__()
        short = sys.getswitchinterval()
    assert sys.getswitchinterval() == short < usual
    reloading_too.__exit__(None, None, None)
    assert sys.getswitchinterval() == usual


async def test_several_words_during_a_reload_are_one(tmp_path: Path) -> None:
    async with site(tmp_path) as here:
        count = 0
        gate = asyncio.Event()

        async def slow() -> Any:
            nonlocal count
            count += 1
            await gate.wait()
            return here.running.config

        here.running._reloader._load = slow
        here.running.reload_soon()
        await until(lambda: count == 1)
        for _ in range(5):
            here.running.reload_soon()
        gate.set()
        await until(lambda: count == 2 and not here.running._reloader._lock.locked())
        assert count == 2


async def test_the_operators_listener(tmp_path: Path) -> None:
    async with site(tmp_path, admin=0) as here:
        for path in ("/health", "/ready", "/healthz", "/readyz", "/livez"):
            assert (await here.ask("GET", path, here.admin)).status == 200
        assert b"samewire_requests_in_flight" in (await here.ask("GET", "/metrics", here.admin)).body
        assert (await here.ask("GET", "/metrics")).status == 404
        assert (await here.ask("POST", "/-/reload")).status == 404
        assert (await here.ask("GET", "/v1/models", here.admin)).status == 404
        assert (await here.ask("GET", "/-/reload", here.admin)).status == 405
        assert (await here.ask("POST", "/-/reload", here.admin, origin="https://elsewhere.example")).status == 403
        assert (await here.ask("POST", "/-/reload", here.admin, x_forwarded_for="203.0.113.9")).status == 401

        here.write(model="second", admin=0, workers=3)
        done = await here.ask("POST", "/-/reload", here.admin)
        assert (done.status, done.json()) == (200, {"status": "reloaded", "diagnostics": [], "restart_needed": ["server.workers"]})
        assert await here.chat("second") == 200

        here.path.write_text('version: 1\nproviders: {a: {base_url: "http://127.0.0.1"}}\nroutes:\n  - {model: a, to: nobody}\n', "utf-8")
        refused = await here.ask("POST", "/-/reload", here.admin)
        assert refused.status == 422
        assert refused.json()["error"]["message"] == "The old configuration stays: there is a fault in it."
        (found,) = refused.json()["diagnostics"]
        assert (found["file"], found["line"], found["column"], found["code"]) == (str(here.path), 4, 20, "unknown-provider")


async def test_the_operators_keys(tmp_path: Path) -> None:
    def admin(*keys: str) -> Any:
        return {"listen": "0.0.0.0:0", "keys": [{"name": key, "sha256": sha256(key.encode()).hexdigest()} for key in keys]}

    client = [{"name": "client", "sha256": sha256(b"of-a-client").hexdigest()}]
    async with site(tmp_path, admin=admin("one"), keys=client) as here:
        local = ("127.0.0.1", here.admin[1])
        for key, status in ((None, 401), ("of-a-client", 401), ("one", 200)):
            headers = {"authorization": f"Bearer {key}"} if key else {}
            assert (await here.ask("GET", "/metrics", local, **headers)).status == status
        assert (await here.ask("GET", "/health", local)).status == 200
        here.write(admin=admin("two"))
        assert (await here.ask("POST", "/-/reload", local, authorization="Bearer one")).status == 200
        assert (await here.ask("POST", "/-/reload", local, authorization="Bearer one")).status == 401


async def test_the_operators_listener_comes_and_goes(tmp_path: Path) -> None:
    async with site(tmp_path) as here:
        assert (await here.ask("GET", "/metrics")).status == 200
        here.write(admin=str(tmp_path / "admin.sock"))
        assert not (await here.running.reload()).failure
        assert (await here.ask("GET", "/metrics")).status == 404
        reader, writer = await asyncio.open_unix_connection(str(tmp_path / "admin.sock"))
        writer.write(b"POST /-/reload HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n")
        assert (await reader.read()).startswith(b"HTTP/1.1 200 ")
        writer.close()
        await writer.wait_closed()
        here.write()
        assert not (await here.running.reload()).failure
        assert (await here.ask("GET", "/metrics")).status == 200
        with pytest.raises(ConnectionRefusedError):
            await asyncio.open_unix_connection(str(tmp_path / "admin.sock"))
