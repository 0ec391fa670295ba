"""The `server:` section → Server and client keys."""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Mapping
from typing import Any

from proxy.config.addresses import is_loopback
from proxy.config.model import Admin, ClientKey, Limits, Log, Server
from proxy.config.report import Report

_UNITS = {"": 1, "B": 1, "KiB": 2**10, "MiB": 2**20, "GiB": 2**30}
_PLAIN = ("port", "socket", "heartbeat", "drain", "event_loop", "watch", "workers")
_PORTS = 65535


def build_server(section: Mapping[str, Any], report: Report) -> tuple[Server, tuple[ClientKey, ...]]:
    """What the section says, with defaults; faults go to `report`."""
    given = {key: section[key] for key in _PLAIN if key in section}
    server = Server(
        hosts=_hosts(section),
        trusted_proxies=_networks(section.get("trusted_proxies", ()), report),
        cors=tuple(section.get("cors", ())),
        limits=Limits(**{key: size(value) for key, value in section.get("limits", {}).items()}),
        log=Log(**section.get("log", {})),
        admin=_admin(section["admin"], report) if "admin" in section else None,
        **given,
    )
    keys = _keys(section)
    public = [host for host in server.hosts if not is_loopback(host)]
    if public and not keys:
        message = f"other machines that reach {' or '.join(public)} are refused: no client keys are listed"
        report.warn(("server", "host"), "open-server", message, "list keys under server.keys, or listen on 127.0.0.1")
    return server, keys


def size(value: int | str) -> int:
    """Bytes of `65536`, `64KiB`, `32 MiB`."""
    if isinstance(value, str):
        number, unit = re.fullmatch(r"(\d+) ?(\w*)", value).groups()  # type: ignore[union-attr]  # the schema has looked at it
        return int(number) * _UNITS[unit]
    return int(value)


def _hosts(section: Mapping[str, Any]) -> tuple[str, ...]:
    host = section.get("host")
    if host is None:
        return () if "socket" in section and "port" not in section else Server().hosts
    return (host,) if isinstance(host, str) else tuple(host)


def _keys(section: Mapping[str, Any]) -> tuple[ClientKey, ...]:
    return tuple(ClientKey(entry["name"], bytes.fromhex(entry["sha256"])) for entry in section.get("keys", ()))


def _admin(given: Any, report: Report) -> Admin | None:
    """From a port, an address, or a map of an address and keys."""
    keys = _keys(given) if isinstance(given, dict) else ()
    address = given["listen"] if isinstance(given, dict) else given
    place = ("server", "admin", "listen") if isinstance(given, dict) else ("server", "admin")
    if isinstance(address, str) and "/" in address:
        return Admin("", 0, address, keys)
    host, _, port = address.rpartition(":") if isinstance(address, str) else (Admin().host, "", address)
    host = host.strip("[]")
    if int(port) > _PORTS:
        report.add(place, "bad-address", f"a port is a number from 0 to {_PORTS}, not {port}", length=len(str(address)))
    elif not keys and not is_loopback(host):
        message = f"who reaches {host} could reload the configuration: no keys are listed for it"
        report.add(place, "open-admin", message, "list keys under server.admin.keys, or listen on 127.0.0.1", length=len(str(address)))
    else:
        return Admin(host, int(port), None, keys)
    return None


def _networks(entries: Any, report: Report) -> tuple[ipaddress.IPv4Network | ipaddress.IPv6Network, ...]:
    networks = []
    for position, entry in enumerate(entries):
        try:
            networks.append(ipaddress.ip_network(entry, strict=False))
        except ValueError:
            message = f"'{entry}' is not an IP address or network"
            report.add(
                ("server", "trusted_proxies", position), "bad-address", message, "write 10.0.0.1, 10.0.0.0/8 or fd00::/8", length=len(entry)
            )
    return tuple(networks)
