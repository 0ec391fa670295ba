"""A wire language that faces clients, compiled: what they may ask, how the gateway answers by itself, and how an operation is served by
an upstream that has only a chat. Knows no file, opens nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import partial
from threading import Lock
from typing import Any, Literal
from urllib.parse import parse_qs

import msgspec

from proxy.codecs.framing import FRAMINGS, Framing
from proxy.dialect import Rows, read_pieces, read_rows, traits_of
from proxy.errors import ExchangeError
from proxy.mapping.context import Context
from proxy.mapping.failures import Later
from proxy.mapping.faults import Faults
from proxy.mapping.mappings import RequestMapping, compile_foreign, compile_request, compile_response, compile_template
from proxy.mapping.sections import SectionsMapping, compile_sections

BodyKind = Literal["json", "multipart", "none", "websocket"]
ModelPlace = Literal["required", "optional", "query", "path", "nowhere"]
AnswerKind = Literal["json", "bytes", "media", "either"]
#: True: a member `stream` that is true asks for a stream; default: all but one that is false does; always, never: the path says it.
StreamRule = bool | Literal["always", "never", "default"]

_encode = msgspec.json.encode


@dataclass(frozen=True, slots=True)
class Voice:
    """How the gateway speaks for itself: its errors and, in a stream, its signs of life.

    `statuses`: the dialect's HTTP statuses by ours, where they differ. `body` makes the dialect's envelope of a failure (message, type,
    code, param, status, request_id, and what else is known); None: OpenAI's. `event`: the name of an error's event, `last` makes its data;
    None: it is the envelope.
    `heartbeat`: an event that means nothing, or its bytes; None: what the framing has for it.
    """

    statuses: Mapping[int, int] = field(default_factory=dict)
    body: Callable[[dict[str, Any], Context], Any] | None = None
    event: str = ""
    last: Callable[[dict[str, Any], Context], Any] | None = None
    heartbeat: Callable[[dict[str, Any], Context], Any] | bytes | None = None

    def status(self, error: ExchangeError) -> int:
        """The HTTP status that a client of this dialect expects."""
        return self.statuses.get(error.status, error.status)

    def envelope(self, error: ExchangeError, request_id: str = "") -> Any:
        """The error in the dialect's shape."""
        return error.envelope() if self.body is None else self._made(self.body, error, request_id)

    def last_event(self, error: ExchangeError, request_id: str = "") -> Any:
        """The error as the last event of a stream that no rules write."""
        return self.envelope(error, request_id) if self.last is None else self._made(self.last, error, request_id)

    def _made(self, template: Callable[[dict[str, Any], Context], Any], error: ExchangeError, request_id: str) -> Any:
        told = failure(error) | ({"request_id": request_id} if request_id else {})
        return template(told, Context(model="", status=self.status(error)))

    def silence(self, framing: Framing) -> bytes:
        """What keeps a connection alive and is no event: it may stand before the first."""
        return self.heartbeat if isinstance(self.heartbeat, bytes) else SILENCE[framing.name]

    def sign_of_life(self, framing: Framing, context: Context) -> bytes:
        """What keeps a stream alive that has begun."""
        if self.heartbeat is None or isinstance(self.heartbeat, bytes):
            return self.silence(framing)
        event = self.heartbeat({}, context)
        return framing.event(_encode(event), str(event.get("type", "")) if self.event else "")


#: What keeps a connection alive and is no event, by framing, where the dialect has no bytes of its own for it. An SSE comment ends with
#: one line end: an empty line would hand some clients an event without data.
SILENCE: Mapping[str, bytes] = {"sse": b": keep-alive\n", "ndjson": b"\n", "array": b"\n"}
#: OpenAI's.
PLAIN = Voice()


def failure(error: ExchangeError) -> dict[str, Any]:
    """An error as the rules of client dialects read it."""
    own = {"message": error.message, "type": error.type, "code": error.code, "param": error.param, "status": error.status}
    return {**error.extra, **own}


@dataclass(frozen=True, slots=True)
class Accepted:
    """A body of another shape that an operation takes, too: one in whose members (name, text) each text of `has` is, and none of `lacks`.

    The empty text is in each member that is there. `like`: it is brought into shape as a request of that operation is; '': by `rewrite`.
    """

    has: tuple[tuple[str, bytes], ...]
    lacks: tuple[tuple[str, bytes], ...]
    like: str
    rewrite: Callable[..., tuple[dict[str, Any], tuple[str, ...]]]


@dataclass(frozen=True, slots=True)
class Ids:
    """Of answers that a provider keeps. `request`: the member of a request that names an earlier one; `kept`: the member that is false
    where nothing is kept."""

    request: str
    kept: str


@dataclass(frozen=True, slots=True)
class Operation:
    """One thing a client may ask for. The words are those of `dialects/client/openai.yaml`.

    `chat`: an upstream's chat, or another operation of it (`by`), can serve it. `accepts`: bodies of other shapes; each has one of
    `oddities`. `ids`: of what is answered.
    `framings`: by the value of the query's `framed_by`; "" is for all others.
    """

    name: str
    path: str
    method: str = "POST"
    body: BodyKind = "json"
    model: ModelPlace = "nowhere"
    stream: StreamRule = False
    answer: AnswerKind = "json"
    tokens: bool = False
    large: bool = False
    chat: bool = False
    by: str = "chat"
    accepts: tuple[Accepted, ...] = ()
    oddities: frozenset[str] = frozenset()
    ids: Ids | None = None
    voice: Voice = PLAIN
    framed_by: str = ""
    framings: Mapping[str, Framing] = field(default_factory=lambda: {"": FRAMINGS["sse"]})

    def framing(self, query: str) -> Framing:
        """How the client wants the events of a stream."""
        given = parse_qs(query).get(self.framed_by, [""])[-1] if self.framed_by and query else ""
        return self.framings.get(given) or self.framings[""]


@dataclass(frozen=True, slots=True)
class ClientMapping:
    """How an operation is served by an upstream's chat, or by another operation of it; what is said here of chats holds for those, too.

    `request`: the client's body → the canonical one. `answer`: a canonical answer → the client's. `stream`: None: it does not stream.
    `estimated`: nobody is asked; `answer` is made of `{tokens}`, as many as the request is guessed to be. `names`: the client's own for
    parameters of a chat. `by`: the upstream's operation.
    """

    request: RequestMapping
    answer: Callable[[dict[str, Any], Context], dict[str, Any]]
    stream: SectionsMapping | None
    rows: Rows
    estimated: bool = False
    names: Mapping[str, str] = field(default_factory=dict)
    by: str = "chat"

    def traits(self, model: str) -> dict[str, Any]:
        """The traits that the client's dialect gives a model."""
        return traits_of(self.rows, model)


class Mappings(Mapping[str, ClientMapping]):
    """By operation, each compiled when it is first asked for, once. Safe to be read from several threads."""

    def __init__(self, parts: Mapping[str, Callable[[], ClientMapping]]) -> None:
        self._parts = parts
        self._compiled: dict[str, ClientMapping] = {}
        self._lock = Lock()

    def __getitem__(self, name: str) -> ClientMapping:
        found = self._compiled.get(name)
        if found is None:
            with self._lock:
                found = self._compiled.get(name) or self._parts[name]()
                self._compiled[name] = found
        return found

    def __iter__(self) -> Iterator[str]:
        return iter(self._parts)

    def __len__(self) -> int:
        return len(self._parts)

    def __contains__(self, name: object) -> bool:
        return name in self._parts

    def compile(self) -> None:
        """Compiles all that waits for its first use."""
        for name in self:
            self[name]


@dataclass(frozen=True, slots=True)
class ClientPage:
    """What the gateway answers by itself: `body` makes it of `{models: [{id, created, owned_by}, …]}`, or of one such model where the
    path, or a body's `model` or `name`, names it. `header`: only for requests that have this one.
    """

    name: str
    path: str
    method: str
    header: str
    body: Callable[[Any, Context], Any]
    voice: Voice

    @property
    def of_one(self) -> bool:
        """It is about one model."""
        return "{model}" in self.path or self.method == "POST"


@dataclass(frozen=True, slots=True)
class ClientDialect:
    """A wire language that faces clients: where its operations lie. A root may be left out of a URL, or said twice."""

    name: str
    roots: tuple[str, ...]
    operations: tuple[Operation, ...]
    pages: tuple[ClientPage, ...]
    voice: Voice
    mappings: Mapping[str, Callable[[], ClientMapping]] = field(repr=False)


#: A specification, of the form that `schemas/client.schema.json` describes.
Spec = Mapping[str, Any]


def read_client_dialect(outline: Spec, whole: Callable[[], Spec]) -> ClientDialect:
    """A dialect whose rules are still to be compiled. `outline`: all of a specification but its rules (in place of an operation's `chat`
    there may be anything); `whole` reads it all, once it is wanted.
    """
    voice = _voice(outline, whole)
    entries: Mapping[str, Mapping[str, Any]] = outline["operations"]
    accepts = [(rule["operation"], _accepted(whole, number, rule)) for number, rule in enumerate(outline.get("accept", ()))]
    operations = tuple(
        _operation(name, entry, voice, tuple(rule for taker, rule in accepts if taker == name)) for name, entry in entries.items()
    )
    mappings = {name: partial(_compile_chat, whole, name) for name, entry in entries.items() if "chat" in entry}
    pages = tuple(_page(whole, name, entry, voice) for name, entry in outline.get("pages", {}).items())
    return ClientDialect(outline["dialect"], tuple(outline.get("roots") or (outline["root"],)), operations, pages, voice, mappings)


def _page(whole: Callable[[], Spec], name: str, entry: Mapping[str, Any], voice: Voice) -> ClientPage:
    body = _later(whole, ("pages", name, "body"))
    return ClientPage(name, entry["path"], entry.get("method", "GET"), entry.get("header", ""), body, voice)


def _accepted(whole: Callable[[], Spec], number: int, rule: Mapping[str, Any]) -> Accepted:
    def compiled() -> Callable[..., Any]:
        faults, spec = Faults(), whole()
        mapping = compile_foreign(spec["accept"][number]["rewrite"], ("accept", number, "rewrite"), read_pieces(spec, faults))
        faults.raise_if_any()
        if mapping is None:
            raise ValueError(f"accept {number}: it says neither what it is like nor how it is brought into shape")
        return mapping

    has, lacks = (tuple((name, text.encode()) for name, text in rule.get(key, {}).items()) for key in ("has", "lacks"))
    return Accepted(has, lacks, rule.get("like", ""), Later(compiled))


def _operation(name: str, entry: Mapping[str, Any], voice: Voice, accepts: tuple[Accepted, ...]) -> Operation:
    known: dict[str, Any] = {key: value for key, value in entry.items() if key not in ("framing", "chat")}
    if "ids" in entry:
        known["ids"] = Ids(**entry["ids"])
    framing = entry.get("framing", "sse")
    if isinstance(framing, str):
        framing = {"$else": framing}
    framings = {("" if value == "$else" else value): FRAMINGS[kind] for value, kind in framing.items() if value != "query"}
    return Operation(
        name=name,
        **known,
        chat="chat" in entry,
        accepts=accepts,
        oddities=frozenset(rule.has[0][0] for rule in accepts),
        voice=voice,
        framed_by=framing.get("query", ""),
        framings=framings,
    )


def _voice(outline: Spec, whole: Callable[[], Spec]) -> Voice:
    errors, heartbeat = outline.get("errors", {}), outline.get("heartbeat")
    return Voice(
        statuses={int(ours): int(theirs) for ours, theirs in errors.get("status", {}).items()},
        body=_later(whole, ("errors", "body")) if "body" in errors else None,
        event=errors.get("event", ""),
        last=_later(whole, ("errors", "last")) if "last" in errors else None,
        heartbeat=heartbeat.encode() if isinstance(heartbeat, str) else heartbeat and _later(whole, ("heartbeat",)),
    )


def _later(whole: Callable[[], Spec], path: tuple[str, ...]) -> Callable[..., Any]:
    """The template at a place, compiled at its first use."""

    def compiled() -> Callable[..., Any]:
        faults, spec = Faults(), whole()
        template: Any = spec
        for step in path:
            template = template[step]
        function = compile_template(template, path, read_pieces(spec, faults))
        faults.raise_if_any()
        return function

    return Later(compiled)


def _compile_chat(whole: Callable[[], Spec], operation: str) -> ClientMapping:
    """The `chat:` part of an operation. Raises FaultError with every fault."""
    faults, spec = Faults(), whole()
    pieces = read_pieces(spec, faults)
    part, path = spec["operations"][operation]["chat"], ("operations", operation, "chat")
    if "estimate" in part:
        answer = compile_template(part["estimate"], (*path, "estimate"), pieces)
        faults.raise_if_any()
        like = _compile_chat(whole, part["like"])
        return ClientMapping(like.request, answer, None, like.rows, estimated=True, names=like.names)
    request = compile_request(part["request"], (*path, "request"), pieces)
    response = compile_response(part["response"], (*path, "response"), pieces)
    stream = compile_sections(part["stream"], (*path, "stream"), pieces) if "stream" in part else None
    faults.raise_if_any()
    if request is None or response is None:
        raise ValueError(f"{operation}: a chat has a request and a response with a body")
    names, by = part["request"].get("names", {}), spec["operations"][operation].get("by", "chat")
    return ClientMapping(request, response.function, stream, read_rows(spec), names=names, by=by)
