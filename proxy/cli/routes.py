"""`samewire routes`."""

from __future__ import annotations

import argparse
import sys
from typing import Any

from proxy.cli.banner import STATE_COLOURS, provider_rows, state_of
from proxy.cli.configuration import load_or_report
from proxy.cli.output import masked_url, print_json, table
from proxy.config.client_dialects import load_client_dialects
from proxy.config.model import Config, Route
from proxy.dialect import Dialect


def run(arguments: argparse.Namespace) -> int:
    """Lists routes in the order in which they are tried, and providers."""
    config = load_or_report(arguments)
    if config is None:
        return 1
    if arguments.json:
        print_json(_document(config))
        return 0
    rows = [(_pattern(route), _operations(route), _targets(route), _notes(route)) for route in config.routes]
    print(table(("MODEL", "OPERATIONS", "TARGETS", "NOTES"), rows, sys.stdout))
    print()
    print(table(("PROVIDER", "STATE", "DIALECT", "BASE URL"), _providers(config), sys.stdout, STATE_COLOURS))
    return 0


def _pattern(route: Route) -> str:
    return route.pattern.text if route.pattern else "(any or none)"


def _operations(route: Route) -> str:
    return "all" if route.operations is None else ", ".join(glob.text for glob in route.operations)


def _targets(route: Route) -> str:
    join = ", " if route.order == "ordered" else " | "
    shown = []
    for target in route.targets:
        weight = f" ×{target.weight}" if route.order == "weighted" or target.weight != 1 else ""
        after = f" (after {', '.join(target.after.words())})" if target.after else ""
        shown.append(f"{target.provider.name}:{target.model or '(same name)'}{weight}{after}")
    return join.join(shown)


def _notes(route: Route) -> str:
    notes = [] if route.ready else [f"no key: set {' or '.join(route.missing)}"]
    if route.credential == "client":
        notes.append("client's key")
    if route.unsupported == "reject":
        notes.append("refuses what it cannot carry")
    if route.order in ("least_loaded", "sticky"):
        notes.append(route.order.replace("_", " "))
    return ", ".join(notes)


def _providers(config: Config) -> list[tuple[str, str, str, str]]:
    return [(name, state, config.providers[name].dialect.name, _address(config, name)) for name, state, _ in provider_rows(config)]


def _address(config: Config, name: str) -> str:
    provider = config.providers[name]
    return f"demo: {provider.demo}" if provider.demo else masked_url(provider.base_url)


def _translated(dialect: Dialect) -> list[str]:
    """What clients may ask besides, and gets translated to what it has."""
    own = dialect.operations
    return [name for name, by in load_client_dialects().translated.items() if name not in own and by in own]


def _document(config: Config) -> dict[str, Any]:
    routes = [
        {
            "model": route.pattern.text if route.pattern else None,
            "operations": None if route.operations is None else [glob.text for glob in route.operations],
            "order": route.order,
            "targets": [
                {"provider": target.provider.name, "model": target.model, "weight": target.weight, "after": [*target.after.words()]}
                for target in route.targets
            ],
            "ready": bool(route.ready),
            "line": route.line,
        }
        for route in config.routes
    ]
    providers = [
        {
            "name": name,
            "state": state_of(provider),
            "dialect": provider.dialect.name,
            "base_url": _address(config, name),
            "operations": [*provider.dialect.operations],
            "translated": _translated(provider.dialect),
        }
        for name, provider in config.providers.items()
    ]
    return {"routes": routes, "providers": providers}
