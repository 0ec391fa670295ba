"""What the client sees when an upstream fails: a status before anything reached it, an error event and no end marker after."""

from __future__ import annotations

import asyncio
import gzip
from typing import Any

import pytest

from proxy.exchange import attempt
from tests.exchange.wire import (
    CHAT,
    COMPLETION,
    DEADLINE,
    DONE,
    EVENT_HEAD,
    FINISH,
    STREAM,
    Reply,
    delta,
    event,
    json_answer,
    serving,
    sse,
)
from tests.upstream.scripted import Peer, Step, after, chunked, drip, hang, request, reset

HELLO = delta("Hello")
SHOWN = delta("Hello", model="m")


def broken(reply: Reply) -> dict[str, Any]:
    """The error of a stream that broke off after saying hello."""
    assert (reply.status, reply.whole, reply.closed) == (200, False, True)
    shown, _, error = reply.body.rpartition(b'data: {"error":{')
    assert shown.startswith(SHOWN)
    assert error.endswith(b"}}\n\n")
    assert b"[DONE]" not in reply.body
    assert set(reply.error) == {"message", "type", "param", "code"}
    return reply.error


CLOSE_FRAMED = b"HTTP/1.1 200 OK\r\n\r\n" + HELLO
GZIP = b"HTTP/1.1 200 OK\r\ncontent-encoding: gzip\r\n\r\n" + gzip.compress(HELLO)
#: What follows after hello; what comes before where that is not the usual; the error's type.
AFTER_OUTPUT: dict[str, tuple[list[Step], bytes, str]] = {
    "cut": ([], b"", "upstream_error"),
    "reset": ([reset], b"", "upstream_error"),
    "clean end without proof": ([chunked()], b"", "upstream_error"),
    "closed without proof": ([], CLOSE_FRAMED, "upstream_error"),
    "cut inside an event": ([chunked(b'data: {"choices":[{"index":0,"del')], b"", "upstream_error"),
    "cut inside the last event": ([chunked(FINISH, b'data: {"choices":[],"us')], b"", "upstream_error"),
    "cut in the end marker": ([chunked(b"data: [DO")], b"", "upstream_error"),
    "malformed chunk": ([b"zz\r\nfoo\r\n"], b"", "upstream_error"),
    "error event": ([chunked(event({"error": {"message": "no more", "type": "server_error"}}))], b"", "server_error"),
    "error event, then the end marker": ([chunked(event({"error": {"message": "no more"}}), DONE)], b"", "server_error"),
    "garbage": ([chunked(b"data: {oops\n\n", DONE)], b"", "upstream_error"),
    "a scalar": ([chunked(b"data: 42\n\n", DONE)], b"", "upstream_error"),
    "bad UTF-8": ([chunked(b'data: {"choices":[{"index":0,"delta":{"content":"\xff"}}]}\n\n', DONE)], b"", "upstream_error"),
    "an event without end": ([chunked(b"data: {", b"x" * 70000, end=False), hang], b"", "upstream_error"),
    "bad gzip": ([b"x" * 99], GZIP, "upstream_error"),
    "silence": ([hang], b"", "upstream_error"),
    "comments for ever": ([drip(b"2\r\n:\n\r\n", 0.002)], b"", "upstream_error"),
}


@pytest.mark.parametrize(("rest", "start", "kind"), AFTER_OUTPUT.values(), ids=AFTER_OUTPUT)
async def test_after_output_a_failure_is_an_event_and_the_connection_is_cut(rest: list[Step], start: bytes, kind: str) -> None:
    changes = {"server": {"limits": {"event": 65536}}, "providers": {"p0": {"timeouts": {"idle": 0.5}}}}
    gate = asyncio.Event()
    script = [request, start or sse(HELLO, end=False), after(gate), *rest]
    async with serving(script, **changes) as served, await served.client() as client:
        client.send(STREAM)
        status, headers = await client.head()
        first = await client.chunk()
        gate.set()
        reply = await client.chunked(Reply(status, headers, first))
        assert broken(reply)["type"] == kind
        assert f'error_type="{"stream" if kind == "server_error" else ""}' in await served.metrics()
        if hang in rest:
            async with asyncio.timeout(DEADLINE):
                await served.upstream.peers[0].closed.wait()


async def test_what_came_in_the_same_read_before_a_failure_is_shown() -> None:
    async with serving([request, sse(HELLO, event({"error": {"message": "no more"}}))]) as served:
        assert broken(await served.ask(STREAM))["message"] == "no more"


BEFORE_OUTPUT: dict[str, tuple[list[Step], int, str | None]] = {
    "closed at once": ([], 502, "upstream_truncated"),
    "half a status line": ([b"HTTP/1."], 502, "upstream_truncated"),
    "not HTTP": ([b"SSH-2.0-OpenSSH_9.2\r\n"], 502, "upstream_invalid"),
    "status 999": ([b"HTTP/1.1 999 What\r\n\r\n"], 502, "upstream_invalid"),
    "empty stream": ([sse()], 502, "upstream_truncated"),
    "only comments": ([sse(b": hello\n\n")], 502, "upstream_truncated"),
    "end marker alone": ([sse(DONE)], 200, None),
    "no content": ([b"HTTP/1.1 204 No Content\r\n\r\n"], 502, "upstream_truncated"),
    "a page": ([b"HTTP/1.1 200 OK\r\ncontent-type: text/html\r\n\r\n<html>Log in</html>"], 502, "upstream_invalid"),
    "a whole answer": ([json_answer(COMPLETION)], 502, "upstream_invalid"),
    "an error in a whole answer": ([json_answer({"error": {"message": "slow down", "code": 429}})], 429, "429"),
    "an error event with its status": ([sse(event({"error": {"message": "busy", "code": 503}}))], 503, "503"),
    "an error event": ([sse(event({"error": {"message": "overloaded", "type": "x"}}))], 502, None),
    "garbage": ([sse(b"data: {oops\n\n")], 502, "upstream_invalid"),
    "a redirect": ([b"HTTP/1.1 307 Go\r\nlocation: http://127.0.0.1:1/\r\ncontent-length: 0\r\n\r\n"], 502, "upstream_redirect"),
    "hangs before its head": ([hang], 504, "upstream_timeout"),
    "hangs after its head": ([EVENT_HEAD, hang], 504, "upstream_timeout"),
    "drips its head": ([drip(b"HTTP/1.1 200 OK\r\na: " + b"a" * 9999, 0.002)], 504, "upstream_timeout"),
    "comments for ever": ([EVENT_HEAD, drip(b"2\r\n:\n\r\n", 0.002)], 504, "upstream_timeout"),
    "an unknown coding": ([b"HTTP/1.1 200 OK\r\ncontent-encoding: br\r\n\r\n" + HELLO], 502, "upstream_invalid"),
}


@pytest.mark.parametrize(("script", "status", "code"), BEFORE_OUTPUT.values(), ids=BEFORE_OUTPUT)
async def test_before_output_a_failure_is_a_status(script: list[Step], status: int, code: str | None) -> None:
    async with serving([request, *script], providers={"p0": {"timeouts": {"first_event": 0.5}}}) as served:
        reply = await served.ask(STREAM)
        assert reply.status == status
        if status != 200:
            assert (reply.headers["content-type"], reply.whole) == ("application/json", True)
            assert reply.error["code"] == code
            assert reply.headers["x-request-id"]


@pytest.mark.parametrize("asked", [CHAT, STREAM], ids=["whole", "stream"])
async def test_an_upstream_that_refuses_connections_is_unreachable(asked: Any) -> None:
    async with serving() as served:
        reply = await served.ask(asked)
        assert (reply.status, reply.error["code"], reply.error["type"]) == (502, "upstream_unreachable", "upstream_error")


WHOLE: dict[str, tuple[list[Step], int, str | None]] = {
    "cut": ([b"HTTP/1.1 200 OK\r\ncontent-length: 99\r\n\r\n{"], 502, "upstream_truncated"),
    "cut in a chunk": ([b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n9\r\n{"], 502, "upstream_truncated"),
    "hangs": ([b"HTTP/1.1 200 OK\r\ncontent-length: 99\r\n\r\n{", hang], 504, "upstream_timeout"),
    "not JSON": ([json_answer(b"{oops")], 502, "upstream_invalid"),
    "a page": ([json_answer(b"<html>")], 502, "upstream_invalid"),
    "empty": ([json_answer(b"")], 502, "upstream_invalid"),
    "a scalar": ([json_answer(b"42")], 502, "upstream_invalid"),
    "a list": ([json_answer(b"[]")], 502, "upstream_invalid"),
    "NaN": ([json_answer(b'{"a":NaN}')], 502, "upstream_invalid"),
    "deep": ([json_answer(b'{"a":' + b"[" * 45000 + b"]" * 45000 + b"}")], 502, "upstream_invalid"),
    "bad UTF-8": ([json_answer(b'{"a":"\xff"}')], 502, "upstream_invalid"),
    "UTF-16": ([json_answer('{"a":1}'.encode("utf-16"))], 502, "upstream_invalid"),
    "no content": ([b"HTTP/1.1 204 No Content\r\n\r\n"], 502, "upstream_invalid"),
    "a stream": ([sse(HELLO, DONE)], 502, "upstream_invalid"),
    "too large": ([json_answer(b'{"a":"' + b"x" * 200000 + b'"}')], 502, "upstream_invalid"),
    "bomb": ([json_answer(gzip.compress(b" " * 10**6), b"200 OK", b"content-encoding: gzip")], 502, "upstream_invalid"),
    "an error inside": ([json_answer({"error": {"message": "quota", "type": "insufficient_quota", "code": "429"}})], 429, "429"),
    "an error without status inside": ([json_answer({"error": "it broke"})], 502, None),
}


@pytest.mark.parametrize(("script", "status", "code"), WHOLE.values(), ids=WHOLE)
async def test_a_whole_answer_is_checked_before_its_status_is_sent(script: list[Step], status: int, code: str | None) -> None:
    changes = {"server": {"limits": {"answer": 100000}}, "providers": {"p0": {"timeouts": {"idle": 0.5}}}}
    async with serving([request, *script], **changes) as served:
        reply = await served.ask(CHAT)
        assert (reply.status, reply.error["code"]) == (status, code)


async def test_connecting_has_a_deadline() -> None:
    # The port accepts and says nothing: TLS never gets anywhere.
    async with serving([hang], providers={"p0": {"timeouts": {"connect": 0.5}}}) as served:
        port = served.upstream.port
        async with serving([hang], providers={"p0": {"base_url": f"https://127.0.0.1:{port}", "timeouts": {"connect": 0.5}}}) as secure:
            reply = await secure.ask()
            assert (reply.status, reply.error["code"]) == (504, "upstream_timeout")


@pytest.mark.parametrize(("asked", "script"), [(CHAT, [hang]), (STREAM, [EVENT_HEAD, hang])], ids=["whole", "stream"])
async def test_a_total_deadline(asked: Any, script: list[Step]) -> None:
    async with serving([request, *script], providers={"p0": {"timeouts": {"total": 0.5}}}) as served:
        reply = await served.ask(asked)
        assert (reply.status, reply.error["code"]) == (504, "upstream_timeout")


async def test_a_total_deadline_ends_a_running_stream_with_an_event() -> None:
    async def go_on(peer: Peer) -> None:
        while not peer.writer.is_closing():
            await peer.write(chunked(HELLO, end=False))
            await asyncio.sleep(0.005)

    async with serving([request, EVENT_HEAD, go_on], providers={"p0": {"timeouts": {"total": 1}}}) as served:
        assert broken(await served.ask(STREAM))["code"] == "upstream_timeout"


async def test_after_a_heartbeat_errors_are_events() -> None:
    changes = {"server": {"heartbeat": 0.02}, "providers": {"p0": {"timeouts": {"first_event": 0.5}}}}
    async with serving([request, hang], **changes) as served:
        reply = await served.ask(STREAM)
        assert (reply.status, reply.whole, reply.error["code"]) == (200, False, "upstream_timeout")
        assert reply.body.startswith(b": keep-alive\n")


async def test_http_1_0_gets_its_error_event_too() -> None:
    async with serving([request, sse(HELLO)]) as served, await served.client() as client:
        body = b'{"model":"m","stream":true}'
        client.writer.write(b"POST /v1/chat/completions HTTP/1.0\r\ncontent-length: %d\r\n\r\n%b" % (len(body), body))
        reply = await client.reply()
        assert reply.error["code"] == "upstream_truncated"


ERRORS: list[tuple[bytes, Any, dict[str, Any]]] = [
    (
        b"400 Bad Request",
        {"error": {"message": "bad", "type": "invalid_request_error", "param": "n", "code": "x"}},
        {"code": "x", "param": "n"},
    ),
    (b"401 Unauthorized", {"error": {"message": "who?"}}, {"type": "authentication_error"}),
    (b"404 Not Found", b"<html>nope</html>", {"type": "not_found_error", "message": "The upstream answered with status 404."}),
    (b"422 Unprocessable", {"detail": [{"msg": "field required"}]}, {"message": "field required"}),
    (b"429 Too Many Requests", {"error": {"message": "slow down", "code": 429}}, {"code": "429", "message": "slow down"}),
    (b"500 Internal Server Error", b"", {"message": "The upstream answered with status 500."}),
    (b"503 Service Unavailable", {"message": "busy"}, {"message": "busy"}),
    (b"529 Overloaded", [{"error": {"message": "overloaded"}}], {"message": "overloaded"}),
]


@pytest.mark.parametrize(("line", "document", "told"), ERRORS, ids=[row[0].decode() for row in ERRORS])
@pytest.mark.parametrize("asked", [CHAT, STREAM], ids=["whole", "stream"])
async def test_an_upstreams_error_keeps_its_status_and_words(line: bytes, document: Any, told: dict[str, Any], asked: Any) -> None:
    headers = (b"retry-after: 7", b"x-ratelimit-remaining-requests: 0", b"set-cookie: a=b", b"x-internal: 1")
    async with serving([request, json_answer(document, line, *headers)]) as served:
        reply = await served.ask(asked)
        assert reply.status == int(line[:3])
        assert {name: reply.error[name] for name in told} == told
        assert reply.headers["retry-after"] == "7"
        assert reply.headers["x-ratelimit-remaining-requests"] == "0"
        assert not {"set-cookie", "x-internal"} & set(reply.headers)


@pytest.mark.parametrize(
    "script", [json_answer({"error": {"message": "bad key sk-secret-0!"}}, b"401 No"), sse(event({"error": {"message": "sk-secret-0"}}))]
)
async def test_secrets_are_scrubbed_from_what_upstreams_echo(script: bytes) -> None:
    async with serving([request, script]) as served:
        reply = await served.ask(STREAM)
        assert b"sk-secret-0" not in reply.body
        assert b"***" in reply.body


async def test_secrets_are_scrubbed_from_headers_that_reach_the_client() -> None:
    echo = b"x-ratelimit-limit-requests: sk-secret-0", b"retry-after: tell-no-one", b"x-ratelimit-reset-requests: 5"
    script = [request, json_answer(COMPLETION, b"200 OK", *echo), request, json_answer({}, b"401 No", *echo)]
    async with serving(script, providers={"p0": {"headers": {"x-proxy-token": "Bearer tell-no-one"}}}) as served:
        for reply in (await served.ask(), await served.ask()):
            assert reply.headers["x-ratelimit-limit-requests"] == reply.headers["retry-after"] == "***"
            assert reply.headers["x-ratelimit-reset-requests"] == "5"


async def test_no_half_of_a_secret_is_left_where_a_message_is_cut() -> None:
    async with serving([request, json_answer({"error": {"message": "a" * 3995 + "sk-secret-0" + "b" * 999}}, b"401 No")]) as served:
        message = (await served.ask()).error["message"]
        assert message == "a" * 3995 + "***bb…"


@pytest.mark.parametrize("rest", [hang, drip(b"a", 0.002)], ids=["silent", "dripping"])
async def test_what_an_error_says_is_not_waited_for_long(rest: Step, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(attempt, "_ERROR_PATIENCE", 0.1)
    async with serving([request, b"HTTP/1.1 429 No\r\nretry-after: 7\r\ncontent-length: 99999\r\n\r\n", rest]) as served:
        reply = await served.ask()
        assert (reply.status, reply.headers["retry-after"], reply.error["type"]) == (429, "7", "rate_limit_error")
        if rest is hang:
            async with asyncio.timeout(DEADLINE):
                await served.upstream.peers[0].closed.wait()


@pytest.mark.parametrize(
    ("dialect", "asked", "answer"),
    [
        ("mistral", CHAT, json_answer(COMPLETION | {"choices": 5})),
        ("deepseek", CHAT, json_answer(COMPLETION | {"choices": "none"})),
        ("mistral", STREAM, sse(event({"choices": [{"index": 0, "delta": {"content": "Hi"}}], "created": [1]}))),
        ("openai", STREAM, sse(event({"choices": [{"index": [1], "delta": {"content": "Hi"}}]}))),
    ],
    ids=["whole", "whole, a text", "an event", "a watched event"],
)
async def test_an_answer_of_another_form_is_the_upstreams_fault(dialect: str, asked: Any, answer: bytes) -> None:
    async with serving([request, answer], providers={"p0": {"dialect": dialect}}) as served:
        reply = await served.ask(asked)
        assert (reply.status, reply.error["code"]) == (502, "upstream_invalid")


async def test_what_else_an_error_says_is_kept_without_secrets() -> None:
    said = {"message": "no", "code": 400, "metadata": {"raw": "the key sk-secret-0 is bad"}, "innererror": {"code": "x"}}
    script = [request, json_answer({"error": said}, b"400 No"), request, json_answer({"error": said | {"raw": "x" * 9000}}, b"400 No")]
    async with serving(script) as served:
        error = (await served.ask()).error
        assert (error["metadata"], error["innererror"], error["code"]) == ({"raw": "the key *** is bad"}, {"code": "x"}, "400")
        assert set((await served.ask()).error) == {"message", "type", "param", "code"}, "too much of it"
