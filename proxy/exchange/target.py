"""All that is constant about sending one operation of one public name to one target, made once."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import parse_qsl, unquote_plus

import msgspec
from multidict import istr

from proxy import __version__
from proxy.client_dialect import ClientMapping
from proxy.config.model import Provider, Route, Timeouts
from proxy.dialect import Address, Dialect, DialectOperation
from proxy.errors import ClientError
from proxy.exchange.gate import Gate, Gates
from proxy.exchange.pace import Pace
from proxy.exchange.scrub import long_enough, scrubbed, secrets_of
from proxy.mapping.code import Pieces
from proxy.mapping.context import Context
from proxy.mapping.faults import Faults
from proxy.mapping.mappings import MemberMapping, compile_members
from proxy.metrics import Metrics, Series
from proxy.routing import Choice, Standing, Standings
from proxy.upstream import Origin, header_line, request_line

#: As a call has them: value by lower-cased name.
Headers = Mapping[bytes, bytes]
#: The upstream's headers that reach the client beside a dialect's own and x-ratelimit-*.
RELAYED = ("retry-after", "retry-after-ms", "x-should-retry", "openai-processing-ms")
_RATE_LIMIT = b"x-ratelimit-"
_REASONING = {"both": ("reasoning_content", "reasoning")}


@dataclass(frozen=True, slots=True)
class TargetCall:
    """One target's constants. Heads are bytes up to what changes with each request.

    `head` and `stream_head` are empty where the path has an id of the client's in it; `lines` are the headers below the request line.
    `forward`: the client's headers that go up, each with the line that goes when the client has none.
    `rename`: the upstream's model name as JSON text, when it is not the client's. `shown`: the name to show, None for the upstream's own.
    `name`: the target, as routes.yaml would say it; `route`: the route's name.
    `rules`: what the route sets by default, always, or within bounds; `edits`: that, and what the
    dialect sets. `secrets`: what the upstream is sent and must not show.
    `operation`: the upstream's that is asked; `client`: how the client's own becomes that and back, None: they are the same.
    `clients`: all such ways.
    `standing`: whether it is being left alone; `gate`: the provider's, where it has a limit.
    """

    choice: Choice
    name: str
    route: str
    operation: DialectOperation
    client: ClientMapping | None
    clients: Mapping[str, ClientMapping]
    provider: Provider
    origin: Origin
    head: bytes
    stream_head: bytes
    lines: bytes
    forward: tuple[tuple[istr, bytes], ...]
    relayed: Mapping[bytes, bytes]
    provider_line: bytes
    traits: dict[str, Any]
    rules: MemberMapping | None
    edits: tuple[MemberMapping, ...]
    rename: bytes | None
    shown: bytes | None
    reasoning: tuple[str, ...]
    pace: Pace
    timeouts: Timeouts
    series: Series
    secrets: tuple[bytes, ...]
    standing: Standing
    gate: Gate | None

    def request_head(self, identifier: str, query: str, *, stream: bool) -> bytes:
        """Request line and constant headers; raises ClientError 400 for an id that cannot stand in a path."""
        ready = self.stream_head if stream else self.head
        return ready if ready and not query else _request_line(self.choice, stream, identifier, query) + self.lines

    def url(self, query: str) -> str:
        """The operation's whole address; raises ClientError 400."""
        return f"{self.provider.scheme}://{_authority(self.provider)}{_path(self.choice, False, '', query)}"

    def client_key_line(self, key: str) -> bytes:
        """The client's own key where the provider's would stand; raises ClientError 400 for one that no header can hold."""
        credential = self.provider.credential
        try:
            return header_line(credential.header, credential.prefix + key)
        except ValueError:
            raise ClientError("The API key has characters that no header can hold.") from None

    def context(self, now: int, *, stream: bool) -> Context:
        """The mapping's variables."""
        public, model = self.choice.public or "", self.choice.model or ""
        shown = public if self.shown is not None else ""
        context = Context(model=model, public=public, traits=self.traits, now=now, stream=stream, shown=shown)
        if self.client is None:
            context.reasoning = self.reasoning
        else:
            traits = {**self.client.traits(model), **self.traits}
            context.client = Context(model=model, public=public, traits=traits, now=now, stream=stream, shown=shown)
        return context

    def relay(self, headers: Headers) -> bytes:
        """The lines of an upstream's headers that may reach the client, under our names."""
        lines = self.provider_line
        for name, value in headers.items():
            ours = self.relayed.get(name)
            if ours is not None:
                lines += b"%b: %b\r\n" % (ours, value)
            elif name.startswith(_RATE_LIMIT):
                lines += b"%b: %b\r\n" % (name, value)
        return lines if lines is self.provider_line else scrubbed(lines, self.secrets)

    def relay_of_error(self, headers: Headers) -> dict[str, str]:
        """The same, as an error carries them."""
        lines = self.relay(headers).decode("latin-1").split("\r\n")
        return dict(line.split(": ", 1) for line in lines if line)


def build(
    choice: Choice, metrics: Metrics, standings: Standings, gates: Gates, clients: Mapping[str, ClientMapping] | None = None
) -> TargetCall:
    """`clients`: how operations are translated. Raises ClientError 400 for a model name that the upstream's address cannot hold."""
    route, target = choice.route, choice.target
    provider, dialect = target.provider, target.provider.dialect
    operation = dialect.operations[choice.spoken]
    lines = _lines(choice)
    rules = _rules(route)
    fixed = "{id}" not in operation.path.text
    shown = choice.public if route.answer_model == "public" else None
    return TargetCall(
        choice=choice,
        name=choice.name,
        route=route.name,
        operation=operation,
        client=clients[choice.operation] if choice.translated and clients is not None else None,
        clients={} if clients is None else clients,
        provider=provider,
        origin=_origin(provider),
        head=_request_line(choice, False) + lines if fixed else b"",
        stream_head=_request_line(choice, True) + lines if fixed else b"",
        lines=lines,
        forward=_forwarded(choice),
        relayed={name.encode(): ours.encode() for name, ours in _relayed(dialect).items()},
        provider_line=header_line("x-samewire-provider", provider.name),
        traits=dialect.traits(choice.model or ""),
        rules=rules,
        edits=tuple(mapping for mapping in (rules, operation.members) if mapping is not None),
        rename=msgspec.json.encode(choice.model) if choice.model != choice.public else None,
        shown=msgspec.json.encode(shown) if shown is not None else None,
        reasoning=_REASONING.get(route.reasoning_field, (route.reasoning_field,)),
        pace=Pace(target.timeouts.first_event, target.timeouts.idle, target.timeouts.write),
        timeouts=target.timeouts,
        series=metrics.series(choice.operation, provider.vendor, choice.public or "", choice.model or ""),
        secrets=tuple(secret.encode() for secret in sorted(long_enough(secrets_of(provider, (route,))), key=len, reverse=True)),
        standing=_standing(choice, standings),
        gate=None if provider.concurrency is None else gates.of(provider.name, provider.concurrency),
    )


def _standing(choice: Choice, standings: Standings) -> Standing:
    name, credential = choice.target.provider.name, choice.target.provider.credentials[choice.key]
    return standings.of(name, choice.model or "", 0 if choice.route.credential == "client" else choice.key + 1, credential.secret)


def _origin(provider: Provider) -> Origin:
    tls = provider.tls
    return Origin(provider.scheme, provider.host, provider.port, provider.socket, provider.proxy, tls.ca, tls.cert, tls.key, tls.digest)


def _path(choice: Choice, stream: bool, identifier: str, query: str) -> str:
    operation = choice.target.provider.dialect.operations[choice.spoken]
    address = operation.stream_path if stream else operation.path
    try:
        path = Address(choice.target.provider.url_path(address.text)).fill({"model": choice.model or "", "id": identifier})
    except ValueError as error:
        param = "model" if "{model}" in address.text else None
        raise ClientError(f"This cannot be asked of the upstream: {error}.", param=param) from None
    return _asked(path, query) if query else path


def _asked(path: str, query: str) -> str:
    """The path with a client's query; what the configuration's own query says already is not for clients to say."""
    known = path.partition("?")[2]
    if not known:
        return f"{path}?{query}"
    names = {name for name, _ in parse_qsl(known, keep_blank_values=True)}
    return "&".join((path, *(part for part in query.split("&") if unquote_plus(part.partition("=")[0]) not in names)))


def _request_line(choice: Choice, stream: bool, identifier: str = "", query: str = "") -> bytes:
    method = choice.target.provider.dialect.operations[choice.spoken].method
    try:
        return request_line(method, _path(choice, stream, identifier, query))
    except ValueError:
        raise ClientError("The address has characters that cannot be passed on.") from None


def _authority(provider: Provider) -> str:
    authority = f"[{provider.host}]" if ":" in provider.host else provider.host
    return authority if provider.port == {"http": 80, "https": 443}[provider.scheme] else f"{authority}:{provider.port}"


def _lines(choice: Choice) -> bytes:
    """Constant headers; of two with one name the more particular wins: the route's, the provider's, the dialect's, ours."""
    provider, route = choice.target.provider, choice.route
    dialect = provider.dialect
    operation = dialect.operations[choice.spoken]
    headers = {"host": _authority(provider), "user-agent": f"samewire/{__version__}", "accept": "*/*", "accept-encoding": "identity"}
    replaced = _replaced(choice)
    credential = provider.credentials[choice.key]
    if credential.kind == "key" and route.credential == "provider":
        headers[credential.header] = credential.prefix + credential.secret
    for more in (dialect.headers.items(), operation.headers.items(), provider.headers, route.headers):
        headers |= {name.lower(): value for name, value in more}
    return b"".join(header_line(name, str(value)) for name, value in headers.items() if name not in replaced)


def _forwarded(choice: Choice) -> tuple[tuple[istr, bytes], ...]:
    dialect, provider = choice.target.provider.dialect, choice.target.provider
    names = {*dialect.forward, *provider.forward, *dialect.operations[choice.spoken].forward}
    replaced = _replaced(choice)
    return tuple((istr(name), header_line(name, replaced[name]) if name in replaced else b"") for name in sorted(names))


def _replaced(choice: Choice) -> dict[str, str]:
    """The headers of an operation that a client may say otherwise: those of the dialect, not those of the configuration."""
    provider = choice.target.provider
    operation = provider.dialect.operations[choice.spoken]
    said = {name.lower() for name, _ in (*provider.headers, *choice.route.headers)}
    headers = {name.lower(): value for name, value in {**provider.dialect.headers, **operation.headers}.items()}
    return {name: value for name, value in headers.items() if name in operation.forward and name not in said}


def _rules(route: Route) -> MemberMapping | None:
    """What the route sets, compiled for use; its faults were found when the configuration was loaded."""
    return compile_members(route.members, ("members",), Pieces(Faults(), {}, {}, {}))


def _relayed(dialect: Dialect) -> dict[str, str]:
    return {**{name: name for name in (*RELAYED, *sorted(dialect.relay))}, **dialect.rate_limits}
