"""Client keys: who may ask. Only digests are known, so that neither configuration nor memory gives a key away."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator

from aiohttp import hdrs
from multidict import CIMultiDictProxy, istr

from proxy.app.clients import forwarded_for, parsed
from proxy.config.model import ClientKey
from proxy.errors import ClientError
from proxy.exchange.client import ClientRequest

_X_API_KEY = istr("x-api-key")
_API_KEY = istr("api-key")
#: A browser cannot set headers on a WebSocket; OpenAI's SDK puts the key into a subprotocol's name.
PROTOCOL_PREFIX = "openai-insecure-api-key."


def presented_keys(headers: CIMultiDictProxy[str]) -> Iterator[str]:
    """The keys a client shows: `Authorization: Bearer`, `x-api-key`, `api-key`, a WebSocket subprotocol."""
    authorization = headers.get(hdrs.AUTHORIZATION)
    if authorization is not None:
        scheme, _, key = authorization.partition(" ")
        if scheme.lower() == "bearer" and (key := key.strip()):
            yield key
    for name in (_X_API_KEY, _API_KEY):
        given = headers.get(name)
        if given is not None and (given := given.strip()):
            yield given
    for protocol in headers.get(hdrs.SEC_WEBSOCKET_PROTOCOL, "").split(","):
        if protocol.strip().startswith(PROTOCOL_PREFIX):
            yield protocol.strip()[len(PROTOCOL_PREFIX) :]


def digest(key: str) -> bytes:
    """SHA-256 of a key."""
    return hashlib.sha256(key.encode("utf-8", "surrogateescape")).digest()


class Keys:
    """The listed keys. None listed: whoever sits at this machine may ask, and nobody else."""

    def __init__(self, keys: Iterable[ClientKey]) -> None:
        self._digests = frozenset(key.sha256 for key in keys)

    def check(self, request: ClientRequest) -> str:
        """The first eight hex digits of the key's digest, "" without a key. Raises ClientError 401.

        A digest looked up in a table tells an attacker's clock nothing of a key.
        """
        connection, authorization = request.connection, request.headers.get(hdrs.AUTHORIZATION)
        if authorization is not None and connection.admitted is not None and connection.admitted[:2] == (self, authorization):
            return connection.admitted[2]
        first = b""
        for key in presented_keys(request.headers):
            given = digest(key)
            if given in self._digests:
                if authorization is not None:
                    connection.admitted = self, authorization, given[:4].hex()
                return given[:4].hex()
            first = first or given
        if self._digests:
            raise _unauthorized("The API key is not known here." if first else "No API key was given: send it as `Authorization: Bearer`.")
        if not is_local(request.connection.peer, request.headers):
            raise _unauthorized("No client keys are listed here, so that only this machine is served. List keys under `server.keys`.")
        return first[:4].hex()

    def own(self, headers: CIMultiDictProxy[str]) -> str | None:
        """The key a client has for an upstream itself: the first it shows that is none of the listed ones."""
        return next((key for key in presented_keys(headers) if digest(key) not in self._digests), None)


def is_local(peer: str, headers: CIMultiDictProxy[str]) -> bool:
    """Whether a client sits at this machine: on loopback or a Unix socket (""), and so for everybody a proxy forwards for.

    A client can add addresses to x-forwarded-for, never take away the one its proxy adds: the header may close this door, never open it,
    so that it does not matter here which proxies are trusted.
    """
    addresses = [*([peer] if peer else []), *forwarded_for(headers)]
    return all((found := parsed(address)) is not None and found.is_loopback for address in addresses)


def _unauthorized(message: str) -> ClientError:
    return ClientError(message, status=401, code="invalid_api_key", headers={"www-authenticate": "Bearer"})
