"""A single process under signals, with few descriptors, on a terminal: as an operator has it."""

from __future__ import annotations

import asyncio
import json
import os
import pty
import signal
import sys
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from tests.stage.client import Connection
from tests.stage.process import DEADLINE, ROOT, Program
from tests.stage.upstream import Upstream, events
from tests.stage.wires import chunk, openai_answer

HELLO = {"content": "Hello"}
ASKED = {"model": "m", "messages": [{"role": "user", "content": "Hi"}]}


def document(upstream: Upstream, **server: Any) -> dict[str, Any]:
    settings = {"port": 0, "admin": 0, "log": {"requests": "off"}} | server
    up = {"base_url": f"http://127.0.0.1:{upstream.port}"}
    return {"version": 1, "server": settings, "providers": {"up": up}, "routes": [{"model": "m", "to": "up"}]}


@asynccontextmanager
async def site(folder: Path, **options: Any) -> AsyncIterator[tuple[Program, Upstream]]:
    descriptors = options.pop("descriptors", None)
    async with Upstream() as upstream:
        upstream.answer(openai_answer(HELLO))
        async with Program(folder, document(upstream, **options), descriptors=descriptors) as program:
            yield program, upstream


def resident(pid: int) -> int:
    """KiB of memory."""
    (line,) = (line for line in Path(f"/proc/{pid}/status").read_text("ascii").splitlines() if line.startswith("VmRSS:"))
    return int(line.split()[1])


def descriptors(pid: int) -> int:
    return len(list(Path(f"/proc/{pid}/fd").iterdir()))


async def load(address: tuple[str, int], stop: asyncio.Event, seen: Counter[int]) -> None:
    """Asks again and again on one connection; every request that is sent is counted by its answer."""
    async with Connection(address) as client:
        while not stop.is_set():
            client.send("POST", "/v1/chat/completions", json.dumps(ASKED).encode(), {"content-type": "application/json"})
            seen[0] += 1
            status, headers = await client.head()
            await client.body(headers)
            seen[status] += 1


async def test_many_reloads_under_load_lose_nothing_and_leave_nothing(tmp_path: Path) -> None:
    reloads = int(os.environ.get("SAMEWIRE_TEST_RELOADS", "60"))
    async with site(tmp_path) as (here, upstream):
        stop, seen = asyncio.Event(), Counter[int]()
        clients = [asyncio.create_task(load(here.address, stop, seen)) for _ in range(4)]
        sizes = []
        for number in range(reloads):
            here.write(document(upstream, heartbeat=number + 1))
            assert (await here.ask("POST", "/-/reload", here.admin)).status == 200
            sizes.append((resident(here.process.pid), descriptors(here.process.pid)))
        stop.set()
        async with asyncio.timeout(DEADLINE):
            await asyncio.gather(*clients)
        print(f"{reloads} reloads, {seen[0]} requests, {seen[200]} answered; KiB and descriptors: {sizes[reloads // 6]} then {sizes[-1]}")
        assert seen[0] == seen[200] > reloads / 10
        early, late = sizes[reloads // 6], sizes[-1]
        assert late[0] - early[0] < 8 * 2**10
        assert abs(late[1] - early[1]) <= 4
        assert await here.metric("gen_ai_server_request_duration_seconds_count") == seen[200]


async def test_a_hang_up_signal_loads_anew(tmp_path: Path) -> None:
    async with site(tmp_path) as (here, upstream):
        changed = document(upstream)
        changed["routes"][0]["model"] = "other"
        here.write(changed)
        here.signal(signal.SIGHUP)
        await here.says("the configuration was loaded anew")
        assert (await here.chat("m"), await here.chat("other")) == (404, 200)
        here.write("version: 1\nproviders: {}\nroutes:\n  - {model: a, to: nobody}\n")
        here.signal(signal.SIGHUP)
        await here.says("routes.yaml:4:20: error[unknown-provider]: there is no provider 'nobody'")
        assert await here.chat("other") == 200
        assert await here.metric("samewire_config_last_reload_successful ") == 0


async def test_a_file_that_is_gone_leaves_the_old_configuration(tmp_path: Path) -> None:
    """And not the one that comes with Samewire for those who have none."""
    async with site(tmp_path) as (here, _):
        (tmp_path / "routes.yaml").unlink()
        here.signal(signal.SIGHUP)
        await here.says("the old configuration stays")
        assert await here.chat("m") == 200


async def test_the_command_line_counts_after_a_reload_too(tmp_path: Path) -> None:
    async with Upstream() as upstream:
        upstream.answer(openai_answer(HELLO))
        async with Program(tmp_path, document(upstream, port=1), "--port", "0") as here:
            here.signal(signal.SIGHUP)
            await here.says("the configuration was loaded anew")
            assert await here.chat("m") == 200


async def test_demo_servers_come_with_a_reload(tmp_path: Path) -> None:
    async with site(tmp_path) as (here, upstream):
        changed = document(upstream)
        changed["providers"]["demo"] = {"demo": "ollama", "dialect": "ollama"}
        changed["routes"].append({"model": "demo", "to": "demo/qwen3"})
        here.write(changed)
        assert (await here.ask("POST", "/-/reload", here.admin)).status == 200
        assert await here.chat("demo") == 200


@pytest.mark.parametrize("loop", ["asyncio", "uvloop"])
async def test_when_descriptors_run_out_it_recovers(tmp_path: Path, loop: str) -> None:
    """With 64 of them, 200 connections come: those that are served stay served, the others wait, and as some go, all get their turn."""
    async with site(tmp_path, descriptors=64, event_loop=loop) as (here, _):
        assert await here.metric("process_max_fds ") == 64
        async with asyncio.timeout(DEADLINE), AsyncExitStack() as stack, Connection(here.address) as early:
            early.send("GET", "/healthz")
            status, headers = await early.head()
            assert (status, await early.body(headers)) == (200, (b'{"status":"ok"}', True))
            crowd = [await stack.enter_async_context(Connection(here.address)) for _ in range(200)]
            await here.says("connections have to wait: Too many open files")
            early.send("GET", "/healthz")
            assert (await early.head())[0] == 200
            await at_rest(here.process.pid)
            for one in crowd:
                one.send("GET", "/healthz")
            for one in crowd:  # in the order in which they are accepted
                assert (await one.head())[0] == 200
                one.leave()
        assert await here.chat("m") == 200
        assert len(here.said) < 100


async def at_rest(pid: int) -> None:
    """Returns when a process takes (nearly) no processor time; what is begun at its start may have to be finished first."""
    async with asyncio.timeout(DEADLINE):
        while True:
            before, begun = processor_time(pid), os.times().elapsed
            await asyncio.sleep(0.5)
            if processor_time(pid) - before < 0.1 * (os.times().elapsed - begun):
                return


def processor_time(pid: int) -> float:
    fields = Path(f"/proc/{pid}/stat").read_text("ascii").rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


async def test_a_second_signal_ends_it_at_once(tmp_path: Path) -> None:
    async with site(tmp_path) as (here, upstream):
        script = events(chunk(HELLO), chunk(finish="stop"))
        script.gate = asyncio.Event()
        upstream.answer(script)
        async with asyncio.timeout(DEADLINE), Connection(here.address) as client:
            client.send("POST", "/v1/chat/completions", json.dumps(ASKED | {"stream": True}).encode(), {"content-type": "application/json"})
            _, headers = await client.head()
            await client.chunk()
            here.signal()
            await here.says("stopping")
            assert (await here.ask("GET", "/ready", here.admin)).status == 503
            with pytest.raises(ConnectionRefusedError):
                await here.chat("m")
            here.signal()
            assert await here.ended() == -signal.SIGTERM
            assert not (await client.body(headers))[1]


async def test_beyond_the_grace_a_stream_gets_an_error_and_the_exit_is_clean(tmp_path: Path) -> None:
    async with site(tmp_path, drain=0.1) as (here, upstream):
        script = events(chunk(HELLO), chunk(finish="stop"))
        script.gate = asyncio.Event()
        upstream.answer(script)
        async with asyncio.timeout(DEADLINE), Connection(here.address) as client:
            client.send("POST", "/v1/chat/completions", json.dumps(ASKED | {"stream": True}).encode(), {"content-type": "application/json"})
            _, headers = await client.head()
            await client.chunk()
            here.signal()
            body, complete = await client.body(headers)
        assert not complete
        assert json.loads(body.removeprefix(b"data: "))["error"]["code"] == "shutting_down"
        assert await here.ended() == 0


async def test_a_terminal_that_hangs_up_ends_it(tmp_path: Path) -> None:
    """SIGHUP means two things; who closes a window does not want a server that nobody sees."""
    async with Upstream() as upstream:
        program = Program(tmp_path, document(upstream))
        master, slave = pty.openpty()
        process = await asyncio.create_subprocess_exec(
            sys.executable, "-m", "proxy", cwd=program.folder, env=os.environ | {"PYTHONPATH": str(ROOT), "NO_COLOR": "1"},
            stdin=slave, stdout=slave, stderr=slave, start_new_session=True,
            preexec_fn=lambda: os.close(os.open(os.ttyname(0), os.O_RDWR)),  # makes it the controlling terminal
        )  # fmt: skip
        os.close(slave)
        said = b""
        loop = asyncio.get_running_loop()
        async with asyncio.timeout(DEADLINE):
            while not said.endswith(b"}'\r\n\r\n"):  # what is told last; while it writes there must be somebody
                said += await loop.run_in_executor(None, os.read, master, 4096)
            os.close(master)
            assert await process.wait() == 0


async def test_the_demo_servers_ports_can_be_fixed(tmp_path: Path) -> None:
    async with Upstream() as free:
        port = free.port
    command = (sys.executable, "-m", "proxy", "demo", "ollama", "--json", "--port", str(port))
    process = await asyncio.create_subprocess_exec(*command, cwd=ROOT, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE)
    assert process.stdout is not None
    async with asyncio.timeout(DEADLINE):
        said = await process.stdout.readuntil(b"}")
        assert json.loads(said) == {"ollama": f"http://127.0.0.1:{port}"}
        second = await asyncio.create_subprocess_exec(*command, cwd=ROOT, stderr=asyncio.subprocess.PIPE)
        _, err = await second.communicate()
        assert (second.returncode, b"cannot listen" in err) == (1, True)
        process.terminate()
        await process.communicate()
    assert process.returncode == 0
