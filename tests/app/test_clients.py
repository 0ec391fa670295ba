"""A client's address is taken from X-Forwarded-For only as far as trusted proxies have written it."""

from __future__ import annotations

import json
from ipaddress import ip_network
from pathlib import Path

import aiohttp
import pytest
from multidict import CIMultiDict, CIMultiDictProxy

from proxy.app import start
from proxy.app.clients import Clients
from proxy.config import load

PROXIES = ("127.0.0.1", "10.0.0.0/8", "fd00::/8")

CLIENTS = [
    # peer, X-Forwarded-For's lines, trusted proxies, the client
    ("192.0.2.1", [], PROXIES, "192.0.2.1"),
    ("192.0.2.1", ["198.51.100.7"], PROXIES, "192.0.2.1"),  # nobody vouches for it
    ("127.0.0.1", ["198.51.100.7"], (), "127.0.0.1"),
    ("127.0.0.1", ["198.51.100.7"], PROXIES, "198.51.100.7"),
    ("127.0.0.1", ["203.0.113.9, 198.51.100.7"], PROXIES, "198.51.100.7"),  # what the client itself wrote stands left
    ("127.0.0.1", ["203.0.113.9", "198.51.100.7, 10.1.2.3"], PROXIES, "198.51.100.7"),  # two proxies
    ("127.0.0.1", ["10.4.4.4, 10.1.2.3"], PROXIES, "10.4.4.4"),  # a client in the proxies' own network
    ("127.0.0.1", ["unknown"], PROXIES, "127.0.0.1"),
    ("127.0.0.1", ["203.0.113.9, unknown, 10.1.2.3"], PROXIES, "10.1.2.3"),
    ("127.0.0.1", [""], PROXIES, "127.0.0.1"),
    ("127.0.0.1", [], PROXIES, "127.0.0.1"),
    ("::ffff:10.0.0.1", ["2001:db8::7"], PROXIES, "2001:db8::7"),
    ("fd00::1%eth0", ["198.51.100.7"], PROXIES, "198.51.100.7"),
    (None, ["203.0.113.9, 198.51.100.7"], (), "198.51.100.7"),  # a Unix socket's peer is trusted
    ("", [], (), ""),
]


@pytest.mark.parametrize(("peer", "forwarded", "trusted", "client"), CLIENTS)
def test_the_nearest_that_is_not_trusted(peer: str | None, forwarded: list[str], trusted: tuple[str, ...], client: str) -> None:
    headers = CIMultiDictProxy(CIMultiDict([("X-Forwarded-For", line) for line in forwarded]))
    assert Clients([ip_network(text) for text in trusted]).address(peer, headers) == client


@pytest.mark.parametrize(("trusted", "client"), [("[127.0.0.1]", "198.51.100.7"), ("[]", "127.0.0.1")])
async def test_the_log_names_the_client(trusted: str, client: str, tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    routes = tmp_path / "routes.yaml"
    routes.write_text(
        f"version: 1\nserver: {{port: 0, trusted_proxies: {trusted}}}\nproviders: {{a: {{base_url: 'http://127.0.0.1:1'}}}}\n"
    )
    async with await start(load(routes, {})) as running, aiohttp.ClientSession() as session:
        host, port = running.addresses[0]
        headers = {"x-forwarded-for": "203.0.113.9, 198.51.100.7"}
        async with session.get(f"http://{host}:{port}/v1/nowhere", headers=headers) as answer:
            assert answer.status == 404
    assert json.loads(capfd.readouterr().out)["client"] == client
