"""Workers that are there, and do nothing: nobody but the parent's question sees it."""

from __future__ import annotations

import asyncio
import os
import signal
from pathlib import Path

from proxy.workers.process import PAUSE, SILENCE
from tests.stage.process import DEADLINE, gone
from tests.workers.site import site

SOON = "from proxy.workers import process\nprocess.PAUSE, process.SILENCE = 0.05, 2.0"
NEVER = "from proxy.workers import process, supervisor\nprocess.SILENCE, supervisor.RETIREMENT, supervisor.PATIENCE = 1000.0, 0.1, 0.5"


async def test_one_that_hangs_is_killed_counted_and_replaced(tmp_path: Path) -> None:
    async with site(tmp_path, before=SOON) as here:
        victim = min(await here.workers())
        os.kill(victim, signal.SIGSTOP)
        await here.says(f"the worker {victim} has not answered for 2 s and is killed")
        await here.says(f"the worker {victim} ended (it did not answer); another takes its place")
        await gone({victim})
        async with asyncio.timeout(DEADLINE):
            while await here.metric("samewire_workers ") != 2:  # noqa: ASYNC110 - a page tells of no change
                await asyncio.sleep(0.01)
        assert await here.metric("samewire_worker_restarts_total") >= 1


async def test_one_that_hangs_when_it_is_replaced_does_not_stay(tmp_path: Path) -> None:
    async with site(tmp_path, before=NEVER, event_loop="asyncio") as here:
        victim = min(await here.workers())
        os.kill(victim, signal.SIGSTOP)
        here.configure(event_loop="uvloop")
        assert (await here.ask("POST", "/-/reload", here.admin)).status == 200
        await here.says(f"the worker {victim} does not end and is killed")
        await gone({victim})
        assert await here.metric("samewire_worker_restarts_total") == 0


async def test_one_that_answers_is_left_alone(tmp_path: Path) -> None:
    """It is asked many times while a scrape, which asks too, sees the same ones."""
    async with site(tmp_path, before="from proxy.workers import process\nprocess.PAUSE = 0.001") as here:
        pids = await here.workers()
        for _ in range(10):
            assert await here.metric("samewire_workers ") == 2
        assert await here.workers() == pids


def test_a_busy_worker_has_time() -> None:
    assert (PAUSE, SILENCE) == (5, 30)  # as docs/operations.md says
