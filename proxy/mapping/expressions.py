"""Expressions → source. Each method writes the statements it needs and returns the value they leave. (Paths: `proxy.mapping.reading`.)"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from proxy.errors import SpecPath
from proxy.mapping import paths, syntax
from proxy.mapping.catalogue import FILTERS, FilterEntry
from proxy.mapping.code import Env, Value
from proxy.mapping.reading import Reading, compare
from proxy.mapping.syntax import Binary, Expression, Filter, Has, ListOf, Literal, Not, Path, SyntaxFault

ABSENT = Value("None")


class Expressions(Reading):
    """Adds expressions to the source."""

    def text(self, text: str, path: SpecPath, env: Env) -> Value:
        """Parse and compile one expression; a fault is noted and leaves an absent value."""
        tree = self.parse(text, path)
        return self.expression(tree, path, env) if tree is not None else ABSENT

    def condition(self, text: str, path: SpecPath, env: Env) -> Value:
        """An expression of which only the truth is wanted."""
        tree = self.parse(text, path)
        return self.truth(tree, path, env) if tree is not None else ABSENT

    def parse(self, text: str, path: SpecPath) -> Expression | None:
        try:
            return syntax.parse(text)
        except SyntaxFault as fault:
            self.faults.add(path, fault.code, str(fault), offset=fault.offset, length=fault.length)
            return None

    def truth(self, tree: Expression, path: SpecPath, env: Env) -> Value:
        """As `expression`, but of a path only the truth is wanted: a list need not be read in full for it."""
        if isinstance(tree, Path) and paths.singular(tree.segments):
            value = self.path(tree, path, env)
            if value.node is not None:
                value.node.tested = True
            return value
        if isinstance(tree, Not):
            value = self.truth(tree.operand, path, env)
            return Value(self.assign(f"not {value.code}"), absent=False, reads=value.reads)
        if isinstance(tree, Binary) and tree.operator in ("and", "or"):
            return self.lazy(tree, path, env, self.truth)
        return self.expression(tree, path, env)

    def expression(self, tree: Expression, path: SpecPath, env: Env) -> Value:
        match tree:
            case Literal(value=constant):
                return Value(repr(constant), absent=constant is None)
            case Path():
                return self.used(self.path(tree, path, env))
            case ListOf(items=items):
                values = [self.expression(item, path, env) for item in items]
                return Value(self.assign("[" + ", ".join(value.code for value in values) + "]"), absent=False, kind="list")
            case Has(path=inner):
                return self.has(inner, path, env)
            case Not(operand=operand):
                value = self.expression(operand, path, env)
                return Value(self.assign(f"not {value.code}"), absent=False, reads=value.reads)
            case Filter():
                return self.filter(tree, path, env)
            case Binary(operator="//" | "and" | "or"):
                return self.lazy(tree, path, env, self.expression)
            case _:
                return self.binary(tree, path, env)

    # -- operators -----------------------------------------------------------------------------------------------

    def lazy(self, tree: Binary, path: SpecPath, env: Env, read: Callable[[Expression, SpecPath, Env], Value]) -> Value:
        """`//`, `and`, `or`: the right side is computed only where it decides."""
        left = read(tree.left, path, env)
        if tree.operator == "//" and not left.absent:
            return left
        name = self.assign(left.code)
        header = {"//": f"if {name} is None", "and": f"if {name}", "or": f"if not {name}"}[tree.operator]
        with self.block(header):
            right = read(tree.right, path, env)
            self.line(f"{name} = {right.code}")
        null = isinstance(tree.right, Literal) and tree.right.value is None
        return Value(
            name,
            absent=right.absent and not null if tree.operator == "//" else left.absent or right.absent,
            reads=left.reads | right.reads,
            certain=left.certain and (right.certain or not right.reads),
        )

    def binary(self, tree: Binary, path: SpecPath, env: Env) -> Value:
        left = self.expression(tree.left, path, env)
        left = self.named(left) if isinstance(tree.right, Literal) else left
        if tree.operator == "in" and (texts := texts_of(tree.right)):
            return Value(self.assign(f"{left.code} in {texts!r}"), absent=False, reads=left.reads)
        right = self.expression(tree.right, path, env)
        reads = left.reads | right.reads
        if tree.operator in ("+", "-"):
            function = "add" if tree.operator == "+" else "subtract"
            return Value(self.assign(f"{function}({left.code}, {right.code})"), reads=reads)
        numbers = left.kind == "int" and isinstance(tree.right, Literal) and isinstance(tree.right.value, int)
        code = f"{left.code} {tree.operator} {right.code}" if numbers else compare(tree.operator, left.code, right.code)
        return Value(self.assign(code), absent=False, reads=reads)

    def has(self, tree: Path, path: SpecPath, env: Env) -> Value:
        if not paths.singular(tree.segments) or not tree.segments:
            self.faults.add(path, "wrong-place", "has() takes a path of names and indexes", offset=tree.offset)
            return ABSENT
        found = self.probe(self.root(tree, path, env), tree.segments)
        return Value(self.assign(f"{found} is not NOTHING"), absent=False)

    # -- paths ---------------------------------------------------------------------------------------------------

    def root(self, tree: Path, path: SpecPath, env: Env) -> Value:
        if tree.root in (".", "$"):
            return env.item if tree.root == "." else env.root
        if tree.root == "uuid":
            return Value(self.assign("context.uuid()"), absent=False)
        if tree.root in env.names:
            self.reading |= env.names[tree.root].reads
        else:
            self.faults.unknown(path, "unknown-variable", "variable", "$" + tree.root, ["$" + name for name in env.names], tree.offset)
            return ABSENT
        return env.names[tree.root]

    def path(self, tree: Path, path: SpecPath, env: Env) -> Value:
        root = self.root(tree, path, env)
        if paths.singular(tree.segments):
            return self.walk(root, tree.segments)
        items = self.assign("None")
        reads: set[str] = set()

        def collect(value: Value) -> None:
            reads.update(self.used(value).reads)
            self.line(f"if {items} is None: {items} = []")
            self.line(f"{items}.append({value.code})")

        self.visit(root, tree.segments, env.root, collect)
        return Value(items, kind="list", reads=frozenset(reads))

    # -- filters -------------------------------------------------------------------------------------------------

    def filter(self, tree: Filter, path: SpecPath, env: Env) -> Value:
        entry = FILTERS.get(tree.name)
        if entry is None:
            self.faults.unknown(path, "unknown-filter", "filter", tree.name, FILTERS, tree.offset)
            return ABSENT
        operand = self.named(self.expression(tree.operand, path, env))
        given = len(tree.arguments)
        if not len(entry.arguments) - entry.optional <= given <= len(entry.arguments):
            self.faults.add(
                path, "filter-argument", f"the filter is written `{entry.signature}`", offset=tree.offset, length=len(tree.name)
            )
            return ABSENT
        if entry.name == "required":
            self.faults.add(path, "wrong-place", "'| required' stands at the end of a field", offset=tree.offset, length=8)
            return ABSENT
        arguments = [self.argument(entry, position, argument, tree, (path, env)) for position, argument in enumerate(tree.arguments)]
        if any(argument is None for argument in arguments):
            return ABSENT
        if entry.name == "nonempty":
            code = f"{operand.code} if {operand.code} or {operand.code} is False or {operand.code} == 0 else None"
            return Value(self.assign(code), kind=operand.kind, reads=operand.reads)
        call = self.call(entry, operand, [str(argument) for argument in arguments], env)
        if entry.name == "ordinal" and not env.stateful:
            self.faults.add(path, "wrong-place", "ordinal() counts within a stream", offset=tree.offset, length=len(tree.name))
        code = f"{call} if {operand.code} is not None else None" if operand.absent else call
        kind = "list" if entry.name in ("parts", "list") else ""
        return Value(self.assign(code), absent=operand.absent or entry.name not in NEVER_ABSENT, kind=kind, reads=operand.reads)

    def call(self, entry: FilterEntry, operand: Value, arguments: list[str], env: Env) -> str:
        code = operand.code
        if entry.name in ("map", "unmap"):
            table = self.constants[arguments[0]]
            otherwise = self.constant(table.get("$else") if entry.name == "map" else None)
            found = f"mapped({code}, {arguments[0]}, {otherwise})"
            shared = any(isinstance(value, dict | list) for value in table.values())
            return f"deepcopy({found})" if shared else found
        if entry.name == "schema":
            return f"lower_schema({code}, {arguments[0]})"
        if entry.name == "ordinal":
            return f"ordinal(ordinals, {arguments[0]}, {code})" if env.stateful else f"ordinal({{}}, {arguments[0]}, {code})"
        self.constants[f"f_{entry.name}"] = entry.function
        return f"f_{entry.name}({', '.join([code, *arguments])})"

    def argument(self, entry: FilterEntry, position: int, argument: Expression | str, tree: Filter, at: tuple[SpecPath, Env]) -> str | None:
        """Source for one argument; None (and a fault) when it is of the wrong kind."""
        kind, (path, env) = entry.arguments[position], at
        if kind == "value" and not isinstance(argument, str):
            return self.expression(argument, path, env).code
        if kind == "constant" and isinstance(argument, Literal):
            return repr(argument.value)
        if kind == "word" and isinstance(argument, str) and (not entry.words or argument in entry.words):
            return repr(argument)
        if kind in ("table", "schema") and isinstance(argument, str):
            known: dict[str, Any] = self.pieces.tables if kind == "table" else self.pieces.levels
            if argument not in known:
                self.faults.unknown(path, "unknown-name", kind, argument, known, tree.offset)
                return None
            piece = known[argument]
            return self.constant(backwards(piece) if entry.name == "unmap" else piece)
        self.faults.add(path, "filter-argument", f"the filter is written `{entry.signature}`", offset=tree.offset, length=len(tree.name))
        return None


NEVER_ABSENT = frozenset(("parts", "list", "to_json", "at_most", "at_least", "ordinal", "schema", "safe_id"))


def backwards(table: dict[Any, Any]) -> dict[Any, Any]:
    """value → the first key that maps to it."""
    turned: dict[Any, Any] = {}
    for key, value in table.items():
        if key != "$else" and isinstance(value, str | int):
            turned.setdefault(value, key)
    return turned


def texts_of(tree: Expression) -> tuple[str, ...]:
    """The texts of a list that holds nothing else."""
    items = tree.items if isinstance(tree, ListOf) else ()
    texts = tuple(item.value for item in items if isinstance(item, Literal) and isinstance(item.value, str))
    return texts if len(texts) == len(items) else ()
