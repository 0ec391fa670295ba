"""A dialect compiled: what one wire language needs to be spoken, per operation. Knows no file, opens nothing."""

from __future__ import annotations

import re
from collections.abc import Callable, Container, Mapping
from copy import copy
from dataclasses import dataclass, field
from fnmatch import translate
from threading import Lock
from typing import Any, Generic, TypeVar
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
    compile_usual,
)
from proxy.mapping.operators import mentions
from proxy.mapping.schemas import Level
from proxy.mapping.stream import StreamMapping
from proxy.mapping.streams import compile_stream, trace_stream
from proxy.mapping.tracing import Step, traced

_PLACE = re.compile(r"\{(\w+)\}")
_LEGAL = re.compile(r"[A-Za-z0-9._:~@/+ -]+")
#: How a text in JSON begins that keeps what one vendor's model said for it in another's place: `samewire.`, or that in base64.
_FOREIGN = (b'"samewire.', b'"c2FtZXdpcmUu')

#: Traits of models: which models a row is for, and what it says of them.
Rows = tuple[tuple[Callable[[str], Any], Mapping[str, Any]], ...]


T = TypeVar("T")


def holds_foreign(body: bytes) -> bool:
    """Whether a body has what another vendor's model said."""
    return any(mark in body for mark in _FOREIGN)


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


class _Part(Generic[T]):
    """A part of an operation, compiled when it is first asked for, once: a thread that comes meanwhile waits for it, and only for it."""

    def __init__(self, build: Callable[[DialectOperation], T]) -> None:
        self._build = build
        self._name = build.__name__

    def __get__(self, operation: DialectOperation, owner: type[DialectOperation]) -> T:
        with operation.locks[self._name]:
            if self._name not in operation.__dict__:
                operation.__dict__[self._name] = self._build(operation)  # which is found there from now on
        found: T = operation.__dict__[self._name]
        return found


class DialectOperation:
    """How one operation is spoken. A part that is None passes through as it came.

    `usual`: what `request` is, for bodies with messages of the usual form (`read_usual`); None: they are as all others.
    `forward`: the client's headers that go up besides the dialect's. `foreign`: rules for a body that passes through but holds what
    another vendor's model has left in the conversation.
    """

    PARTS = ("usual", "request", "foreign", "members", "response", "peek", "stream")

    def __init__(self, errors: ErrorMapping, pieces: Pieces, name: str, part: Mapping[str, Any]) -> None:
        self.name = name
        self.method: str = part.get("method", "POST")
        self.path = Address(part["path"])
        self.stream_path = Address(part.get("stream_path", part["path"]))
        self.headers: Mapping[str, str] = part.get("headers", {})
        self.forward: frozenset[str] = frozenset(map(str.lower, part.get("forward") or ()))
        self.answer: str = part.get("answer", "json")
        self.locks = {name: Lock() for name in self.PARTS}
        self._errors = errors
        self._pieces = pieces
        self._part = part
        self._at: SpecPath = ("operations", name)

    def compile(self, *, but: Container[str] = ()) -> None:
        """All its parts, those that a whole answer needs first."""
        for name in self.PARTS:
            if name not in but:
                getattr(self, name)

    def replaced(self, **parts: Any) -> DialectOperation:
        """The same with other parts."""
        made = copy(self)
        made.__dict__.update(parts)
        return made

    @_Part
    def request(self) -> RequestMapping | None:
        return compile_request(self._part.get("request", {}), (*self._at, "request"), self._pieces)

    @_Part
    def usual(self) -> RequestMapping | None:
        if mentions([self._part.get(part) for part in ("response", "stream")], "$req", self._pieces.defs):
            return None  # who looks at the request later wants its messages as they came
        return compile_usual(self._part.get("request", {}), (*self._at, "request"), self._pieces)

    @_Part
    def foreign(self) -> RequestMapping | None:
        return compile_foreign(self._part.get("request", {}).get("foreign"), (*self._at, "request", "foreign"), self._pieces)

    @_Part
    def members(self) -> MemberMapping | None:
        return compile_members(self._part.get("request", {}).get("members", {}), (*self._at, "request", "members"), self._pieces)

    @_Part
    def response(self) -> ResponseMapping | None:
        return compile_response(self._part.get("response", {}), (*self._at, "response"), self._pieces, self._errors)

    @_Part
    def peek(self) -> Peek:
        return compile_peek(self._part.get("response", {}).get("usage", ".usage"), self._errors, self._at, self._pieces)

    @_Part
    def stream(self) -> StreamMapping | None:
        if "stream" not in self._part:
            return None
        return compile_stream(self._part["stream"], (*self._at, "stream"), self._pieces, self._errors)


class Operations(dict[str, DialectOperation]):
    """Operations by name."""

    def but(self, others: Operations) -> Operations:
        """These, but for what others say of some of them."""
        return Operations({name: others.get(name, operation) for name, operation in self.items()})

    def only(self, names: Container[str]) -> Operations:
        """Some of them; what is compiled for one is there for the other."""
        return Operations({name: operation for name, operation in self.items() if name in names})

    def compile(self, *names: str) -> None:
        """Those of these names that there are; without names, all."""
        for name in names or self:
            if name in self:
                self[name].compile()


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
    `later`: each part of an operation is compiled at its first use, for a specification that is known to have no faults.
    """
    faults = Faults()
    pieces = read_pieces(spec, faults)
    auth = spec.get("auth", {"header": "authorization", "prefix": "Bearer "})
    errors = compile_errors(spec.get("errors", {}), pieces, later=later)
    parts = {str(name): part for name, part in spec.get("operations", {}).items() if operations is None or name in operations}
    compiled = Operations({name: DialectOperation(errors, pieces, name, part) for name, part in parts.items()})
    for operation in () if later else compiled.values():
        operation.compile(but=("usual",))  # whose faults are those of `request`
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
