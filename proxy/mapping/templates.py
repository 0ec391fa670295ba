"""Templates → source: YAML in the shape of its output: leaves, objects, lists. (Operators: `proxy.mapping.operators`.)

While a request is compiled, the source also notes which of the client's parameters something was made of (`used`), so that the
others can be reported. A parameter that is certainly carried costs nothing at run time.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from functools import partial
from typing import Any

from msgspec.structs import replace

from proxy.errors import SpecPath
from proxy.mapping.code import Env, Pieces, Value
from proxy.mapping.expressions import Expressions
from proxy.mapping.needs import REQUIRED, needed
from proxy.mapping.reading import ABSENT
from proxy.mapping.syntax import is_expression


class Templates(Expressions):
    """Adds templates to the source."""

    def __init__(self, pieces: Pieces, *, typed: bool = False, trace: bool = False, track: bool = False) -> None:
        super().__init__(pieces, typed=typed, trace=trace)
        self.track = track
        self.parameters: dict[str, int] = {}
        self.carried: set[str] = set()
        self.noted: list[set[frozenset[str]]] = [set()]
        self.shared: dict[tuple[Any, ...], tuple[str, Value, frozenset[str]]] = {}
        self.lasting: dict[str, Value] = {}

    def template(self, spec: Any, path: SpecPath, env: Env) -> Value:
        if isinstance(spec, str):
            return self.leaf(spec, path, env)
        if isinstance(spec, dict):
            operator = next((key for key in spec if isinstance(key, str) and key[:1] == "$" and key[:2] != "$$"), None)
            if operator is None:
                return self.object(spec, path, env)
            names = needed(spec, self.pieces.defs) if env.item.family and not self.tracing else None
            build = self.operator if names is None else partial(self.where_there, names)
            return build(operator, spec, path, env)
        if isinstance(spec, list):
            return self.list_of(spec, path, env)
        return self.constant_value(spec, env)

    def where_there(self, names: frozenset[str], operator: str, spec: Any, path: SpecPath, env: Env) -> Value:
        """What is absent for items without all of these members, as its whole list may be."""
        name, found = self.assign("None"), []

        def build() -> None:
            found.append(self.operator(operator, spec, path, replace(env, conditional=True)))
            self.line(f"{name} = {found[0].code}")

        self.branch(f"if {self.there(env.item.family, names)}", build)
        return Value(name, kind=found[0].kind, reads=found[0].reads)

    @abstractmethod
    def operator(self, operator: str, spec: dict[Any, Any], path: SpecPath, env: Env) -> Value:
        """A template with a `$…` key: the result of that operator."""

    # -- leaves --------------------------------------------------------------------------------------------------

    def leaf(self, text: str, path: SpecPath, env: Env) -> Value:
        if not is_expression(text):
            return self.constant_value(text[1:] if text[:2] == "$$" else text, env)
        value = self.reading_all(lambda: self.text(text, path, env))
        if self.track and value.certain and not env.conditional:
            self.carried |= value.reads
        elif self.track and (value.reads or env.condition):
            self.note(value.reads or env.condition, value)
        if self.tracing:
            self.line(f"trace({path!r}, {text!r}, {value.code})")
        return value

    def reading_all(self, build: Callable[[], Value]) -> Value:
        """A value with every parameter that was read on the way to it."""
        outer, self.reading = self.reading, set()
        value = build()
        value = replace(value, reads=value.reads | self.reading)
        self.reading |= outer
        return value

    def constant_value(self, spec: Any, env: Env) -> Value:
        """A literal. Where a condition chose it, what the condition read has been carried by it."""
        if self.track and env.condition:
            self.note(env.condition)
        code = self.anew(spec)
        return Value(self.assign(code, "k") if isinstance(spec, dict | list) else code, absent=False)

    def note(self, reads: frozenset[str], value: Value | None = None) -> None:
        """Note at run time that these parameters were carried (when the value is present)."""
        if any(reads in scope for scope in self.noted):
            return
        mask = 0
        for name in reads:
            mask |= self.parameters.setdefault(name, 1 << len(self.parameters))
        if value is not None and value.absent:
            with self.block(f"if {value.code} is not None"):
                self.line(f"used |= {mask}")
        else:
            self.line(f"used |= {mask}")
            self.noted[-1].add(reads)

    def branch(self, header: str, body: Callable[[], None]) -> None:
        """A block that may not run: what is noted in it does not hold behind it."""
        self.noted.append(set())
        with self.block(header):
            body()
        self.noted.pop()

    @contextmanager
    def aside(self, header: str) -> Iterator[None]:
        """A function inside the one under construction, put before all else in it."""
        outer = self.lines, self.depth, self.known, self.noted
        self.lines, self.depth, self.known, self.noted = [], 2, [{}], [set()]
        yield
        body = self.lines
        self.lines, self.depth, self.known, self.noted = outer
        shares = ["        nonlocal used"] if any(line.lstrip().startswith("used |=") for line in body) else []
        self.functions += [f"    {header}:", *shares, *body]

    # -- objects and lists -----------------------------------------------------------------------------------------

    def object(self, spec: dict[Any, Any], path: SpecPath, env: Env) -> Value:
        if is_constant(spec):
            return replace(self.constant_value(literal(spec), env), kind="dict")
        needed: dict[Any, Value] = {}
        for key, field in spec.items():
            if isinstance(field, str) and is_expression(field) and REQUIRED.search(field):
                needed[key] = self.leaf(REQUIRED.sub("", field), (*path, key), env)
        missing = [value.code for value in needed.values() if value.absent]
        if "None" in missing:
            return ABSENT
        if not missing:
            return self.fields(spec, needed, path, env)
        name = self.assign("None", "o")

        def build() -> None:
            value = self.fields(spec, needed, path, replace(env, conditional=True))
            self.line(f"{name} = {value.code}")

        self.branch("if " + " and ".join(f"{code} is not None" for code in missing), build)
        return Value(name, kind="dict")

    def fields(self, spec: dict[Any, Any], needed: dict[Any, Value], path: SpecPath, env: Env) -> Value:
        """The object itself: what is certain in one display, the rest added where it is present."""
        values: list[tuple[str, Value, bool]] = []
        for key, field in spec.items():
            label = repr(key[1:] if isinstance(key, str) and key[:2] == "$$" else str(key))
            value = replace(needed[key], absent=False) if key in needed else self.template(field, (*path, key), env)
            if not value.nothing or is_constant(field):
                values.append((label, value, is_constant(field)))
        if all(constant for *_, constant in values):  # nothing else of it can be there
            return ABSENT
        sure = any(not value.absent and not constant for _, value, constant in values)
        doubtful = [value.code for _, value, _ in values if value.absent]
        display = "{" + ", ".join(f"{label}: {value.code}" for label, value, _ in values) + "}"
        if not doubtful:
            return Value(self.assign(display, "o"), absent=False, kind="dict")
        if len(doubtful) == 1 and not sure:
            return Value(self.assign(f"{display} if {doubtful[0]} is not None else None", "o"), kind="dict")
        first = next(position for position, (_, value, _) in enumerate(values) if value.absent)
        name = self.assign("{" + ", ".join(f"{label}: {value.code}" for label, value, _ in values[:first]) + "}", "o")
        for label, value, _ in values[first:]:
            header = f"if {value.code} is not None: " if value.absent else ""
            self.line(f"{header}{name}[{label}] = {value.code}")
        if not sure:
            constants = sum(constant for *_, constant in values)
            self.line(f"if {f'len({name}) == {constants}' if constants else f'not {name}'}: {name} = None")
        return Value(name, absent=not sure, kind="dict")

    def list_of(self, spec: list[Any], path: SpecPath, env: Env) -> Value:
        if is_constant(spec):
            return replace(self.constant_value(literal(spec), env), kind="list")
        pairs = [(self.template(item, (*path, position), env), is_constant(item)) for position, item in enumerate(spec)]
        pairs = [(value, constant) for value, constant in pairs if constant or not value.nothing]
        if all(constant for _, constant in pairs):
            return ABSENT
        if not any(value.absent for value, _ in pairs):
            return Value(self.assign("[" + ", ".join(value.code for value, _ in pairs) + "]"), absent=False, kind="list")
        if len(pairs) == 1:
            code = pairs[0][0].code
            return Value(self.assign(f"[{code}] if {code} is not None else None", "l"), kind="list")
        name = self.assign("[]", "l")
        for value, _ in pairs:
            self.collect(name, replace(value, kind="item"))
        if all(value.absent or constant for value, constant in pairs):
            constants = sum(constant for _, constant in pairs)
            return Value(self.assign(f"{name} if len({name}) > {constants} else None"), kind="list")
        return Value(name, absent=False, kind="list")

    def collect(self, name: str, value: Value, begun: bool = True) -> None:
        """Add a result to a list: absent ones not, lists item by item (unless it stands as an item itself).

        A list that is not yet `begun` is None until it has an item.
        """
        if value.nothing:
            return
        code = value.code
        tests = {"list": code, "": f"{code} or ({code} is not None and {code} != [])"}
        with self.block(f"if {tests.get(value.kind, f'{code} is not None')}") if value.absent or not begun else nullcontext():
            if not begun:
                self.line(f"if {name} is None: {name} = []")
            if value.kind == "list":
                self.line(f"{name}.extend({code})")
            elif value.kind in ("dict", "item"):
                self.line(f"{name}.append({code})")
            else:
                self.line(f"{name}.extend({code}) if type({code}) is list else {name}.append({code})")


def is_constant(spec: Any) -> bool:
    """Whether a template has nothing to compute."""
    if isinstance(spec, str):
        return not is_expression(spec)
    if isinstance(spec, dict):
        return not any(isinstance(key, str) and key[:1] == "$" and key[:2] != "$$" for key in spec) and all(map(is_constant, spec.values()))
    return all(map(is_constant, spec)) if isinstance(spec, list) else True


def literal(spec: Any) -> Any:
    """A constant template as the value it stands for."""
    if isinstance(spec, str):
        return spec[1:] if spec[:2] == "$$" else spec
    if isinstance(spec, dict):
        return {(key[1:] if isinstance(key, str) and key[:2] == "$$" else str(key)): literal(value) for key, value in spec.items()}
    return [literal(item) for item in spec] if isinstance(spec, list) else spec
