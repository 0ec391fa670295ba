"""The server around the exchange: pages, keys, CORS, what is not HTTP, too many at once."""

from __future__ import annotations

import asyncio
import hashlib
import json
from typing import Any

import pytest

from proxy.app import server
from tests.exchange.wire import CHAT, COMPLETION, STREAM, json_answer, serving, sse
from tests.upstream.scripted import hang, request

OK = [request, json_answer(COMPLETION)]
KEY = "sk-gateway-1"
KEYS = [{"name": "me", "sha256": hashlib.sha256(KEY.encode()).hexdigest()}]


async def test_pages() -> None:
    routes = [{"model": "m", "to": "p0/up"}, {"model": "org/big:free", "to": "p0/up"}, {"model": "up-*", "to": "p0"}]
    async with serving(OK, routes=routes) as served:
        assert (await served.ask(b"", "/", method="GET")).json()["name"] == "samewire"
        for page in ("/healthz", "/livez", "/readyz"):
            assert (await served.ask(b"", page, method="GET")).status == 200
        listed = (await served.ask(b"", "/v1/models", method="GET")).json()
        assert listed["object"] == "list"
        assert [entry["id"] for entry in listed["data"]] == ["m", "org/big:free"]
        assert {tuple(entry) for entry in listed["data"]} == {("id", "object", "created", "owned_by")}
        for path in ("/v1/models/org/big:free", "/models/org%2Fbig%3Afree", "/v1/v1/models/org/big:free/"):
            assert (await served.ask(b"", path, method="GET")).json()["id"] == "org/big:free"
        assert (await served.ask(b"", "/v1/models/up-9", method="GET")).json()["id"] == "up-9"
        missed = await served.ask(b"", "/v1/models/nobody", method="GET")
        assert (missed.status, missed.error["code"]) == (404, "model_not_found")
        metrics = await served.ask(b"", "/metrics", method="GET")
        assert metrics.headers["content-type"].startswith("text/plain; version=0.0.4")


async def test_head_and_options() -> None:
    async with serving(OK) as served, await served.client() as client:
        client.send(b"", "/v1/models", method="HEAD")
        status, headers = await client.head()
        assert (status, int(headers["content-length"]) > 0) == (200, True)
        client.send(b"", "/v1/files", method="OPTIONS")
        reply = await client.reply()
        assert (reply.status, reply.headers["allow"]) == (204, "POST, GET, OPTIONS")
        client.send(b"", "/v1/nowhere", method="OPTIONS")
        assert (await client.reply()).status == 404
        client.send(b"", "/v1/files", method="HEAD")
        assert (await client.head())[0] == 405


async def test_wrong_addresses_and_methods() -> None:
    async with serving(OK) as served:
        missed = await served.ask(path="/v1/chat/completion")
        assert (missed.status, missed.error["code"]) == (404, "unknown_url")
        assert "/v1/chat/completions" in missed.error["message"]
        wrong = await served.ask(b"", "/v1/chat/completions", method="GET")
        assert (wrong.status, wrong.error["code"], wrong.headers["allow"]) == (405, "method_not_allowed", "POST")
        for path in ("/chat/completions", "/v1/v1/chat/completions", "//v1//chat/completions/", "http://gateway/v1/chat/completions"):
            assert (await served.ask(path=path)).status == 200, path
            served.upstream.peers.clear()
            await asyncio.sleep(0)


KEYS_SHOWN = [
    ({"authorization": f"Bearer {KEY}"}, 200),
    ({"x-api-key": KEY}, 200),
    ({"api-key": KEY}, 200),
    ({"authorization": "Bearer sk-of-another", "x-api-key": KEY}, 200),
    ({}, 401),
    ({"authorization": "Bearer wrong"}, 401),
    ({"authorization": f"Basic {KEY}"}, 401),
    ({"authorization": "Bearer ключ"}, 401),
]


@pytest.mark.parametrize(("headers", "status"), KEYS_SHOWN)
async def test_keys(headers: dict[str, str], status: int) -> None:
    async with serving(OK, server={"keys": KEYS}) as served:
        for reply in (
            await served.ask(headers=headers),
            await served.ask(b"", "/v1/models", headers, "GET"),
            await served.ask(b"", "/metrics", headers, "GET"),
        ):
            assert reply.status == status
            if status == 401:
                assert (reply.error["code"], reply.error["type"]) == ("invalid_api_key", "invalid_request_error")
        assert (await served.ask(b"", "/healthz", headers, "GET")).status == 200
        assert len(served.upstream.peers) == (1 if status == 200 else 0)


async def test_the_gateways_own_key_never_goes_up() -> None:
    route = {"model": "m", "to": "p0/up", "credential": "client"}
    async with serving(OK, server={"keys": KEYS}, routes=[route]) as served:
        assert (await served.ask(headers={"authorization": f"Bearer {KEY}"})).status == 401
        assert served.upstream.peers == []
        assert (await served.ask(headers={"authorization": "Bearer sk-mine", "api-key": KEY})).status == 200
        asked = served.upstream.requests[0]
        assert b"authorization: Bearer sk-mine\r\n" in asked
        assert KEY.encode() not in asked


@pytest.mark.parametrize(
    ("forwarded", "status"),
    [("127.0.0.1", 200), ("203.0.113.9", 401), ("203.0.113.9, 127.0.0.1", 401), ("127.0.0.1, 203.0.113.9", 401), ("::1", 200)],
)
async def test_without_keys_only_this_machine_is_served(forwarded: str, status: int) -> None:
    async with serving(OK) as served:
        assert (await served.ask(headers={"x-forwarded-for": forwarded})).status == status


async def test_browsers() -> None:
    origin = "https://app.example"
    async with serving(OK, server={"cors": [origin], "keys": KEYS}) as served, await served.client() as client:
        asked = {
            "origin": origin,
            "access-control-request-method": "POST",
            "access-control-request-headers": "authorization, x-stainless-os",
        }
        client.send(b"", headers=asked, method="OPTIONS")
        reply = await client.reply()
        assert reply.status == 204
        assert reply.headers["access-control-allow-origin"] == origin
        assert reply.headers["access-control-allow-headers"] == "authorization, x-stainless-os"
        assert "POST" in reply.headers["access-control-allow-methods"]
        for body, path, headers, status in (
            (CHAT, "/v1/chat/completions", {}, 401),
            (CHAT, "/v1/nowhere", {}, 404),
            (b"{", "/v1/chat/completions", {"authorization": f"Bearer {KEY}"}, 400),
            (CHAT, "/v1/chat/completions", {"authorization": f"Bearer {KEY}"}, 200),
        ):
            client.send(body, path, {"origin": origin, **headers})
            reply = await client.reply()
            assert (reply.status, reply.headers["access-control-allow-origin"]) == (status, origin)
            assert "x-request-id" in reply.headers["access-control-expose-headers"]
        client.send(CHAT, headers={"origin": "https://evil.example"})
        assert "access-control-allow-origin" not in (await client.reply()).headers


NOT_HTTP = [
    b"hello\r\n\r\n",
    b"GET / HTTP/9.9\r\n\r\n",
    b"GET /\x00 HTTP/1.1\r\nhost: x\r\n\r\n",
    b"POST /v1/chat/completions HTTP/1.1\r\nhost: x\r\ncontent-length: 5\r\ncontent-length: 6\r\n\r\n",
    b"POST /v1/chat/completions HTTP/1.1\r\nhost: x\r\ncontent-length: 5\r\ntransfer-encoding: chunked\r\n\r\n0\r\n\r\n",
    b"POST /v1/chat/completions HTTP/1.1\r\nhost: x\r\ntransfer-encoding: xchunked\r\n\r\n",
    b"POST /v1/chat/completions HTTP/1.1\r\nhost: x\r\ncontent-length: -1\r\n\r\n",
    b"POST /v1/chat/completions HTTP/1.1\r\nhost : x\r\n\r\n",
    b"POST /v1/chat/completions HTTP/1.0\r\nhost: x\r\ntransfer-encoding: chunked\r\n\r\n0\r\n\r\n",
]


@pytest.mark.parametrize("message", NOT_HTTP)
async def test_what_is_not_http_is_answered_in_the_envelope(message: bytes) -> None:
    async with serving(OK) as served, await served.client() as client:
        client.writer.write(message)
        reply = await client.reply()
        assert (reply.status, reply.error["type"], reply.headers["connection"]) == (400, "invalid_request_error", "close")
        assert reply.headers["x-request-id"]
        assert await client.ended()
        assert served.upstream.peers == []


async def test_a_long_header_is_read() -> None:
    async with serving(OK) as served:
        assert (await served.ask(headers={"x-codex-turn-metadata": "a" * 20000})).status == 200


async def test_a_client_that_says_nothing_is_closed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(server, "HEAD_TIMEOUT", 0.05)
    async with serving(OK) as served:
        async with await served.client() as client:
            assert await client.ended()
        async with await served.client() as client:
            client.writer.write(b"POST /v1/chat/comp")
            assert await client.ended()


@pytest.mark.parametrize("given", ["", "a" * 129, "with space", "é"])
async def test_request_ids_are_made_where_the_clients_cannot_be_shown(given: str) -> None:
    async with serving(OK) as served:
        found = (await served.ask(b"", "/healthz", {"x-request-id": given}, "GET")).headers["x-request-id"]
        assert found.startswith("req_")
        assert len(found) == 28


async def test_too_many_at_once_are_told_to_come_back() -> None:
    async with serving([request, hang], server={"limits": {"in_flight": 1}}) as served, await served.client() as client:
        client.send(STREAM)
        await (await served.upstream.peer()).asked.wait()
        reply = await served.ask()
        assert (reply.status, reply.error["code"], reply.headers["retry-after"]) == (503, "overloaded", "1")
        assert (await served.ask(b"", "/healthz", method="GET")).status == 200


async def test_several_requests_on_one_connection() -> None:
    async with (
        serving([*OK, request, sse(b'data: {"choices":[]}\n\n', b"data: [DONE]\n\n"), *OK]) as served,
        await served.client() as client,
    ):
        client.send(CHAT)
        client.send(b"{}")
        client.send(STREAM)
        client.send(b"", "/healthz", method="GET")
        client.send(CHAT)
        assert [(await client.reply()).status for _ in range(5)] == [200, 400, 200, 200, 200]


async def test_an_upgrade_that_nobody_takes_is_a_usual_request() -> None:
    async with serving(OK) as served, await served.client() as client:
        client.send(CHAT, headers={"connection": "upgrade", "upgrade": "websocket"})
        assert (await client.reply()).status == 200
        client.send(b"", "/healthz", method="GET")
        assert (await client.reply()).status == 200


async def test_a_unix_socket(tmp_path: Any) -> None:
    path = str(tmp_path / "gateway.sock")
    async with serving(OK, server={"socket": path}):
        reader, writer = await asyncio.open_unix_connection(path)
        body = json.dumps(CHAT).encode()
        writer.write(b"POST /v1/chat/completions HTTP/1.1\r\nhost: x\r\ncontent-length: %d\r\n\r\n%b" % (len(body), body))
        assert await reader.readline() == b"HTTP/1.1 200 OK\r\n"
        writer.close()


async def test_one_line_is_logged_for_a_request_and_none_for_probes(capfd: pytest.CaptureFixture[str]) -> None:
    async with serving(OK, server={"log": {"requests": "stdout"}}) as served:
        await served.ask(b"", "/healthz", method="GET")
        await served.ask(headers={"authorization": "Bearer sk-secret-of-client"})
        await served.ask(b"{}")
    lines = [json.loads(line) for line in capfd.readouterr().out.splitlines()]
    assert [(line["operation"], line["status"]) for line in lines] == [("chat", 200), ("chat", 400)]
    first = lines[0]
    assert (first["route"], first["model"], first["target"], first["response_model"]) == ("m", "m", "p0/up", "up-1")
    assert first["tokens"] == {"input": 3, "output": 2}
    assert first["key"] == hashlib.sha256(b"sk-secret-of-client").hexdigest()[:8]
    assert 0 < first["overhead_ms"] < first["duration_ms"]
    assert (lines[1]["blame"], lines[1]["error_type"]) == ("client", "invalid_request_error")
