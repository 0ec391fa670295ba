"""A dialect compiled: what one wire language needs to be spoken, per operation. Knows no file, opens nothing."""

from __future__ import annotations

import re
from collections.abc import Callable, Container, Iterator, Mapping
from dataclasses import dataclass, field
from fnmatch import translate
from functools import partial
from threading import Lock
from typing import Any
from urllib.parse import quote

from proxy.errors import SpecPath
from proxy.mapping.code import Pieces
from proxy.mapping.failures import ErrorMapping
from proxy.mapping.faults import Faults
from proxy.mapping.mappings import (
    MemberMapping,
    Peek,
    RequestMapping,
    ResponseMapping,
    compile_errors,
    compile_foreign,
    compile_members,
    compile_peek,
    compile_request,
    compile_response,
)
from proxy.mapping.schemas import Level
from proxy.mapping.stream import StreamMapping
from proxy.mapping.streams import compile_stream, trace_stream
from proxy.mapping.tracing import Step, traced

_PLACE = re.compile(r"\{(\w+)\}")
_LEGAL = re.compile(r"[A-Za-z0-9._:~@/+ -]+")
#: How a text in JSON begins that keeps what one vendor's model said for it in another's place: `samewire.`, or that in base64.
FOREIGN = re.compile(rb'"(?:samewire\.|c2FtZXdpcmUu)')

#: Traits of models: which models a row is for, and what it says of them.
Rows = tuple[tuple[Callable[[str], Any], Mapping[str, Any]], ...]


@dataclass(frozen=True, slots=True)
class Address:
    """A path with places, `/v1beta/models/{model}:generateContent`; what fills them is percent-encoded."""

    text: str

    def fill(self, values: Mapping[str, str]) -> str:
        """The path. Raises ValueError for a value that could leave its place (`..`, control characters, an empty one)."""
        return _PLACE.sub(lambda place: encode_segment(values.get(place[1], ""), place[1]), self.text)


def encode_segment(value: str, name: str) -> str:
    """A model name or id as part of a path: `/` stays inside one, everything unusual is percent-encoded (RFC 3986)."""
    if not _LEGAL.fullmatch(value) or ".." in value or not {"", "."}.isdisjoint(value.split("/")):
        raise ValueError(f"{name} has characters that cannot stand in an address")
    return quote(value, safe="/:@")


@dataclass(frozen=True, slots=True)
class DialectOperation:
    """How one operation is spoken. A part that is None passes through as it came.

    `forward`: the client's headers that go up besides the dialect's. `foreign`: rules for a body that passes through but holds what
    another vendor's model has left in the conversation.
    """

    name: str
    method: str
    path: Address
    stream_path: Address
    headers: Mapping[str, str]
    forward: frozenset[str]
    request: RequestMapping | None
    foreign: RequestMapping | None
    members: MemberMapping | None
    response: ResponseMapping | None
    peek: Peek
    stream: StreamMapping | None
    answer: str


class Operations(Mapping[str, DialectOperation]):
    """Operations by name, each compiled when it is first asked for, once. Safe to be read from several threads."""

    def __init__(self, parts: Mapping[str, Any], compile_part: Callable[[str, Any], DialectOperation]) -> None:
        self._parts = parts
        self._compile = compile_part
        self._compiled: dict[str, DialectOperation] = {}
        self._lock = Lock()

    def __getitem__(self, name: str) -> DialectOperation:
        found = self._compiled.get(name)
        if found is None:
            with self._lock:
                found = self._compiled.get(name) or self._compile(name, self._parts[name])
                self._compiled[name] = found
        return found

    def __contains__(self, name: object) -> bool:
        return name in self._parts

    def __iter__(self) -> Iterator[str]:
        return iter(self._parts)

    def __len__(self) -> int:
        return len(self._parts)

    def but(self, others: Operations) -> Operations:
        """These, but for what others say of some of them."""
        return Operations(self._parts, lambda name, _: others[name] if name in others else self[name])

    def compile(self, *names: str) -> None:
        """Those of these names that there are now; without names, all."""
        for name in names or self:
            if name in self:
                self[name]

    def only(self, names: Container[str]) -> Operations:
        """Some of them; what is compiled for one is there for the other."""
        return Operations({name: None for name in self._parts if name in names}, lambda name, _: self[name])


@dataclass(frozen=True, slots=True)
class Dialect:
    """A wire language. `provider` is OpenTelemetry's gen_ai.provider.name; `auth` the header and prefix of the key."""

    name: str
    provider: str
    auth_header: str
    auth_prefix: str
    headers: Mapping[str, str]
    forward: frozenset[str]
    relay: frozenset[str]
    rate_limits: Mapping[str, str]
    errors: ErrorMapping
    operations: Operations
    spec: Mapping[str, Any] = field(repr=False)
    rows: Rows = field(repr=False)

    def traits(self, model: str) -> dict[str, Any]:
        """The traits of a model: field by field, the first row that fits and has it."""
        return traits_of(self.rows, model)


def compile_dialect(spec: Mapping[str, Any], *, operations: Container[str] | None = None, later: bool = False) -> Dialect:
    """Compile a dialect's specification (of the form that `schemas/dialect.schema.json` describes).

    `operations`: compile only these. Raises FaultError with every fault found, each with its place in the specification;
    `later`: each operation is compiled at its first use, for a specification that is known to have no faults.
    """
    faults = Faults()
    pieces = read_pieces(spec, faults)
    auth = spec.get("auth", {"header": "authorization", "prefix": "Bearer "})
    errors = compile_errors(spec.get("errors", {}), pieces, later=later)
    parts = {str(name): part for name, part in spec.get("operations", {}).items() if operations is None or name in operations}
    compiled = Operations(parts, partial(_operation, errors, pieces))
    if not later:
        compiled.compile()
    dialect = Dialect(
        name=spec["dialect"],
        provider=spec.get("provider", spec["dialect"]),
        auth_header=auth.get("header", "authorization"),
        auth_prefix=auth.get("prefix", ""),
        headers=spec.get("headers", {}),
        forward=frozenset(map(str.lower, spec.get("forward", ()))),
        relay=frozenset(map(str.lower, spec.get("relay", ()))),
        rate_limits={theirs.lower(): ours for ours, theirs in spec.get("rate_limits", {}).items()},
        errors=errors,
        operations=compiled,
        spec=spec,
        rows=read_rows(spec),
    )
    faults.raise_if_any()
    return dialect


@dataclass(frozen=True, slots=True)
class Traced:
    """One operation's rules, compiled to be explained: each gives its result and the steps that led to it; None: passthrough."""

    request: Callable[..., tuple[Any, list[Step]]] | None
    response: Callable[..., tuple[Any, list[Step]]] | None
    event: Callable[..., tuple[Any, list[Step]]] | None


def trace_operation(dialect: Dialect, operation: str) -> Traced:
    """Compile an operation of a (faultless) dialect for `explain`: `request(body, context)` gives (body, used, reported),
    `response(document, context)` the answer before its last touch, `event(document, name, stream, writer, context)` nothing."""
    pieces, part, path = read_pieces(dialect.spec, Faults()), dialect.spec["operations"][operation], ("operations", operation)
    request = compile_request(part.get("request", {}), (*path, "request"), pieces, trace=True)
    response = compile_response(part.get("response", {}), (*path, "response"), pieces, trace=True)
    step = trace_stream(part["stream"], (*path, "stream"), pieces) if "stream" in part else None
    return Traced(
        traced(request.function) if request else None,
        traced(response.function) if response else None,
        traced(step) if step else None,
    )


def read_pieces(spec: Mapping[str, Any], faults: Faults) -> Pieces:
    """The named pieces of a dialect file: tables, schema levels, defs."""
    return Pieces(
        faults,
        {name: expand(table) for name, table in spec.get("tables", {}).items()},
        {
            name: Level(
                frozenset(level.get("drop", ())),
                level.get("rename", {}),
                level.get("set", {}),
                inline_refs=bool(level.get("inline_refs", False)),
                openapi=bool(level.get("openapi", False)),
            )
            for name, level in spec.get("schemas", {}).items()
        },
        spec.get("defs", {}),
        frozenset(name for row in spec.get("traits", ()) for name, value in row.items() if isinstance(value, dict | list)),
    )


def _operation(errors: ErrorMapping, pieces: Pieces, name: str, part: Mapping[str, Any]) -> DialectOperation:
    path: SpecPath = ("operations", name)
    request, response = part.get("request", {}), part.get("response", {})
    return DialectOperation(
        name=name,
        method=part.get("method", "POST"),
        path=Address(part["path"]),
        stream_path=Address(part.get("stream_path", part["path"])),
        headers=part.get("headers", {}),
        forward=frozenset(map(str.lower, part.get("forward") or ())),
        request=compile_request(request, (*path, "request"), pieces),
        foreign=compile_foreign(request.get("foreign"), (*path, "request", "foreign"), pieces),
        members=compile_members(request.get("members", {}), (*path, "request", "members"), pieces),
        response=compile_response(response, (*path, "response"), pieces, errors),
        peek=compile_peek(response.get("usage", ".usage"), errors, path, pieces),
        stream=compile_stream(part["stream"], (*path, "stream"), pieces, errors) if "stream" in part else None,
        answer=part.get("answer", "json"),
    )


def expand(table: Mapping[Any, Any]) -> dict[Any, Any]:
    """A table with its `a|b` keys taken apart; a number is found as a number and as its text."""
    flat: dict[Any, Any] = {}
    for keys, value in table.items():
        for key in keys.split("|") if isinstance(keys, str) else [keys]:
            flat[key] = value
            if isinstance(key, str) and key.isascii() and key.isdigit():
                flat[int(key)] = value
    return flat


def read_rows(spec: Mapping[str, Any]) -> Rows:
    """The `traits:` of a dialect file."""
    return tuple((_globs(row["model"]), {key: value for key, value in row.items() if key != "model"}) for row in spec.get("traits", ()))


def traits_of(rows: Rows, model: str) -> dict[str, Any]:
    """The traits of a model: field by field, the first row that fits and has it."""
    found: dict[str, Any] = {}
    for fits, row in rows:
        if fits(model):
            found = {**row, **found}
    return found


def _globs(patterns: str) -> Callable[[str], Any]:
    """`small-*|tiny-*` → a function that says whether a model fits (case counts)."""
    return re.compile("|".join(translate(pattern.strip()) for pattern in patterns.split("|"))).match
