"""TLS and outbound proxies."""

from __future__ import annotations

import asyncio
import base64
import ssl
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from proxy.config import load
from proxy.errors import UpstreamError
from proxy.upstream import Origin, Pool

from .calls import BODY, HEAD, Gathering, exchange, failure, later, soon, until
from .scripted import CHUNKED_HEAD, Peer, Step, Upstream, answer, chunked, hang, in_pieces, request, request_head, reset, times


def openssl(folder: Path, command: str) -> None:
    subprocess.run(["openssl", *command.split()], cwd=folder, check=True, capture_output=True)


@pytest.fixture(scope="session")
def certificates(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with an authority (ca.pem), and certificates of its own for a server on localhost and 127.0.0.1 and for a client."""
    folder = tmp_path_factory.mktemp("certificates")
    key = "-newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes"
    openssl(folder, f"req -x509 {key} -keyout ca.key -out ca.pem -days 2 -subj /CN=authority -addext keyUsage=critical,keyCertSign")
    for name, names in (("server", "DNS:localhost,IP:127.0.0.1"), ("client", "DNS:client")):
        (folder / f"{name}.ext").write_text(f"subjectAltName={names}\nauthorityKeyIdentifier=keyid\nbasicConstraints=CA:FALSE\n")
        openssl(folder, f"req {key} -keyout {name}.key -out {name}.csr -subj /CN={name}")
        openssl(folder, f"x509 -req -in {name}.csr -CA ca.pem -CAkey ca.key -CAcreateserial -days 2 -out {name}.pem -extfile {name}.ext")
    return folder


@pytest.fixture
def server_tls(certificates: Path) -> ssl.SSLContext:
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(certificates / "server.pem", certificates / "server.key")
    return context


@pytest.fixture
def secure(certificates: Path) -> Callable[[Upstream], Origin]:
    """The origin of an upstream that speaks TLS."""

    def origin(upstream: Upstream) -> Origin:
        return Origin("https", "localhost", upstream.port, ca=str(certificates / "ca.pem"))

    return origin


Secure = Callable[[Upstream], Origin]


async def test_tls(pool: Pool, server_tls: ssl.SSLContext, secure: Secure) -> None:
    async with Upstream(times(3, request, in_pieces(answer(b"hello"))), tls=server_tls) as upstream:
        for reused in (False, True, True):
            call, body = await exchange(pool, secure(upstream), bytes(200_000))
            assert (body, call.reused) == (b"hello", reused)


async def test_tls_to_an_address(pool: Pool, server_tls: ssl.SSLContext, secure: Secure) -> None:
    async with Upstream([request, answer()], tls=server_tls) as upstream:
        await exchange(pool, secure(upstream)._replace(host="127.0.0.1"))


async def test_a_pushed_answer_over_tls(pool: Pool, server_tls: ssl.SSLContext, secure: Secure) -> None:
    blocks = [b"x" * 50_000] * 40
    async with Upstream([request, CHUNKED_HEAD, chunked(*blocks), hang], tls=server_tls) as upstream:
        call = await pool.send(secure(upstream), HEAD, BODY, connect=20)
        await call.head(later())
        sink = Gathering()
        call.pipe(sink)
        while not sink.over.is_set():
            call.pause()
            await asyncio.sleep(0)
            call.resume()
            await asyncio.sleep(0)
        assert len(sink.body) == 2_000_000


async def test_an_abort_over_tls(pool: Pool, server_tls: ssl.SSLContext, secure: Secure) -> None:
    async with Upstream([request, hang], tls=server_tls) as upstream:
        call = await pool.send(secure(upstream), HEAD, BODY, connect=20)
        call.abort()
        await soon((await upstream.peer()).closed)


async def test_cut_over_tls(pool: Pool, server_tls: ssl.SSLContext, secure: Secure) -> None:
    async with Upstream([request, CHUNKED_HEAD, chunked(b"a", end=False)], tls=server_tls) as upstream:
        assert (await failure(pool, secure(upstream))).kind == "truncated"


async def test_stale_over_tls(pool: Pool, server_tls: ssl.SSLContext, secure: Secure) -> None:
    async with Upstream([request, answer(b"1"), request, reset], times(2, request, answer(b"2")), tls=server_tls) as upstream:
        await exchange(pool, secure(upstream))
        call, body = await exchange(pool, secure(upstream))
        assert (body, call.reused) == (b"2", False)


async def test_an_unknown_authority(pool: Pool, server_tls: ssl.SSLContext, secure: Secure) -> None:
    asyncio.get_running_loop().set_exception_handler(lambda loop, context: None)  # the server's side of the failed handshake
    async with Upstream([request, answer()], tls=server_tls) as upstream:
        error = await failure(pool, secure(upstream)._replace(ca=None))
        assert (error.kind, error.status, error.unprocessed) == ("tls", 502, True)
        assert error.detail.startswith("no secure connection to localhost: its certificate is not trusted (")
        assert not upstream.requests
        await until(lambda: not pool._connections)


async def test_another_host_than_the_certificate_says(pool: Pool, server_tls: ssl.SSLContext, secure: Secure, tmp_path: Path) -> None:
    asyncio.get_running_loop().set_exception_handler(lambda loop, context: None)
    path = str(tmp_path / "s")
    async with Upstream([request, answer()], tls=server_tls, path=path) as upstream:
        error = await failure(pool, secure(upstream)._replace(host="elsewhere.example", uds=path))
        assert error.kind == "tls"
        assert "not valid for 'elsewhere.example'" in error.detail
        _, body = await exchange(pool, secure(upstream)._replace(uds=path))
        assert body == b"ok"


@pytest.mark.parametrize("script", [[b"HTTP/1.1 400 Bad Request\r\n\r\n", hang], [reset], []], ids=["HTTP", "RST", "FIN"])
async def test_no_tls_at_all(pool: Pool, secure: Secure, script: list[Step]) -> None:
    async with Upstream(script) as upstream:
        error = await failure(pool, secure(upstream))
        assert (error.kind, error.unprocessed) == ("tls", True)
        assert error.detail.startswith("no secure connection to localhost: ")
        assert error.detail.isprintable()


async def test_a_handshake_that_hangs(pool: Pool, secure: Secure) -> None:
    async with Upstream([hang]) as upstream:
        with pytest.raises(UpstreamError) as caught:
            await pool.send(secure(upstream), HEAD, BODY, connect=1)
        assert (caught.value.kind, caught.value.status, caught.value.unprocessed) == ("timeout", 504, True)
        await soon((await upstream.peer()).closed)


async def test_cancelled_in_the_handshake(pool: Pool, secure: Secure) -> None:
    async with Upstream([hang]) as upstream:
        task = asyncio.create_task(pool.send(secure(upstream), HEAD, BODY, connect=30))
        peer = await upstream.peer()
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        await soon(peer.closed)


async def test_a_client_certificate(pool: Pool, server_tls: ssl.SSLContext, secure: Secure, certificates: Path) -> None:
    asyncio.get_running_loop().set_exception_handler(lambda loop, context: None)
    server_tls.verify_mode = ssl.CERT_REQUIRED
    server_tls.load_verify_locations(certificates / "ca.pem")
    async with Upstream([request, answer()], tls=server_tls) as upstream:
        error = await failure(pool, secure(upstream))  # TLS 1.3: refused after the handshake, with the first read
        assert error.kind in ("tls", "truncated")
        known = secure(upstream)._replace(cert=str(certificates / "client.pem"), key=str(certificates / "client.key"))
        _, body = await exchange(pool, known)
        assert body == b"ok"
        assert upstream.peers[-1].writer.get_extra_info("peercert")["subject"] == ((("commonName", "client"),),)


async def test_certificates_renewed_at_the_same_paths(pool: Pool, server_tls: ssl.SSLContext, certificates: Path, tmp_path: Path) -> None:
    server_tls.verify_mode = ssl.CERT_REQUIRED
    server_tls.load_verify_locations(certificates / "ca.pem")
    (tmp_path / "ca.pem").write_bytes((certificates / "ca.pem").read_bytes())
    routes = tmp_path / "routes.yaml"
    entry = "{base_url: 'https://localhost', dialect: openai, tls: {ca: ca.pem, cert: own.pem}}"
    routes.write_text(f"version: 1\nproviders:\n  up: {entry}\n")
    async with Upstream(*[times(2, request, answer())] * 2, tls=server_tls) as upstream:
        for name in ("client", "server", "server"):
            held = b"".join((certificates / f"{name}.{kind}").read_bytes() for kind in ("pem", "key"))
            (tmp_path / "own.pem").write_bytes(held)
            tls = load(routes, {}).providers["up"].tls
            await exchange(pool, Origin("https", "localhost", upstream.port, None, None, tls.ca, tls.cert, tls.key, tls.digest))
            assert upstream.peers[-1].writer.get_extra_info("peercert")["subject"] == ((("commonName", name),),)
        assert len(upstream.peers) == 2


@pytest.mark.parametrize("field", ["ca", "cert"])
async def test_certificate_files_that_cannot_be_used(pool: Pool, field: str, tmp_path: Path) -> None:
    (tmp_path / "bad.pem").write_text("nonsense")
    for path in ("bad.pem", "missing.pem"):
        origin = Origin("https", "localhost", 1)._replace(**{field: str(tmp_path / path)})  # type: ignore[arg-type]
        error = await failure(pool, origin)
        assert (error.kind, error.unprocessed) == ("tls", True)
        assert error.detail.startswith("the certificate files for localhost cannot be used: ")


# ── proxies ──


def tunnel(port: int, seen: list[bytes]) -> Step:
    """A proxy that opens a tunnel to a loopback port."""

    async def step(peer: Peer) -> None:
        await request_head(peer)
        seen.extend(peer.requests)
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        await peer.write(b"HTTP/1.1 200 Connection established\r\nX-Proxy: yes\r\n\r\n")

        async def back() -> None:
            while data := await reader.read(65536):
                await peer.write(data)

        returning = asyncio.create_task(back())
        try:
            while data := await peer.reader.read(65536):
                writer.write(data)
            peer.closed.set()
        finally:
            returning.cancel()
            await asyncio.gather(returning, return_exceptions=True)
            writer.transport.abort()

    return step


async def test_https_through_a_proxy(pool: Pool, server_tls: ssl.SSLContext, secure: Secure) -> None:
    connects: list[bytes] = []
    async with (
        Upstream(times(3, request, answer(b"hello")), tls=server_tls) as upstream,
        Upstream([tunnel(upstream.port, connects)]) as proxy,
    ):
        origin = secure(upstream)._replace(proxy=f"http://user:p%40ss@127.0.0.1:{proxy.port}")
        for reused in (False, True):
            call, body = await exchange(pool, origin)
            assert (body, call.reused) == (b"hello", reused)
        credentials = base64.b64encode(b"user:p@ss")
        target = b"localhost:%d" % upstream.port
        assert connects == [b"CONNECT %b HTTP/1.1\r\nhost: %b\r\nproxy-authorization: Basic %b\r\n\r\n" % (target, target, credentials)]
        assert all(message.startswith(b"POST /v1/chat HTTP/1.1\r\n") and b"proxy" not in message for message in upstream.requests)


async def test_http_through_a_proxy(pool: Pool) -> None:
    async with Upstream(times(2, request, answer(b"hello"))) as proxy:
        origin = Origin("http", "upstream.invalid", 80, proxy=f"http://user:pass@127.0.0.1:{proxy.port}")
        for _ in range(2):
            _, body = await exchange(pool, origin)
            assert body == b"hello"
        assert len(proxy.peers) == 1
        assert proxy.requests[0].startswith(HEAD.replace(b"/v1", b"http://upstream.invalid:80/v1") + b"proxy-authorization: Basic ")


REFUSALS: dict[str, list[Step]] = {
    "407": [request_head, b"HTTP/1.1 407 Proxy Authentication Required\r\nContent-Length: 0\r\n\r\n", hang],
    "502 with a page": [request_head, b"HTTP/1.1 502 Bad Gateway\r\nContent-Length: 6\r\n\r\n<html>", hang],
    "bytes behind the head": [request_head, b"HTTP/1.1 200 OK\r\n\r\nextra", hang],
    "garbage": [request_head, b"garbage\r\n\r\n", hang],
    "an endless head": [request_head, b"HTTP/1.1 200 OK\r\nX: " + b"y" * 100_000, hang],
    "FIN": [request_head],
    "RST": [request_head, reset],
}


@pytest.mark.parametrize("name", REFUSALS)
async def test_proxies_that_refuse(pool: Pool, name: str) -> None:
    async with Upstream(REFUSALS[name]) as proxy:
        error = await failure(pool, Origin("https", "upstream.invalid", 443, proxy=f"http://user:secret@127.0.0.1:{proxy.port}"))
        assert (error.kind, error.status, error.unprocessed) == ("connect", 502, True)
        assert error.detail.startswith("cannot connect to upstream.invalid: the proxy 127.0.0.1 fails: ")
        assert "secret" not in error.detail
        if hang in REFUSALS[name]:
            await soon((await proxy.peer()).closed)


async def test_a_proxy_that_hangs(pool: Pool) -> None:
    async with Upstream([request_head, hang]) as proxy:
        origin = Origin("https", "upstream.invalid", 443, proxy=f"http://127.0.0.1:{proxy.port}")
        with pytest.raises(UpstreamError, match="in time"):
            await pool.send(origin, HEAD, BODY, connect=1)
        await soon((await proxy.peer()).closed)
        task = asyncio.create_task(pool.send(origin, HEAD, BODY, connect=30))
        peer = await proxy.peer(1)
        await soon(peer.asked)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        await soon(peer.closed)
