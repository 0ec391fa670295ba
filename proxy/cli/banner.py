"""What a start prints: where to point clients, what can be reached, a request to paste."""

from __future__ import annotations

import json
import shlex
from collections.abc import Sequence
from typing import TextIO

from proxy import __version__
from proxy.cli.output import paint, table
from proxy.config.model import Config, Provider, Route

STATE_COLOURS = {"ready": "green", "demo": "cyan", "no key": "yellow"}
#: Model names shown for one provider.
SHOWN = 3
#: What opens the address that a client connects to, for addresses that only a server can bind.
_CONNECT = {"0.0.0.0": "127.0.0.1", "": "127.0.0.1", "::": "[::1]"}  # noqa: S104 - compared, not bound


def banner(config: Config, addresses: Sequence[tuple[str, int]], admin: Sequence[tuple[str, int]], stream: TextIO) -> str:
    """The whole text. Host and port of each listener: the clients' (with none, they use the Unix socket), the operator's."""
    base_url = _base_urls(config, addresses)
    keys = "one of the keys in the configuration" if config.keys else "any (no client keys are listed: only this machine is served)"
    lines = [
        f"{paint('Samewire', 'bold', stream)} {__version__}, configured by {config.path}",
        "",
        *(f"  base_url  {paint(url, 'bold', stream)}" for url in base_url),
        f"  api_key   {keys}",
        *(f"  admin     {url}" for url in _admin_urls(config, admin)),
        "",
        _indented(table(("PROVIDER", "STATE", "MODELS"), provider_rows(config), stream, STATE_COLOURS)),
        "",
    ]
    example = curl(config, base_url[0])
    if example:
        lines += ["Try it:", "", f"  {example}", ""]
    return "\n".join(lines)


def state_of(provider: Provider) -> str:
    """`ready`, `demo`, or `no key` with what to set."""
    return f"no key: set {' and '.join(provider.missing)}" if provider.state == "no key" and provider.missing else provider.state


def provider_rows(config: Config) -> list[tuple[str, str, str]]:
    """Name, state and models of each provider; what can be used first."""
    order = list(STATE_COLOURS)
    providers = sorted(config.providers.values(), key=lambda provider: order.index(provider.state))
    return [(provider.name, state_of(provider), _models(config, provider)) for provider in providers]


def curl(config: Config, base_url: str) -> str:
    """A streamed chat to paste, for a model that answers now: one with a configured key, else a demo, else one that needs no key."""
    model = _example_model(config.routes)
    if model is None:
        return ""
    body = {"model": model, "stream": True, "messages": [{"role": "user", "content": "Hello!"}]}
    command = ["curl", "-N"]
    if base_url.startswith("unix:"):
        command += ["--unix-socket", base_url.removeprefix("unix:")]
        base_url = "http://localhost/v1"
    command += [f"{base_url}/chat/completions", "-H", "content-type: application/json", "-d", json.dumps(body)]
    key = ' -H "authorization: Bearer $SAMEWIRE_KEY"' if config.keys else ""
    return shlex.join(command) + key


def _example_model(routes: Sequence[Route]) -> str | None:
    named: dict[str, str] = {}
    for route in routes:
        if route.pattern and not route.pattern.stars and route.serves("chat") and route.ready:
            provider = route.ready[0].provider
            kind = "key" if provider.state == "ready" and provider.credential.kind == "key" else provider.state
            named.setdefault(kind, route.pattern.text)
    return named.get("key") or named.get("demo") or named.get("ready")


def _url(host: str, port: int) -> str:
    shown = _CONNECT.get(host) or (f"[{host}]" if ":" in host else host)
    return f"http://{shown}:{port}"


def _admin_urls(config: Config, addresses: Sequence[tuple[str, int]]) -> list[str]:
    urls = [_url(host, port) for host, port in addresses]
    if config.server.admin is not None and config.server.admin.socket:
        urls.append(f"unix:{config.server.admin.socket}")
    return urls


def _base_urls(config: Config, addresses: Sequence[tuple[str, int]]) -> list[str]:
    urls = [f"{_url(host, port)}/v1" for host, port in addresses]
    if config.server.socket:
        urls.append(f"unix:{config.server.socket}")
    return urls


def _models(config: Config, provider: Provider) -> str:
    routes = (route for route in config.routes if any(target.provider.name == provider.name for target in route.targets))
    names = list(dict.fromkeys(route.pattern.text if route.pattern else "*" for route in routes))
    more = f", … ({len(names)})" if len(names) > SHOWN else ""
    return ", ".join(names[:SHOWN]) + more


def _indented(text: str) -> str:
    return "\n".join(f"  {line}" for line in text.splitlines())
