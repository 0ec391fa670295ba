"""Request bodies: what is read, what is refused with which status, what goes up."""

from __future__ import annotations

import asyncio
import gzip
import json

import pytest

from proxy.exchange.body import BodyLimits
from tests.exchange.wire import CHAT, COMPLETION, Served, json_answer, serving
from tests.upstream.scripted import request, times

OK = [request, json_answer(COMPLETION)]


def sent(served: Served, number: int = 0) -> bytes:
    """The body that the upstream got."""
    return served.upstream.requests[number].partition(b"\r\n\r\n")[2]


def sent_headers(served: Served) -> dict[str, str]:
    """The headers that the upstream got."""
    lines = served.upstream.requests[0].partition(b"\r\n\r\n")[0].decode("latin-1").split("\r\n")[1:]
    return {name: value for name, _, value in (line.partition(": ") for line in lines)}


REFUSED: list[tuple[str, bytes, int, str | None, str | None]] = [
    ("no JSON", b"hello", 400, "invalid_json", None),
    ("empty", b"", 400, "invalid_json", None),
    ("cut", b'{"model":"m"', 400, "invalid_json", None),
    ("a list", b"[]", 400, "invalid_json", None),
    ("a scalar", b"42", 400, "invalid_json", None),
    ("null", b"null", 400, "invalid_json", None),
    ("trailing text", b'{"model":"m"} x', 400, "invalid_json", None),
    ("single quotes", b"{'model':'m'}", 400, "invalid_json", None),
    ("NaN", b'{"model":"m","temperature":NaN}', 400, "invalid_json", None),
    ("too deep", b'{"model":"m","x":' + b"[" * 9999 + b"]" * 9999 + b"}", 400, "invalid_json", None),
    ("bad UTF-8", b'{"model":"m","x":"\xff"}', 400, "invalid_json", None),
    ("UTF-16", '{"model":"m"}'.encode("utf-16"), 400, "invalid_json", None),
    ("byte order mark", b'\xef\xbb\xbf{"model":"m"}', 400, "invalid_json", None),
    ("model twice", b'{"model":"m","model":"n"}', 400, "invalid_json", "model"),
    ("model twice, escaped", b'{"model":"m","mod\\u0065l":"n"}', 400, "invalid_json", "model"),
    ("stream twice", b'{"model":"m","stream":true,"stream":false}', 400, "invalid_json", "stream"),
    ("no model", b"{}", 400, "missing_parameter", "model"),
    ("model null", b'{"model":null}', 400, "missing_parameter", "model"),
    ("model a number", b'{"model":1}', 400, None, "model"),
    ("model a list", b'{"model":["m"]}', 400, None, "model"),
    ("model empty", b'{"model":""}', 400, None, "model"),
    ("model long", b'{"model":"' + b"m" * 600 + b'"}', 400, None, "model"),
    ("model with a line end", b'{"model":"m\\r\\nx: y"}', 400, None, "model"),
    ("stream a string", b'{"model":"m","stream":"yes"}', 400, None, "stream"),
    ("stream a number", b'{"model":"m","stream":1}', 400, None, "stream"),
    ("unknown model", b'{"model":"nobody"}', 404, "model_not_found", "model"),
]


@pytest.mark.parametrize(("body", "status", "code", "param"), [row[1:] for row in REFUSED], ids=[row[0] for row in REFUSED])
async def test_refused(body: bytes, status: int, code: str | None, param: str | None) -> None:
    async with serving(OK) as served:
        reply = await served.ask(body)
        assert (reply.status, reply.error["code"], reply.error["param"]) == (status, code, param)
        assert reply.error["type"] == "invalid_request_error"
        assert reply.error["message"].endswith((".", "?"))
        assert served.upstream.peers == []


TYPES = [
    ("application/json", 200),
    ("application/json; charset=utf-8", 200),
    ("APPLICATION/JSON", 200),
    ("application/vnd.api+json", 200),
    ("", 200),
    ("text/plain", 415),
    ("application/x-www-form-urlencoded", 415),
    ("multipart/form-data; boundary=X", 415),
]


@pytest.mark.parametrize(("content_type", "status"), TYPES, ids=[row[0] or "none" for row in TYPES])
async def test_content_types(content_type: str, status: int) -> None:
    async with serving(OK) as served:
        assert (await served.ask(CHAT, headers={"content-type": content_type})).status == status


async def test_a_browser_must_say_its_content_type() -> None:
    """Else any page could send requests here without being allowed to."""
    page = "https://page.example"
    async with serving(OK, server={"cors": [page]}) as served:
        assert (await served.ask(CHAT, headers={"content-type": "", "origin": page})).status == 415


async def test_what_is_not_routing_goes_through_byte_for_byte() -> None:
    body = b'{ "model" :"m" ,\n"x_unknown": 1.10, "big":123456789012345678901234567890,"model2":"m","s":"\\u00e9\\ud83d\\ude00\xc3\xa9"}'
    async with serving(OK) as served:
        assert (await served.ask(body)).status == 200
        assert sent(served) == body.replace(b'"m" ', b'"up" ', 1)


async def test_what_a_route_sets_bounds_and_drops() -> None:
    route = {
        "model": "m",
        "to": "p0/up",
        "default": {"temperature": 0.5},
        "set": {"user": "u"},
        "clamp": {"n": {"max": 2}},
        "drop": ["seed"],
    }
    async with serving(OK, routes=[route]) as served:
        await served.ask(b'{"model":"m", "seed":1,"n":5 ,"x": 1.0}')
        assert json.loads(sent(served)) == {"model": "up", "n": 2, "x": 1.0, "temperature": 0.5, "user": "u"}
        assert b'"x": 1.0' in sent(served)


@pytest.mark.parametrize(
    ("body", "headers", "status"),
    [
        (b"{" + b" " * 2000 + b"}", {}, 413),
        (b"", {"content-length": "2000000000"}, 413),
        (gzip.compress(json.dumps(CHAT).encode()), {"content-encoding": "gzip"}, 200),
        (gzip.compress(b" " * 10**6), {"content-encoding": "gzip"}, 413),
        (b"{}", {"content-encoding": "gzip"}, 400),
        (b"{}", {"content-encoding": "br"}, 415),
        (b"{}", {"content-encoding": "gzip, gzip"}, 415),
    ],
    ids=["long", "said to be long", "gzip", "bomb", "not gzip", "br", "twice"],
)
async def test_sizes_and_codings(body: bytes, headers: dict[str, str], status: int) -> None:
    async with serving(OK, server={"limits": {"body": 1000}}) as served:
        reply = await served.ask(body, headers=headers)
        assert reply.status == status
        if status == 200:
            assert json.loads(sent(served)) == CHAT | {"model": "up"}


async def test_a_long_chunked_body_is_refused_before_its_end() -> None:
    async with serving(OK, server={"limits": {"body": 1000}}) as served, await served.client() as client:
        client.writer.write(
            b"POST /v1/chat/completions HTTP/1.1\r\nhost: x\r\ntransfer-encoding: chunked\r\n\r\n7d0\r\n" + b" " * 2000 + b"\r\n"
        )
        reply = await client.reply()
        assert (reply.status, reply.headers["connection"]) == (413, "close")


async def test_a_body_in_pieces_is_read() -> None:
    body = json.dumps(CHAT).encode()
    async with serving(OK) as served, await served.client() as client:
        client.writer.write(b"POST /v1/chat/completions HTTP/1.1\r\nhost: x\r\ncontent-length: %d\r\n\r\n" % len(body))
        for at in range(0, len(body), 7):
            client.writer.write(body[at : at + 7])
            await client.writer.drain()
            await asyncio.sleep(0)
        assert (await client.reply()).status == 200


@pytest.mark.parametrize("framing", ["content-length: 99", "transfer-encoding: chunked"])
async def test_a_body_that_does_not_come_has_a_deadline(framing: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(BodyLimits.__init__, "__defaults__", (2**20, 0.05, 1.0))
    async with serving(OK) as served, await served.client() as client:
        client.writer.write(f"POST /v1/chat/completions HTTP/1.1\r\nhost: x\r\n{framing}\r\n\r\n".encode())
        reply = await client.reply()
        assert (reply.status, reply.error["code"]) == (408, "request_timeout")


async def test_expect_is_answered_after_key_and_size_were_looked_at() -> None:
    body = json.dumps(CHAT).encode()
    async with serving(OK) as served, await served.client() as client:
        client.send(b"", headers={"content-length": str(len(body)), "expect": "100-continue"})
        assert await client.reader.readuntil(b"\r\n\r\n") == b"HTTP/1.1 100 Continue\r\n\r\n"
        client.writer.write(body)
        assert (await client.reply()).status == 200


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({"content-length": "99999999"}, 413),
        ({"content-type": "text/plain"}, 415),
        ({"expect": "a-miracle"}, 417),
        ({"authorization": "Bearer wrong"}, 401),
    ],
)
async def test_what_is_refused_by_its_head_is_not_asked_for(headers: dict[str, str], status: int) -> None:
    keys = [{"name": "me", "sha256": "0" * 64}] if status == 401 else []
    async with serving(OK, server={"keys": keys}) as served, await served.client() as client:
        client.send(b"", headers={"content-length": "9", "expect": "100-continue", **headers})
        assert (await client.reply()).status == status


async def test_what_goes_up_is_made_afresh() -> None:
    headers = {
        "authorization": "Bearer sk-of-the-client",
        "x-api-key": "sk-of-the-client",
        "cookie": "a=b",
        "x-stainless-os": "Linux",
        "connection": "x-hop",
        "x-hop": "1",
        "x-forwarded-for": "127.0.0.1",
        "user-agent": "secret/1",
        "openai-organization": "org-1",
        "x-request-id": "abc",
        "traceparent": "00-" + "a" * 32 + "-" + "b" * 16 + "-01",
        "tracestate": "x=y",
        "baggage": "k=v",
    }
    async with serving(OK) as served:
        assert (await served.ask(headers=headers)).headers["x-request-id"] == "abc"
        up = sent_headers(served)
        assert up.pop("content-length").isdigit()
        assert up.pop("host").startswith("127.0.0.1:")
        assert up.pop("user-agent").startswith("samewire/")
        assert up.pop("via").startswith("1.1 samewire-")
        assert up == {
            "accept": "*/*",
            "accept-encoding": "identity",
            "authorization": "Bearer sk-secret-0",
            "content-type": "application/json",
            "openai-organization": "org-1",
            "x-request-id": "abc",
            "traceparent": "00-" + "a" * 32 + "-" + "b" * 16 + "-01",
            "tracestate": "x=y",
            "baggage": "k=v",
        }


async def test_a_trace_is_begun_where_there_is_none() -> None:
    async with serving(OK) as served:
        reply = await served.ask(headers={"traceparent": "nonsense", "tracestate": "x=y"})
        up = sent_headers(served)
        assert len(up["traceparent"]) == 55
        assert "tracestate" not in up
        assert up["x-request-id"] == reply.headers["x-request-id"]
        assert reply.headers["x-request-id"].startswith("req_")


async def test_headers_of_provider_and_route() -> None:
    route = {"model": "m", "to": "p0/up", "headers": {"x-route": "1", "x-both": "route"}}
    providers = {"p0": {"headers": {"x-provider": "1", "x-both": "provider"}, "forward": ["x-mine"]}}
    async with serving(OK, routes=[route], providers=providers) as served:
        await served.ask(headers={"x-mine": "me"})
        up = sent_headers(served)
        assert (up["x-route"], up["x-provider"], up["x-both"], up["x-mine"]) == ("1", "1", "route", "me")


async def test_a_clients_own_key_pays_where_the_route_says_so() -> None:
    async with serving(OK, routes=[{"model": "m", "to": "p0/up", "credential": "client"}]) as served:
        assert (await served.ask(headers={"authorization": "Bearer sk-mine"})).status == 200
        assert sent_headers(served)["authorization"] == "Bearer sk-mine"
        refused = await served.ask()
        assert (refused.status, refused.error["code"]) == (401, "invalid_api_key")


ANSWER = {
    "id": "msg_1",
    "type": "message",
    "role": "assistant",
    "model": "c",
    "content": [{"type": "text", "text": "Hi"}],
    "stop_reason": "end_turn",
}


async def test_parameters_that_a_target_has_no_place_for_are_reported() -> None:
    answer = json_answer(ANSWER | {"usage": {"input_tokens": 3, "output_tokens": 2}})
    async with serving([request, answer], providers={"p0": {"dialect": "anthropic"}}) as served:
        reply = await served.ask(CHAT | {"seed": 1, "logit_bias": {"1": 1}})
        assert reply.json()["choices"][0]["message"]["content"] == "Hi"
        assert reply.json()["model"] == "m"
        assert set(reply.headers["x-samewire-dropped"].split(", ")) == {"seed", "logit_bias"}
        text = await served.metrics()
        assert 'samewire_dropped_parameters_total{gen_ai_operation_name="chat",gen_ai_provider_name="anthropic"} 2' in text


async def test_parameters_that_a_target_has_no_place_for_are_refused_where_the_route_says_so() -> None:
    route = {"model": "m", "to": "p0/up", "unsupported": "reject"}
    async with serving(OK, providers={"p0": {"dialect": "anthropic"}}, routes=[route]) as served:
        reply = await served.ask(CHAT | {"seed": 1})
        assert (reply.status, reply.error["param"], reply.error["code"]) == (400, "seed", "unsupported_parameter")
        assert served.upstream.peers == []


@pytest.mark.parametrize(
    "body", [b'{"model":"m","messages":[],"x":"\\ud800"}', b'{"model":"m","messages":5}', b'{"model":"m","messages":[5,null,{}]}']
)
async def test_bodies_that_only_a_translation_reads_are_no_fault_of_ours(body: bytes) -> None:
    for dialect in ("anthropic", "gemini", "mistral", "ollama"):
        async with serving(OK, providers={"p0": {"dialect": dialect}}) as served:
            assert (await served.ask(body)).status in (200, 400, 502)


@pytest.mark.parametrize("dialect", ["openai", "anthropic"])
async def test_a_body_that_is_too_deep_is_refused_at_whatever_depth(dialect: str) -> None:
    """Where Python's stack ends is another depth for each who reads a part of the body."""
    async with serving(times(200, request, json_answer(ANSWER)), providers={"p0": {"dialect": dialect}}) as served:
        statuses = set()
        for depth in (*range(800, 1000), 200000):
            body = b'{"model":"m","stream":true,"messages":[],"stream_options":%b%b}' % (b"[" * depth, b"]" * depth)
            statuses.add(status := (await served.ask(body)).status)
        assert status == 400
        assert statuses == {400, 502}  # 502: what answers is no stream


async def test_only_some_of_the_upstreams_headers_reach_the_client() -> None:
    headers = (
        b"x-ratelimit-limit-requests: 5",
        b"openai-processing-ms: 7",
        b"set-cookie: a=b",
        b"access-control-allow-origin: *",
        b"x-up: 1",
    )
    async with serving([request, json_answer(COMPLETION, b"200 OK", *headers, b"x-request-id: theirs")]) as served:
        reply = await served.ask(headers={"x-request-id": "ours"})
        names = {
            "date",
            "x-request-id",
            "content-type",
            "x-samewire-provider",
            "x-ratelimit-limit-requests",
            "openai-processing-ms",
            "content-length",
        }
        assert set(reply.headers) == names
        assert reply.headers["x-request-id"] == "ours"


async def test_a_whole_answer_passes_byte_for_byte_but_for_the_models_name() -> None:
    body = b'{ "model" : "up-1","object":"chat.completion", "choices":[{"message":{"content":"\\"model\\":\\"up-1\\""}}],\n"x":1.10}'
    twice = b'{"choices":[{"model":"up-1"}],"model":"up-1"}'
    inner = b'{"choices":[{"model":"up-1"}],"model" :"up-1"}'
    async with serving([request, json_answer(body), request, json_answer(twice), request, json_answer(inner)]) as served:
        assert (await served.ask()).body == body.replace(b'"up-1"', b'"m"', 1)
        assert (await served.ask()).body == b'{"choices":[{"model":"up-1"}],"model":"m"}'
        assert (await served.ask()).body == b'{"choices":[{"model":"up-1"}],"model" :"m"}'
