"""Cross-origin requests by a list of origins (https://fetch.spec.whatwg.org/#http-cors-protocol).

The asked headers are echoed: a fixed list breaks with each header a new SDK sends, and `*` does not cover Authorization.
"""

from __future__ import annotations

import re
from collections.abc import Iterable

from aiohttp import hdrs
from multidict import CIMultiDictProxy

_OURS = ", ".join(f"x-samewire-{what}" for what in ("provider", "dropped", "attempts", "failures"))
_EXPOSED = f"x-request-id, retry-after, retry-after-ms, x-should-retry, {_OURS}, server-timing"
_EXPOSED_LIMITS = ", ".join(f"x-ratelimit-{what}-{of}" for what in ("limit", "remaining", "reset") for of in ("requests", "tokens"))
#: Field names as RFC 9110 §5.1 writes them.
_NAMES = re.compile(r"[A-Za-z0-9!#$%&'*+.^_`|~, \t-]{1,4096}")
_DAY = 86400


class Cors:
    """Which origins may read the answers. `origins`: exact (`https://app.example`), or `*` for all."""

    def __init__(self, origins: Iterable[str]) -> None:
        self._origins = frozenset(origin.rstrip("/").lower() for origin in origins)
        self._all = "*" in self._origins

    def headers(self, request_headers: CIMultiDictProxy[str]) -> bytes:
        """The header lines for an answer, errors included; none for a request that no browser sent from elsewhere."""
        origin = request_headers.get(hdrs.ORIGIN)
        if origin is None or not self.allows(origin):
            # Caches must not give one origin's answer to another.
            return b"vary: origin\r\n" if self._origins and not self._all else b""
        lines = f"access-control-allow-origin: {origin}\r\naccess-control-expose-headers: {_EXPOSED}, {_EXPOSED_LIMITS}\r\nvary: origin\r\n"
        return lines.encode("ascii")

    def preflight(self, request_headers: CIMultiDictProxy[str], methods: Iterable[str]) -> bytes:
        """The further header lines for an answer to a preflight request."""
        origin = request_headers.get(hdrs.ORIGIN)
        if origin is None or not self.allows(origin):
            return b""
        lines = f"access-control-allow-methods: {', '.join(methods)}\r\naccess-control-max-age: {_DAY}\r\n"
        asked = request_headers.get(hdrs.ACCESS_CONTROL_REQUEST_HEADERS)
        if asked and _NAMES.fullmatch(asked):
            lines += f"access-control-allow-headers: {asked}\r\n"
        return lines.encode("ascii")

    def allows(self, origin: str) -> bool:
        """Whether pages of this origin may read our answers."""
        return origin.isascii() and origin.isprintable() and (self._all or origin.lower() in self._origins)
