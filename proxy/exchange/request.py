"""What a client asks, as far as routing needs it, and the body it becomes for one target.

Three kinds, one for each kind of body. `model` is None where none is named; `repeatable` says whether another target could still be
asked the same. `prepare` gives the upstream's body and the names of parameters that it could not carry.
"""

from __future__ import annotations

import asyncio
from codecs import IncrementalDecoder, getincrementaldecoder
from collections.abc import AsyncIterator
from typing import Any, Protocol
from urllib.parse import parse_qsl, unquote

import msgspec

from proxy.client_dialect import ClientMapping, Operation, StreamRule
from proxy.codecs.members import Members, MembersError, decode
from proxy.codecs.runs import base64_runs, without
from proxy.dialect import holds_foreign
from proxy.errors import ClientError
from proxy.exchange.body import BodyLimits, check_json_type, read_whole, whole
from proxy.exchange.client import ClientRequest
from proxy.exchange.form import FormRequest
from proxy.exchange.named import checked
from proxy.exchange.shapes import fitting, reshaped
from proxy.exchange.target import TargetCall
from proxy.mapping.context import Context
from proxy.mapping.mappings import read_usual
from proxy.mapping.taken import Rejected
from proxy.upstream import Body as WholeBody

_decode = msgspec.json.Decoder().decode
_encode = msgspec.json.Encoder().encode
_decode_name = msgspec.json.Decoder(str).decode

JSON_LINE = b"content-type: application/json\r\n"

#: Bytes of a body that is not looked at in one go.
LARGE = 2**19

Body = WholeBody | AsyncIterator[bytes]


class Request(Protocol):
    """What the exchange needs of any kind."""

    model: str | None
    stream: bool

    @property
    def single(self) -> bool:
        """One choice is wanted."""
        ...

    @property
    def usage_wanted(self) -> bool:
        """The client asked for the usage chunk of a stream."""
        ...

    @property
    def repeatable(self) -> bool: ...

    @property
    def size(self) -> int:
        """Bytes of the body as far as they are held."""
        ...

    def member(self, name: str) -> bytes | None:
        """A top-level member of a JSON body, as it is written."""
        ...

    def put(self, name: str, value: bytes) -> None:
        """Writes another text in place of a member that is there."""
        ...

    def prepare(self, target: TargetCall, context: Context) -> tuple[bytes, Body, tuple[str, ...]]:
        """Header lines about the body, the body, the parameters it could not carry. Raises ClientError."""
        ...


def read_arrived(request: ClientRequest, operation: Operation, name: str, limits: BodyLimits) -> Request:
    """A JSON body that is all there; `name` is what the path names. Raises ClientError."""
    check_json_type(request)
    return JsonRequest(whole(request, limits), operation, name=name)


async def read_request(request: ClientRequest, operation: Operation, name: str, query: str, limits: BodyLimits) -> Request:
    """Reads as much as routing needs. Raises ClientError."""
    if operation.body == "json":
        check_json_type(request)
        body = await read_whole(request, limits)
        return JsonRequest(body, operation, await _taken_apart(body) if len(body) > LARGE else None, name=name)
    if operation.body == "multipart":
        form = FormRequest(request, limits)
        if operation.model != "nowhere":
            await form.find_model(operation)
        return form
    bare = BareRequest()
    if operation.model == "query":
        named = dict(parse_qsl(query)).get("model")
        if named is None:
            raise ClientError("The address names no model: add `?model=` and its name.", param="model", code="missing_parameter")
        bare.model = checked(named)
    return bare


class BareRequest:
    """No body."""

    model: str | None = None
    stream = False
    single = True
    usage_wanted = False
    repeatable = True
    size = 0

    def member(self, name: str) -> bytes | None:
        return None

    def put(self, name: str, value: bytes) -> None:
        pass

    def prepare(self, target: TargetCall, context: Context) -> tuple[bytes, Body, tuple[str, ...]]:
        return b"", b"", ()


class JsonRequest:
    """A JSON object, its members taken apart only as far as needed."""

    __slots__ = ("_accepted", "_body", "_in_path", "_members", "model", "single", "stream", "usage_wanted")

    repeatable = True

    def __init__(self, body: bytes, operation: Operation, members: Members | None = None, *, name: str = "") -> None:
        """`members`: those of `body`, where they are known; `name`: the model's, where the path has it. Raises ClientError for what is
        no JSON object, and for a `model` or `stream` that cannot be one."""
        if members is None:
            members = _members(body)
            if not body.isascii():
                _check_utf8(body)
        self._body = body
        self._members = members
        self._in_path = operation.model == "path"
        self.model = checked(unquote(name)) if self._in_path else _model(members, operation)
        self.stream = _stream_wanted(members, operation.stream)
        self._accepted = () if operation.oddities.isdisjoint(members.raws) else fitting(operation.accepts, members.raws)
        self.single = members.get("n") in (None, b"null", b"1")
        self.usage_wanted = self.stream and _usage_wanted(members.get("stream_options"))

    @property
    def size(self) -> int:
        return len(self._body)

    def member(self, name: str) -> bytes | None:
        return self._members.get(name)

    def put(self, name: str, value: bytes) -> None:
        self._body = self._members.splice({name: value})
        self._members = _members(self._body)

    def prepare(self, target: TargetCall, context: Context) -> tuple[bytes, Body, tuple[str, ...]]:
        try:
            if target.client is not None and context.client is not None:
                return JSON_LINE, *self._translated(target.client, target, context, context.client)
            if self._accepted:
                return JSON_LINE, *self._reshaped(target, context)
            mapped = self._mapped(target, context)
            return (JSON_LINE, self._passed(target, context), ()) if mapped is None else (JSON_LINE, _encode(mapped[0]), mapped[1])
        except Rejected as rejection:
            message = rejection.message
            raise ClientError(
                message if message.endswith((".", "?", "!")) else f"{message}.",
                param=rejection.param and _client_name(rejection.param, target),
                code=rejection.code,
                reason="unsupported" if rejection.code == "unsupported_parameter" else "",
            ) from None
        except msgspec.DecodeError as error:
            raise ClientError(f"The body is not valid JSON: {error}.", code="invalid_json") from None
        except RecursionError:
            raise _too_deep() from None

    def _passed(self, target: TargetCall, context: Context) -> Body:
        """The client's bytes, with nothing replaced but what the route and the dialect set, and without what is another vendor's."""
        foreign = target.operation.foreign
        if foreign is not None and holds_foreign(self._body):
            document, _ = foreign(self._edited(target, context), context)
            if target.operation.members is not None:
                document |= target.operation.members(document, context)
            return _encode(document)
        raws = self._members.raws
        changes: dict[str, Any] = {}
        for mapping in target.edits:
            read = {name: _decode(raws[name]) for name in mapping.reads if name in raws}
            changes |= mapping(read | changes, context)
        spliced: dict[str, bytes | None] = {name: _encode(value) for name, value in changes.items()} if changes else {}
        if target.choice.route.drop:
            spliced |= dict.fromkeys(target.choice.route.drop)
        if target.rename is not None and not self._in_path:
            spliced["model"] = target.rename
        if not spliced:
            return self._body
        return self._members.splice(spliced) if len(self._body) <= LARGE else self._members.pieces(spliced)

    def _edited(self, target: TargetCall, context: Context) -> dict[str, Any]:
        """The whole body, decoded, as the route leaves it; the mapping's `$req`."""
        document: dict[str, Any] = _decode(self._body)
        if target.rename is not None and not self._in_path:
            document["model"] = target.choice.model
        return _ruled(document, target, context)

    def _mapped(self, target: TargetCall, context: Context) -> tuple[dict[str, Any], tuple[str, ...]] | None:
        """The upstream's body, by the rules for messages of the usual form where these do, and what was lost; None: it is passed."""
        usual = target.operation.usual
        if usual is not None and not _of_messages(target) and (document := read_usual(self._members.raws)) is not None:
            if target.rename is not None and not self._in_path:
                document["model"] = target.choice.model
            return usual(_ruled(document, target, context), context)
        mapping = target.operation.request
        return None if mapping is None else mapping(self._edited(target, context), context)

    def _translated(self, client: ClientMapping, target: TargetCall, context: Context, of_client: Context) -> tuple[bytes, tuple[str, ...]]:
        """The body by way of the canonical one, which is what the route's rules are about, and what was lost on both ways."""
        given: dict[str, Any] = _decode(self._body)
        of_client.req = given
        chat, dropped = client.request(dict(given), of_client)
        chat["model"] = target.choice.model
        chat.pop("stream", None)
        if self.stream:
            chat |= {"stream": True, "stream_options": {"include_usage": True}}
        chat = _ruled(chat, target, context)
        self.single = chat.get("n") in (None, 1)
        return _spoken(chat, dropped, target, context)

    def _reshaped(self, target: TargetCall, context: Context) -> tuple[bytes, tuple[str, ...]]:
        """A body of another shape, as the operation has it."""
        document, dropped = reshaped(_decode(self._body), self._accepted, target, context)
        if target.rename is not None:
            document["model"] = target.choice.model
        return _spoken(_ruled(document, target, context), dropped, target, context)


def _client_name(name: str, target: TargetCall) -> str:
    """What the client calls a parameter of a chat, or a part of one."""
    first, dot, rest = name.partition(".")
    return name if target.client is None else target.client.names.get(first, first) + dot + rest


def _spoken(document: dict[str, Any], dropped: tuple[str, ...], target: TargetCall, context: Context) -> tuple[bytes, tuple[str, ...]]:
    """The upstream's body of a document of the operation that it is asked for, and all that was lost."""
    operation = target.operation
    if operation.request is not None:
        document, more = operation.request(document, context)
        dropped = tuple(dict.fromkeys((*dropped, *(_client_name(name, target) for name in more))))
    elif operation.members is not None:
        document |= operation.members(document, context)
    return _encode(document), dropped


def _model(members: Members, operation: Operation) -> str | None:
    raw = members.get("model")
    if raw is None or raw == b"null":
        if operation.model == "required":
            raise ClientError("The body names no `model`.", param="model", code="missing_parameter")
        return None
    try:
        return checked(_decode_name(raw))
    except ValueError:
        raise ClientError("`model` must be a string.", param="model") from None


def _stream_wanted(members: Members, rule: StreamRule) -> bool:
    if rule in (False, "always", "never"):
        return rule == "always"
    given = members.get("stream")
    if given not in (None, b"true", b"false", b"null"):
        raise ClientError("`stream` must be true or false.", param="stream")
    return given == b"true" or (rule == "default" and given != b"false")


def _ruled(document: dict[str, Any], target: TargetCall, context: Context) -> dict[str, Any]:
    """A body as the route leaves it: from here on what `$req` is."""
    if target.rules is not None:
        document |= target.rules(document, context)
    for name in target.choice.route.drop:
        document.pop(name, None)
    context.req = document
    return document


def _of_messages(target: TargetCall) -> bool:
    """Whether the route has rules about the messages."""
    return "messages" in target.choice.route.drop or (target.rules is not None and "messages" in target.rules.reads)


def _members(body: bytes) -> Members:
    try:
        return Members.parse(body)
    except MembersError as error:
        raise _no_json(error) from None


async def _taken_apart(body: bytes) -> Members:
    """A large body's members, step by step: between two steps others have their turn."""
    runs = []
    for run in base64_runs(body):
        runs.append(run)
        await asyncio.sleep(0)
    rest = without(body, runs) if runs else body
    try:
        raws = decode(rest)
        await asyncio.sleep(0)
        members = Members.found(rest, raws)
        if runs:
            members = members.spread(body, runs)
    except MembersError as error:
        raise _no_json(error) from None
    await asyncio.sleep(0)
    if not rest.isascii():
        decoder = getincrementaldecoder("utf-8")()
        for at in range(0, len(body), LARGE):
            await asyncio.sleep(0)
            _check_utf8(body[at : at + LARGE], decoder, at, final=at + LARGE >= len(body))
    return members


def _check_utf8(piece: bytes, decoder: IncrementalDecoder | None = None, start: int = 0, *, final: bool = True) -> None:
    """`start`: where the piece begins in the body."""
    try:
        if decoder is None:
            piece.decode()
        else:
            start -= len(decoder.getstate()[0])
            decoder.decode(piece, final)
    except UnicodeDecodeError as error:
        raise ClientError(f"The body is not UTF-8: byte {start + error.start} cannot be read.", code="invalid_json") from None


def _no_json(error: MembersError) -> ClientError:
    return ClientError(_sentence(str(error)), code="invalid_json", param=error.member)


def _usage_wanted(options: bytes | None) -> bool:
    """`include_usage` of `stream_options`; raises ClientError where it stands twice, because the upstream might believe the other."""
    if options is None or not options.startswith(b"{"):
        return False
    try:
        return Members.parse(options).get("include_usage") == b"true"
    except MembersError as error:
        raise ClientError(f"`stream_options` cannot be read: {error}.", code="invalid_json", param="stream_options") from None


def _too_deep() -> ClientError:
    return ClientError("The JSON is nested too deeply.", code="invalid_json")


def _sentence(text: str) -> str:
    return f"{text[:1].upper()}{text[1:]}."
