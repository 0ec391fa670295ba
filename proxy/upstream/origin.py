"""Where a request goes, and by which way."""

from __future__ import annotations

import base64
from functools import lru_cache
from typing import Literal, NamedTuple
from urllib.parse import unquote, urlsplit


class Origin(NamedTuple):
    """One upstream host and the way to it. Connections are shared by equal origins, never between different ones.

    `host` is ASCII: a name (IDNA-encoded if need be) or an IP address without brackets.
    `uds` is the path of a Unix socket to dial instead of `host` and `port` (which then only name the host).
    `proxy` is the URL of an outbound proxy, `http://[user:password@]host[:port]`.
    `ca` is a PEM file with the only authorities to trust (default: the system's); `cert` and `key` are the client's certificate and key;
    `held` tells files apart that were renewed at the same paths.
    """

    scheme: Literal["http", "https"]
    host: str
    port: int
    uds: str | None = None
    proxy: str | None = None
    ca: str | None = None
    cert: str | None = None
    key: str | None = None
    held: bytes = b""

    @property
    def authority(self) -> str:
        """`host:port`, an IPv6 address in brackets."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"{host}:{self.port}"


class ProxyAddress(NamedTuple):
    """An outbound proxy's URL, taken apart. `authorization` is a whole header line, or nothing."""

    host: str
    port: int
    authorization: bytes


@lru_cache
def proxy_address(url: str) -> ProxyAddress:
    """The address and credentials in a proxy's URL. Raises ValueError (which does not show the URL: it may hold a password)."""
    parts = urlsplit(url)
    if parts.scheme != "http" or not parts.hostname:
        raise ValueError("an outbound proxy is written as http://host:port")
    authorization = b""
    if parts.username is not None:
        credentials = f"{unquote(parts.username)}:{unquote(parts.password or '')}".encode()
        authorization = b"proxy-authorization: Basic " + base64.b64encode(credentials) + b"\r\n"
    return ProxyAddress(parts.hostname, parts.port or 80, authorization)
