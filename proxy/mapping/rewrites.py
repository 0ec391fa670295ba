"""Rewrite rules → source: edits in place, each at all places its path finds, in the order they are written."""

from __future__ import annotations

from typing import Any

from msgspec.structs import replace

from proxy.errors import SpecPath
from proxy.mapping import paths
from proxy.mapping.code import Env, Value
from proxy.mapping.defs import Defs
from proxy.mapping.paths import PathFault, Segments
from proxy.mapping.untag import untag_whole

KEYS = frozenset(("at", "when", "rename", "set", "untag", "drop", "keep", "remember"))


class Rewrites(Defs):
    """Adds rewrite rules to the source. The document is a dict of its own; nothing read from it is remembered."""

    def rewrite(self, rules: Any, path: SpecPath, env: Env) -> None:
        if not isinstance(rules, list):
            self.faults.add(path, "wrong-type", "rewrite takes a list of rules")
            return
        self.remember_reads = False
        for position, rule in enumerate(rules):
            self.rule(rule, (*path, position), env)

    def rule(self, rule: dict[str, Any], path: SpecPath, env: Env) -> None:
        for key in rule.keys() - KEYS:
            self.faults.unknown((*path, key), "operator-keys", "rewrite step", str(key), KEYS)
        segments = self.place(rule.get("at", ""), (*path, "at"))

        def edit(place: Value) -> None:
            inner = replace(
                env, item=replace(place, kind="request" if not segments and env.root.kind == "request" else "dict", absent=False)
            )
            inner = replace(inner, conditional=env.conditional or bool(segments))
            with self.block(f"if type({place.code}) is dict"):
                if "when" in rule:
                    condition = self.decide(rule["when"], (*path, "when"), inner)
                    reads = condition.reads
                    self.branch(f"if {condition.code}", lambda: self.steps(rule, path, replace(inner, conditional=True, condition=reads)))
                else:
                    self.steps(rule, path, inner)

        self.noted.append(set())
        self.visit(env.root, segments, env.root, edit)
        self.noted.pop()

    def place(self, at: Any, path: SpecPath) -> Segments:
        text = str(at)
        dot = "" if text[:1] in ("", "[") else "."
        try:
            return paths.parse(dot + text)
        except PathFault as fault:
            self.faults.add(path, fault.code, str(fault), offset=max(fault.offset - len(dot), 0))
            return ()

    def steps(self, rule: dict[str, Any], path: SpecPath, env: Env) -> None:
        place = env.item.code
        self.tell(rule, path)
        for old, new in rule.get("rename", {}).items():
            with self.block(f"if {place}.get({old!r}) is not None"):
                self.line(f"{place}[{new!r}] = {place}.pop({old!r})")
        values = [(name, self.template(spec, (*path, "set", name), env)) for name, spec in rule.get("set", {}).items()]
        for name, value in values:
            self.put(place, name, value)
        if "untag" in rule:
            self.untag(rule["untag"], (*path, "untag"), env)
        for name in rule.get("drop", ()):
            self.line(f"{place}.pop({name!r}, None)")
        if "keep" in rule:
            kept = self.constant(frozenset(rule["keep"]))
            with self.block(f"for name in [name for name in {place} if name not in {kept}]"):
                self.line(f"del {place}[name]")
        for name, spec in rule.get("remember", {}).items():
            value = self.template(spec, (*path, "remember", name), env)
            with self.block(f"if {value.code} is not None"):
                self.line(f"memory[{name!r}] = {value.code}")

    def tell(self, rule: dict[str, Any], path: SpecPath) -> None:
        """While tracing: the steps of a rule that have no expression."""
        for step in ("rename", "drop", "keep", "untag"):
            if self.tracing and step in rule:
                self.line(f"trace({(*path, step)!r}, {step!r}, {rule[step]!r})")

    def put(self, place: str, name: str, value: Value) -> None:
        if not value.absent:
            self.line(f"{place}[{name!r}] = {value.code}")
            return
        with self.block(f"if {value.code} is not None"):
            self.line(f"{place}[{name!r}] = {value.code}")
        with self.block("else"):
            self.line(f"{place}.pop({name!r}, None)")

    def untag(self, spec: dict[str, Any], path: SpecPath, env: Env) -> None:
        missing = {"tag", "from", "to"} - spec.keys()
        if missing:
            self.faults.add(path, "operator-keys", f"untag needs {', '.join(sorted(missing))}")
            return
        place, tag, source, target = env.item.code, spec["tag"], spec["from"], spec["to"]
        begun = bool(spec.get("open", False))
        text = self.assign(f"{place}.get({source!r})")
        self.constants.update(untag_whole=untag_whole, choice_of=choice_of)
        with self.block(f"if type({text}) is str"):
            outside, inside = self.name(), self.name()
            if env.stateful:
                choice = f"choice_of({place}, document)"
                self.line(f"{outside}, {inside} = splitters.take({tag!r}, {choice}, {(source, target)!r}, {begun}).feed({text})")
            else:
                self.line(f"{outside}, {inside} = untag_whole({text}, {tag!r}, {begun})")
            with self.block(f"if {inside}"):
                self.line(f"{place}[{target!r}] = {inside}")
            self.line(f"{place}[{source!r}] = {outside}")


def choice_of(place: dict[str, Any], document: dict[str, Any]) -> int:
    """The index of the choice of an OpenAI-shaped chunk in which a place stands; 0 for what stands in none."""
    choices = document.get("choices")
    for choice in choices if isinstance(choices, list) else ():
        if isinstance(choice, dict) and (choice is place or any(value is place for value in choice.values())):
            index = choice.get("index")
            return index if isinstance(index, int) else 0
    return 0
