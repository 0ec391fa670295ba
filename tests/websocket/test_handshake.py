"""The relay before the client's upgrade: what goes up, what is refused, what cannot be reached."""

import asyncio
import json
import logging
from dataclasses import replace

import pytest
from aiohttp import web

from proxy.websocket import RealtimeUpstream
from tests.websocket.conftest import DEADLINE, serve

UPGRADE = {"Connection": "Upgrade", "Upgrade": "websocket", "Sec-WebSocket-Version": "13", "Sec-WebSocket-Key": "dGhlIHNhbXBsZSBub25jZQ=="}


def without(name):
    """The upgrade request without this header."""
    return {key: value for key, value in UPGRADE.items() if key != name}


async def ask(session, gateway, headers=UPGRADE):
    """Status, headers and body of the answer to an upgrade request."""
    async with session.get(f"http://{gateway.address}/v1/realtime", headers=headers) as response:
        return response.status, response.headers, json.loads(await response.read())


async def test_what_goes_up_is_what_the_caller_says(session, far, gateway):
    headers = {"authorization": "Bearer client-key", "cookie": "a=b", "x-other": "1", "user-agent": "sdk"}
    async with session.ws_connect(f"ws://{gateway.address}/v1/realtime?model=public", headers=headers) as socket:
        assert socket._response.headers["x-request-id"] == "req_1"
        assert "sec-websocket-extensions" not in socket._response.headers
    request = far.requests[0]
    assert request.path_qs == "/v1/realtime?model=m"
    assert {name.lower() for name in request.headers} == {
        "host",
        "authorization",
        "connection",
        "upgrade",
        "sec-websocket-version",
        "sec-websocket-key",
    }
    assert request.headers["authorization"] == "Bearer upstream-key"


PROTOCOLS = [
    # (the client offers, goes up, the upstream takes, the client gets)
    ((), (), (), None),
    (("realtime",), ("realtime",), ("realtime",), "realtime"),
    (("realtime", "openai-insecure-api-key.sk-1"), ("realtime",), ("realtime",), "realtime"),
    (("realtime", "v2"), ("realtime", "v2"), ("v2",), "v2"),
    # an upstream that knows none: a browser insists on one that it offered
    (("realtime", "openai-insecure-api-key.sk-1"), ("realtime",), (), "realtime"),
    (("openai-insecure-api-key.sk-1",), (), (), "openai-insecure-api-key.sk-1"),
]


@pytest.mark.parametrize(("offered", "up", "taken", "chosen"), PROTOCOLS)
async def test_subprotocols(session, far, gateway, caplog, offered, up, taken, chosen):
    gateway.upstream = replace(gateway.upstream, subprotocols=up)
    far.options = {"protocols": taken}
    with caplog.at_level(logging.DEBUG):
        async with session.ws_connect(f"ws://{gateway.address}/", protocols=offered) as socket:
            assert socket.protocol == chosen
    assert far.requests[0].headers.get("sec-websocket-protocol", "") == ",".join(up)
    assert "sk-1" not in caplog.text


@pytest.mark.parametrize(
    ("origins", "origin", "status"),
    [
        ((), None, 101),
        ((), "https://evil.example", 403),
        (("https://app.example",), "https://app.example", 101),
        (("https://app.example",), "https://app.example.evil.example", 403),
        (("https://app.example",), "null", 403),
        (("*",), "https://any.example", 101),
    ],
)
async def test_origins(session, far, gateway, origins, origin, status):
    gateway.set(origins=origins)
    headers = {"Origin": origin} if origin else {}
    if status == 101:
        async with session.ws_connect(f"ws://{gateway.address}/", headers=headers):
            pass
    else:
        got, _, body = await ask(session, gateway, UPGRADE | headers)
        assert (got, body["error"]["code"]) == (status, "origin_not_allowed")
        assert far.requests == []


ASK_ANEW = {
    "no upgrade": {},
    "another protocol": UPGRADE | {"Upgrade": "h2c"},
    "another version": UPGRADE | {"Sec-WebSocket-Version": "12"},
    "no version": without("Sec-WebSocket-Version"),
}
BROKEN = {
    "no key": without("Sec-WebSocket-Key"),
    "a key too short": UPGRADE | {"Sec-WebSocket-Key": "short"},
    "no Connection field that says so": UPGRADE | {"Connection": "close"},
}


@pytest.mark.parametrize("headers", ASK_ANEW.values(), ids=ASK_ANEW)
async def test_what_to_ask_for_instead(session, far, gateway, headers):
    """RFC 6455 §4.4: the answer names the version that is spoken."""
    status, answer, body = await ask(session, gateway, headers)
    assert (status, answer["upgrade"], answer["sec-websocket-version"]) == (426, "websocket", "13")
    assert body["error"]["type"] == "invalid_request_error"
    assert far.requests == []


@pytest.mark.parametrize("headers", BROKEN.values(), ids=BROKEN)
async def test_a_broken_one(session, far, gateway, headers):
    """RFC 6455 §4.2.1."""
    status, answer, body = await ask(session, gateway, headers)
    assert (status, body["error"]["code"]) == (400, "invalid_handshake")
    assert "upgrade" not in answer
    assert far.requests == []


ENVELOPE = {"error": {"message": "No such model.", "type": "invalid_request_error", "param": "model", "code": "model_not_found"}}

REFUSALS = [
    # (the upstream's answer, status, error)
    ((404, {}, json.dumps(ENVELOPE)), 404, ENVELOPE["error"]),
    (
        (401, {}, "<html>"),
        401,
        {"message": "The upstream refused the WebSocket with status 401.", "type": "upstream_error", "param": None, "code": None},
    ),
    (
        (429, {"retry-after": "7", "x-other": "1"}, '{"error":{"message":"slow down"}}'),
        429,
        {"message": "slow down", "type": "upstream_error"},
    ),
    ((503, {}, '{"error":"overloaded"}'), 503, {"type": "upstream_error"}),
    ((200, {}, "hello"), 502, {"message": "The upstream refused the WebSocket with status 200."}),
    ((400, {}, "x" * 10_000_000), 400, {"type": "upstream_error"}),
]


@pytest.mark.parametrize(("answer", "status", "error"), REFUSALS, ids=range(len(REFUSALS)))
async def test_the_upstream_refuses(session, gateway, answer, status, error):
    async def refuse(request):
        return web.Response(status=answer[0], headers=answer[1], text=answer[2])

    runner, address = await serve(refuse)
    gateway.upstream = RealtimeUpstream(f"ws://{address}/", {})
    got, headers, body = await ask(session, gateway)
    await runner.cleanup()
    assert got == status
    assert body["error"].items() >= error.items()
    assert headers.get("retry-after") == answer[1].get("retry-after")
    assert "x-other" not in headers
    assert gateway.failed[0].kind == "status"


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
async def test_redirects_are_never_followed(session, far, gateway, status):
    async def redirect(request):
        return web.Response(status=status, headers={"location": f"http://{far.address}/"})

    runner, address = await serve(redirect)
    gateway.upstream = RealtimeUpstream(f"ws://{address}/", {"api-key": "secret"})
    got, headers, _ = await ask(session, gateway)
    await runner.cleanup()
    assert got == 502
    assert "location" not in headers
    assert far.requests == []


@pytest.fixture
async def raw():
    """A server that answers a connection with these bytes, and then waits for the other side to go."""
    servers = []
    connected, left = asyncio.Event(), asyncio.Event()

    async def start(answer: bytes) -> str:
        async def serve_one(reader, writer):
            connected.set()
            writer.write(answer)
            try:
                while await reader.read(2**16):
                    pass
            except ConnectionError:
                pass
            writer.close()
            left.set()

        server = await asyncio.start_server(serve_one, "127.0.0.1", 0)
        servers.append(server)
        return f"127.0.0.1:{server.sockets[0].getsockname()[1]}"

    start.connected, start.left = connected, left
    yield start
    for server in servers:
        server.close()
        await server.wait_closed()


FAULTS = [
    # (the upstream's first bytes, status, kind)
    (b"", 504, "timeout"),
    (b"HTTP/1.1 101 Switching Protocols\r\nupgr", 504, "timeout"),
    (b"HTTP/1.1 500 Oops\r\ncontent-length: 100\r\n\r\nshort", 504, "timeout"),
    (b"SSH-2.0-OpenSSH\r\n\r\n", 502, "protocol"),
    (
        b"HTTP/1.1 101 Switching Protocols\r\nconnection: upgrade\r\nupgrade: websocket\r\nsec-websocket-accept: wrong\r\n\r\n",
        502,
        "protocol",
    ),
    (b"HTTP/1.1 101 Switching Protocols\r\nconnection: upgrade\r\nupgrade: h2c\r\n\r\n", 502, "protocol"),
]


@pytest.mark.parametrize(("answer", "status", "kind"), FAULTS, ids=range(len(FAULTS)))
async def test_an_upstream_that_does_not_speak_websocket(session, gateway, raw, answer, status, kind):
    gateway.set(open=0.2)
    gateway.upstream = RealtimeUpstream(f"ws://{await raw(answer)}/", {})
    got, _, body = await ask(session, gateway)
    assert (got, body["error"]["type"]) == (status, "upstream_error")
    assert gateway.failed[0].kind == kind
    await asyncio.wait_for(raw.left.wait(), DEADLINE)


async def test_nobody_there(session, gateway):
    gateway.upstream = RealtimeUpstream("ws://127.0.0.1:1/", {})
    assert (await ask(session, gateway))[0] == 502
    assert (gateway.failed[0].kind, gateway.failed[0].unprocessed) == ("connect", True)


async def test_no_tls_there(session, far, gateway):
    gateway.upstream = RealtimeUpstream(f"wss://{far.address}/", {})
    assert (await ask(session, gateway))[0] == 502
    assert (gateway.failed[0].kind, gateway.failed[0].unprocessed) == ("tls", True)


async def test_the_client_leaves_before_the_upgrade(gateway, raw):
    """The upstream's half-made connection does not outlive it."""
    gateway.upstream = RealtimeUpstream(f"ws://{await raw(b'')}/", {})
    host, _, port = gateway.address.partition(":")
    _, writer = await asyncio.open_connection(host, port)
    head = "".join(f"{name}: {value}\r\n" for name, value in UPGRADE.items())
    writer.write(f"GET / HTTP/1.1\r\nHost: x\r\n{head}\r\n".encode())
    await asyncio.wait_for(raw.connected.wait(), DEADLINE)
    writer.close()
    await asyncio.wait_for(raw.left.wait(), 20)
    await gateway.outcome()


async def test_a_unix_socket(session, far, gateway, tmp_path):
    runner = web.ServerRunner(web.Server(far.handle))
    await runner.setup()
    await web.UnixSite(runner, str(tmp_path / "upstream")).start()
    gateway.upstream = RealtimeUpstream("ws://upstream.example/v1/realtime", {}, uds=str(tmp_path / "upstream"))
    async with session.ws_connect(f"ws://{gateway.address}/") as socket:
        await socket.send_str("hello")
        assert await asyncio.wait_for(socket.receive_str(), DEADLINE) == "hello"
    assert far.requests[0].headers["host"] == "upstream.example"
    await runner.cleanup()


async def test_an_outbound_proxy(session, far, gateway):
    """The proxy is asked by the whole URL; it relays to the upstream."""
    seen = []

    async def proxy(reader, writer):
        head = await reader.readuntil(b"\r\n\r\n")
        seen.append(head.partition(b"\r\n")[0])
        host, _, port = far.address.partition(":")
        up_reader, up_writer = await asyncio.open_connection(host, port)
        up_writer.write(head)

        async def pump(source, sink):
            while data := await source.read(2**16):
                sink.write(data)
            sink.close()

        await asyncio.gather(pump(reader, up_writer), pump(up_reader, writer))

    server = await asyncio.start_server(proxy, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    gateway.upstream = RealtimeUpstream("ws://upstream.example/v1/realtime", {}, proxy=f"http://127.0.0.1:{port}")
    async with session.ws_connect(f"ws://{gateway.address}/") as socket:
        await socket.send_str("hello")
        assert await asyncio.wait_for(socket.receive_str(), DEADLINE) == "hello"
    assert seen == [b"GET http://upstream.example/v1/realtime HTTP/1.1"]
    server.close()
    await server.wait_closed()


def test_headers_are_not_shown():
    assert "secret" not in repr(RealtimeUpstream("ws://x/", {"authorization": "secret"}))
