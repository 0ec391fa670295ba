"""Keeps credentials out of what clients, logs and traces are shown: upstreams echo the key they refuse."""

from __future__ import annotations

import re
from collections.abc import Iterable

from proxy.errors import ExchangeError

#: Shorter ones would blot out ordinary words; no vendor's key is that short.
_SHORTEST = 6
_SHOWN = "***"


class Scrubber:
    """Replaces every known secret."""

    def __init__(self, secrets: Iterable[str]) -> None:
        self._pattern = _pattern(secrets)

    def error(self, error: ExchangeError, *more: str) -> None:
        """Takes the secrets out of all that an error shows; an upstream may echo them anywhere in it."""
        error.message = self.text(error.message, *more)
        error.type = self.text(error.type, *more)
        error.code = self.text(error.code, *more) if error.code else error.code
        error.param = self.text(error.param, *more) if error.param else error.param

    def text(self, text: str, *more: str) -> str:
        """`text` without the secrets, nor `more` of them (the client's own)."""
        if self._pattern is not None:
            text = self._pattern.sub(_SHOWN, text)
        for secret in more:
            if len(secret) >= _SHORTEST:
                text = text.replace(secret, _SHOWN)
        return text


def _pattern(secrets: Iterable[str]) -> re.Pattern[str] | None:
    """The longest first: one may begin as another does."""
    known = sorted({secret for secret in secrets if len(secret) >= _SHORTEST}, key=len, reverse=True)
    return re.compile("|".join(map(re.escape, known))) if known else None
