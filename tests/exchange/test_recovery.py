"""Routing under failure, through real sockets: who is asked, how often, when, and what the client and the operator are told."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path
from typing import Any

import pytest

from tests.exchange.wire import CHAT, COMPLETION, DONE, FINISH, STREAM, Served, delta, json_answer, serving, sse
from tests.upstream.scripted import Step, after, hang, request, reset, sets, times

GOOD: list[Step] = times(20, request, json_answer(COMPLETION))
GOOD_STREAM: list[Step] = [request, sse(delta("Hello"), FINISH, DONE)]


def error(status: bytes, *headers: bytes, code: str | None = None) -> bytes:
    """A refusal."""
    return json_answer({"error": {"message": "no", "type": "error", "code": code}}, status, *headers)


def failing(status: bytes, *headers: bytes, code: str | None = None, count: int = 20) -> list[Step]:
    return times(count, request, error(status, *headers, code=code))


def routed(*to: Any, **policy: Any) -> dict[str, Any]:
    return {"routes": [{"model": "m", "to": list(to), **policy}]}


def asked(served: Served) -> list[int]:
    """How many requests each upstream got."""
    return [len(upstream.requests) for upstream in served.upstreams]


def keys(served: Served) -> list[bytes]:
    """The keys that the first upstream was sent, in order."""
    lines = [line for message in served.upstream.requests for line in message.split(b"\r\n")]
    return [line.removeprefix(b"authorization: Bearer ") for line in lines if line.startswith(b"authorization")]


async def test_what_was_tried_is_told() -> None:
    async with serving(failing(b"429 Slow", b"retry-after: 9"), others=[GOOD], **routed("p0/up", "p1/up")) as served:
        reply = await served.ask()
        assert (reply.status, reply.headers["x-samewire-provider"]) == (200, "p1")
        assert (reply.headers["x-samewire-attempts"], reply.headers["x-samewire-failures"]) == ("2", "p0 rate_limit")
        quiet = await served.ask()
        assert "x-samewire-attempts" not in quiet.headers, "the first is left alone, so there was one attempt only"
        assert asked(served) == [1, 2]
        text = await served.metrics()
        assert 'samewire_attempts_total{gen_ai_provider_name="p0",outcome="rate_limit"} 1\n' in text
        assert 'samewire_attempts_total{gen_ai_provider_name="p1",outcome="ok"} 2\n' in text
        assert 'samewire_ejections_total{gen_ai_provider_name="p0",reason="rate_limit"} 1\n' in text
        assert 'samewire_set_aside{provider="p0",model="up",key="1"} 1\n' in text


async def test_the_client_is_told_of_every_failure() -> None:
    async with serving(failing(b"500 No"), others=[failing(b"503 No", b"retry-after: 7")], **routed("p0/up", "p1/up")) as served:
        reply = await served.ask()
        assert (reply.status, reply.headers["retry-after"]) == (503, "7")
        assert (reply.headers["x-samewire-attempts"], reply.headers["x-samewire-failures"]) == ("2", "p0 server, p1 overload")
        assert "x-should-retry" not in reply.headers, "the budget is not spent"


# ── the budget ──

AGAIN = {"again": 2, "pause": 0.02}


async def test_a_target_that_took_nothing_is_asked_again_until_the_budget_is_spent() -> None:
    async with serving(failing(b"503 No", b"x-should-retry: true"), **routed("p0/up", retry=AGAIN)) as served:
        reply = await served.ask()
        assert (reply.status, reply.headers["x-should-retry"], asked(served)) == (503, "false", [3])


async def test_and_answers_at_last() -> None:
    script: list[Step] = [request, error(b"429 No", b"retry-after-ms: 30"), request, json_answer(COMPLETION)]
    async with serving(script, **routed("p0/up", retry=AGAIN)) as served:
        reply = await served.ask()
        assert (reply.status, reply.headers["x-samewire-attempts"], asked(served)) == (200, "2", [2])


async def test_a_host_that_comes_back_is_reached() -> None:
    providers = {"gone": {"base_url": "http://127.0.0.1:1", "key": "k"}}
    async with serving(providers=providers, **routed("gone/up", retry=AGAIN)) as served:
        reply = await served.ask()
        assert (reply.status, reply.headers["x-samewire-failures"]) == (502, "gone connect, gone connect, gone connect")
        assert reply.headers["x-should-retry"] == "false"


async def test_a_long_retry_after_is_not_waited_for() -> None:
    async with serving(failing(b"429 No", b"retry-after: 30"), **routed("p0/up", retry=AGAIN)) as served:
        reply = await served.ask()
        assert (reply.status, reply.headers["retry-after"], asked(served)) == (429, "30", [1])
        assert "x-should-retry" not in reply.headers


async def test_what_a_clients_own_key_is_told_to_wait_is_waited_for_too() -> None:
    """Nothing is remembered of such a key, and still."""
    mine = routed("p0/up", retry=AGAIN, credential="client")
    own = {"authorization": "Bearer sk-mine"}
    async with serving(failing(b"429 No", b"retry-after: 30"), **mine) as served:
        assert ((await served.ask(headers=own)).status, asked(served)) == (429, [1])


@pytest.mark.parametrize("script", [[request, reset], [request], [request, error(b"500 No")]], ids=["reset", "closed", "500"])
async def test_what_may_have_been_worked_on_is_never_asked_twice_of_one(script: list[Step]) -> None:
    async with serving(script, **routed("p0/up", retry=AGAIN, failover={"maybe_processed": "always"})) as served:
        assert (await served.ask()).status in (500, 502)
        assert asked(served) == [1]


async def test_attempts_are_counted_over_all_targets() -> None:
    bad = failing(b"500 No")
    async with serving(bad, others=[bad, GOOD], **routed("p0/up", "p1/up", "p2/up", retry={"attempts": 2})) as served:
        reply = await served.ask()
        assert (reply.status, reply.headers["x-should-retry"], asked(served)) == (500, "false", [1, 1, 0])


async def test_no_attempt_begins_after_its_time() -> None:
    slow = {"p0": {"timeouts": {"first_event": 0.5}}}
    policy = {"retry": {"seconds": 0.05}, "failover": {"maybe_processed": "always"}}
    async with serving([request, hang], others=[GOOD], providers=slow, **routed("p0/up", "p1/up", **policy)) as served:
        reply = await served.ask()
        assert (reply.status, reply.headers["x-should-retry"], asked(served)) == (504, "false", [1, 0])


async def test_a_client_that_leaves_during_a_pause_ends_it() -> None:
    policy = {"again": 3, "pause": 9}
    async with serving(failing(b"503 No"), **routed("p0/up", retry=policy)) as served:
        async with await served.client() as client:
            client.send()
            await asyncio.wait_for((await served.upstream.peer()).asked.wait(), 20)
        await served.counted("samewire_requests_in_flight 0.0")
        assert asked(served) == [1]


# ── what may have been worked on ──

TORN: dict[str, list[Step]] = {
    "reset": [request, reset],
    "closed": [request],
    "silence": [request, hang],
    "a page": [request, b"HTTP/1.1 200 OK\r\n\r\n<html>"],
}
POLICIES = [("streams", False, True), ("always", True, True), ("never", False, False)]


@pytest.mark.parametrize("torn", TORN)
@pytest.mark.parametrize(("policy", "whole", "stream"), POLICIES, ids=[policy for policy, _, _ in POLICIES])
async def test_what_may_have_been_worked_on(torn: str, policy: str, whole: bool, stream: bool) -> None:
    fast = {"p0": {"timeouts": {"first_event": 0.5}}}
    change = routed("p0/up", "p1/up", failover={"maybe_processed": policy})
    async with serving(TORN[torn], others=[GOOD], providers=fast, **change) as served:
        assert ((await served.ask(CHAT)).status == 200) is whole
    async with serving(TORN[torn], others=[GOOD_STREAM], providers=fast, **change) as served:
        assert ((await served.ask(STREAM)).status == 200) is stream
        counted = 'samewire_maybe_processed_retries_total{gen_ai_provider_name="p0"} 1\n' in await served.metrics()
        assert counted is stream


async def test_a_get_may_be_asked_twice() -> None:
    routes = {"routes": [{"operations": ["file_*"], "to": ["p0", "p1"]}]}
    async with serving([request, reset], others=[[request, json_answer({"object": "list", "data": []})]], **routes) as served:
        assert (await served.ask(b"", "/v1/files", method="GET")).status == 200


# ── cool-down ──


async def test_failures_in_a_row_set_a_target_aside_and_one_request_tries_it_again() -> None:
    tried, released = asyncio.Event(), asyncio.Event()
    bad = times(2, request, error(b"500 No"))
    trying = [*bad, request, sets(tried), after(released), json_answer(COMPLETION), *GOOD]
    providers = {"p0": {"cooldown": {"after": 2, "seconds": 2}}}
    async with serving(trying, others=[GOOD], providers=providers, **routed("p0/up", "p1/up")) as served:
        for _ in range(4):
            assert (await served.ask()).status == 200
        assert asked(served) == [2, 4], "after two failures it is left alone"
        await asyncio.sleep(2)
        probe = asyncio.create_task(served.ask())
        await asyncio.wait_for(tried.wait(), 20)
        assert (await served.ask()).headers["x-samewire-provider"] == "p1", "only one tries"
        released.set()
        assert (await probe).headers["x-samewire-provider"] == "p0"
        assert (await served.ask()).headers["x-samewire-provider"] == "p0", "it is back"


async def test_the_only_target_is_asked_all_the_same() -> None:
    providers = {"p0": {"cooldown": {"after": 1, "seconds": 60}}}
    script: list[Step] = [request, error(b"500 No"), *GOOD]
    async with serving(script, providers=providers) as served:
        assert [(await served.ask()).status for _ in range(3)] == [500, 200, 200]
        assert "samewire_set_aside{" not in await served.metrics()


# ── keys ──


@pytest.mark.parametrize(("status", "reason"), [(b"401 No", "auth"), (b"429 Slow", "rate_limit"), (b"402 Pay", "quota")])
async def test_another_key_takes_over(status: bytes, reason: str) -> None:
    async def choose(peer: Any) -> None:
        """The first key is dead."""
        for _ in range(20):
            await request(peer)
            await peer.write(error(status) if b"key-one" in peer.requests[-1] else json_answer(COMPLETION))

    providers = {"p0": {"key": "key-one", "keys": ["key-two", "${NOT_SET}"]}}
    async with serving([choose], providers=providers, **routed("p0/up", failover=[])) as served:
        assert {(await served.ask()).status for _ in range(12)} == {200}
        assert keys(served).count(b"key-one") == 1, "once it failed it is left alone"
        text = await served.metrics()
        model = "*" if reason != "rate_limit" else "up"
        assert f'samewire_set_aside{{provider="p0",model="{model}",key="1"}} 1\n' in text
        assert "key-one" not in text


async def test_both_keys_are_used() -> None:
    async with serving(GOOD, providers={"p0": {"key": "", "keys": ["key-one", "key-two"]}}) as served:
        for _ in range(20):
            await served.ask()
        assert set(keys(served)) == {b"key-one", b"key-two"}


async def test_no_key_is_ever_shown() -> None:
    """Not even one that is not the first."""
    echo = json_answer({"error": {"message": "bad key key-secret-two, or key-secret-one"}}, b"401 No")
    async with serving(times(4, request, echo), providers={"p0": {"keys": ["key-secret-one", "key-secret-two"]}}) as served:
        reply = await served.ask()
        assert (reply.status, b"key-secret" in reply.body) == (401, False)


# ── chains ──


@pytest.mark.parametrize("code", ["context_length_exceeded", "content_filter"])
async def test_a_target_for_certain_failures(code: str) -> None:
    reason = {"context_length_exceeded": "context_length"}.get(code, code)
    second = {"provider": "p1", "model": "long", "after": [reason]}
    async with serving(failing(b"400 No", code=code), others=[GOOD], **routed("p0/up", second)) as served:
        reply = await served.ask()
        assert (reply.status, reply.headers["x-samewire-failures"]) == (200, f"p0 {reason}")
        assert b'"model": "long"' in served.upstreams[1].requests[0]
    async with serving(failing(b"500 No"), others=[GOOD], **routed("p0/up", second)) as served:
        assert ((await served.ask()).status, asked(served)) == (500, [1, 0])


async def test_a_parameter_that_one_target_cannot_serve_is_served_by_the_next() -> None:
    providers = {"p0": {"dialect": "anthropic"}}
    body = CHAT | {"logit_bias": {"1": 1}, "seed": 1}
    async with serving(GOOD, others=[GOOD], providers=providers, **routed("p0/up", "p1/up", unsupported="reject")) as served:
        reply = await served.ask(body)
        assert (reply.status, asked(served), reply.headers["x-samewire-failures"]) == (200, [0, 1], "p0 unsupported")
    async with serving(GOOD, others=[failing(b"500 No")], providers=providers, **routed("p1/up", "p0/up", unsupported="reject")) as served:
        assert (await served.ask(body)).status == 500, "what the upstream said counts more than what was not asked"
    async with serving(GOOD, providers=providers, **routed("p0/up", unsupported="reject")) as served:
        reply = await served.ask(body)
        assert (reply.status, reply.error["code"]) == (400, "unsupported_parameter")


async def test_what_a_target_cannot_be_asked_is_no_attempt(tmp_path: Path) -> None:
    """Neither in the header nor in the log."""
    server = {"log": {"requests": str(tmp_path / "log")}}
    changes = routed("p0/up", "p1/up", unsupported="reject") | {"providers": {"p0": {"dialect": "anthropic"}}, "server": server}
    async with serving(GOOD, others=[GOOD], **changes) as served:
        reply = await served.ask(CHAT | {"logit_bias": {"1": 1}})
        assert (asked(served), reply.headers["x-samewire-attempts"]) == ([0, 1], "1")
    assert json.loads((tmp_path / "log").read_text("utf-8"))["attempts"] == 1


async def test_what_a_failed_target_could_not_carry_is_not_reported_of_another() -> None:
    async with serving(failing(b"500 No"), others=[GOOD], providers={"p0": {"dialect": "anthropic"}}, **routed("p0/up", "p1/up")) as served:
        reply = await served.ask(CHAT | {"logit_bias": {"1": 1}})
        assert (reply.status, "x-samewire-dropped" in reply.headers) == (200, False)
        assert "samewire_dropped_parameters_total{" not in await served.metrics()


# ── choices ──


@pytest.mark.parametrize(
    ("sticky", "body", "header"),
    [({}, {"prompt_cache_key": "k-{}"}, None), ({}, {"user": "u-{}"}, None), ({"headers": ["x-session"]}, {}, "s-{}")],
)
async def test_a_client_stays_where_it_is(sticky: Any, body: dict[str, str], header: str | None) -> None:
    async with serving(GOOD, others=[GOOD], **routed("p0/up", "p1/up", sticky=sticky)) as served:
        places: dict[int, set[str]] = {}
        for number in [*range(12), *range(12)]:
            given = {name: value.format(number) for name, value in body.items()}
            reply = await served.ask(CHAT | given, headers={"x-session": header.format(number)} if header else None)
            places.setdefault(number, set()).add(reply.headers["x-samewire-provider"])
        assert {len(found) for found in places.values()} == {1}
        assert set.union(*places.values()) == {"p0", "p1"}


@pytest.mark.parametrize("nobody", [{"user": None}, {"prompt_cache_key": "", "user": None}, {}])
async def test_clients_that_say_nothing_of_themselves_are_spread(nobody: dict[str, Any]) -> None:
    """Not all of them to the one place of an empty name. (Twenty draws are one time in half a million all the same.)"""
    async with serving(GOOD, others=[GOOD], **routed("p0/up", "p1/up", order="sticky")) as served:
        found = {(await served.ask(CHAT | nobody)).headers["x-samewire-provider"] for _ in range(20)}
        assert found == {"p0", "p1"}


async def test_the_least_loaded_is_asked() -> None:
    async with serving([request, hang], GOOD, others=[GOOD], **routed("p0/up", "p1/up", order="least_loaded")) as served:
        async with await served.client() as busy:
            busy.send()
            await asyncio.wait_for((await served.upstream.peer()).asked.wait(), 20)
            assert (await served.ask()).headers["x-samewire-provider"] == "p1"
        await served.counted("samewire_requests_in_flight 0.0")
        places = [(await served.ask()).headers["x-samewire-provider"] for _ in range(3)]
        assert places == ["p0"] * 3, "nothing is in work anywhere any more"


# ── caps ──


def capped(**bounds: Any) -> dict[str, Any]:
    return {"providers": {"p0": {"concurrency": {"limit": 1, **bounds}}}}


async def test_one_waits_for_the_other() -> None:
    async with serving([request, hang], GOOD, **capped(wait=2)) as served, await served.client() as first, await served.client() as second:
        first.send()
        await asyncio.wait_for((await served.upstream.peer()).asked.wait(), 20)
        second.send()
        await served.counted('samewire_provider_queue{provider="p0"} 1\n')
        assert asked(served) == [1]
        first.leave()
        assert (await second.reply()).status == 200


@pytest.mark.parametrize("bounds", [{"queue": 0}, {"wait": 0.05}], ids=["no queue", "too long"])
async def test_beyond_the_cap(bounds: dict[str, Any]) -> None:
    async with serving([request, hang], **capped(**bounds)) as served, await served.client() as first:
        first.send()
        await asyncio.wait_for((await served.upstream.peer()).asked.wait(), 20)
        reply = await served.ask()
        assert (reply.status, reply.error["code"], reply.headers["retry-after"]) == (503, "overloaded", "1")
        assert 'samewire_provider_rejections_total{provider="p0"} 1\n' in await served.metrics()


async def test_beyond_the_cap_the_next_target_is_asked() -> None:
    change = capped(queue=0) | routed("p0/up", "p1/up")
    async with serving([request, hang], others=[GOOD], **change) as served, await served.client() as first:
        first.send()
        await asyncio.wait_for((await served.upstream.peer()).asked.wait(), 20)
        reply = await served.ask()
        assert (reply.status, reply.headers["x-samewire-failures"], reply.headers["x-samewire-attempts"]) == (200, "p0 busy", "1")


async def test_a_client_that_leaves_the_queue_takes_no_place() -> None:
    async with serving([request, hang], GOOD, **capped(wait=5)) as served, await served.client() as first:
        first.send()
        await asyncio.wait_for((await served.upstream.peer()).asked.wait(), 20)
        async with await served.client() as second:
            second.send()
            await served.counted('samewire_provider_queue{provider="p0"} 1\n')
        await served.counted('samewire_provider_queue{provider="p0"} 0\n')
        first.leave()
        await served.counted('samewire_provider_in_flight{provider="p0"} 0\n')
        assert (await served.ask()).status == 200
