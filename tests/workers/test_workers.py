"""Workers and their parent, as an operator has them: processes, sockets, signals."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import subprocess
from collections import Counter
from contextlib import AsyncExitStack
from dataclasses import replace
from pathlib import Path

import pytest

from proxy.app import Part
from proxy.config.model import Config, Limits, Server
from proxy.workers import supervisor, worker_count
from tests.stage.client import Connection
from tests.stage.process import DEADLINE, Program, gone
from tests.stage.upstream import Upstream
from tests.stage.wires import openai_answer
from tests.workers.site import CHAT, HELLO, JSON, document, site


def threads(pid: int) -> int:
    return len(list(Path(f"/proc/{pid}/task").iterdir()))


async def rest(client: Connection) -> tuple[bytes, bool]:
    return await client.body({"transfer-encoding": "chunked"})


async def test_the_work_is_spread(tmp_path: Path) -> None:
    def sockets(pid: int) -> int:
        return sum(str(file.readlink()).startswith("socket:") for file in Path(f"/proc/{pid}/fd").iterdir())

    async with site(tmp_path) as here:
        pids = sorted(await here.workers())
        assert len(pids) == 2
        before = [sockets(pid) for pid in pids]
        async with AsyncExitStack() as stack:
            for _ in range(200):
                client = await stack.enter_async_context(Connection(here.address))
                client.send("GET", "/healthz")
                assert (await client.head())[0] == 200
            shares = [sockets(pid) - former for pid, former in zip(pids, before, strict=True)]
        assert sum(shares) == 200
        assert min(shares) >= 60  # 100 is the mean, 7 the deviation


async def test_a_request_that_comes_back_is_known_to_every_worker(tmp_path: Path) -> None:
    async with site(tmp_path) as here:
        before = await here.workers()
        names = set()
        for _ in range(20):
            assert await here.chat("m") == 200
            names.add(here.upstream.last.headers["via"])
        os.kill(min(before), signal.SIGKILL)
        await here.says(f"the worker {min(before)} ended (SIGKILL); another takes its place")
        for _ in range(20):
            assert await here.chat("m") == 200
            names.add(here.upstream.last.headers["via"])
        assert len(names) == 1


async def test_one_crash_restarts_one_worker_and_no_count_falls(tmp_path: Path) -> None:
    async with site(tmp_path) as here:
        for _ in range(20):
            assert await here.chat("m") == 200
        name = "gen_ai_server_request_duration_seconds_count"
        assert await here.metric(name) == 20
        assert await here.metric("samewire_workers ") == 2
        before = await here.workers()
        victim = min(before)
        os.kill(victim, signal.SIGKILL)
        await here.says(f"the worker {victim} ended (SIGKILL); another takes its place")
        for _ in range(20):
            assert await here.chat("m") == 200
        assert len(await here.workers() & before) == 1
        assert len(await here.workers()) == 2
        assert await here.metric("samewire_worker_restarts_total ") == 1
        assert await here.metric(name) == 40


async def test_one_that_keeps_dying_comes_back_later_and_later(tmp_path: Path) -> None:
    async with site(tmp_path) as here:
        (stays, *_) = sorted(await here.workers())
        for times in range(1, 4):
            (victim,) = await here.workers() - {stays}
            os.kill(victim, signal.SIGKILL)
            await here.says("another takes its place", times)
            while len(await here.workers()) < 2:
                assert await here.chat("m") == 200  # the other one serves meanwhile
        assert await here.metric("samewire_worker_restarts_total ") == 3


async def test_the_parents_death_ends_the_workers_and_not_the_answers(tmp_path: Path) -> None:
    async with site(tmp_path) as here, here.streaming() as (client, gate):
        pids = await here.workers()
        here.signal(signal.SIGKILL)
        async with asyncio.timeout(DEADLINE):
            while True:
                try:
                    async with Connection(here.address):
                        await asyncio.sleep(0.01)
                except ConnectionRefusedError:
                    break
        gate.set()
        body, complete = await rest(client)
        assert complete
        assert body.endswith(b"data: [DONE]\n\n")
        await gone(pids)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
async def test_told_to_stop_all_running_answers_end(tmp_path: Path, number: int) -> None:
    async with site(tmp_path) as here, here.streaming() as (client, gate):
        pids = await here.workers()
        here.signal(number)
        await here.says("stopping: running answers have 30 s")
        async with asyncio.timeout(DEADLINE):
            while (await here.ask("GET", "/ready", here.admin)).status != 503:  # noqa: ASYNC110 - a page tells of no change
                await asyncio.sleep(0.01)
        gate.set()
        _, complete = await rest(client)
        assert complete
        assert await here.ended() == 0
        await gone(pids)


async def test_a_stream_beyond_the_grace_ends_with_an_error(tmp_path: Path) -> None:
    async with site(tmp_path, drain=0.1) as here, here.streaming() as (client, _):
        here.signal()
        body, complete = await rest(client)
        assert not complete
        assert json.loads(body.removeprefix(b"data: "))["error"]["code"] == "shutting_down"
        assert await here.ended() == 0


async def test_a_second_signal_ends_all_at_once(tmp_path: Path) -> None:
    async with site(tmp_path) as here, here.streaming() as (client, _):
        pids = await here.workers()
        here.signal()
        await here.says("stopping")
        here.signal()
        assert await here.ended() == -signal.SIGTERM
        assert not (await rest(client))[1]
        await gone(pids)


async def test_the_workers_take_a_new_configuration_as_they_run(tmp_path: Path) -> None:
    async with site(tmp_path, watch=True) as here, here.streaming() as (client, gate):
        pids = await here.workers()
        here.configure(model="other", watch=True)
        answer = await here.ask("POST", "/-/reload", here.admin)
        assert answer.status == 200
        assert {await here.chat("m") for _ in range(10)} == {404}
        gate.set()
        assert (await rest(client))[1]
        here.upstream.answer(openai_answer(HELLO))
        assert {await here.chat("other") for _ in range(10)} == {200}
        assert await here.workers() == pids
        assert threads(here.process.pid) == 1  # who forks has no threads

        here.write("version: 1\nproviders: {}\nroutes:\n  - {model: a, to: nobody}\n")
        here.signal(signal.SIGHUP)
        await here.says("routes.yaml:4:20: error[unknown-provider]")
        await here.says("the old configuration stays")
        assert await here.metric("samewire_config_last_reload_successful") == 0
        assert {await here.chat("other") for _ in range(10)} == {200}


async def test_what_a_running_worker_cannot_change_brings_new_ones(tmp_path: Path) -> None:
    async with site(tmp_path, event_loop="asyncio") as here, here.streaming() as (client, gate):
        name = "gen_ai_server_request_duration_seconds_count"
        pids = await here.workers()
        here.configure(event_loop="uvloop", workers=3)
        answer = await here.ask("POST", "/-/reload", here.admin)
        assert (answer.status, answer.json()["restart_needed"]) == (200, [])
        here.upstream.answer(openai_answer(HELLO))
        assert {await here.chat("m") for _ in range(20)} == {200}
        fresh = await here.workers() - pids
        assert len(fresh) == 3
        gate.set()
        assert (await rest(client))[1]
        await gone(pids)
        await here.shows("samewire_workers ", 3)  # the parent hears of an end a moment later
        assert await here.metric(name) == 21
        assert await here.metric("samewire_worker_restarts_total ") == 0

        here.configure(event_loop="uvloop", workers=2)
        await here.ask("POST", "/-/reload", here.admin)
        assert {await here.chat("m") for _ in range(20)} == {200}
        await gone(fresh)
        assert len(await here.workers()) == 2


async def ask_on(address: tuple[str, int], stop: asyncio.Event, seen: Counter[str], headers: dict[str, str]) -> None:
    """Asks again and again, on one connection as long as it is kept."""
    while not stop.is_set():
        async with Connection(address) as client:
            kept = True
            while kept and not stop.is_set():
                client.send("POST", "/v1/chat/completions", CHAT, JSON | headers)
                seen["sent"] += 1
                status, answered = await client.head()
                await client.body(answered)
                seen[str(status)] += 1
                kept = answered.get("connection") != "close"


@pytest.mark.parametrize("headers", [{"connection": "close"}, {}], ids=["fresh", "kept"])
async def test_new_workers_under_load_lose_no_request(tmp_path: Path, headers: dict[str, str]) -> None:
    async with site(tmp_path) as here:
        stop, seen = asyncio.Event(), Counter[str]()
        clients = [asyncio.create_task(ask_on(here.address, stop, seen, headers)) for _ in range(4)]
        for loop in ("asyncio", "uvloop", "asyncio"):
            here.configure(event_loop=loop)
            assert (await here.ask("POST", "/-/reload", here.admin)).status == 200
        stop.set()
        async with asyncio.timeout(DEADLINE):
            await asyncio.gather(*clients)
        assert seen["sent"] == seen["200"] > 0


async def test_addresses_move(tmp_path: Path) -> None:
    async with site(tmp_path) as here:
        old = here.address
        here.configure(port=0, socket="s.sock")
        assert (await here.ask("POST", "/-/reload", here.admin)).status == 200
        assert await here.chat("m") == 200  # the port that port 0 once got stays
        reader, writer = await asyncio.open_unix_connection(str(tmp_path / "s.sock"))
        writer.write(b"GET /healthz HTTP/1.0\r\n\r\n")
        assert (await reader.read()).startswith(b"HTTP/1.1 200 ")
        writer.close()
        here.configure(port=old[1], host="127.0.0.2")
        assert (await here.ask("POST", "/-/reload", here.admin)).status == 200
        assert (await here.ask("GET", "/healthz", ("127.0.0.2", old[1]))).status == 200
        async with asyncio.timeout(DEADLINE):
            while True:
                try:
                    async with Connection(old):
                        await asyncio.sleep(0.01)
                except ConnectionRefusedError:
                    break


async def test_every_worker_tells_the_metrics_of_all(tmp_path: Path) -> None:
    async with site(tmp_path, "--workers", "3", admin=None) as here:
        for _ in range(12):
            assert await here.chat("m") == 200
        seen = [await here.metric("gen_ai_server_request_duration_seconds_count", here.address) for _ in range(6)]
        assert seen == [12] * 6


async def test_lines_of_the_log_stay_whole(tmp_path: Path) -> None:
    async with site(tmp_path, stdout=subprocess.PIPE, log={"requests": "stdout"}) as here:
        model = "long-name" * 30
        await asyncio.gather(*(here.chat(f"{model}{number}") for number in range(100)))
        here.signal()
        assert here.process.stdout is not None
        lines = (await here.process.stdout.read()).splitlines()
        assert await here.ended() == 0
    assert len(lines) == 100
    assert {json.loads(line)["status"] for line in lines} == {404}


async def test_the_logs_file_is_opened_anew(tmp_path: Path) -> None:
    file = tmp_path / "requests.log"
    async with site(tmp_path, log={"requests": str(file)}) as here:
        file.rename(tmp_path / "old.log")
        here.signal(signal.SIGUSR1)
        async with asyncio.timeout(DEADLINE):
            while not file.exists() or not file.stat().st_size:
                await here.chat("m")


async def test_that_no_worker_can_start_is_one_sentence(tmp_path: Path) -> None:
    async with Upstream() as upstream:
        program = Program(tmp_path, document(upstream, log={"requests": "/nowhere/requests.log"}))
        await program.start()
        assert await program.ended() == 1
    assert program.said == ["cannot write the request log /nowhere/requests.log: No such file or directory"]


async def test_an_address_that_is_taken_is_one_sentence(tmp_path: Path) -> None:
    async with Upstream() as upstream:
        program = Program(tmp_path, document(upstream, port=upstream.port))
        await program.start()
        assert await program.ended() == 1
    assert program.said == [f"cannot listen on 127.0.0.1:{upstream.port}: Address already in use"]


async def test_two_gateways_do_not_share_an_address_unawares(tmp_path: Path) -> None:
    async with site(tmp_path) as here:
        (tmp_path / "other").mkdir()
        program = Program(tmp_path / "other", document(here.upstream, port=here.address[1]))
        await program.start()
        assert await program.ended() == 1
    assert "Address already in use" in program.said[0]


def config(server: Server) -> Config:
    return Config(Path("routes.yaml"), 1, server, (), {}, ())


@pytest.mark.parametrize(
    ("text", "count"), [("max 100000\n", 8), ("150000 100000\n", 2), ("100000 100000\n", 1), ("nonsense", 8), ("2000000 100000", 8)]
)
def test_auto_is_what_this_process_may_use(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, text: str, count: int) -> None:
    file = tmp_path / "cpu.max"
    file.write_text(text)
    monkeypatch.setattr(supervisor, "QUOTA", file)
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: set(range(8)))
    assert worker_count(config(Server(workers="auto"))) == count
    assert worker_count(config(Server(workers=5))) == 5


@pytest.mark.parametrize(("workers", "part"), [(1, 10), (3, 3), (20, 1)])
def test_limits_are_divided(workers: int, part: int) -> None:
    async def measure() -> bytes:
        return b""

    whole = config(replace(Server(), limits=Limits(in_flight=10)))
    assert Part(workers, {}, measure, 0).share(whole).server.limits == Limits(in_flight=part)
