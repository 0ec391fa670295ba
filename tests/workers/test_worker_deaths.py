"""Workers that die at the wrong moment: while another configuration comes, while they are asked, while all are told to stop."""

from __future__ import annotations

import asyncio
import os
import signal
import socket
from contextlib import AsyncExitStack
from pathlib import Path

import pytest

from proxy.config.model import Config, Server
from proxy.errors import ConfigError
from proxy.workers import Supervisor
from proxy.workers.handing import Hand
from proxy.workers.process import Process
from proxy.workers.summing import parse
from tests.stage.client import Connection
from tests.stage.process import DEADLINE, gone
from tests.stage.upstream import events
from tests.stage.wires import chunk, openai_answer
from tests.workers.site import CHAT, HELLO, JSON, STREAM, Site, site

COUNT = "gen_ai_server_request_duration_seconds_count"


async def children(here: Site, number: int) -> set[int]:
    """The workers, once there are so many."""
    async with asyncio.timeout(DEADLINE):
        while len(found := await here.workers()) != number:  # noqa: ASYNC110 - nobody tells of processes that are not ours
            await asyncio.sleep(0.01)
    return found


async def test_who_was_born_before_a_reload_takes_it_too(tmp_path: Path) -> None:
    """The new worker is forked with the former configuration, and is not yet there when the others are told."""
    async with site(tmp_path) as here:
        for times in (1, 2):
            os.kill(min(await children(here, 2)), signal.SIGKILL)
            await here.says("another takes its place", times)
            here.configure(model=f"new{times}")
            assert (await here.ask("POST", "/-/reload", here.admin)).status == 200
            await children(here, 2)
            assert {await here.chat(f"new{times}") for _ in range(30)} == {200}


async def test_new_workers_come_while_one_waits_to_come_back(tmp_path: Path) -> None:
    async with site(tmp_path, event_loop="asyncio") as here:
        stays = min(await here.workers())
        for times in (1, 2, 3):
            (victim,) = await children(here, 2) - {stays}
            os.kill(victim, signal.SIGKILL)
            await here.says("another takes its place", times)
        here.configure(event_loop="uvloop")
        assert (await here.ask("POST", "/-/reload", here.admin)).status == 200
        await gone({stays})
        pids = await children(here, 2)
        assert not any("no new worker" in line for line in here.said)
        await asyncio.sleep(1.2)  # longer than the one that died last has to wait
        assert await here.workers() == pids
        assert await here.metric("samewire_workers ") == 2
        assert {await here.chat("m") for _ in range(20)} == {200}


async def test_limits_are_divided_anew_when_workers_are_added(tmp_path: Path) -> None:
    async with site(tmp_path, limits={"in_flight": 6}) as here:
        here.configure(limits={"in_flight": 6}, workers=3)
        assert (await here.ask("POST", "/-/reload", here.admin)).status == 200
        script = events(chunk(HELLO), chunk(finish="stop"))
        script.gate = asyncio.Event()
        here.upstream.answer(script)
        statuses = []
        async with asyncio.timeout(DEADLINE), AsyncExitStack() as stack:
            await children(here, 3)  # those that were replaced are gone
            for _ in range(40):
                client = await stack.enter_async_context(Connection(here.address))
                client.send("POST", "/v1/chat/completions", STREAM, JSON)
                statuses.append((await client.head())[0])
            script.gate.set()
        assert statuses.count(200) == 6
        assert statuses.count(503) == 34


async def test_who_dies_during_a_scrape_is_counted_once() -> None:
    async def load() -> Config:
        raise ConfigError([])

    supervisor = Supervisor(Config(Path("routes.yaml"), 1, Server(), (), {}, ()), load, lambda *_: 0)
    end, other = socket.socketpair()
    worker = Process(0, Hand(end), supervisor.measure)
    worker.ready.set()
    supervisor._living.add(worker)

    async def die(seconds: float) -> None:
        worker.measured = parse("# TYPE a_total counter\na_total 5\n")
        supervisor._living.discard(worker)
        supervisor._gone = worker.measured

    worker.measure = die  # type: ignore[method-assign]
    text = (await supervisor.measure()).decode()
    assert "a_total 5\n" in text
    supervisor._lock.close()
    other.close()
    assert worker.hand.close() == []


async def test_scrapes_while_workers_die_never_fall(tmp_path: Path) -> None:
    async with site(tmp_path) as here:
        seen = [0.0]
        for _ in range(4):
            await asyncio.gather(*(here.chat("m") for _ in range(4)))
            os.kill(min(await children(here, 2)), signal.SIGKILL)
            seen += await asyncio.gather(*(here.metric(COUNT) for _ in range(5)))
            here.upstream.answer(openai_answer(HELLO))
        assert seen == sorted(seen)


@pytest.mark.parametrize("victims", [1, 2])
async def test_who_waits_to_be_accepted_is_served_whoever_dies(tmp_path: Path, victims: int) -> None:
    """By the next worker, or, when that has to wait for its turn to be started, by one of the others, if there is one."""
    async with site(tmp_path) as here:
        stays = set(sorted(await children(here, 2))[victims:])
        for times in (1, 2, 3):
            await serving(here, 2)
            dying = await here.workers() - stays
            for pid in dying:
                os.kill(pid, signal.SIGSTOP)
                await stopped(pid)
            async with asyncio.timeout(DEADLINE), AsyncExitStack() as stack:
                waiting = [await stack.enter_async_context(Connection(here.address)) for _ in range(40)]
                for client in waiting:
                    client.send("POST", "/v1/chat/completions", CHAT, JSON)
                for pid in dying:
                    os.kill(pid, signal.SIGKILL)
                await here.says("another takes its place", times * victims)
                waiting += [await stack.enter_async_context(Connection(here.address)) for _ in range(40)]
                for client in waiting[40:]:
                    client.send("POST", "/v1/chat/completions", CHAT, JSON)
                assert {(await client.head())[0] for client in waiting} == {200}


async def stopped(pid: int) -> None:
    status = Path(f"/proc/{pid}/status")
    async with asyncio.timeout(DEADLINE):
        while "\nState:\tT" not in status.read_text("ascii"):  # noqa: ASYNC110, ASYNC240 - nobody tells; a read of /proc
            await asyncio.sleep(0.005)


async def serving(here: Site, number: int) -> None:
    async with asyncio.timeout(DEADLINE):
        while await here.metric("samewire_workers ") != number:  # noqa: ASYNC110 - a page tells of no change
            await asyncio.sleep(0.005)


async def test_what_the_dead_had_in_work_is_not_in_work(tmp_path: Path) -> None:
    async with site(tmp_path) as here, here.streaming():
        assert await here.metric("samewire_requests_in_flight") == 1
        for pid in await here.workers():
            os.kill(pid, signal.SIGKILL)
        await here.says("another takes its place", 2)
        assert await here.metric("samewire_requests_in_flight") == 0


async def test_an_address_is_let_go_when_another_cannot_be_had(tmp_path: Path) -> None:
    async with site(tmp_path) as here:
        with socket.create_server(("127.0.0.1", 0)) as free, socket.create_server(("127.0.0.1", 0)) as taken:
            port = free.getsockname()[1]
            free.close()
            here.configure(port=port, admin=taken.getsockname()[1])
            answer = await here.ask("POST", "/-/reload", here.admin)
            assert answer.status == 500
            assert "Address already in use" in answer.json()["error"]["message"]
        with socket.socket() as free:  # without SO_REUSEADDR: one that is bound and does not listen is in the way, too
            free.bind(("127.0.0.1", port))
            assert await here.chat("m") == 200


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGKILL])
async def test_told_to_stop_while_new_workers_come(tmp_path: Path, number: int) -> None:
    async with site(tmp_path, event_loop="asyncio") as here:
        pids = await here.workers()
        here.configure(event_loop="uvloop", workers=4)
        here.signal(signal.SIGHUP)
        async with asyncio.timeout(DEADLINE):
            while not (fresh := await here.workers() - pids):  # noqa: ASYNC110 - nobody tells of them
                await asyncio.sleep(0.005)
        here.signal(number)
        assert await here.ended() == (0 if number == signal.SIGTERM else -number)
        await gone(pids | fresh)
