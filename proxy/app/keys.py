"""Client keys: who may ask. Only digests are known, so that neither configuration nor memory gives a key away."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator
from hmac import compare_digest
from urllib.parse import parse_qsl, unquote_plus

from aiohttp import hdrs
from multidict import CIMultiDictProxy, istr

from proxy.app.clients import parsed, spoken_for
from proxy.app.cors import Cors
from proxy.config.model import ClientKey
from proxy.errors import ClientError
from proxy.exchange.client import ClientRequest

_X_API_KEY = istr("x-api-key")
_API_KEY = istr("api-key")
_X_GOOG_API_KEY = istr("x-goog-api-key")
#: Where a key stands in a URL, for clients that know no better.
_QUERY = ("key", "api-key")
#: A browser cannot set headers on a WebSocket; OpenAI's SDK puts the key into a subprotocol's name.
PROTOCOL_PREFIX = "openai-insecure-api-key."


def presented_keys(headers: CIMultiDictProxy[str], query: str = "") -> Iterator[str]:
    """The keys a client shows: `Authorization: Bearer`, `x-api-key`, `api-key`, `x-goog-api-key`, a WebSocket subprotocol, `?key=`."""
    authorization = headers.get(hdrs.AUTHORIZATION)
    if authorization is not None:
        scheme, _, key = authorization.partition(" ")
        if scheme.lower() == "bearer" and (key := key.strip()):
            yield key
    for name in (_X_API_KEY, _API_KEY, _X_GOOG_API_KEY):
        given = headers.get(name)
        if given is not None and (given := given.strip()):
            yield given
    for protocol in headers.get(hdrs.SEC_WEBSOCKET_PROTOCOL, "").split(","):
        if protocol.strip().startswith(PROTOCOL_PREFIX):
            yield protocol.strip()[len(PROTOCOL_PREFIX) :]
    if query:
        yield from (value for name, value in parse_qsl(query) if name in _QUERY)


def without_keys(query: str) -> str:
    """A query as it may go up."""
    if not query:
        return query
    return "&".join(part for part in query.split("&") if unquote_plus(part.partition("=")[0]) not in _QUERY)


def digest(key: str) -> bytes:
    """SHA-256 of a key."""
    return hashlib.sha256(_bytes(key)).digest()


def _bytes(text: str) -> bytes:
    return text.encode("utf-8", "surrogateescape")


class Keys:
    """The listed keys. None listed: whoever sits at this machine may ask; nobody else, and no page of another site."""

    def __init__(self, keys: Iterable[ClientKey], cors: Cors | None = None) -> None:
        self._digests = frozenset(key.sha256 for key in keys)
        self._cors = cors or Cors(())

    def check(self, request: ClientRequest, query: str = "") -> str:
        """The first eight hex digits of the key's digest, "" without a key. `query`: the URL's. Raises ClientError 401 or 403.

        A digest looked up in a table tells an attacker's clock nothing of a key.
        """
        connection, authorization = request.connection, request.headers.get(hdrs.AUTHORIZATION)
        if authorization is not None and connection.admitted is not None:
            keys, known, shown = connection.admitted
            if keys is self and compare_digest(_bytes(authorization), known):
                return shown
        first = b""
        for key in presented_keys(request.headers, query):
            given = digest(key)
            if given in self._digests:
                if authorization is not None:
                    connection.admitted = self, _bytes(authorization), given[:4].hex()
                return given[:4].hex()
            first = first or given
        if self._digests:
            # begins as OpenAI's own words do, by which some clients tell this 401 from a bad request
            unknown = "Incorrect API key provided: it is none of those that are listed here."
            raise _unauthorized(unknown if first else "No API key was given: send it as `Authorization: Bearer`.")
        if not is_local(request.connection.peer, request.headers):
            raise _unauthorized("No client keys are listed here, so that only this machine is served. List keys under `server.keys`.")
        origin = request.headers.get(hdrs.ORIGIN)
        if origin is not None and not self._cors.allows(origin):  # forms are sent without a preflight, and a name can be made to lead here
            raise ClientError("Pages of this origin may not ask here: list it under `server.cors`.", status=403, code="origin_not_allowed")
        return first[:4].hex()

    def own(self, request: ClientRequest) -> str | None:
        """The key a client has for an upstream itself: the first it shows that is none of the listed ones."""
        return next(
            (key for key in presented_keys(request.headers, request.target.partition("?")[2]) if digest(key) not in self._digests), None
        )


def is_local(peer: str, headers: CIMultiDictProxy[str]) -> bool:
    """Whether a client sits at this machine: on loopback or a Unix socket (""), and so for everybody a proxy forwards for.

    A client can add addresses to such headers, never take away the one its proxy adds: they may close this door, never open it,
    so that it does not matter here which proxies are trusted.
    """
    addresses = [*([peer] if peer else []), *spoken_for(headers)]
    return all((found := parsed(address)) is not None and found.is_loopback for address in addresses)


def _unauthorized(message: str) -> ClientError:
    return ClientError(message, status=401, code="invalid_api_key", headers={"www-authenticate": "Bearer"})
