"""How clients write an address, show a key, ask from a browser, and how large what they send is: each against the running server."""

from __future__ import annotations

import asyncio
import gzip
import json
from collections.abc import AsyncIterator
from typing import Any

import pytest
import pytest_asyncio

from tests.real.said import PLAYS
from tests.real.stage import KEY, Stage
from tests.stage.client import DEADLINE, Connection, Served

pytestmark = pytest.mark.asyncio(loop_scope="module")

CHAT = {"model": "on-openai", "messages": [{"role": "user", "content": "play: chat"}]}
BEARER = {"authorization": f"Bearer {KEY}"}
PAGE = "https://page.example"  # which the stage's configuration lists


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def stage(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Stage]:
    async with Stage(tmp_path_factory.mktemp("addresses")) as stage:
        yield stage


async def ask(stage: Stage, method: str, path: str, headers: dict[str, str], body: Any = None) -> Served:
    """One request, and all that comes back."""
    stage.upstream.asked.clear()
    async with asyncio.timeout(DEADLINE), Connection(stage.address) as connection:
        data = body if isinstance(body, bytes) else json.dumps(body).encode() if body else b""
        connection.send(method, path, data, {"content-type": "application/json"} | headers)
        status, answered = await connection.head()
        if status == 204:
            return Served(status, answered, b"", True)
        return Served(status, answered, *await connection.body(answered))


def text_of(served: Served) -> str:
    assert served.status == 200, served.body
    return str(served.json()["choices"][0]["message"]["content"])


# ── addresses ──

ADDRESSES = [
    "/v1/chat/completions",
    "/chat/completions",
    "/v1/chat/completions/",
    "/chat/completions/",
    "/v1/v1/chat/completions",
    "//v1/chat/completions",
    "/v1//chat/completions",
    "//chat//completions//",
    "/v1/chat/completions?api-version=2026-01-01",
    "http://samewire.example/v1/chat/completions",
]


@pytest.mark.parametrize("path", ADDRESSES)
async def test_an_address_however_it_is_put_together(stage: Stage, path: str) -> None:
    assert text_of(await ask(stage, "POST", path, BEARER, CHAT)) == PLAYS["text"]


@pytest.mark.parametrize("path", ["/v1/models", "/models", "/v1/models/", "/v1/v1/models", "//v1/models"])
async def test_the_model_list_however_it_is_asked_for(stage: Stage, path: str) -> None:
    served = await ask(stage, "GET", path, BEARER)
    assert "on-openai" in [model["id"] for model in served.json()["data"]]


# ── keys ──

SHOWN = {
    "Bearer": ({"authorization": f"Bearer {KEY}"}, ""),
    "bearer": ({"authorization": f"bearer {KEY}"}, ""),
    "x-api-key": ({"x-api-key": KEY}, ""),
    "api-key": ({"api-key": KEY}, ""),
    "x-goog-api-key": ({"x-goog-api-key": KEY}, ""),
    "both": ({"authorization": f"Bearer {KEY}", "x-api-key": KEY}, ""),
    "one of two": ({"authorization": "Bearer sk-of-another", "x-api-key": KEY}, ""),
    "?key=": ({}, f"?key={KEY}"),
    "?key= among others": ({}, f"?limit=2&key={KEY}&x=y"),
    "?api-key=": ({}, f"?api-key={KEY}&api-version=1"),
}


@pytest.mark.parametrize("way", SHOWN)
async def test_a_key_wherever_it_stands(stage: Stage, way: str) -> None:
    headers, query = SHOWN[way]
    served = await ask(stage, "POST", f"/v1/chat/completions{query}", headers, CHAT)
    assert text_of(served) == PLAYS["text"]
    (asked,) = stage.upstream.asked
    assert asked.headers["authorization"] == "Bearer key-of-openai"
    assert KEY not in f"{asked.path} {asked.headers} {asked.body!r}"
    await stage.noted(served.headers["x-request-id"])
    assert stage.logged(KEY) == []


@pytest.mark.parametrize("way", SHOWN)
async def test_a_wrong_key_wherever_it_stands(stage: Stage, way: str) -> None:
    headers, query = SHOWN[way]
    wrong = {name: value.replace(KEY, "sk-wrong") for name, value in headers.items()}
    served = await ask(stage, "POST", f"/v1/chat/completions{query.replace(KEY, 'sk-wrong')}", wrong, CHAT)
    assert (served.status, served.json()["error"]["code"]) == (401, "invalid_api_key")
    assert b"sk-wrong" not in served.body
    assert stage.upstream.asked == []


@pytest.mark.parametrize(("key", "status"), [(KEY, 404), ("sk-wrong", 401)])
async def test_a_key_in_a_subprotocols_name(stage: Stage, key: str, status: int) -> None:
    """A browser's WebSocket shows its key so; who has none is told before the upstream is asked."""
    upgrade = {
        "connection": "Upgrade",
        "upgrade": "websocket",
        "sec-websocket-version": "13",
        "sec-websocket-key": "dGhlIHNhbXBsZSBub25jZQ==",
    }
    headers = upgrade | {"sec-websocket-protocol": f"realtime, openai-insecure-api-key.{key}"}
    served = await ask(stage, "GET", "/v1/realtime?model=nobody", headers)
    assert served.status == status, served.body


# ── browsers ──

ASKED_HEADERS = "authorization, content-type, x-stainless-arch, x-stainless-lang, x-stainless-os, x-stainless-retry-count, x-a-new-one"


@pytest.mark.parametrize("path", ["/v1/chat/completions", "/chat/completions/", "/v1/responses", "/v1/models", "/v1/embeddings"])
async def test_a_preflight_is_told_what_it_asks_for(stage: Stage, path: str) -> None:
    asked = {"origin": PAGE, "access-control-request-method": "POST", "access-control-request-headers": ASKED_HEADERS}
    served = await ask(stage, "OPTIONS", path, asked)
    assert served.status == 204
    assert served.headers["access-control-allow-origin"] == PAGE
    assert served.headers["access-control-allow-headers"] == ASKED_HEADERS
    assert ("GET" if "models" in path else "POST") in served.headers["access-control-allow-methods"]
    assert int(served.headers["access-control-max-age"]) > 0


BROWSED = {
    "answer": (CHAT, BEARER, 200),
    "no key": (CHAT, {}, 401),
    "wrong key": (CHAT, {"x-api-key": "sk-wrong"}, 401),
    "no such model": (CHAT | {"model": "nobody"}, BEARER, 404),
    "no JSON": (b"{", BEARER, 400),
    "busy": (CHAT | {"messages": [{"role": "user", "content": "play: error 429"}]}, BEARER, 429),
}


@pytest.mark.parametrize("case", BROWSED)
async def test_a_page_may_read_answers_and_errors(stage: Stage, case: str) -> None:
    body, headers, status = BROWSED[case]
    served = await ask(stage, "POST", "/v1/chat/completions", headers | {"origin": PAGE}, body)
    assert served.status == status
    assert served.headers["access-control-allow-origin"] == PAGE
    exposed = {name.strip() for name in served.headers["access-control-expose-headers"].split(",")}
    assert {"x-request-id", "retry-after", "x-ratelimit-remaining-requests"} <= exposed
    assert status != 429 or served.headers["retry-after"] == str(PLAYS["retry_after"])


async def test_another_page_may_not(stage: Stage) -> None:
    served = await ask(stage, "POST", "/v1/chat/completions", BEARER | {"origin": "https://other.example"}, CHAT)
    assert "access-control-allow-origin" not in served.headers


# ── sizes ──

LARGE = {
    "one of 20 kB": {"x-codex-turn-metadata": "m" * 20_000},
    "many of 1 kB": {f"x-note-{number}": "n" * 1000 for number in range(40)},
    "all of Codex": {"x-codex-turn-metadata": "m" * 9000, "x-codex-beta-features": "b" * 600, "session_id": "s" * 36},
}


@pytest.mark.parametrize("case", LARGE)
async def test_large_headers_are_read(stage: Stage, case: str) -> None:
    assert text_of(await ask(stage, "POST", "/v1/chat/completions", BEARER | LARGE[case], CHAT)) == PLAYS["text"]


async def test_headers_without_bound_are_refused(stage: Stage) -> None:
    served = await ask(stage, "POST", "/v1/chat/completions", BEARER | {"x-note": "n" * 70_000}, CHAT)
    assert (served.status, served.json()["error"]["code"]) == (431, "headers_too_large")


@pytest.mark.parametrize("model", ["on-openai", "on-anthropic"])
async def test_a_compressed_body_is_read(stage: Stage, model: str) -> None:
    body = gzip.compress(json.dumps(CHAT | {"model": model}).encode())
    assert text_of(await ask(stage, "POST", "/v1/chat/completions", BEARER | {"content-encoding": "gzip"}, body)) == PLAYS["text"]


async def test_a_body_of_many_megabytes_is_read(stage: Stage) -> None:
    parts = [
        {"type": "text", "text": "play: vision"},
        {"type": "image_url", "image_url": {"url": f"data:image/png;base64,{PLAYS['picture']}"}},
        {"type": "image_url", "image_url": {"url": f"data:image/png;base64,{'A' * 8_000_000}"}},
    ]
    assert (
        text_of(await ask(stage, "POST", "/v1/chat/completions", BEARER, CHAT | {"messages": [{"role": "user", "content": parts}]}))
        == PLAYS["seen"]
    )
