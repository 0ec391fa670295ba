"""Who sent a request, also through proxies (X-Forwarded-For: each proxy adds, on the right, the address that it saw)."""

from __future__ import annotations

import re
from collections.abc import Sequence
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address

from multidict import CIMultiDictProxy, istr

_FORWARDED_FOR = istr("x-forwarded-for")
_REAL_IP = istr("x-real-ip")
_FORWARDED = istr("forwarded")
#: A node of RFC 7239, §4, without its port: an IPv6 address is quoted and in brackets.
_NODE = re.compile(r"""\bfor\s*=\s*"?(\[[^]]*|[^;,":]*)""", re.IGNORECASE)


class Clients:
    """Tells clients' addresses. `trusted`: the proxies in front whose word counts; who connects to a Unix socket is one of them."""

    def __init__(self, trusted: Sequence[IPv4Network | IPv6Network]) -> None:
        self._trusted = tuple(trusted)

    def address(self, peer: str, headers: CIMultiDictProxy[str]) -> str:
        """The nearest address that is no trusted proxy's; "" when a Unix socket's peer names none.

        What stands left of it was written by that client itself, and may be anything.
        """
        nearest = peer
        if nearest and not self._trusts(nearest):
            return nearest
        for address in reversed(forwarded_for(headers)):
            if parsed(address) is None:
                break
            nearest = address
            if not self._trusts(address):
                break
        return nearest

    def _trusts(self, address: str) -> bool:
        found = parsed(address) if self._trusted else None
        return found is not None and any(found in network for network in self._trusted)


def forwarded_for(headers: CIMultiDictProxy[str]) -> list[str]:
    """What X-Forwarded-For names, the farthest first."""
    return [address.strip() for line in headers.getall(_FORWARDED_FOR, ()) for address in line.split(",")]


def spoken_for(headers: CIMultiDictProxy[str]) -> list[str]:
    """Whatever any kind of proxy tells of whom it forwards for."""
    found = forwarded_for(headers)
    if _REAL_IP in headers:
        found += headers.getall(_REAL_IP)
    if _FORWARDED in headers:
        found += [node.strip().lstrip("[") for line in headers.getall(_FORWARDED) for node in _NODE.findall(line)]
    return found


def parsed(address: str) -> IPv4Address | IPv6Address | None:
    """None for what is no address. An IPv4 address in IPv6's clothes is the IPv4 address; a zone is left out."""
    try:
        found = ip_address(address.partition("%")[0])
    except ValueError:
        return None
    return (found.ipv4_mapped or found) if isinstance(found, IPv6Address) else found
