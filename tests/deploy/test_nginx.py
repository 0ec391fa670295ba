"""deploy/nginx.conf in a real nginx before the running gateway."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path

import aiohttp
import pytest

from proxy.app.server import KEEPALIVE_TIMEOUT
from proxy.config.model import Timeouts
from tests.corpus.schemas import faults
from tests.deploy.processes import gateway, nginx, seconds
from tests.stage.client import DEADLINE, Connection, Served, call
from tests.stage.fixtures import Play
from tests.stage.gateway import routes
from tests.stage.upstream import Script, Upstream, events
from tests.stage.wires import chunk, gemini, gemini_stream, openai_answer, say

pytestmark = pytest.mark.asyncio(loop_scope="session")

JSON = {"content-type": "application/json"}
WORDS = ["one", "two", "three", "four"]
STREAMS = {
    "openai": events(*(chunk({"content": word}) for word in WORDS), chunk({}, "stop")),
    "gemini": gemini_stream(*(gemini({"text": word}, finish=None) for word in WORDS), gemini({"text": "."})),
}


def question(provider: str, content: str = "Hi") -> bytes:
    return json.dumps({"model": f"{provider}/m", "stream": True, "messages": [{"role": "user", "content": content}]}).encode()


async def read_word_by_word(address: tuple[str, int], upstream: Upstream, provider: str) -> None:
    """The upstream says each word only after the client has read the one before."""
    steps = asyncio.Semaphore(0)
    upstream.answer(Script(STREAMS[provider].pieces, headers=STREAMS[provider].headers, steps=steps))
    async with asyncio.timeout(DEADLINE), Connection(address) as connection:
        connection.send("POST", "/v1/chat/completions", question(provider), JSON)
        await upstream.arrived.wait()
        steps.release()
        status, headers = await connection.head()
        assert (status, headers["content-type"].partition(";")[0]) == (200, "text/event-stream")
        for word in WORDS:
            heard = b""
            while word.encode() not in heard:
                heard += await connection.chunk()
            steps.release()
        for _ in range(3):
            steps.release()
        rest, complete = await connection.body(headers)
        assert rest.endswith(b"data: [DONE]\n\n")
        assert complete


@pytest.mark.parametrize("provider", STREAMS)
async def test_a_stream_arrives_piece_by_piece(front: Play, provider: str) -> None:
    await read_word_by_word(front.address, front.upstream, provider)


#: nginx buffers what a server of HTTP/1.0 says, unless one of two tells it not to.
ALONE = {
    "the gateway": {"proxy_http_version 1.1;": "", "proxy_buffering off;": ""},
    "deploy/nginx.conf": {"proxy_http_version 1.1;": "proxy_ignore_headers X-Accel-Buffering;"},
}


@pytest.mark.parametrize("who", ALONE)
async def test_each_of_two_alone_keeps_nginx_from_buffering(served: str, upstream: Upstream, tmp_path: Path, who: str) -> None:
    async with nginx(served, tmp_path, ALONE[who]) as address:
        await read_word_by_word(address, upstream, "openai")


@pytest.mark.parametrize("provider", ["openai", "anthropic", "ollama"])
async def test_a_stream_that_breaks_ends_with_its_error_and_no_clean_end(front: Play, provider: str) -> None:
    whole = say(provider, "Hello")
    cut = Script(list(whole.pieces)[:-2], headers=whole.headers, end="cut")
    served = await front.ask(provider, cut, stream=True)
    assert served.status == 200
    assert not served.complete
    last = served.body.decode().removesuffix("\n\n").rpartition("\n\n")[2]
    error = json.loads(last.removeprefix("data: "))
    assert not faults("error", error)
    assert error["error"]["type"] == "upstream_error"


async def test_a_large_body_passes(front: Play) -> None:
    content = "0123456789abcdef" * (20 * 2**16)
    served = await front.ask("openai", openai_answer({"content": "Long."}), messages=[{"role": "user", "content": content}])
    assert served.status == 200
    assert front.sent()["messages"][0]["content"] == content


async def test_an_upload_goes_through_as_it_comes(folder: Path, tmp_path: Path) -> None:
    """The client sends the rest of its file only after the upstream has the beginning."""
    begun, ended = asyncio.Event(), asyncio.Event()

    async def listen(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"the beginning")
        begun.set()
        await reader.readuntil(b"the end")
        ended.set()
        writer.close()

    server = await asyncio.start_server(listen, "127.0.0.1", 0)
    document = routes(server.sockets[0].getsockname()[1])
    document["server"] = {"socket": f"{folder}/uploads.sock", "log": {"level": "error", "requests": "off"}}
    field = b'--b\r\ncontent-disposition: form-data; name="model"\r\n\r\nopenai/m\r\n'
    file = b'--b\r\ncontent-disposition: form-data; name="file"; filename="a.mp3"\r\n\r\nthe beginning'
    rest = b", and the end\r\n--b--\r\n"
    head = "POST /v1/audio/transcriptions HTTP/1.1\r\nhost: front\r\ncontent-type: multipart/form-data; boundary=b\r\n"
    head += f"content-length: {len(field + file + rest)}\r\n\r\n"
    front = nginx(f"unix:{folder}/uploads.sock", tmp_path)
    async with server, gateway(document, tmp_path), front as address, asyncio.timeout(DEADLINE), Connection(address) as connection:
        connection.writer.write(head.encode() + field + file)
        await begun.wait()
        connection.writer.write(rest)
        await ended.wait()


PHASES = {
    "before the answer": Script(head=False, end="hang"),
    "in an answer": Script([b'{"id": "chatcmpl-1", '], end="hang"),
    "in a stream": Script(
        [*events(chunk({"content": "Hello"}), done=False).pieces], headers={"content-type": "text/event-stream"}, end="hang"
    ),
}


@pytest.mark.parametrize("phase", PHASES)
async def test_a_client_that_leaves_ends_the_upstream_call(front: Play, phase: str) -> None:
    front.upstream.answer(PHASES[phase])
    async with asyncio.timeout(DEADLINE), Connection(front.address) as connection:
        connection.send("POST", "/v1/chat/completions", question("openai"), JSON)
        await front.upstream.arrived.wait()
        if phase == "in a stream":
            await connection.head()
            await connection.chunk()
        connection.leave()
        async with asyncio.timeout(20):
            await front.upstream.last.gone.wait()


async def test_a_websocket_passes(front: Play) -> None:
    host, port = front.address
    url = f"http://{host}:{port}/v1/realtime?model=talker/m"
    async with asyncio.timeout(DEADLINE), aiohttp.ClientSession() as session, session.ws_connect(url) as socket:
        await socket.send_str("hello")
        assert await socket.receive_str() == "hello"


async def test_the_gateways_own_errors_come_as_they_are(front: Play) -> None:
    served = await call(front.address, {"model": "nobody's", "messages": []})
    assert (served.status, served.json()["error"]["code"]) == (404, "model_not_found")


async def test_a_client_elsewhere_needs_a_key(served: str, upstream: Upstream, tmp_path: Path) -> None:
    """No keys are listed: loopback is served, and nginx on loopback must not make everybody local."""
    pretend = "set_real_ip_from 127.0.0.1; real_ip_header X-From; location / {"
    async with nginx(served, tmp_path, {"location / {": pretend}) as address:
        play = Play(upstream, address, {"x-from": "203.0.113.7"})
        answered = await play.ask("openai", openai_answer({"content": "Hi"}))
        assert (answered.status, answered.json()["error"]["code"]) == (401, "invalid_api_key")
        play.headers = {"x-from": "127.0.0.9"}
        assert (await play.ask("openai", openai_answer({"content": "Hi"}))).status == 200


async def test_a_request_keeps_its_id_and_its_long_headers(front: Play) -> None:
    play = Play(front.upstream, front.address, {"x-request-id": "mine-1", "x-long": "a" * 40_000})
    served = await play.ask("openai", openai_answer({"content": "Hi"}))
    assert served.status == 200
    assert served.headers["x-request-id"] == front.upstream.last.headers["x-request-id"] == "mine-1"


# ── nginx's own errors ──


async def ask(address: tuple[str, int], method: str = "POST", path: str = "/v1/chat/completions", **headers: str) -> Served:
    """A request without its body: what nginx says without asking the gateway."""
    async with asyncio.timeout(DEADLINE), Connection(address) as connection:
        lines = [f"{method} {path} HTTP/1.1", "host: front", *(f"{name.replace('_', '-')}: {value}" for name, value in headers.items())]
        connection.writer.write("\r\n".join([*lines, "", ""]).encode())
        status, answered = await connection.head()
        return Served(status, answered, *await connection.body(answered))


def assert_enveloped(served: Served, status: int, code: str) -> None:
    assert served.status == status
    assert served.headers["content-type"] == "application/json"
    assert served.headers["x-request-id"]
    assert not faults("error", served.json())
    assert served.json()["error"]["code"] == code


@pytest.mark.parametrize(
    ("request_", "status", "code"),
    [
        ({"content_length": str(2**30)}, 413, "request_too_large"),
        ({"method": "GET", "path": "/metrics"}, 404, "unknown_url"),
        ({"method": "GET", "path": "//v1/metrics/"}, 404, "unknown_url"),
        ({"method": "GET", "path": "/error"}, 404, "unknown_url"),
        ({"method": "nonsense"}, 400, "invalid_http"),
        ({"content_length": "many"}, 400, "invalid_http"),
        ({"method": "GET", "path": "/" + "a" * 2**16}, 414, "invalid_http"),
        ({"x_long": "a" * 2**16}, 431, "invalid_http"),
    ],
)
async def test_what_nginx_refuses_is_in_the_envelope(front: Play, request_: dict[str, str], status: int, code: str) -> None:
    assert_enveloped(await ask(front.address, **request_), status, code)


async def test_a_gateway_that_is_not_there(folder: Path, tmp_path: Path) -> None:
    async with nginx(f"unix:{folder}/nobody.sock", tmp_path) as address:
        assert_enveloped(await ask(address, x_request_id="mine-1", content_length="0"), 502, "gateway_unreachable")


async def test_a_gateway_that_says_nothing(served: str, upstream: Upstream, tmp_path: Path) -> None:
    upstream.answer(Script(head=False, end="hang"))
    async with nginx(served, tmp_path, {"proxy_read_timeout 600s;": "proxy_read_timeout 100ms;"}) as address:
        answered = await call(address, question("openai"))
        assert_enveloped(answered, 504, "gateway_timeout")
        assert answered.headers["x-request-id"] == upstream.last.headers["x-request-id"]
        async with asyncio.timeout(DEADLINE):
            await upstream.last.gone.wait()


# ── what must fit together ──


async def test_nginx_waits_longer_than_the_gateway() -> None:
    waits = Timeouts()
    assert waits.first_event is not None and waits.idle is not None
    assert seconds("proxy_read_timeout") > max(waits.first_event, waits.idle)


async def test_nginx_closes_idle_connections_first() -> None:
    assert seconds("keepalive_timeout") < KEEPALIVE_TIMEOUT
