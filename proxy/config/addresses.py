"""Addresses in a configuration: base URLs, listening hosts, networks."""

from __future__ import annotations

import ipaddress
import re
from dataclasses import dataclass
from typing import Literal
from urllib.parse import SplitResult, parse_qsl, urlsplit

_HOST = re.compile(r"[A-Za-z0-9]([A-Za-z0-9._-]*[A-Za-z0-9])?\.?")
_SECRET_PARAMETER = re.compile(
    r"((x-)?(api|access|auth|subscription)[-_]?)?(key|token)|([a-z]+[-_])?secret|password|sig(nature)?", re.IGNORECASE
)
_PRIVATE_SUFFIXES = (".localhost", ".local", ".internal", ".lan", ".home.arpa", ".test")


@dataclass(frozen=True, slots=True)
class BaseUrl:
    """A base URL in parts; see `model.Provider` for what each is."""

    scheme: Literal["http", "https"]
    host: str
    port: int
    path: str
    query: str


def parse_base_url(text: str) -> BaseUrl:
    """Raises ValueError with a sentence for people (which does not repeat the URL: it may hold a password)."""
    parts, port = _split(text)
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise ValueError("a base URL begins with http:// or https:// and a host")
    if parts.username is not None or parts.password is not None:
        raise ValueError("a base URL holds no user or password; give the key as `key`")
    if parts.fragment or re.search(r"\s", text):
        raise ValueError("a base URL has no fragment (#…) and no blanks")
    scheme: Literal["http", "https"] = "https" if parts.scheme == "https" else "http"
    path = re.sub(r"/{2,}", "/", parts.path).rstrip("/")
    return BaseUrl(scheme, _host(parts.hostname), port or (443 if scheme == "https" else 80), path, parts.query)


def secret_parameter(query: str) -> str | None:
    """The name of the first parameter that, by its name, holds a secret."""
    return next((name for name, _ in parse_qsl(query) if _SECRET_PARAMETER.fullmatch(name)), None)


def check_proxy(text: str) -> None:
    """Raises ValueError with a sentence for people, when an outbound proxy's URL is not `http://[user:password@]host[:port]`."""
    parts, _ = _split(text)
    if parts.scheme != "http" or not parts.hostname or parts.path not in ("", "/") or parts.query or parts.fragment:
        raise ValueError("an outbound proxy is written as http://host:port")
    _host(parts.hostname)


def _split(text: str) -> tuple[SplitResult, int | None]:
    try:
        parts = urlsplit(text)
        return parts, parts.port
    except ValueError as error:
        raise ValueError(f"this is not a URL: {error}") from None


def _host(name: str) -> str:
    if ":" in name:
        return str(ipaddress.IPv6Address(name))
    try:
        ascii_name = name.encode("idna").decode() if not name.isascii() else name
    except UnicodeError:
        ascii_name = ""
    if not _HOST.fullmatch(ascii_name):
        raise ValueError("this host is not a name or an address")
    return ascii_name


def is_public(host: str) -> bool:
    """Whether a host is likely reached through networks of strangers: not loopback, private, or a name without a domain."""
    try:
        address = ipaddress.ip_address(host)
    except ValueError:
        name = host.lower().rstrip(".")
        return "." in name and not name.endswith(_PRIVATE_SUFFIXES)
    return address.is_global


def is_loopback(host: str) -> bool:
    """Whether only this machine can connect to a server that listens there."""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost" or host.endswith(".localhost")
