"""Where a key may stand, and what a browser is told."""

from __future__ import annotations

import hashlib

import pytest
from multidict import CIMultiDict, CIMultiDictProxy

from proxy.app.cors import Cors
from proxy.app.keys import Keys, presented_key
from proxy.errors import ClientError


def headers(**given: str) -> CIMultiDictProxy[str]:
    return CIMultiDictProxy(CIMultiDict({name.replace("_", "-"): value for name, value in given.items()}))


PRESENTED = [
    ({"Authorization": "Bearer sk-1"}, "sk-1"),
    ({"authorization": "bearer  sk-1 "}, "sk-1"),
    ({"x_api_key": "sk-2"}, "sk-2"),
    ({"api_key": "sk-3"}, "sk-3"),
    ({"Authorization": "Bearer sk-1", "x_api_key": "sk-2"}, "sk-1"),
    ({"Authorization": "Basic abc", "x_api_key": "sk-2"}, "sk-2"),
    ({"Authorization": "Bearer "}, None),
    ({"Sec_WebSocket_Protocol": "realtime, openai-insecure-api-key.sk-4, openai-beta.realtime-v1"}, "sk-4"),
    ({}, None),
]


@pytest.mark.parametrize(("given", "key"), PRESENTED)
def test_presented(given: dict[str, str], key: str | None) -> None:
    assert presented_key(headers(**given)) == key


@pytest.mark.parametrize("key", ["sk-right", "schlüssel", "\udcff"])
def test_known_key(key: str) -> None:
    keys = Keys({hashlib.sha256(key.encode("utf-8", "surrogateescape")).digest(): "me"})
    assert keys.check(key) == "me"


@pytest.mark.parametrize("key", [None, "", "sk-wrong", "ключ", "\udcff"])
def test_unknown_key(key: str | None) -> None:
    with pytest.raises(ClientError) as caught:
        Keys({b"0" * 32: "me"}).check(key)
    assert (caught.value.status, caught.value.code) == (401, "invalid_api_key")
    assert key is None or not key or key not in caught.value.message


def test_no_keys_listed_is_open() -> None:
    assert Keys({}).check(None) is None


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
