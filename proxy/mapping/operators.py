"""The operators of the template language → source: choose, repeat, join, refuse."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from math import isfinite
from typing import Any

import msgspec
from msgspec.structs import replace

from proxy.errors import SpecPath
from proxy.mapping import paths, syntax
from proxy.mapping.catalogue import NAMES, OPERATORS
from proxy.mapping.code import NO_READS, UNKNOWN, Env, Value
from proxy.mapping.reading import ABSENT
from proxy.mapping.syntax import is_expression
from proxy.mapping.templates import Templates, is_constant

_NUMBER = re.compile(r"-?(0|[1-9][0-9]{0,17})(\.[0-9]+)?([eE][+-]?[0-9]{1,2})?")


class Operators(Templates):
    """Adds operators to the source. Each `op_…` method is one, its specification already checked for its keys."""

    def operator(self, operator: str, spec: dict[Any, Any], path: SpecPath, env: Env) -> Value:
        if operator not in OPERATORS:
            near = [key for key in spec if key in OPERATORS]
            if not near:
                self.faults.unknown((*path, operator), "unknown-operator", "operator", operator, OPERATORS)
                return ABSENT
            operator = near[0]
        if not self.takes(operator, spec, path):
            return ABSENT
        method: Callable[[dict[Any, Any], SpecPath, Env], Value] = getattr(self, "op_" + operator[1:])
        return method(spec, path, env)

    def takes(self, operator: str, spec: dict[Any, Any], path: SpecPath) -> bool:
        """Whether the operator's keys are those it needs and takes."""
        needed, allowed = OPERATORS[operator]
        fine = True
        for key in needed - spec.keys():
            self.faults.add((*path, operator), "operator-keys", f"{operator} needs {key}")
            fine = False
        for key in spec.keys() - needed - allowed - {operator}:
            if operator == "$match" and not (isinstance(key, str) and key[:1] == "$"):
                continue
            known = ", ".join(sorted(needed | allowed)) or "no other key"
            self.faults.add((*path, key), "operator-keys", f"{operator} does not take {key!r}", f"it takes {known}")
            fine = False
        for key in spec.keys() & NAMES:
            if not isinstance(spec[key], str):
                self.faults.add((*path, key), "wrong-type", f"{key} takes a text")
                fine = False
        return fine

    def op_match(self, spec: dict[Any, Any], path: SpecPath, env: Env) -> Value:
        subject = self.silent(spec["$match"], (*path, "$match"), env)
        if (constant := subject.constant) is None or isinstance(constant, str):
            return self.known_case(
                spec, "null" if constant is None else constant, path, replace(env, condition=env.condition | subject.reads)
            )
        subject, name = self.named(subject), self.assign("None", "m")
        branches: list[Value] = []
        inner = replace(env, conditional=True, condition=env.condition | subject.reads)
        header = "if"
        for case, field in spec.items():
            if isinstance(case, str) and case[:1] == "$":
                continue
            tests = " or ".join(case_test(subject.code, piece) for piece in (case.split("|") if isinstance(case, str) else [case]))
            branches.append(self.alternative(name, f"{header} {tests}", field, (*path, case), inner))
            header = "elif"
        if "$else" in spec:
            last = self.alternative(name, "else" if branches else "if True", spec["$else"], (*path, "$else"), inner)
            return joined(name, [*branches, last])
        return replace(joined(name, branches), absent=True)

    def known_case(self, spec: dict[Any, Any], subject: str, path: SpecPath, env: Env) -> Value:
        """The case for a subject that is known while compiling."""
        for case, field in spec.items():
            pieces = case.split("|") if isinstance(case, str) else [msgspec.json.encode(case).decode()]
            if subject in pieces and pieces[0][:1] != "$":
                return self.template(field, (*path, case), env)
        return self.template(spec["$else"], (*path, "$else"), env) if "$else" in spec else ABSENT

    def op_if(self, spec: dict[Any, Any], path: SpecPath, env: Env) -> Value:
        condition = self.decide(spec["$if"], (*path, "$if"), env)
        if (constant := condition.constant) is not UNKNOWN:
            known = replace(env, condition=env.condition | condition.reads)
            branch, default = ("$then", True) if constant else ("$else", ABSENT)
            return self.template(spec.get(branch, default), (*path, branch), known) if branch in spec or constant else ABSENT
        name = self.assign("None", "c")
        inner = replace(env, conditional=True, condition=env.condition | condition.reads)
        branches = [self.alternative(name, f"if {condition.code}", spec.get("$then", True), (*path, "$then"), inner)]
        if "$else" in spec:
            branches.append(self.alternative(name, "else", spec["$else"], (*path, "$else"), inner))
            return joined(name, branches)
        return replace(joined(name, branches), absent=True)

    def alternative(self, name: str, header: str, spec: Any, path: SpecPath, env: Env, *, alone: bool = False) -> Value:
        """One branch: its value goes to `name`. `alone`: no other depends on its having been there."""
        found: list[Value] = []

        def build() -> None:
            value = self.template(spec, path, env)
            self.line(f"{name} = {value.code}")
            found.append(value)

        before = len(self.lines)
        self.branch(header, build)
        if (
            (alone or header == "else") and found[0].nothing and len(self.lines) == before + 2
        ):  # an assignment of nothing, and nothing behind it
            del self.lines[before:]
        return found[0]

    def silent(self, spec: Any, path: SpecPath, env: Env) -> Value:
        """A value that only steers: the parameters that it reads are not carried by it."""
        track, self.track = self.track, False
        value = self.reading_all(lambda: self.template(spec, path, env))
        self.track = track
        return value

    def decide(self, spec: Any, path: SpecPath, env: Env) -> Value:
        """A condition."""
        if isinstance(spec, str) and is_expression(spec):
            return self.reading_all(lambda: self.condition(spec, path, env))
        if isinstance(spec, str):
            self.faults.add(
                path, "wrong-type", f"{spec!r} is a text, and always true", "put an expression that begins with a text in brackets"
            )
        return self.silent(spec, path, env)

    def op_first(self, spec: dict[Any, Any], path: SpecPath, env: Env) -> Value:
        name = self.assign("None", "f")
        branches: list[Value] = []
        for position, choice in enumerate(self.listed(spec, "$first", path)):
            header = "if True" if all(branch.nothing for branch in branches) else f"if {name} is None"
            branches.append(self.alternative(name, header, choice, (*path, "$first", position), replace(env, conditional=True), alone=True))
        if all(branch.nothing for branch in branches):
            return ABSENT
        value = joined(name, branches)
        return replace(value, absent=all(branch.absent for branch in branches))

    def op_each(self, spec: dict[Any, Any], path: SpecPath, env: Env) -> Value:
        name = self.assign("None", "l")

        def add(inner: Env) -> None:
            value = self.template(spec["$do"], (*path, "$do"), inner) if "$do" in spec else inner.item
            if inner.item.members is not None and value.kind == "dict" and not self.used(value).nothing:  # one part alone
                code = self.used(value).code
                self.line(f"{name} = [{code}]" + (f" if {code} is not None else None" if value.absent else ""))
            else:
                self.collect(name, self.named(self.used(value)), begun=False)

        before = len(self.lines)
        self.each(spec, path, env, add)
        if len(self.lines) > before:
            return Value(name, kind="list")
        self.lines.pop()
        return ABSENT

    def each(self, spec: dict[Any, Any], path: SpecPath, env: Env, body: Callable[[Env], None]) -> None:
        """Run `body` for each item: `.`, `$pos` and the `$as` name stand for it."""
        position = self.assign("-1", "p") if mentions(spec, "$pos", self.pieces.defs) else ""
        begun = len(self.lines) - 1

        def run(item: Value) -> None:
            names = dict(env.names)
            if position:
                self.line(f"{position} += 1")
                names["pos"] = Value(position, absent=False, kind="int")
            if "$as" in spec:
                names[spec["$as"]] = item
            inner = replace(env, item=item, names=names, conditional=True)
            if "$where" in spec:
                condition = self.decide(spec["$where"], (*path, "$where"), inner)
                if condition.constant is True:
                    body(inner)
                else:
                    self.branch(f"if {condition.code}", lambda: body(inner))
            else:
                body(inner)

        self.noted.append(set())
        self.repeat(spec["$each"], (*path, "$each"), env, run)
        self.noted.pop()
        if position:
            self.drop_unread(position, begun)

    def repeat(self, source: Any, path: SpecPath, env: Env, body: Callable[[Value], None]) -> None:
        """Loops over a path directly, or over the list that any other template gives."""
        if isinstance(source, str) and is_expression(source):
            try:
                tree = syntax.parse(source)
            except syntax.SyntaxFault:
                tree = None
            if isinstance(tree, syntax.Path) and not paths.singular(tree.segments):
                self.visit(self.root(tree, path, env), tree.segments, env.root, body)
                return
            if isinstance(tree, syntax.Filter) and tree.name == "parts" and not self.tracing:
                self.each_part(self.expression(tree.operand, path, env), body)
                return
        value = self.loop_value(source, path, env)
        if value.nothing:
            return
        item = self.item(value)
        typed = self.typed and value.node is not None and value.node.is_list
        several = (f"({value.code} or ())" if value.absent else value.code) if typed or value.kind == "list" else self.several(value.code)
        with self.block(f"for {item.code} in {several}"):
            if not item.absent:
                body(item)
                return
            with self.block(f"if {item.code} is not None"):
                body(replace(item, absent=False))

    def each_part(self, content: Value, body: Callable[[Value], None]) -> None:
        """Message content, part by part. Mostly it is a text: the one part that this is need not be made to be read."""
        code = content.code
        if content.nothing:
            return
        text = {"type": Value("'text'", absent=False), "text": Value(code, absent=False, kind="str", reads=content.reads)}
        part = Value("", absent=False, kind="dict", reads=content.reads, members=text)
        if content.kind == "str" and not content.absent:
            body(part)
            return
        self.branch(f"if type({code}) is str", lambda: body(part))
        item = self.item(content)
        self.noted.append(set())
        with self.block("else"), self.block(f"for {item.code} in {self.several(code)}"), self.block(f"if {item.code} is not None"):
            body(replace(item, absent=False))
        self.noted.pop()

    def several(self, code: str) -> str:
        """Source for the items of a value that may be a list, a single item, or absent."""
        return f"({code} if type({code}) is list else () if {code} is None else ({code},))"

    def loop_value(self, source: Any, path: SpecPath, env: Env) -> Value:
        """What is looped over; a singular path keeps its place in the event, so that its items can be typed."""
        if isinstance(source, str) and is_expression(source):
            try:
                tree = syntax.parse(source)
            except syntax.SyntaxFault:
                return self.text(source, path, env)
            if isinstance(tree, syntax.Path):
                return self.path(tree, path, env)
        value = self.silent(source, path, env)
        return value if value.nothing else self.named(value)

    def op_concat(self, spec: dict[Any, Any], path: SpecPath, env: Env) -> Value:
        name = self.assign("None", "l")
        for position, piece in enumerate(self.listed(spec, "$concat", path)):
            value = self.template(piece, (*path, "$concat", position), env)
            if not value.nothing:
                header = f"if {value.code} is not None: " if value.absent else ""
                self.line(f"{header}{name} = {self.appended(name, value)}")
        return Value(self.assign(f"{name} or None"), kind="list")

    def appended(self, name: str, value: Value) -> str:
        """Source for a list (or nothing) and a value behind it: a list item by item. Neither is changed."""
        code = value.code
        if value.kind == "list":
            return f"{name} + {code} if {name} else {code}"
        return f"put_together({name}, {code}) if {name} or type({code}) is not list else {code}"

    def op_merge_adjacent(self, spec: dict[Any, Any], path: SpecPath, env: Env) -> Value:
        items = self.template(spec["$merge_adjacent"], (*path, "$merge_adjacent"), env)
        lists = spec.get("$join_lists", [])
        joined_names = tuple(lists) if isinstance(lists, list) else (lists,)
        leading = spec.get("$leading")
        if leading is not None and not joined_names:
            self.faults.add((*path, "$leading"), "operator-keys", "$leading needs $join_lists")
        more = "" if leading is None else f", {leading!r}"
        code = f"merge_adjacent({items.code} or (), {spec['$by']!r}, {joined_names!r}{more}) or None"
        return Value(self.assign(code), kind="list", reads=items.reads)

    def op_merge(self, spec: dict[Any, Any], path: SpecPath, env: Env) -> Value:
        values = [
            self.template(piece, (*path, "$merge", position), env) for position, piece in enumerate(self.listed(spec, "$merge", path))
        ]
        return Value(self.assign(f"merge({', '.join(value.code for value in values)})"), kind="dict")  # nothing of it may be an object

    def op_index(self, spec: dict[Any, Any], path: SpecPath, env: Env) -> Value:
        name = self.assign("{}", "x")

        def add(item: Value) -> None:
            inner = replace(env, item=item)
            key, value = (self.silent(spec[part], (*path, part), inner) for part in ("$key", "$value"))
            there = f" and {value.code} is not None" if value.absent else ""
            with self.block(f"if type({key.code}) is str{there}"):
                self.line(f"{name}[{key.code}] = {value.code}")

        self.repeat(spec["$index"], (*path, "$index"), env, add)
        return Value(name, absent=False, kind="dict")

    def op_join(self, spec: dict[Any, Any], path: SpecPath, env: Env) -> Value:
        pieces = self.listed(spec, "$join", path)
        values = [self.template(piece, (*path, "$join", position), env) for position, piece in enumerate(pieces)]
        separator = spec.get("$with", "")
        computed = [value.code for value, piece in zip(values, pieces, strict=True) if not is_constant(piece)]
        code = f"join_texts({separator!r}, {', '.join(value.code for value in values)})"
        if computed and all(value.absent for value, piece in zip(values, pieces, strict=True) if not is_constant(piece)):
            return Value(self.assign(f"{code} if {' or '.join(f'{name} is not None' for name in computed)} else None"))
        return Value(self.assign(code), absent=False)

    def op_reject(self, spec: dict[Any, Any], path: SpecPath, env: Env) -> Value:
        if not env.rejects:
            self.faults.add((*path, "$reject"), "wrong-place", "$reject refuses a request: it works under request only")
            return ABSENT
        sentence = self.template(spec["$reject"], (*path, "$reject"), replace(env, condition=NO_READS))
        self.line(f"raise Rejected({sentence.code}, {spec.get('$param')!r})")
        return ABSENT

    def op_lit(self, spec: dict[Any, Any], path: SpecPath, env: Env) -> Value:
        return self.constant_value(spec["$lit"], env)

    def listed(self, spec: dict[Any, Any], key: str, path: SpecPath) -> list[Any]:
        if isinstance(spec[key], list):
            return list(spec[key])
        self.faults.add((*path, key), "wrong-type", f"{key} takes a list")
        return []


def joined(name: str, branches: list[Value]) -> Value:
    """What is known of a value that comes out of one of several branches."""
    kinds = {branch.kind for branch in branches if branch is not ABSENT}
    reads = frozenset().union(*(branch.reads for branch in branches)) if branches else NO_READS
    return Value(
        name, absent=not branches or any(branch.absent for branch in branches), kind=kinds.pop() if len(kinds) == 1 else "", reads=reads
    )


def case_test(subject: str, case: Any) -> str:
    """Source for `subject is this case`; numbers, booleans and null fit by their JSON text, too."""
    text = case if isinstance(case, str) else msgspec.json.encode(case).decode()
    value = {"true": "True", "false": "False", "null": "None"}.get(text)
    if value:
        return f"{subject} is {value} or {subject} == {text!r}"
    if _NUMBER.fullmatch(text) and isfinite(number := msgspec.json.decode(text)):
        return f"same({subject}, {number!r}) or {subject} == {text!r}"
    return f"{subject} == {text!r}"


def mentions(spec: Any, name: str, defs: Mapping[str, Any], seen: frozenset[str] = frozenset()) -> bool:
    """Whether a variable's name occurs anywhere in a template, or in a def that it uses."""
    if isinstance(spec, str):
        return name in spec
    if isinstance(spec, dict):
        used = spec.get("$use")
        if isinstance(used, str) and used not in seen and mentions(defs.get(used), name, defs, seen | {used}):
            return True
        return any(mentions(value, name, defs, seen) for value in spec.values())
    return any(mentions(item, name, defs, seen) for item in spec) if isinstance(spec, list) else False
