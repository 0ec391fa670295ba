"""Keeps credentials out of what clients, logs and traces are shown: upstreams echo the key they refuse."""

from __future__ import annotations

import re
from base64 import b64encode, urlsafe_b64encode
from collections.abc import Iterable, Iterator
from urllib.parse import parse_qsl, quote

import msgspec

from proxy.config.model import Provider, Route
from proxy.errors import ExchangeError

#: Shorter ones would blot out ordinary words; no vendor's key is that short.
_SHORTEST = 6
_SHOWN = "***"
#: Characters of a message that are shown; cut here, because half a secret would not be found.
_MESSAGE_LIMIT = 4000
#: Headers and parameters that say by their names that they hold a secret.
_TELLING = re.compile(r"authorization|cookie|.*(key|token|secret)|sig|code", re.IGNORECASE)
_ESCAPE = re.compile("%..")
#: Base64 writes three bytes as four characters: how many of them have bits of the 0, 1 or 2 bytes that stand before in their group.
_SHARED = (0, 2, 3)


def secrets_of(provider: Provider, routes: Iterable[Route]) -> Iterator[str]:
    """All that a provider is sent and nobody may be shown: its keys, and what stands in headers and parameters with telling names."""
    yield from (credential.secret for credential in provider.credentials)
    named = [*provider.headers, *parse_qsl(provider.query), *(header for route in routes for header in route.headers)]
    yield from (value.rpartition(" ")[2] for name, value in named if _TELLING.fullmatch(name))


def scrubbed(lines: bytes, secrets: Iterable[bytes]) -> bytes:
    """Header lines without these secrets."""
    for secret in secrets:
        if secret in lines:
            lines = lines.replace(secret, _SHOWN.encode())
    return lines


def long_enough(secrets: Iterable[str]) -> set[str]:
    """Those that can be told from ordinary words, in each spelling in which an upstream may echo them."""
    return {spelling for secret in secrets if len(secret) >= _SHORTEST for spelling in _spellings(secret)}


def _spellings(secret: str) -> Iterator[str]:
    """As it is, as in a URL, and as a part of anything in Base64 (Basic credentials, a whole header)."""
    yield secret
    escaped = quote(secret, safe="")
    yield escaped
    yield _ESCAPE.sub(lambda escape: escape[0].lower(), escaped)
    for before, shared in enumerate(_SHARED):
        data = bytes(before) + secret.encode()
        inner = slice(shared, len(data) * 8 // 6)
        yield b64encode(data).decode()[inner]
        yield urlsafe_b64encode(data).decode()[inner]


class Scrubber:
    """Replaces every known secret."""

    def __init__(self, secrets: Iterable[str]) -> None:
        self._pattern = _pattern(secrets)

    def error(self, error: ExchangeError, *more: str) -> None:
        """Takes the secrets out of all that an error shows; an upstream may echo them anywhere in it."""
        error.message = _cut(self.text(error.message, *more))
        error.detail = self.text(error.detail, *more)
        error.type = _cut(self.text(error.type, *more))
        error.code = _cut(self.text(error.code, *more)) if error.code else error.code
        error.param = _cut(self.text(error.param, *more)) if error.param else error.param
        if error.extra:
            error.extra = msgspec.json.decode(self.text(msgspec.json.encode(error.extra).decode(), *more))
        error.headers = {name: self.text(value, *more) for name, value in error.headers.items()}

    def text(self, text: str, *more: str) -> str:
        """`text` without the secrets, nor `more` of them (the client's own)."""
        if self._pattern is not None:
            text = self._pattern.sub(_SHOWN, text)
        for secret in long_enough(more):
            text = text.replace(secret, _SHOWN)
        return text


def _cut(text: str) -> str:
    return text if len(text) <= _MESSAGE_LIMIT else text[:_MESSAGE_LIMIT] + "…"


def _pattern(secrets: Iterable[str]) -> re.Pattern[str] | None:
    """The longest first: one may begin as another does."""
    known = sorted(long_enough(secrets), key=len, reverse=True)
    return re.compile("|".join(map(re.escape, known))) if known else None
