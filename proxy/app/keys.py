"""Client keys: who may ask. Only digests are known, so that neither configuration nor memory gives a key away."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from typing import Generic, TypeVar

from aiohttp import hdrs
from multidict import CIMultiDictProxy, istr

from proxy.errors import ClientError

K = TypeVar("K")

_X_API_KEY = istr("x-api-key")
_API_KEY = istr("api-key")
#: A browser cannot set headers on a WebSocket; OpenAI's SDK puts the key into a subprotocol's name.
_PROTOCOL_PREFIX = "openai-insecure-api-key."


def presented_key(headers: CIMultiDictProxy[str]) -> str | None:
    """The key a client shows: `Authorization: Bearer`, `x-api-key`, `api-key`, or a WebSocket subprotocol."""
    authorization = headers.get(hdrs.AUTHORIZATION)
    if authorization is not None:
        scheme, _, key = authorization.partition(" ")
        if scheme.lower() == "bearer" and (key := key.strip()):
            return key
    given = headers.get(_X_API_KEY) or headers.get(_API_KEY)
    if given is not None:
        return given.strip() or None
    for protocol in headers.get(hdrs.SEC_WEBSOCKET_PROTOCOL, "").split(","):
        if protocol.strip().startswith(_PROTOCOL_PREFIX):
            return protocol.strip()[len(_PROTOCOL_PREFIX) :]
    return None


class Keys(Generic[K]):
    """The listed keys by their SHA-256 (32 bytes). None listed: everybody may ask."""

    def __init__(self, keys: Mapping[bytes, K]) -> None:
        self._keys = dict(keys)

    def check(self, key: str | None) -> K | None:
        """What the configuration says of the key; None when no keys are listed. Raises ClientError 401.

        A digest found in a table tells an attacker's clock nothing about the key.
        """
        if not self._keys:
            return None
        if key is None:
            raise _unauthorized("No API key was given. Send it as `Authorization: Bearer <key>`.")
        found = self._keys.get(hashlib.sha256(key.encode("utf-8", "surrogateescape")).digest())
        if found is None:
            raise _unauthorized("The API key is not known here.")
        return found


def _unauthorized(message: str) -> ClientError:
    return ClientError(message, status=401, code="invalid_api_key", headers={"www-authenticate": "Bearer"})
