"""Stream rules → source: for each event its rules, from top to bottom."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from functools import cache, partial
from typing import Any

from msgspec.structs import replace

from proxy.errors import SpecPath
from proxy.mapping.chunks import more_arguments
from proxy.mapping.code import Env, Node, Pieces, Value, names
from proxy.mapping.failures import ErrorMapping
from proxy.mapping.needs import needed
from proxy.mapping.operators import case_test, mentions
from proxy.mapping.rewrites import Rewrites
from proxy.mapping.stream import ReadInFull, Step, StreamFault, StreamMapping
from proxy.mapping.typed import decoder

RULE_KEYS = frozenset(("when", "each", "as", "set", "head", "emit", "usage", "finish", "error"))
#: OpenAI's chunks as rules: of use where they do not go on as they came.
CHUNKS: list[dict[str, Any]] = [
    {"head": {name: f".{name}" for name in ("id", "model", "created", "service_tier", "system_fingerprint")}},
    {"each": ".choices", "emit": {"index": ".index // 0", "delta": ".delta", "logprobs": ".logprobs"}},
]
PARAMETERS = "document, kind, stream, writer, context"


def compile_stream(spec: dict[str, Any], path: SpecPath, pieces: Pieces, errors: ErrorMapping) -> StreamMapping:
    """The `stream:` part of an operation. Faults are noted in `pieces.faults`."""
    rewrites = "rewrite" in spec
    node = Node()
    rules = StreamRules(pieces)
    plain = _step(rules, spec, path, node)
    reader = None if rewrites else decoder(node)
    typed = plain if reader is None else _step(StreamRules(pieces, typed=True), spec, path, node)
    terminal = spec.get("terminal", {})
    data = terminal.get("data")
    passthrough = not rewrites and not emits(spec.get("events") or {})
    chunks = partial(compile_stream, {**spec, "events": _fed(spec.get("events") or {})}, path, pieces, errors)
    return StreamMapping(
        decode=spec.get("decode", "sse"),
        passthrough=passthrough,
        step_in_full=plain,
        step=typed,
        decoder=reader,
        end_data=data.encode() if isinstance(data, str) else None,
        eof_after_finish=terminal.get("eof") == "after_finish",
        repeats=passthrough and not rules.remembers,
        errors=errors if rewrites else None,
        chunks=cache(chunks) if passthrough else None,
    )


def _fed(events: dict[Any, Any]) -> dict[Any, Any]:
    """Rules that watch OpenAI's chunks, with what puts the chunks through a writer: behind those that may fail the stream."""
    watching = events.get("*", [])
    rules = watching if isinstance(watching, list) else [watching]
    failing = [rule for rule in rules if "error" in rule]
    return {**events, "*": [*failing, *CHUNKS, *(rule for rule in rules if "error" not in rule)]}


def trace_stream(spec: dict[str, Any], path: SpecPath, pieces: Pieces) -> Step:
    """The plain step, compiled so that each rule tells `trace` what it read and wrote."""
    return _step(StreamRules(pieces, trace=True), spec, path, None)


def emits(events: Any) -> bool:
    """Whether any rule writes to the client."""
    return any("emit" in rule for rules in events.values() for rule in (rules if isinstance(rules, list) else [rules]))


def _step(source: StreamRules, spec: dict[str, Any], path: SpecPath, node: Node | None) -> Step:
    source.constants |= {"StreamFault": StreamFault, "ReadInFull": ReadInFull}
    root = Value("document", absent=False, kind="" if source.typed else "dict", node=node)
    env = Env(root, root, {**names(), "s": Value("memory", absent=False, kind="dict")}, stateful=True)
    source.stream(spec, path, env)
    for local in ("splitters", "ordinals", "memory"):
        if any(local in line for line in (*source.functions, *source.lines)):
            source.lines.insert(0, f"    {local} = stream.{local}")
            source.remembers = True
    return source.function("step", PARAMETERS + (", trace=None" if source.tracing else ""))


class StreamRules(Rewrites):
    """Adds stream rules to the source."""

    watching = False
    #: Whether any rule keeps something from one event to the next.
    remembers = False
    #: How many conditions stand around the place, and whether an earlier rule for the same event has had an effect.
    chosen = 0
    acted = False

    def stream(self, spec: dict[str, Any], path: SpecPath, env: Env) -> None:
        if "rewrite" in spec:
            self.rewrite(spec["rewrite"], (*path, "rewrite"), env)
            self.remember_reads = True
            self.known = [{}]
        self.watching = not emits(spec.get("events") or {})
        if "event" in spec:
            self.line(f"kind = {self.text(str(spec['event']), (*path, 'event'), env).code}")
        self.terminal(spec.get("terminal", {}), (*path, "terminal"), env)
        if spec.get("usage_only") is not None:
            hidden = self.decide(spec["usage_only"], (*path, "usage_only"), env)
            self.line(f"stream.hidden = bool({hidden.code})")
        self.events(spec.get("events") or {}, (*path, "events"), env)

    def terminal(self, spec: dict[str, Any], path: SpecPath, env: Env) -> None:
        if "event" in spec:
            wanted = " or ".join(f"kind == {name!r}" for name in str(spec["event"]).split("|"))
            with self.block(f"if {wanted}"):
                self.line("stream.ended = True")
        if "when" in spec:
            condition = self.decide(spec["when"], (*path, "when"), env)
            with self.block(f"if {condition.code}"):
                self.line("stream.ended = True")

    def events(self, events: dict[Any, Any], path: SpecPath, env: Env) -> None:
        header = "if"
        for kinds, rules in events.items():
            if kinds == "*":
                continue
            tests = " or ".join(f"kind == {name!r}" for name in str(kinds).split("|"))
            self.acted = False
            with self.block(f"{header} {tests}"):
                self.rules(rules, (*path, kinds), env)
            header = "elif"
        self.acted = False
        if "*" in events and header == "if":
            self.rules(events["*"], (*path, "*"), env)
        elif "*" in events:
            with self.block("else"):
                self.rules(events["*"], (*path, "*"), env)

    def rules(self, rules: Any, path: SpecPath, env: Env) -> None:
        if not isinstance(rules, list):
            self.event_rule(rules, path, env)
            return
        for position, rule in enumerate(rules):
            self.event_rule(rule, (*path, position), env)

    def event_rule(self, rule: dict[str, Any], path: SpecPath, env: Env) -> None:
        for key in rule.keys() - RULE_KEYS:
            self.faults.unknown((*path, key), "operator-keys", "stream rule step", str(key), RULE_KEYS)

        def run(inner: Env) -> None:
            if "each" in rule:
                each = {"$each": rule["each"], "$do": {key: value for key, value in rule.items() if key not in ("each", "as", "when")}}
                each |= {"$as": rule["as"]} if "as" in rule else {}
                self.each(each, path, inner, lambda item: self.actions(rule, path, item))
            else:
                self.actions(rule, path, inner)

        if "when" in rule:
            condition = self.decide(rule["when"], (*path, "when"), env)
            with self.choice(f"if {condition.code}"):
                run(env)
        else:
            run(env)

    def actions(self, rule: dict[str, Any], path: SpecPath, env: Env) -> None:
        for name, spec in rule.get("set", {}).items():
            value = self.named(self.template(spec, (*path, "set", name), env))
            with self.block(f"if {value.code} is not None"):
                self.line(f"memory[{name!r}] = {value.code}")
        if "head" in rule:
            self.head(rule["head"], (*path, "head"), env)
        if isinstance(rule.get("emit"), list):
            for position, piece in enumerate(rule["emit"]):
                self.choose(piece, (*path, "emit", position), env, self.emit)
        elif "emit" in rule:
            self.choose(rule["emit"], (*path, "emit"), env, self.emit)
        if "usage" in rule:
            self.usage(rule["usage"], (*path, "usage"), env)
        if "finish" in rule:
            self.finish(rule["finish"], (*path, "finish"), env)
        self.acted = self.acted or not rule.keys().isdisjoint(("set", "emit", "usage", "finish"))
        if "error" in rule:
            self.choose(rule["error"], (*path, "error"), env, self.fail)

    def head(self, spec: Any, path: SpecPath, env: Env) -> None:
        """Once something has been written, its head stands; few events come before, and they are read in full."""
        with self.block("if not writer.choices"):
            if self.acted:
                self.line(f"writer.head({self.template(spec, path, env).code})")
            elif self.typed:
                self.line("raise ReadInFull")
            else:
                with self.in_full(env) as whole:
                    self.line(f"writer.head({self.template(spec, path, whole).code})")

    @contextmanager
    def in_full(self, env: Env) -> Iterator[Env]:
        """What is read here is read of events that are decoded in full, and need not be in the typed ones."""
        known, self.known = self.known, [{}]
        yield replace(env, item=replace(env.item, node=None), root=replace(env.root, node=None))
        self.known = known

    @contextmanager
    def choice(self, header: str) -> Iterator[None]:
        """A block that a condition leads to."""
        self.chosen += 1
        with self.block(header):
            yield
        self.chosen -= 1

    def usage(self, spec: Any, path: SpecPath, env: Env) -> None:
        """Many vendors repeat it in every event: what must be computed of the event alone waits until it is wanted."""
        if isinstance(spec, dict) and "$of" in spec and env.item is env.root and not self.tracing and self.is_pure(spec):
            source = self.loop_value(spec["$of"], (*path, "$of"), env)
            with self.block(f"if {source.code} is not None"):
                self.line(f"writer.later.append(({self.later(spec, path, env)}, document, context))")
            return
        value = self.named(self.template(spec, path, env))
        with self.block(f"if {value.code}"):
            self.line(f"writer.usage = {value.code}")

    def is_pure(self, spec: Any) -> bool:
        """Whether a template gives the same whenever it is computed: it has nothing to do with the stream's state."""
        return not any(mentions(spec, name, self.pieces.defs) for name in ("$s", "ordinal("))

    def later(self, spec: Any, path: SpecPath, env: Env) -> str:
        """A function of its own that computes a template of an event; its name."""
        source = StreamRules(self.pieces, typed=self.typed)
        source.line(f"return {source.template(spec, path, env).code}")
        return self.constant(source.function("usage", "document, context"))

    def choose(self, spec: Any, path: SpecPath, env: Env, act: Callable[[Any, SpecPath, Env], None]) -> None:
        """`$match`, `$if` and `$each` around an action, in a def, too: they choose whether and for what it runs."""
        if not isinstance(spec, dict):
            act(spec, path, env)
        elif spec.keys() == {"$use"} and spec["$use"] in self.pieces.defs and spec["$use"] not in env.open_defs:
            name = spec["$use"]
            self.choose(self.pieces.defs[name], ("defs", name), replace(env, open_defs=(*env.open_defs, name)), act)
        elif "$each" in spec and self.takes("$each", spec, path):
            self.each(spec, path, env, lambda inner: self.choose(spec.get("$do", {}), (*path, "$do"), inner, act))
        elif "$if" in spec and self.takes("$if", spec, path):
            condition = self.decide(spec["$if"], (*path, "$if"), env)
            for key, header in (("$then", f"if {condition.code}"), ("$else", "else")):
                if key in spec:
                    with self.choice(header):
                        self.choose(spec[key], (*path, key), env, act)
        elif "$match" in spec and self.takes("$match", spec, path):
            self.choose_case(spec, path, env, act)
        else:
            act(spec, path, env)

    def choose_case(self, spec: dict[Any, Any], path: SpecPath, env: Env, act: Callable[[Any, SpecPath, Env], None]) -> None:
        subject = self.named(self.silent(spec["$match"], (*path, "$match"), env))
        header = "if"
        for case, field in spec.items():
            if case in ("$match", "$else"):
                continue
            tests = " or ".join(case_test(subject.code, piece) for piece in (case.split("|") if isinstance(case, str) else [case]))
            with self.choice(f"{header} {tests}"):
                self.choose(field, (*path, case), env, act)
            header = "elif"
        if "$else" in spec:
            with self.choice("else" if header == "elif" else "if True"):
                self.choose(spec["$else"], (*path, "$else"), env, act)

    def emit(self, spec: Any, path: SpecPath, env: Env) -> None:
        if not isinstance(spec, dict) or not spec.keys() <= {"index", "delta", "logprobs"} or "delta" not in spec:
            self.faults.add(path, "operator-keys", "emit takes delta, and beside it index and logprobs")
            return
        with self.guard(spec["delta"], env):
            rest = [self.template(spec.get(name), (*path, name), env).code for name in ("index", "logprobs") if len(spec) > 1]
            self.choose(spec["delta"], (*path, "delta"), env, lambda delta, place, inner: self.emit_delta(delta, place, inner, rest))

    def guard(self, delta: Any, env: Env) -> AbstractContextManager[None]:
        """A block around what goes through lists and finds nothing in nearly every event, as the member that has them is not there."""
        loops = isinstance(delta, dict) and any(isinstance(field, dict) for field in delta.values())
        names = needed(delta, self.pieces.defs) if loops and not self.tracing else None
        if names is None or len(names) > 1:
            return nullcontext()
        return self.block(f"if {self.field(env.item, *names).code} is not None")

    def emit_delta(self, spec: Any, path: SpecPath, env: Env, rest: list[str]) -> None:
        match spec:
            case {"tool_calls": [{"index": index, "function": {"arguments": text}}]} if not rest and spec == more_arguments(index, text):
                number, piece = (self.template(part, path, env) for part in (index, text))
                self.where(piece, f"writer.arguments({number.code}, {piece.code})")
            case _:
                delta = self.template(spec, path, env)
                self.where(delta, f"writer.emit({', '.join([delta.code, *rest])})")

    def where(self, value: Value, call: str) -> None:
        """A call that is made where there is the value."""
        with self.block(f"if {value.code} is not None") if value.absent else nullcontext():
            self.line(call)

    def finish(self, spec: Any, path: SpecPath, env: Env) -> None:
        """With `{index, reason}` a stream that is only watched knows of the choice even while it has no reason."""
        if not isinstance(spec, dict) or "reason" not in spec:
            reason = self.template(spec, path, env)
            with self.block(f"if {reason.code} is not None") if reason.absent else nullcontext():
                self.line(f"writer.finish({reason.code})")
            return
        reason = self.template(spec["reason"], (*path, "reason"), env)
        index = self.template(spec.get("index", 0), (*path, "index"), env)
        call = f"writer.finish({reason.code}, {index.code})"
        if self.watching or not reason.absent:
            self.line(call)
            return
        with self.block(f"if {reason.code} is not None"):
            self.line(call)

    def fail(self, spec: Any, path: SpecPath, env: Env) -> None:
        """A failure that a condition has found is read in full, so that typed events need not hold what only failures tell."""
        in_full = self.chosen > 0 and not self.acted
        if in_full and self.typed:
            self.line("raise ReadInFull")
            return
        with self.in_full(env) if in_full else nullcontext(env) as read:
            report = self.named(self.template(spec, path, replace(read, conditional=True)))
            with self.block(f"if {report.code} is not None"):
                self.line(f"raise StreamFault({report.code})")
