"""What an attacker sends, or makes an upstream send: nothing of it leads where the configuration does not."""

from __future__ import annotations

import asyncio
import base64
import re
from collections.abc import Iterator
from urllib.parse import quote, unquote

import pytest

from tests.exchange.wire import CHAT, COMPLETION, json_answer, serving
from tests.stage.client import Connection, call
from tests.stage.gateway import Gateway, routes
from tests.stage.upstream import Upstream
from tests.stage.wires import openai_answer, say
from tests.upstream.scripted import request

# ── where a request goes ──

#: Addresses that would be another one, if anybody resolved dots, decoded twice or believed a host.
PATHS = [
    "/v1/chat/completions/../../admin",
    "/v1/chat/completions/%2e%2e/%2e%2e/admin",
    "/v1/chat/completions/..%2f..%2fadmin",
    "/v1/../admin/keys",
    "/../../../admin/keys",
    "/v1//chat/completions/..;/admin",
    "/v1/files/../keys",
    "/v1/files/%2e%2e",
    "/v1/files/..%2fkeys",
    "/v1/files/a%2fb",
    "/v1/files/a%3fx=y",
    "/v1/files/a%0d%0ax-evil:%201",
    "/v1/files/a%00b",
    "/v1/files/a%252e%252e%252fb",
    "http://127.0.0.1:1/admin",
]


@pytest.mark.parametrize("path", PATHS)
async def test_no_address_leads_elsewhere(path: str) -> None:
    async with serving([request, json_answer(COMPLETION)]) as served:
        reply = await served.ask(b"", path, method="GET")
        assert 400 <= reply.status < 500
        assert reply.error["message"]
        assert served.upstream.requests == []


#: Model names that would be another path, query or header of an upstream whose address has the model in it.
NAMES = ["../../admin", "..", "a/../b", "%2e%2e/x", "a?key=x", "a#b", "a\r\nx-evil: 1", "a b\n", "a\x00", "ａ\u2028b", "x" * 600]


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize("name", NAMES)
async def test_no_model_name_leads_elsewhere(name: str, stream: bool) -> None:
    async with Upstream() as upstream, Gateway(routes(upstream.port)) as gateway:
        upstream.answer(say("gemini", "Hi"))
        served = await call(gateway.address, {"model": f"gemini/{name}", "messages": [{"role": "user", "content": "Hi"}], "stream": stream})
        for asked in upstream.asked:  # what is asked at all is asked of one model, whose name is escaped
            assert re.fullmatch(
                r"/v1beta/models/[^/?#%.]*(%[0-9A-F]{2}[^/?#%.]*)*:(generateContent|streamGenerateContent\?alt=sse)", asked.path
            )
            assert "x-evil" not in asked.headers
        assert upstream.asked or served.status in (400, 404)


CHOSEN = {
    "host": "127.0.0.1:1",
    "x-forwarded-host": "127.0.0.1:1",
    "forwarded": "host=127.0.0.1:1",
    "x-original-url": "/admin",
    "x-rewrite-url": "/admin",
    "x-custom-host": "http://127.0.0.1:1",
    "x-base-url": "http://127.0.0.1:1",
    "x-http-method-override": "DELETE",
}
FIELDS = {
    "api_base": "http://127.0.0.1:1",
    "base_url": "http://127.0.0.1:1",
    "api_key": "x",
    "headers": {"x-evil": "1"},
    "proxy": "http://127.0.0.1:1",
}


async def test_a_client_chooses_no_host() -> None:
    async with serving([request, json_answer(COMPLETION)]) as served:
        reply = await served.ask(CHAT | FIELDS, headers=CHOSEN)
        assert reply.status == 200
        head = served.upstream.requests[0].partition(b"\r\n\r\n")[0].lower()
        assert head.startswith(b"post /v1/chat/completions http/1.1\r\n")
        assert b"host: 127.0.0.1:%d\r\n" % served.upstream.port in head + b"\r\n"
        assert not [name for name in (*CHOSEN, "x-evil") if name != "host" and name.encode() + b":" in head]


@pytest.mark.parametrize("provider", ["openai", "anthropic", "gemini", "mistral"])
async def test_an_images_address_is_passed_on_and_never_fetched(provider: str) -> None:
    fetched = asyncio.Event()

    async def fetch(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        fetched.set()
        writer.close()

    async with Upstream() as upstream, Gateway(routes(upstream.port)) as gateway:
        canary = await asyncio.start_server(fetch, "127.0.0.1", 0)
        async with canary:
            url = f"http://127.0.0.1:{canary.sockets[0].getsockname()[1]}/secret.png"
            upstream.answer(say(provider, "Hi"))
            content = [{"type": "text", "text": "What is it?"}, {"type": "image_url", "image_url": {"url": url}}]
            asked = {"model": f"{provider}/m", "stream": True, "messages": [{"role": "user", "content": content}]}
            await call(gateway.address, asked)
            assert url.encode() in upstream.last.body
            assert not fetched.is_set()


async def test_a_target_that_leads_back_is_refused() -> None:
    async with Upstream() as upstream, Gateway(routes(upstream.port)) as gateway:
        # The upstream does what a gateway does: it sends the request on, to where it came from.
        upstream.answer(openai_answer({"content": "Hi"}))
        await call(gateway.address, {"model": "openai/m", "messages": []})
        via = upstream.last.headers["via"]
        again = await call(gateway.address, {"model": "openai/m", "messages": []}, headers={"via": f"1.1 another, {via}, 1.1 third"})
        assert (again.status, again.json()["error"]["code"]) == (508, "request_loop")
        assert len(upstream.asked) == 1
        await call(gateway.address, {"model": "openai/m", "messages": []}, headers={"via": "1.1 another"})
        assert upstream.last.headers["via"] == f"1.1 another, {via}"
        again = await call(gateway.address, {"model": "openai/m", "messages": []}, headers={"via": "1.1 another", "Via": via})
        assert again.status == 508, "in a line of its own"


@pytest.mark.parametrize(
    ("asked", "sent"),
    [
        ("key=theirs", "key=ours&api-version=1"),
        ("api%2dversion=9&KEY=x&beta=true", "key=ours&api-version=1&KEY=x&beta=true"),
        ("beta=true", "key=ours&api-version=1&beta=true"),
    ],
)
async def test_a_clients_query_changes_none_of_the_configuration(asked: str, sent: str) -> None:
    async with Upstream() as upstream:
        url = f"http://127.0.0.1:{upstream.port}/v1?key=ours&api-version=1"
        async with Gateway(routes(upstream.port, providers={"openai": {"base_url": url}})) as gateway:
            upstream.answer(openai_answer({"content": "Hi"}))
            await call(gateway.address, {"model": "openai/m", "messages": []}, f"/v1/chat/completions?{asked}")
            assert upstream.last.path == f"/v1/chat/completions?{sent}"


async def test_a_fragment_goes_nowhere() -> None:
    """What stands behind a # is for the client alone: an upstream may drop it, and with it what comes after."""
    async with serving([request, json_answer(COMPLETION)]) as served:
        for query in ("a=1#b", "#", "a=%23b&c=#"):
            reply = await served.ask(CHAT, f"/v1/chat/completions?{query}")
            assert (reply.status, reply.error["type"]) == (400, "invalid_request_error")
        assert served.upstream.requests == []


HIDDEN = b"POST /v1/chat/completions HTTP/1.1\r\nhost: a\r\ncontent-length: 2\r\n\r\n{}"
UPGRADE = {
    "connection": "upgrade",
    "upgrade": "websocket",
    "sec-websocket-version": "13",
    "sec-websocket-key": "dGhlIHNhbXBsZSBub25jZQ==",
}


@pytest.mark.parametrize("upgrade", [UPGRADE, {"connection": "upgrade, http2-settings", "upgrade": "h2c", "http2-settings": "AAMAAABk"}])
async def test_an_upgrade_where_there_is_none_is_no_matter(upgrade: dict[str, str]) -> None:
    async with serving([request, json_answer(COMPLETION)] * 2) as served, await served.client() as client:
        client.send(CHAT | {"user": HIDDEN.decode()}, headers=upgrade)
        assert (await client.reply()).status == 200
        client.send(CHAT)
        assert (await client.reply()).status == 200, "the connection still speaks HTTP"
        assert len(served.upstream.requests) == 2
        assert b"upgrade" not in served.upstream.requests[0].partition(b"\r\n\r\n")[0].lower()


async def test_nothing_behind_a_refused_upgrade_is_taken_for_a_request() -> None:
    async with serving([request, json_answer(COMPLETION)] * 2) as served, await served.client() as client:
        client.send(HIDDEN, "/v1/realtime?model=m", UPGRADE, "GET")
        assert (await client.reply()).status == 502
        assert await client.ended()
        assert len(served.upstream.requests) == 1


# ── who is served ──


@pytest.mark.parametrize("origin", ["https://evil.example", "null", "http://127.0.0.1.evil.example:8787"])
async def test_without_keys_no_page_of_another_site_is_served(origin: str) -> None:
    """Whoever reads it in a browser on this machine sits at this machine, too."""
    async with serving([request, json_answer(COMPLETION)] * 2, server={"cors": ["https://app.example"]}) as served:
        reply = await served.ask(headers={"origin": origin})
        assert (reply.status, reply.error["code"]) == (403, "origin_not_allowed")
        assert (await served.ask(b"", "/v1/models", {"origin": origin}, "GET")).status == 403
        assert served.upstream.requests == []
        assert (await served.ask(headers={"origin": "https://app.example"})).status == 200


@pytest.mark.parametrize(
    ("told", "status"),
    [
        ({"x-real-ip": "203.0.113.9"}, 401),
        ({"x-real-ip": "127.0.0.1"}, 200),
        ({"forwarded": "for=203.0.113.9;proto=https"}, 401),
        ({"forwarded": 'by=10.0.0.1, for=127.0.0.1, For="[2001:db8::1]:4711"'}, 401),
        ({"forwarded": "for=unknown"}, 401),
        ({"forwarded": 'for="[::1]:80", for=127.0.0.1:4711'}, 200),
        ({"forwarded": "proto=https;host=gateway.example"}, 200),
    ],
)
async def test_without_keys_nobody_is_served_for_whom_a_proxy_asks(told: dict[str, str], status: int) -> None:
    async with serving([request, json_answer(COMPLETION)]) as served:
        assert (await served.ask(headers=told)).status == status


# ── what is shown ──


KEY = "sk/secret+key=1?~>>>"
SPELLINGS = [
    KEY,
    quote(KEY, safe=""),
    re.sub("%..", lambda escape: escape[0].lower(), quote(KEY, safe="")),
    *(
        encode(f"{before}{KEY}{after}".encode()).decode()
        for encode in (base64.b64encode, base64.urlsafe_b64encode)
        for before, after in (("", ""), (":", ""), ("", ":"), ("user:", ""), ("Authorization: Bearer ", "\r\nhost: a"))
    ),
]


def readings(shown: str) -> Iterator[str]:
    """What somebody can make of it."""
    yield shown
    yield unquote(shown)
    for token in re.findall(r"[\w+/-]{8,}", shown.translate({ord("-"): "+", ord("_"): "/"})):
        yield base64.b64decode(token[: len(token) // 4 * 4]).decode("latin-1")


@pytest.mark.parametrize("spelled", SPELLINGS)
async def test_no_spelling_of_a_key_is_shown(spelled: str) -> None:
    echo = json_answer({"error": {"message": f"bad key {spelled}!"}}, b"401 No", b"retry-after: " + spelled.encode())
    async with serving([request, echo], providers={"p0": {"key": KEY}}) as served:
        reply = await served.ask()
        shown = reply.body.decode() + repr(reply.headers) + await served.metrics()
        assert not [reading for reading in readings(shown) if any(KEY[at : at + 8] in reading for at in range(len(KEY) - 7))]
        assert "***" in reply.error["message"]
        assert "***" in reply.headers["retry-after"]


HOSTILE = [
    b"set-cookie: session=1",
    b"connection: x-hop",
    b"x-hop: 1",
    b"keep-alive: timeout=5",
    b"proxy-authenticate: Basic",
    b"access-control-allow-origin: *",
    b"x-powered-by: vendor",
    b"server: vendor",
    b"strict-transport-security: max-age=1",
    b"location: http://127.0.0.1:1/",
    b"alt-svc: h3",
]


async def test_an_upstream_sets_no_header_but_those_that_are_known() -> None:
    async with serving([request, json_answer(COMPLETION, b"200 OK", *HOSTILE)]) as served:
        reply = await served.ask()
        assert reply.status == 200
        assert set(reply.headers) <= {"content-type", "content-length", "date", "x-request-id", "x-samewire-provider"}


async def test_names_that_clients_make_up_are_no_labels() -> None:
    async with serving([request, json_answer(COMPLETION)] * 2) as served:
        for number in range(60):
            await served.ask(CHAT | {"model": f"made-up-{number}"})
            await served.ask(b"", f"/v1/made-up-{number}", method="GET")
        before = len((await served.metrics()).splitlines())
        for number in range(60, 120):
            await served.ask(CHAT | {"model": f"made-up-{number}"})
        text = await served.metrics()
        assert "made-up" not in text
        assert len(text.splitlines()) == before


@pytest.mark.parametrize("key", ["é", "ключ", "\u2028", "' OR 1=1 --", "x" * 5000, "\x80\xff"])
async def test_a_key_of_any_characters_is_but_wrong(key: str) -> None:
    digest = "2bb80d537b1da3e38bd30361aa855686bde0eacd7162fef6a25fe97bf527a25b"
    async with Gateway(routes(1, server={"keys": [{"name": "k", "sha256": digest}]})) as gateway, Connection(gateway.address) as connection:
        lines = f"POST /v1/chat/completions HTTP/1.1\r\nhost: a\r\nauthorization: Bearer {key}\r\ncontent-length: 2\r\n\r\n{{}}"
        connection.writer.write(lines.encode())
        status, _ = await connection.head()
        assert status == 401


async def test_no_request_changes_the_configuration_or_tells_of_it() -> None:
    async with serving([request, json_answer(COMPLETION)]) as served:
        for method, path in (
            ("POST", "/-/reload"),
            ("GET", "/-/config"),
            ("POST", "/config/update"),
            ("GET", "/debug"),
            ("PUT", "/v1/models"),
        ):
            reply = await served.ask(b"{}", path, method=method)
            assert reply.status in (404, 405), path
        for path in ("/", "/healthz", "/readyz", "/metrics", "/v1/models"):
            assert b"sk-secret-0" not in (await served.ask(b"", path, method="GET")).body
