"""Where a key may stand, and what a browser is told."""

from __future__ import annotations

import pytest
from multidict import CIMultiDict, CIMultiDictProxy

from proxy.app.cors import Cors
from proxy.app.keys import is_local, presented_keys, without_keys


def headers(**given: str) -> CIMultiDictProxy[str]:
    return CIMultiDictProxy(CIMultiDict({name.replace("_", "-"): value for name, value in given.items()}))


PRESENTED: list[tuple[dict[str, str], list[str]]] = [
    ({"Authorization": "Bearer sk-1"}, ["sk-1"]),
    ({"authorization": "bearer  sk-1 "}, ["sk-1"]),
    ({"x_api_key": "sk-2"}, ["sk-2"]),
    ({"api_key": "sk-3"}, ["sk-3"]),
    ({"x_goog_api_key": "sk-5"}, ["sk-5"]),
    ({"Authorization": "Bearer sk-1", "x_api_key": "sk-2", "api_key": " sk-3"}, ["sk-1", "sk-2", "sk-3"]),
    ({"Authorization": "Basic abc", "x_api_key": "sk-2"}, ["sk-2"]),
    ({"Authorization": "Bearer "}, []),
    ({"Sec_WebSocket_Protocol": "realtime, openai-insecure-api-key.sk-4, openai-beta.realtime-v1"}, ["sk-4"]),
    ({}, []),
]


@pytest.mark.parametrize(("given", "keys"), PRESENTED)
def test_presented(given: dict[str, str], keys: list[str]) -> None:
    assert list(presented_keys(headers(**given))) == keys


QUERIES = [
    ("key=sk-1", ["sk-1"], ""),
    ("alt=sse&key=sk-1&x=y", ["sk-1"], "alt=sse&x=y"),
    ("api-key=sk-1&api-version=1", ["sk-1"], "api-version=1"),
    ("%6Bey=s%6B-1", ["sk-1"], ""),
    ("limit=2&after=a%26b", [], "limit=2&after=a%26b"),
    ("keys=1&monkey=2", [], "keys=1&monkey=2"),
    ("key", [], ""),
    ("", [], ""),
]


@pytest.mark.parametrize(("query", "keys", "rest"), QUERIES)
def test_keys_in_a_query_are_read_and_go_no_further(query: str, keys: list[str], rest: str) -> None:
    assert list(presented_keys(headers(), query)) == keys
    assert without_keys(query) == rest


PEERS = [
    ("127.0.0.1", None, True),
    ("::1", None, True),
    ("127.8.8.8", None, True),
    ("::ffff:127.0.0.1", None, True),
    (None, None, True),
    ("192.0.2.1", None, False),
    ("fe80::1%eth0", None, False),
    ("127.0.0.1", "127.0.0.1", True),
    ("127.0.0.1", "192.0.2.1", False),
    ("127.0.0.1", "127.0.0.1, 192.0.2.1", False),
    ("127.0.0.1", "192.0.2.1, 127.0.0.1", False),
    ("127.0.0.1", "unknown", False),
    (None, "192.0.2.1", False),
]


@pytest.mark.parametrize(("peer", "forwarded", "local"), PEERS)
def test_who_sits_at_this_machine(peer: str | None, forwarded: str | None, local: bool) -> None:
    assert is_local(peer, headers(X_Forwarded_For=forwarded) if forwarded is not None else headers()) is local


LISTED = Cors(["https://app.example/", "http://localhost:3000"])

ORIGINS = [
    (LISTED, "https://app.example", True),
    (LISTED, "http://localhost:3000", True),
    (LISTED, "https://app.example.evil", False),
    (LISTED, "null", False),
    (LISTED, None, False),
    (Cors(["*"]), "https://any.example", True),
    (Cors([]), "https://app.example", False),
]


@pytest.mark.parametrize(("cors", "origin", "allowed"), ORIGINS)
def test_origin(cors: Cors, origin: str | None, allowed: bool) -> None:
    asked = headers(Origin=origin) if origin is not None else headers()
    lines = cors.headers(asked).decode()
    assert (f"access-control-allow-origin: {origin}\r\n" in lines) is allowed
    assert ("x-request-id" in lines) is allowed
    assert (cors.preflight(asked, ("POST",)) != b"") is allowed


@pytest.mark.parametrize(
    ("asked", "echoed"), [("authorization, x-stainless-os", True), ("", False), ("a\u00e9", False), ("x" * 5000, False), ("a: b", False)]
)
def test_preflight_echoes_the_asked_headers(asked: str, echoed: bool) -> None:
    lines = LISTED.preflight(headers(Origin="https://app.example", Access_Control_Request_Headers=asked), ("POST", "GET")).decode()
    assert "access-control-allow-methods: POST, GET\r\n" in lines
    assert (f"access-control-allow-headers: {asked}\r\n" in lines) is echoed
