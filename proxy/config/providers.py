"""The `providers:` section → Providers, each with its dialect compiled, its own repairs put in."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Container, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Literal

from yaml.nodes import ScalarNode

from proxy.config.addresses import BaseUrl, check_proxy, is_public, parse_base_url, secret_parameter
from proxy.config.dialects import Shelf, Spec
from proxy.config.files import DEMOS
from proxy.config.globs import Glob
from proxy.config.model import Credential, Provider, State, Timeouts, Tls
from proxy.config.overrides import OVERRIDES, overridden
from proxy.config.policy import Concurrency, Cooldown
from proxy.config.report import Report
from proxy.dialect import Dialect
from proxy.errors import ConfigError, SpecPath

_SECRET_HEADER = re.compile(r"authorization|cookie|.*(key|token|secret)", re.IGNORECASE)
_HEADER_TEXT = re.compile(r"[\x20-\x7e]*")
_LITERAL_DEFAULT = re.compile(r"\$\{\w+:-[^${}\s]{16,}\}")
#: What a demo server can do; compiling the rest of its dialect would be for nothing.
_DEMO_OPERATIONS = frozenset(("chat",))


@dataclass(eq=False)
class Providers:
    """Builds providers. `missing`: place of a key that came out empty → the variables that were not set.

    `lent`: providers that a route lets clients pay for, so that they are of use without a key.
    With `check` everything is compiled, also what cannot be used.
    """

    report: Report
    shelf: Shelf
    folder: Path
    missing: Mapping[SpecPath, tuple[str, ...]]
    lent: Container[str]
    check: bool
    _compiled: dict[tuple[str, frozenset[str] | None], Dialect | None] = field(default_factory=dict)

    def build(self, name: str, entry: Mapping[str, Any]) -> Provider | None:
        """One provider; None when it has faults (then they are in the report)."""
        path: SpecPath = ("providers", name)
        state = self.state(entry)
        spec = self.spec(entry, path)
        url = self.demo(entry, path) if "demo" in entry else self.url(entry, path)
        tls = self.tls(entry, path, state)
        self.proxy(entry, path)
        self.secrets(entry, path)
        if spec is None or url is None:
            return None
        dialect = self.dialect(spec, name, entry, self.operations(name, state))
        served = served_operations(entry, spec.operations)
        self.unknown_operations(entry, spec.operations, path)
        if dialect is None:
            return None
        if len(served) < len(spec.operations):
            dialect = replace(dialect, operations=dialect.operations.only(served))
        keys = _credentials(entry, entry.get("auth", {"header": dialect.auth_header, "prefix": dialect.auth_prefix}))
        return Provider(
            name,
            dialect,
            url.scheme,
            url.host,
            url.port,
            url.path,
            url.query,
            socket=self.file(entry.get("socket")),
            proxy=entry.get("proxy"),
            tls=tls,
            credential=keys[0],
            spare=tuple(keys[1:]),
            headers=lower_headers(entry),
            forward=tuple(header.lower() for header in entry.get("forward", ())),
            timeouts=Timeouts(**entry.get("timeouts", {})),
            state=state,
            missing=tuple(name for place in _key_places(entry, path) for name in self.missing.get(place, ())),
            demo=entry.get("demo"),
            vendor=entry.get("vendor") or (name if spec.name == "openai" else spec.provider or spec.name),
            cooldown=Cooldown(**entry.get("cooldown", {})),
            concurrency=_concurrency(entry.get("concurrency")),
        )

    def state(self, entry: Mapping[str, Any]) -> State:
        if "demo" in entry:
            return "demo"
        return "no key" if {"key", "keys"} & entry.keys() and not any(_secrets(entry)) else "ready"

    def operations(self, name: str, state: State) -> frozenset[str] | None:
        """What of the dialect is needed; None: all of it."""
        if self.check:
            return None
        if state == "no key" and name not in self.lent:
            return frozenset()
        return _DEMO_OPERATIONS if state == "demo" else None

    def unknown_operations(self, entry: Mapping[str, Any], known: Sequence[str], path: SpecPath) -> None:
        """Each name or pattern is of an operation that the dialect has."""
        for position, text in enumerate(entry.get("operations", ())):
            pattern = Glob(text)
            if not any(pattern.match(operation) is not None for operation in known):
                self.report.unknown((*path, "operations", position), "operation", text, known)

    def spec(self, entry: Mapping[str, Any], path: SpecPath) -> Spec | None:
        name = entry.get("dialect", "openai")
        if name not in self.shelf:
            self.report.unknown((*path, "dialect"), "dialect", name, self.shelf.names())
            return None
        return self.shelf.spec(name)

    def dialect(self, spec: Spec, name: str, entry: Mapping[str, Any], operations: frozenset[str] | None) -> Dialect | None:
        """Providers with the same dialect and no word of their own share one; repairs are compiled for the operations they touch."""
        if OVERRIDES.isdisjoint(entry) or operations == frozenset():
            return self.shared(spec, operations)
        own = overridden(spec, name, entry, self.report)
        if operations is not None or OVERRIDES & entry.keys() != {"rewrite"}:
            return self.compiled(own, operations)
        shared, repaired = self.shared(spec, None), self.compiled(own, frozenset(entry["rewrite"]))
        return replace(shared, operations=shared.operations.but(repaired.operations)) if shared and repaired else None

    def shared(self, spec: Spec, operations: frozenset[str] | None) -> Dialect | None:
        """Compiled once; a part of what has been compiled whole is taken from it. What comes with Samewire is compiled where it is used."""
        whole = self.shared(spec, None) if spec.shipped and operations is not None else self._compiled.get((spec.name, None))
        if whole is not None and operations is not None:
            return replace(whole, operations=whole.operations.only(operations))
        key = (spec.name, operations)
        if key not in self._compiled:
            self._compiled[key] = self.compiled(spec, operations)
        return self._compiled[key]

    def compiled(self, spec: Spec, operations: frozenset[str] | None) -> Dialect | None:
        try:
            return spec.compile(operations, later=spec.shipped and not self.check)
        except ConfigError as error:
            self.report.found += error.diagnostics
            return None

    def url(self, entry: Mapping[str, Any], path: SpecPath) -> BaseUrl | None:
        text = entry["base_url"]
        try:
            url = parse_base_url(text)
        except ValueError as error:
            self.report.add((*path, "base_url"), "bad-url", str(error), length=len(text))
            return None
        if url.scheme == "http" and is_public(url.host) and "socket" not in entry:
            message = f"requests and keys go to {url.host} unencrypted"
            self.report.warn((*path, "base_url"), "plain-http", message, "write https://", length=len(text))
        if secret := secret_parameter(url.query):
            message = f"a secret in a URL ({secret}) gets into the logs of whatever it passes"
            self.report.warn(
                (*path, "base_url"), "secret-in-url", message, "give it as `key`; `auth` says in which header it goes", length=len(text)
            )
        return url

    def proxy(self, entry: Mapping[str, Any], path: SpecPath) -> None:
        if "proxy" in entry:
            try:
                check_proxy(entry["proxy"])
            except ValueError as error:
                self.report.add((*path, "proxy"), "bad-url", str(error), length=len(entry["proxy"]))

    def demo(self, entry: Mapping[str, Any], path: SpecPath) -> BaseUrl | None:
        """Demo servers listen on loopback; their ports are known when they have started."""
        flavours = [folder.name for folder in DEMOS.iterdir() if (folder / "flavour.yaml").is_file()]
        for key in ("base_url", "key", "keys", "socket", "proxy", "tls"):
            if key in entry:
                self.report.add((*path, key), "conflict", f"a demo provider has no {key}", f"remove {key}, or remove demo")
        if entry["demo"] in flavours:
            return BaseUrl("http", "127.0.0.1", 0, "", "")
        self.report.unknown((*path, "demo"), "demo", entry["demo"], flavours)
        return None

    def tls(self, entry: Mapping[str, Any], path: SpecPath, state: State) -> Tls:
        files = {key: self.file(name) for key, name in entry.get("tls", {}).items()}
        digest = hashlib.sha256()
        for key, name in files.items():
            if state == "no key" or not name:
                continue
            place, length = (*path, "tls", key), len(entry["tls"][key])
            if not Path(name).is_file():
                self.report.add(place, "missing-file", f"there is no file {name}", length=length)
                continue
            held = Path(name).read_bytes()
            digest.update(held)
            if b"-----BEGIN " not in held:
                self.report.add(place, "no-certificate", f"there is no PEM text in {name}", length=length)
        return Tls(files.get("ca"), files.get("cert"), files.get("key"), digest.digest())

    def file(self, name: str | None) -> str | None:
        return None if name is None else str(self.folder / name)

    def secrets(self, entry: Mapping[str, Any], path: SpecPath) -> None:
        """Refuses a key that cannot stand in a header; warns of secrets that stand in the file itself."""
        places = list(_key_places(entry, path))
        for place, secret in zip(places, _secrets(entry), strict=True):
            if not _HEADER_TEXT.fullmatch(secret):
                self.report.add(place, "wrong-value", "this key has characters that cannot stand in a header")
        places += [(*path, "headers", header) for header in entry.get("headers", {}) if _SECRET_HEADER.fullmatch(header)]
        for place in places:
            _, node, found = self.report.document.find(place)
            if found and isinstance(node, ScalarNode) and _is_literal(node.value):
                hint = f"put it into an environment variable: ${{{_variable(str(path[1]))}}}"
                self.report.warn(place, "inline-secret", "a secret stands in this file for all to read", hint, length=len(node.value))


def served_operations(entry: Mapping[str, Any], known: Sequence[str]) -> tuple[str, ...]:
    """Those of the dialect's operations that the host has."""
    if "operations" not in entry:
        return tuple(known)
    globs = [Glob(text) for text in entry["operations"]]
    return tuple(operation for operation in known if any(glob.match(operation) is not None for glob in globs))


def _secrets(entry: Mapping[str, Any]) -> list[str]:
    """Every key; one whose variable is not set is empty."""
    given = [*([entry["key"]] if "key" in entry else []), *entry.get("keys", ())]
    return [secret.strip() for secret in given]


def _key_places(entry: Mapping[str, Any], path: SpecPath) -> Iterator[SpecPath]:
    if "key" in entry:
        yield (*path, "key")
    yield from ((*path, "keys", position) for position in range(len(entry.get("keys", ()))))


def _credentials(entry: Mapping[str, Any], auth: Mapping[str, str]) -> list[Credential]:
    """Each key once, but those whose variable is not set; at least one, which may say that there is none."""
    header, prefix = auth["header"].lower(), auth.get("prefix", "")
    secrets = list(dict.fromkeys(filter(None, _secrets(entry)))) or [""]
    kind: Literal["key", "none"] = "key" if {"key", "keys"} & entry.keys() else "none"
    return [Credential(kind, header, prefix, secret) for secret in secrets]


def _concurrency(entry: int | Mapping[str, Any] | None) -> Concurrency | None:
    """A number is short for `limit`."""
    if entry is None:
        return None
    return Concurrency(**entry) if isinstance(entry, Mapping) else Concurrency(entry)


def lower_headers(entry: Mapping[str, Any]) -> tuple[tuple[str, str], ...]:
    """The `headers:` of a provider or route."""
    return tuple((name.lower(), value) for name, value in entry.get("headers", {}).items())


def _is_literal(written: str) -> bool:
    return bool(_LITERAL_DEFAULT.search(written)) or ("${" not in written and len(written) >= 12)


def _variable(provider: str) -> str:
    return re.sub(r"\W", "_", provider).upper() + "_API_KEY"
