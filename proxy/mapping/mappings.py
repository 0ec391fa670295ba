"""The compiled mappings of whole documents: requests, answers, errors. (Streams: `proxy.mapping.streams`.)

A mapping is a function made at load. Nothing in it is looked up by name at run time but the fields of the document itself.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any

import msgspec
from msgspec.structs import replace

from proxy.errors import SpecPath
from proxy.mapping.code import Env, Node, Pieces, Unfit, Value, names
from proxy.mapping.completion import settle, told_its_end
from proxy.mapping.context import Context
from proxy.mapping.documents import decode
from proxy.mapping.failures import ErrorMapping, Later
from proxy.mapping.rewrites import Rewrites
from proxy.mapping.taken import Rejected, compile_taken
from proxy.mapping.typed import MESSAGES, decoder

_decode = msgspec.json.Decoder().decode
_decode_usual = decoder(MESSAGES).decode  # type: ignore[union-attr]  # it is closed

#: A parameter that carries the value which OpenAI documents as its default says nothing, and cannot be lost.
NEUTRAL: dict[str, Any] = {
    "n": 1,
    "stream": False,
    "store": False,
    "logprobs": False,
    "top_logprobs": 0,
    "parallel_tool_calls": True,
    "presence_penalty": 0,
    "frequency_penalty": 0,
    "temperature": 1,
    "top_p": 1,
    "tool_choice": "auto",
    "service_tier": "auto",
    "response_format": {"type": "text"},
    "modalities": ["text"],
    "logit_bias": {},
    "metadata": {},
    "encoding_format": "float",
    "stop": [],
    "tools": [],
}
#: Served by the gateway itself, whatever the upstream.
SERVED = frozenset(("model", "messages", "stream", "stream_options", "input"))


@dataclass(frozen=True, slots=True)
class RequestMapping:
    """A request's body and the names of the parameters that it could not carry."""

    function: Callable[..., tuple[dict[str, Any], int, list[str]]]
    rewrites: bool
    carried: frozenset[str]
    parameters: Mapping[str, int]
    ignored: frozenset[str]

    def __call__(self, body: dict[str, Any], context: Context) -> tuple[dict[str, Any], tuple[str, ...]]:
        """The upstream's body, made of `body` (which may be changed in place). Raises Rejected."""
        sent = [(name, value) for name, value in body.items() if name not in self.carried and value is not None]
        new, used, reported = self.function(body, context)
        dropped = [name for name, value in sent if not used & self.parameters.get(name, 0) and self.lost(name, value, new)]
        return new, tuple(dict.fromkeys(dropped + reported)) if dropped or reported else ()

    def lost(self, name: str, value: Any, new: dict[str, Any]) -> bool:
        """Whether a parameter that no rule has used is missing in the new body, and said something."""
        return not (name in self.ignored or (self.rewrites and name in new) or (name in NEUTRAL and NEUTRAL[name] == value))


def compile_request(spec: Mapping[str, Any], path: SpecPath, pieces: Pieces, *, trace: bool = False) -> RequestMapping | None:
    """The `request:` part of an operation; None when it is passthrough. Where something is refused or reported, it is decoded."""
    if not any(key in spec for key in ("body", "rewrite", "reject", "report")):
        return None
    return _request(spec, path, pieces, trace=trace)


def compile_usual(spec: Mapping[str, Any], path: SpecPath, pieces: Pieces) -> RequestMapping | None:
    """The same for bodies that `read_usual` has read; None where the rules cannot do with these, or have faults."""
    if "body" not in spec or pieces.faults.found:
        return None
    try:
        return _request(spec, path, pieces, shapes={"messages": MESSAGES})
    except Unfit:
        return None


def read_usual(members: Mapping[str, msgspec.Raw]) -> dict[str, Any] | None:
    """A body of these members whose messages are of the usual form; None: it is to be read in full. Raises msgspec.DecodeError."""
    if "messages" not in members:
        return None
    try:
        messages = _decode_usual(members["messages"])
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return None
    return {name: messages if name == "messages" else _decode(text) for name, text in members.items()}


def _request(
    spec: Mapping[str, Any], path: SpecPath, pieces: Pieces, *, trace: bool = False, shapes: Mapping[str, Node] | None = None
) -> RequestMapping:
    """`shapes`: members of which all is known."""
    rewrites = "body" not in spec
    rules = spec.get("rewrite", [{"set": spec.get("members", {})}])
    source = Rewrites(pieces, trace=trace, track=True, typed=shapes is not None)
    source.shapes = shapes or {}
    source.constants["Rejected"] = Rejected
    root = Value("document", absent=False, kind="request")
    env = Env(root, root, names(), rejects=True)
    source.line("used = 0")
    if "takes" in spec:
        source.constants["check"] = compile_taken(spec["takes"], (*path, "takes"), pieces.faults).refuse_misfits
        source.line("check(document)")
    env = prepare(source, spec, path, env)
    if rewrites:
        source.rewrite(rules, (*path, "rewrite"), env)
        source.line("return document, used, reported")
        renamed = {old for rule in rules if not rule.get("at") for old in rule.get("rename", ())}
        source.carried |= renamed
    else:
        body = source.template(spec["body"], (*path, "body"), env)
        source.line(f"return {body.code} or {{}}, used, reported")
    return RequestMapping(
        source.function("request", "document, context, trace=None" if trace else "document, context"),
        rewrites,
        frozenset(source.carried) | SERVED,
        source.parameters,
        frozenset(spec.get("ignore", ())),
    )


def compile_foreign(rules: Any, path: SpecPath, pieces: Pieces) -> RequestMapping | None:
    """The rewrite rules under `foreign:`; None when there are none."""
    if not rules:
        return None
    source = Rewrites(pieces)
    root = Value("document", absent=False, kind="request")
    source.rewrite(rules, path, Env(root, root, names()))
    source.line("return document, 0, []")
    function = source.function("foreign", "document, context")
    return RequestMapping(function, True, SERVED, {}, frozenset())


def prepare(source: Rewrites, spec: Mapping[str, Any], path: SpecPath, env: Env) -> Env:
    """Variables, refusals, and what is served only in part."""
    known = dict(env.names)
    source.lasting = known
    env = replace(env, names=known)
    source.track, tracked = False, source.track
    for name, template in spec.get("vars", {}).items():
        source.reading = set()
        value = source.named(source.template(template, (*path, "vars", name), env))
        closed = value.node if value.node is not None and value.node.closed else None
        known[name] = Value(value.code, value.absent, value.kind, frozenset(source.reading), node=closed)
    for position, rule in enumerate(spec.get("reject", ())):
        condition = source.decide(rule["if"], (*path, "reject", position, "if"), env)
        with source.block(f"if {condition.code}"):
            sentence = source.template(rule["say"], (*path, "reject", position, "say"), env)
            source.line(f"raise Rejected({sentence.code}, {rule.get('param')!r})")
    if env.rejects:
        source.line("reported = []")
    for position, rule in enumerate(spec.get("report", ())):
        condition = source.decide(rule["if"], (*path, "report", position, "if"), env)
        with source.block(f"if {condition.code}"):
            source.line(f"reported.append({rule['param']!r})")
    source.track = tracked
    return env


@dataclass(frozen=True, slots=True)
class MemberMapping:
    """Top-level members of a passed-through request that are set, whatever else it holds.

    `reads`: the members that must be decoded for it. Called with those, it gives the members to write.
    """

    reads: frozenset[str]
    function: Callable[[dict[str, Any], Context], dict[str, Any]]

    def __call__(self, members: dict[str, Any], context: Context) -> dict[str, Any]:
        return self.function(members, context)


def compile_members(spec: Mapping[str, Any], path: SpecPath, pieces: Pieces) -> MemberMapping | None:
    """`members:`, or a route's defaults, clamps and settings: name → template. None when there are none."""
    if not spec:
        return None
    source = Rewrites(pieces)
    node = Node()
    root = Value("document", absent=False, kind="dict", node=node)
    env = Env(root, root, names())
    source.line("changes = {}")
    for name, template in spec.items():
        value = source.assign(source.template(template, (*path, name), env).code)
        with source.block(f"if {value} is not None and {value} != document.get({name!r})"):
            source.line(f"changes[{name!r}] = {value}")
    source.line("return changes")
    all_of_it = {"messages"} if node.whole else set()
    return MemberMapping(frozenset(node.fields) | frozenset(map(str, spec)) | all_of_it, source.function("members", "document, context"))


@dataclass(frozen=True, slots=True)
class ResponseMapping:
    """A whole answer → the canonical answer; `built` anew or rewritten in place.

    `decoder` builds only what the rules read of one, for `typed`, which gives None for a failure.
    """

    function: Callable[[dict[str, Any], Context], dict[str, Any]]
    built: bool
    decoder: msgspec.json.Decoder[Any] | None = None
    typed: Callable[[Any, Context], dict[str, Any] | None] | None = None

    def __call__(self, document: Any, context: Context) -> dict[str, Any]:
        """Raises ValueError when the document is not an object, or nothing from which an answer can be built."""
        if not isinstance(document, dict):
            raise ValueError("the answer is not a JSON object")
        return self._settled(self.function(document, context), context)

    def read(self, text: bytes, context: Context) -> dict[str, Any] | None:
        """The answer of a document that is of the expected form; None for any other: it is to be decoded in full. Raises ValueError."""
        if self.decoder is None or self.typed is None:
            return None
        try:
            answer = self.typed(self.decoder.decode(text), context)
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
            return None
        return None if answer is None else self._settled(answer, context)

    def _settled(self, answer: dict[str, Any], context: Context) -> dict[str, Any]:
        settle(answer, context)
        if self.built and not told_its_end(answer):
            raise ValueError("the answer does not say how it ended")
        return answer


def compile_response(
    spec: Mapping[str, Any], path: SpecPath, pieces: Pieces, errors: ErrorMapping | None = None, *, trace: bool = False
) -> ResponseMapping | None:
    """The `response:` part of an operation; None when it is passthrough. `errors` tell what is a failure, where that is asked here."""
    if "rewrite" not in spec and "body" not in spec:
        return None
    if "rewrite" in spec:
        source = Rewrites(pieces, trace=trace)
        root = Value("document", absent=False, kind="dict")
        source.rewrite(spec["rewrite"], (*path, "rewrite"), prepare(source, spec, path, Env(root, root, names())))
        source.line("return document")
        return ResponseMapping(source.function("response", "document, context, trace=None" if trace else "document, context"), False)
    node = Node()

    def build(typed: bool) -> Callable[..., Any]:
        source = Rewrites(pieces, trace=trace, typed=typed)
        root = Value("document", absent=False, kind="" if typed else "dict", node=node)
        env = Env(root, root, names())
        if errors is not None and errors.when is not None:
            failed = source.decide(errors.when, ("errors", "when"), env)
            if typed:
                with source.block(f"if {failed.code}"):
                    source.line("return None")
        env = prepare(source, spec, path, env)
        source.line(f"return {source.template(spec['body'], (*path, 'body'), env).code} or {{}}")
        return source.function("response", "document, context, trace=None" if trace else "document, context")

    plain = build(False)
    reader = None if errors is None else decoder(node)
    return ResponseMapping(plain, True, reader, build(True) if reader is not None else None)


@dataclass(frozen=True, slots=True)
class Peek:
    """What is read of a passed-through answer: (canonical usage or None, its model or None, whether it is an error)."""

    decoder: msgspec.json.Decoder[Any] | None
    typed: Callable[[Any, Context], tuple[Any, Any, bool]] | None
    plain: Callable[[Any, Context], tuple[Any, Any, bool]]

    def __call__(self, body: bytes, context: Context) -> tuple[dict[str, Any] | None, str | None, bool]:
        """Raises ValueError when the body is not a JSON object."""
        if self.decoder is not None and self.typed is not None:
            try:
                return self.typed(self.decoder.decode(body), context)
            except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
                pass  # not of the expected form: read in full
        try:
            document = decode(body)
        except (msgspec.DecodeError, RecursionError, UnicodeDecodeError):
            raise ValueError("the answer is not JSON") from None
        if not isinstance(document, dict):
            raise ValueError("the answer is not a JSON object")
        return self.plain(document, context)


def compile_peek(usage: Any, errors: ErrorMapping, path: SpecPath, pieces: Pieces) -> Peek:
    """Reads `usage` (a template), `.model`, and the errors' `when` of an answer."""
    node = Node()

    def build(typed: bool) -> Callable[[Any, Context], tuple[Any, Any, bool]]:
        source = Rewrites(pieces, typed=typed)
        root = Value("document", absent=False, kind="" if typed else "dict", node=node)
        env = Env(root, root, names())
        found = source.template(usage, (*path, "response", "usage"), env)
        model = source.text(".model", path, env)
        failure = source.decide(errors.when, ("errors", "when"), env).code if errors.when is not None else "False"
        source.line(f"return {found.code}, {model.code}, bool({failure})")
        return source.function("peek", "document, context")

    plain = build(False)
    reader = decoder(node)
    return Peek(reader, build(True) if reader is not None else None, plain)


def compile_errors(spec: Mapping[str, Any], pieces: Pieces, *, later: bool = False) -> ErrorMapping:
    """The `errors:` part of a dialect. `later`: each function is compiled at its first use."""
    statuses = {int(theirs): int(ours) for theirs, ours in spec.get("status", {}).items()}
    failed, read = (partial(build, spec, ("errors",), pieces) for build in (_failed, _read))
    if later:
        return ErrorMapping(spec.get("when"), Later(failed), Later(read), statuses)
    return ErrorMapping(spec.get("when"), failed(), read(), statuses)


def _failed(spec: Mapping[str, Any], path: SpecPath, pieces: Pieces) -> Callable[..., Any]:
    source, env = _of_errors(pieces)
    source.line(f"return bool({source.decide(spec['when'], (*path, 'when'), env).code})" if "when" in spec else "return False")
    return source.function("failed", "document, context")


def _read(spec: Mapping[str, Any], path: SpecPath, pieces: Pieces) -> Callable[..., Any]:
    source, env = _of_errors(pieces)
    report = source.template(spec.get("body", {}), (*path, "body"), env)
    report_name = source.assign(f"dict({report.code} or {{}})")
    if "retry_after" in spec:
        source.line(f"{report_name}['retry_after'] = {source.template(spec['retry_after'], (*path, 'retry_after'), env).code}")
    source.line(f"return {report_name}")
    return source.function("read", "document, context")


def compile_template(template: Any, path: SpecPath, pieces: Pieces) -> Callable[[Any, Context], Any]:
    """One template alone: of a document and a context it makes what it says."""
    source, env = _of_errors(pieces)
    source.line(f"return {source.template(template, path, env).code}")
    return source.function("template", "document, context")


def _of_errors(pieces: Pieces) -> tuple[Rewrites, Env]:
    source, root = Rewrites(pieces), Value("document", absent=False, kind="")
    env = Env(root, root, names())
    source.lasting = dict(env.names)
    return source, env
