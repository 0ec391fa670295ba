"""The configuration exchanged while somebody is left alone, tried again or waited for: what is known of them stays."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from typing import Any

from proxy.app import start
from tests.exchange.test_recovery import GOOD, asked, capped, error, failing, routed
from tests.exchange.wire import COMPLETION, Served, configured, json_answer, merged, serving
from tests.upstream.scripted import Step, Upstream, after, hang, request, sets, times


@dataclass(frozen=True, slots=True)
class Site:
    """A gateway that can be given another configuration."""

    served: Served
    changes: dict[str, Any]

    async def reload(self, **changes: Any) -> None:
        self.changes.update(merged(self.changes, changes))
        assert not (await self.served.running.reload()).failure

    async def provider(self) -> str:
        """Who answers a request."""
        reply = await self.served.ask()
        assert reply.status == 200
        return reply.headers["x-samewire-provider"]


@asynccontextmanager
async def reloadable(*scripts: list[Step], **changes: Any) -> AsyncIterator[Site]:
    """Upstreams p0, p1, … with one script each."""
    async with AsyncExitStack() as stack:
        upstreams = [await stack.enter_async_context(Upstream(script)) for script in scripts]
        ports = [upstream.port for upstream in upstreams]
        current = dict(changes)

        async def read() -> Any:
            return configured(ports, current)

        running = await stack.enter_async_context(await start(configured(ports, current), read))
        yield Site(Served(running, tuple(upstreams)), current)


def keyed(key: str) -> Mapping[str, Any]:
    return {"providers": {"p0": {"key": key}}}


async def test_what_is_left_alone_is_left_alone_after_a_reload_too() -> None:
    async with reloadable(failing(b"429 No", b"retry-after: 60"), GOOD, **routed("p0/up", "p1/up")) as site:
        assert [await site.provider() for _ in range(2)] == ["p1", "p1"]
        await site.reload(**routed("p0/up", "p1/up", retry={"attempts": 3}))
        assert 'samewire_set_aside{provider="p0",model="up",key="1"} 1\n' in await site.served.metrics()
        assert [await site.provider() for _ in range(2)] == ["p1", "p1"]
        assert asked(site.served) == [1, 4]


async def test_a_new_key_is_tried_at_once() -> None:
    script = [request, error(b"401 No"), *GOOD]
    async with reloadable(script, GOOD, **routed("p0/up", "p1/up"), **keyed("dead-key")) as site:
        assert [await site.provider() for _ in range(2)] == ["p1", "p1"]
        await site.reload(**keyed("new-key"))
        assert await site.provider() == "p0"
        await site.reload(**keyed("dead-key"))
        assert await site.provider() == "p1", "the dead one is known"


async def test_a_request_that_tries_reports_to_whoever_asks_now() -> None:
    tried, released = asyncio.Event(), asyncio.Event()
    refusal = error(b"401 No", b"retry-after-ms: 200")  # the place of the one that tries is kept for ten seconds, the default
    script = [request, refusal, request, sets(tried), after(released), json_answer(COMPLETION), *GOOD]
    async with reloadable(script, GOOD, **routed("p0/up", "p1/up")) as site:
        assert await site.provider() == "p1"
        await asyncio.sleep(0.2)
        probe = asyncio.create_task(site.provider())
        await asyncio.wait_for(tried.wait(), 20)
        await site.reload(providers={"p0": {"cooldown": {"seconds": 60}}})
        assert await site.provider() == "p1", "only one tries, whoever sent it"
        released.set()
        assert await probe == "p0"
        assert await site.provider() == "p0", "it is back"


async def test_a_cap_that_grows_lets_those_in_who_wait() -> None:
    async with reloadable(times(1, request, hang), **capped(limit=1, wait=5)) as site:
        async with await site.served.client() as first, await site.served.client() as second:
            first.send()
            await site.served.counted('samewire_provider_in_flight{provider="p0"} 1\n')
            second.send()
            await site.served.counted('samewire_provider_queue{provider="p0"} 1\n')
            await site.reload(**capped(limit=2))
            await site.served.counted('samewire_provider_queue{provider="p0"} 0\n')
            await site.served.counted('samewire_provider_in_flight{provider="p0"} 2\n')
        await site.served.counted('samewire_provider_in_flight{provider="p0"} 0\n')


async def test_a_cap_is_shown_before_it_is_used() -> None:
    async with serving(GOOD, **capped()) as served:
        assert 'samewire_provider_in_flight{provider="p0"} 0\n' in await served.metrics()
