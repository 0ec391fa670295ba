"""What a configuration says, checked and resolved: frozen values that every other room reads.

Defaults live here and in `policy.py`, and nowhere else (the schema repeats them for editors; a test compares the two).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from ipaddress import IPv4Network, IPv6Network
from pathlib import Path
from typing import Any, Literal

from proxy.config.client_dialects import load_client_dialects
from proxy.config.globs import Glob
from proxy.config.policy import Causes, Concurrency, Cooldown, Failover, Order, Retry, Sticky
from proxy.dialect import Dialect
from proxy.errors import Diagnostic

State = Literal["ready", "no key", "demo"]


@dataclass(frozen=True, slots=True)
class Timeouts:
    """Deadlines of one upstream call, in seconds; None: none."""

    connect: float | None = 5.0
    first_event: float | None = 300.0  # until the answer's head and first event; models think silently for minutes
    idle: float | None = 120.0  # between two events with data in them; comments do not count
    write: float | None = 60.0  # a client that does not read
    total: float | None = None


@dataclass(frozen=True, slots=True)
class Limits:
    """Bounds, in bytes but for `in_flight`."""

    body: int = 32 * 2**20  # a client's request
    headers: int = 64 * 2**10  # of a request, all together
    answer: int = 32 * 2**20  # an upstream's answer that is read whole; images and embeddings may have twice as much
    answers: int = 64 * 2**20  # what all large answers may hold at once, in one process
    event: int = 16 * 2**20  # one event of an upstream's stream
    in_flight: int = 1024  # requests in work at once, in all workers together


@dataclass(frozen=True, slots=True)
class ClientKey:
    """A key that a client may use; only its digest is known here."""

    name: str
    sha256: bytes  # 32 bytes


@dataclass(frozen=True, slots=True)
class Log:
    """`level` of the messages on stderr; where the line for each request goes: stdout, stderr, off, or a file's path (it has a slash)."""

    level: Literal["debug", "info", "warning", "error"] = "info"
    requests: str = "stdout"


@dataclass(frozen=True, slots=True)
class Admin:
    """Where the operator's pages are served. Without `keys` only this machine may see them."""

    host: str = "127.0.0.1"
    port: int = 0
    socket: str | None = None  # a Unix socket instead of host and port
    keys: tuple[ClientKey, ...] = ()


@dataclass(frozen=True, slots=True)
class Server:
    """Where and how clients are served."""

    hosts: tuple[str, ...] = ("127.0.0.1",)  # empty: no TCP, only the Unix socket
    port: int = 8787
    socket: str | None = None
    trusted_proxies: tuple[IPv4Network | IPv6Network, ...] = ()  # whose x-forwarded-for counts
    cors: tuple[str, ...] = ()  # origins, or one "*"
    heartbeat: float | None = None  # seconds between comments while an upstream is silent; None: off
    drain: float = 30.0  # seconds that running answers get when the server is told to stop
    event_loop: Literal["auto", "asyncio", "uvloop"] = "auto"
    admin: Admin | None = None  # None: /metrics with the other pages, no reload by HTTP
    watch: bool = False  # reload when a file of the configuration changes
    workers: int | Literal["auto"] = 1  # processes; auto: one for each processor
    limits: Limits = field(default_factory=Limits)
    log: Log = field(default_factory=Log)


@dataclass(frozen=True, slots=True)
class Tls:
    """PEM files: the authority that signs the upstream's certificate, and our own certificate. `digest` is that of what they held."""

    ca: str | None = None
    cert: str | None = None
    key: str | None = None
    digest: bytes = field(default=b"", compare=False)


@dataclass(frozen=True, slots=True)
class Credential:
    """How a provider is paid: `header: prefix + secret`.

    `kind`: key (the configured secret), none (the provider wants no key). A route with `credential: client` sends the
    client's own key in the same header instead.
    """

    kind: Literal["key", "none"]
    header: str = "authorization"  # lower case
    prefix: str = "Bearer "
    secret: str = field(default="", repr=False)


@dataclass(frozen=True, slots=True)
class Provider:
    """One host that speaks one dialect.

    `state` is `no key` when the key's variables (`missing`) are not set; `dialect` then has no operations unless a route lets
    clients bring their own key. With `demo` the host is one of our own, and `port` is 0 until `Config.with_demos`.
    """

    name: str
    dialect: Dialect
    scheme: Literal["http", "https"]
    host: str
    port: int
    path: str = ""  # of the base URL: "" or "/…", without a slash at its end; may hold {model}
    query: str = ""  # of the base URL, sent with every request
    socket: str | None = None  # a Unix socket to connect to instead of host and port
    proxy: str | None = None
    tls: Tls = field(default_factory=Tls)
    credential: Credential = field(default_factory=lambda: Credential("none"))
    spare: tuple[Credential, ...] = ()  # further keys of the same provider
    headers: tuple[tuple[str, str], ...] = ()  # names in lower case
    forward: tuple[str, ...] = ()  # client headers that go up besides the dialect's
    timeouts: Timeouts = field(default_factory=Timeouts)
    state: State = "ready"
    missing: tuple[str, ...] = ()
    demo: str | None = None
    vendor: str = ""  # OpenTelemetry's gen_ai.provider.name
    cooldown: Cooldown = field(default_factory=Cooldown)
    concurrency: Concurrency | None = None

    @property
    def credentials(self) -> tuple[Credential, ...]:
        """All its keys, or the one that says that it has none."""
        return (self.credential, *self.spare)

    @property
    def base_url(self) -> str:
        """As a person would write it."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        port = "" if self.port == {"http": 80, "https": 443}[self.scheme] else f":{self.port}"
        return f"{self.scheme}://{host}{port}{self.path}" + (f"?{self.query}" if self.query else "")

    def url_path(self, path: str) -> str:
        """The request target for a dialect's path template; its {…} are still to be filled in.

        A version that both the base URL and the path name is written once: `…/v1` + `/v1/messages` is `…/v1/messages`.
        """
        first, last = path.split("/", 2)[1], self.path.rpartition("/")[2]
        base = self.path[: -len(last) - 1] if last and first == last else self.path
        target = base + path
        if self.query:
            target += ("&" if "?" in target else "?") + self.query
        return target


@dataclass(frozen=True, slots=True)
class Target:
    """A provider and the model name it knows; `model` None means: the name the client used."""

    provider: Provider
    model: str | None = None
    weight: int = 1
    timeouts: Timeouts = field(default_factory=Timeouts)  # the provider's, with the route's changes
    after: Causes = field(default_factory=Causes)  # not empty: asked only after one of these failures of another

    def model_for(self, public: str | None, parts: tuple[str, ...]) -> str | None:
        """The upstream's name for a request that names `public`, whose `*` stood for `parts`."""
        return public if self.model is None else Glob.fill(self.model, parts)


@dataclass(frozen=True, slots=True)
class Route:
    """Public model names and operations → targets in order, with their policy.

    `pattern` None: requests whatever model they name, or none. `operations` None: all of them; else names with `*`.
    `ready` are the targets that can be used; when it is empty, the keys that `missing` names are what lacks.
    """

    pattern: Glob | None
    operations: tuple[Glob, ...] | None
    targets: tuple[Target, ...]
    order: Order = "ordered"
    members: Mapping[str, Any] = field(default_factory=dict)  # default, clamp, set: request field → template
    drop: tuple[str, ...] = ()  # request fields that never go up
    headers: tuple[tuple[str, str], ...] = ()
    unsupported: Literal["report", "reject"] = "report"
    answer_model: Literal["public", "upstream"] = "public"
    credential: Literal["provider", "client"] = "provider"
    reasoning_field: Literal["reasoning_content", "reasoning", "both"] = "reasoning_content"
    failover: Failover = field(default_factory=Failover)
    retry: Retry = field(default_factory=Retry)
    sticky: Sticky = field(default_factory=Sticky)
    implied: bool = False  # made by provider_prefix
    line: int = 0  # in the configuration file

    @property
    def name(self) -> str:
        """For people, logs and metrics."""
        pattern = self.pattern.text if self.pattern else "*"
        return pattern if self.operations is None else f"{pattern} ({', '.join(glob.text for glob in self.operations)})"

    @property
    def ready(self) -> tuple[Target, ...]:
        """The targets whose provider has a key, or needs none because the client brings its own."""
        return tuple(target for target in self.targets if target.provider.state != "no key" or self.credential == "client")

    @property
    def missing(self) -> tuple[str, ...]:
        """The environment variables whose lack disables targets."""
        return tuple(dict.fromkeys(name for target in self.targets for name in target.provider.missing))

    def serves(self, operation: str) -> bool:
        """Whether the operation is one of this route's."""
        return self.operations is None or any(glob.match(operation) is not None for glob in self.operations)


@dataclass(frozen=True, slots=True)
class Config:
    """One loaded configuration. `diagnostics` are its warnings; `files` are all files that were read for it."""

    path: Path
    version: int
    server: Server
    keys: tuple[ClientKey, ...]
    providers: Mapping[str, Provider]
    routes: tuple[Route, ...]
    diagnostics: tuple[Diagnostic, ...] = ()
    files: tuple[Path, ...] = ()

    def compile(self) -> None:
        """Compiles all that waits for its first use. Takes a while; may run in a thread of its own, while requests come already.

        Most of these are chats, of providers that routes lead to: those are first.
        """
        aimed = {target.provider.name for route in self.routes for target in route.ready}
        providers = sorted(self.providers.values(), key=lambda provider: provider.name not in aimed)
        for provider in providers:
            provider.dialect.operations.compile("chat")
        load_client_dialects().mappings.compile()
        for provider in providers:
            provider.dialect.operations.compile()

    def with_demos(self, ports: Mapping[str, int]) -> Config:
        """The same with demo providers pointing at the loopback ports of the demo servers, by demo name."""
        moved = {
            name: replace(provider, port=ports[provider.demo]) if provider.demo else provider for name, provider in self.providers.items()
        }
        routes = tuple(
            replace(route, targets=tuple(replace(target, provider=moved[target.provider.name]) for target in route.targets))
            for route in self.routes
        )
        return replace(self, providers=moved, routes=routes)
