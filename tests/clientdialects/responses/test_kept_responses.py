"""What a provider keeps is found again by its id alone, with any number of providers and keys, on any replica."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Any

import pytest
from openai import AsyncOpenAI, NotFoundError

from proxy.routing.ways import tag, tagged, untagged
from tests.stage.client import Connection, Served, call
from tests.stage.gateway import Gateway
from tests.stage.upstream import Script, Upstream, whole

TEMPLATE: dict[str, Any] = {
    "id": "resp_1",
    "object": "response",
    "created_at": 1,
    "model": "m",
    "status": "completed",
    "output": [],
    "error": None,
    "incomplete_details": None,
    "instructions": None,
    "metadata": {},
    "parallel_tool_calls": True,
    "temperature": 1,
    "tool_choice": "auto",
    "tools": [],
    "top_p": 1,
    "previous_response_id": None,
}


def document(*ports: int) -> dict[str, Any]:
    """Two providers, the first with two keys, all of them a model's; and each alone."""
    one, two = ({"base_url": f"http://127.0.0.1:{port}", "dialect": "openai"} for port in ports)
    return {
        "version": 1,
        "server": {"port": 0, "log": {"level": "error", "requests": "off"}},
        "providers": {"one": one | {"keys": ["key-1", "key-2"]}, "two": two | {"key": "key-3"}},
        "routes": [{"model": "m", "to": ["one/m", "two/m"]}, {"model": "second", "to": "two/m"}],
    }


@dataclass
class Scene:
    """Two upstreams and two replicas of the gateway before them."""

    one: Upstream
    two: Upstream
    replicas: list[Gateway]

    @property
    def here(self) -> tuple[str, int]:
        return self.replicas[0].address

    @property
    def there(self) -> tuple[str, int]:
        return self.replicas[1].address


@pytest.fixture
async def scene() -> AsyncIterator[Scene]:
    async with Upstream() as one, Upstream() as two:
        setting = document(one.port, two.port)
        async with Gateway(setting) as here, Gateway(setting) as there:
            yield Scene(one, two, [here, there])


async def get(address: tuple[str, int], path: str, method: str = "GET") -> Served:
    async with Connection(address) as connection:
        connection.send(method, path)
        status, headers = await connection.head()
        body, complete = await connection.body(headers)
        return Served(status, headers, body, complete)


async def test_the_next_request_goes_back_to_the_same_provider_on_any_replica(scene: Scene) -> None:
    scene.two.answer(whole(TEMPLATE))
    first = await call(scene.here, {"model": "second", "input": "hi"}, "/v1/responses")
    shown = first.json()["id"]
    assert untagged(shown) == ("resp_1", tag("two", 0))

    scene.two.answer(whole(TEMPLATE | {"id": "resp_2", "previous_response_id": "resp_1"}))
    second = await call(scene.there, {"model": "m", "input": "ho", "previous_response_id": shown}, "/v1/responses")
    assert scene.two.last.json() == {"model": "m", "input": "ho", "previous_response_id": "resp_1"}
    assert second.json()["previous_response_id"] == shown
    assert untagged(second.json()["id"]) == ("resp_2", tag("two", 0))
    assert not scene.one.asked


@pytest.mark.parametrize("key", [0, 1])
async def test_the_key_is_the_same_too(scene: Scene, key: int) -> None:
    scene.one.answer(whole(TEMPLATE))
    asked = {"model": "m", "input": "ho", "previous_response_id": tagged("resp_1", tag("one", key))}
    for _ in range(3):
        await call(scene.here, asked, "/v1/responses")
        assert scene.one.last.headers["authorization"] == f"Bearer key-{key + 1}"


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("GET", "/responses/{}"),
        ("DELETE", "/responses/{}"),
        ("POST", "/responses/{}/cancel"),
        ("GET", "/responses/{}/input_items?limit=2"),
    ],
)
async def test_an_address_leads_back(scene: Scene, method: str, path: str) -> None:
    scene.two.answer(whole(TEMPLATE))
    shown = tagged("resp_1", tag("two", 0))
    served = await get(scene.there, "/v1" + path.format(shown), method)
    assert (served.status, served.json()["id"]) == (200, shown)
    assert (scene.two.last.method, scene.two.last.path) == (method, path.format("resp_1"))


def event(kind: str, **more: Any) -> bytes:
    return b"event: %b\ndata: %b\n\n" % (kind.encode(), json.dumps({"type": kind, **more}).encode())


async def test_a_stream_shows_the_way_back_in_all_its_events(scene: Scene) -> None:
    pieces = [
        event("response.created", response=TEMPLATE | {"status": "in_progress", "previous_response_id": "resp_0"}),
        event("response.output_text.delta", item_id="msg_1", delta="resp_1", output_index=0, content_index=0),
        event("response.completed", response=TEMPLATE | {"previous_response_id": "resp_0"}),
    ]
    scene.two.answer(Script(pieces, headers={"content-type": "text/event-stream"}))
    earlier = tagged("resp_0", tag("two", 0))
    served = await call(scene.here, {"model": "m", "input": "hi", "stream": True, "previous_response_id": earlier}, "/v1/responses")
    shown = tagged("resp_1", tag("two", 0)).encode()
    assert served.complete
    first, delta, last = served.body.split(b"\n\n")[:3]
    for lifecycle in (first, last):
        assert (lifecycle.count(b'"%b"' % shown), lifecycle.count(b'"%b"' % earlier.encode())) == (1, 1)
    assert delta + b"\n\n" == pieces[1].replace(b'"resp_1"', b'"%b"' % shown)


async def test_what_is_not_kept_passes_untouched(scene: Scene) -> None:
    scene.two.answer(whole(TEMPLATE))
    served = await call(scene.here, {"model": "second", "input": "hi", "store": False}, "/v1/responses")
    assert served.json() == TEMPLATE | {"model": served.json()["model"]}


async def test_with_one_way_all_passes_untouched() -> None:
    async with Upstream() as upstream:
        setting = document(upstream.port, upstream.port)
        del setting["providers"]["one"], setting["routes"][0]
        async with Gateway(setting) as gateway:
            upstream.answer(whole(TEMPLATE))
            served = await call(gateway.address, {"model": "second", "input": "hi", "previous_response_id": "resp_0"}, "/v1/responses")
            assert served.json()["id"] == "resp_1"
            assert upstream.last.json()["previous_response_id"] == "resp_0"
            assert (await get(gateway.address, "/v1/responses/resp_1")).json()["id"] == "resp_1"
            assert upstream.last.path == "/responses/resp_1"


async def test_a_way_that_leads_nowhere_is_an_error(scene: Scene) -> None:
    async with AsyncOpenAI(base_url="http://{}:{}/v1".format(*scene.here), api_key="k", max_retries=0) as client:
        with pytest.raises(NotFoundError, match="kept by a provider"):
            await client.responses.retrieve(tagged("resp_1", "00000000"))
        with pytest.raises(NotFoundError, match="kept by a provider"):
            await client.responses.create(model="second", input="hi", previous_response_id=tagged("resp_1", tag("one", 0)))
    assert not scene.one.asked and not scene.two.asked


def test_ways_are_told_by_names_alone() -> None:
    assert untagged(tagged("a_sw1", tag("one", 1))) == ("a_sw1", tag("one", 1))
    assert untagged("resp_swabc") == ("resp_swabc", "")
    assert len({tag("one", 0), tag("one", 1), tag("two", 0), tag("one0", 0)}) == 4
    assert tag("one", 0) == "f6de8dc8"
