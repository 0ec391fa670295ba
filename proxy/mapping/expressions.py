"""Expressions and paths → source. Each method writes the statements it needs and returns the value they leave."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

from proxy.errors import SpecPath
from proxy.mapping import paths, syntax
from proxy.mapping.catalogue import FILTERS, FilterEntry
from proxy.mapping.code import Code, Env, Node, Value
from proxy.mapping.paths import Index, Logical, Name, Query, Segments, Selector, Slice, Test
from proxy.mapping.syntax import Binary, Expression, Filter, Has, ListOf, Literal, Not, Path, SyntaxFault

#: Request parameters that every mapping serves; they are never reported as dropped.
UNTRACKED = frozenset(("model", "messages", "stream", "input"))
ABSENT = Value("None")


class Expressions(Code):
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

    def used(self, value: Value) -> Value:
        """The value is taken as a whole: it must be decoded in full."""
        if value.node is not None and not self.typed:
            value.node.whole = True
        return value

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

    def walk(self, value: Value, segments: Segments) -> Value:
        """Follow names and indexes."""
        for segment in segments:
            value = self.step(value, segment[0])
        return value

    def step(self, value: Value, selector: Selector) -> Value:
        if isinstance(selector, Name):
            return self.field(value, selector.name)
        index = place(selector)
        node = self.inner(value)
        code = f"{value.code}[{index}] if {holds(value.code, index)} else None"
        return Value(self.assign(code), reads=value.reads, node=node)

    def field(self, value: Value, name: str) -> Value:
        known = self.recall(value.code, name)
        if known is not None:
            self.reading |= known.reads
            return known
        reads = value.reads
        if value.kind == "request" and name not in UNTRACKED:
            reads = frozenset((name,))
        self.reading |= reads
        node = self.inner(value, name)
        code = self.access(value, name, "None")
        found = self.assign(code)
        if self.typed and value.node is not None and value.node.is_object and name in value.node.presence:
            with self.block(f"if {found} is NOTHING"):
                self.line(f"{found} = None")
        result = Value(found, reads=reads, certain=value.kind == "request", node=node)
        return result if value.code == "memory" else self.learn(value.code, name, result)

    def inner(self, value: Value, name: str | None = None) -> Node | None:
        """The node of a member or of the items; None where the value is not, or no longer, read as typed."""
        node = value.node
        if node is None or (self.typed and not (node.is_list if name is None else node.is_object)):
            return None
        return node.item() if name is None else node.field(name)

    def access(self, value: Value, name: str, default: str) -> str:
        """Source that reads one member of a value that may be anything."""
        if self.typed and value.node is not None and value.node.is_object:
            read = f"{value.code}.{attribute(name)}"
            return f"{read} if {value.code} is not None else {default}" if value.absent else read
        read = f"{value.code}.get({name!r})" if default == "None" else f"{value.code}.get({name!r}, {default})"
        if value.kind in ("dict", "request"):
            return f"{read} if {value.code} is not None else {default}" if value.absent else read
        return f"{read} if type({value.code}) is dict else {default}"

    def probe(self, value: Value, segments: Segments) -> str:
        """A singular path as the standard reads it: NOTHING where there is nothing, None for null."""
        owner = self.walk(value, segments[:-1])
        last = segments[-1][0] if segments else None
        if last is None:
            return self.used(value).code
        if isinstance(last, Name):
            if owner.kind == "request" and last.name not in UNTRACKED:
                self.reading.add(last.name)
            if owner.node is not None:
                owner.node.presence.add(last.name)
                self.used(Value("", node=owner.node.field(last.name)))
            return self.assign(self.access(owner, last.name, "NOTHING"))
        found = self.used(self.step(owner, last)).code
        return self.assign(f"NOTHING if {found} is None and not ({holds(owner.code, place(last))}) else {found}")

    def visit(self, value: Value, segments: Segments, root: Value, body: Callable[[Value], None], nulls: bool = False) -> None:
        """Write loops that run `body` for each value a path finds; nulls are passed over unless asked for."""
        if not segments:
            if nulls or not value.absent:
                body(value)
                return
            with self.block(f"if {value.code} is not None"):
                body(replace(value, absent=False))
            return
        for selector in segments[0]:
            self.select(value, selector, segments[1:], root, body, nulls)

    def select(self, value: Value, selector: Selector, rest: Segments, root: Value, body: Callable[[Value], None], nulls: bool) -> None:
        if isinstance(selector, Name | Index):
            if nulls:
                found = self.probe(value, ((selector,),))
                with self.block(f"if {found} is not NOTHING"):
                    self.visit(Value(found), rest, root, body, nulls)
            else:
                self.visit(self.step(value, selector), rest, root, body, nulls)
            return
        item = self.item(value)
        with self.block(f"for {item.code} in {self.loop(value, selector)}"):
            if isinstance(selector, Test):
                with self.block(f"if {self.logical(selector.condition, item, root)}"):
                    self.visit(item, rest, root, body, nulls)
            else:
                self.visit(item, rest, root, body, nulls)

    def item(self, value: Value) -> Value:
        """A name for the items of a list; those of a typed list are never null."""
        node = self.inner(value)
        return Value(self.name("i"), absent=not (self.typed and node is not None and node.is_object), reads=value.reads, node=node)

    def loop(self, value: Value, selector: Selector) -> str:
        if isinstance(selector, Slice):
            piece = ":".join("" if bound is None else str(bound) for bound in (selector.start, selector.stop, selector.step))
            return f"({value.code}[{piece}] if type({value.code}) is list else ())" if selector.step != 0 else "()"
        if value.kind == "list" or (self.typed and value.node is not None and value.node.is_list):
            return f"{value.code} or ()" if value.absent else value.code
        return f"({value.code} if type({value.code}) is list else children({value.code}))"

    # -- tests inside brackets: the standard's semantics ------------------------------------------------------------

    def logical(self, condition: Logical, item: Value, root: Value) -> str:
        match condition:
            case paths.Junction(operator=operator, left=left, right=right):
                first, second = self.logical(left, item, root), self.logical(right, item, root)
                return f"({first} {'and' if operator == '&&' else 'or'} {second})"
            case paths.Negation(operand=operand):
                return f"(not {self.logical(operand, item, root)})"
            case paths.Comparison(operator=operator, left=left, right=right):
                return compare(operator, self.operand(left, item, root), self.operand(right, item, root))
            case _:
                return self.exists(condition, item, root)

    def operand(self, operand: Query | paths.Constant, item: Value, root: Value) -> str:
        if isinstance(operand, paths.Constant):
            return repr(operand.value)
        return self.probe(item if operand.root == "@" else root, operand.segments)

    def exists(self, query: Query, item: Value, root: Value) -> str:
        start = item if query.root == "@" else root
        if paths.singular(query.segments):
            return f"({self.probe(start, query.segments)} is not NOTHING)"
        found = self.assign("False")
        self.visit(start, query.segments, root, lambda _: self.line(f"{found} = True"), nulls=True)
        return found

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


def place(selector: Selector) -> int:
    """The index of a selector in a singular path."""
    if not isinstance(selector, Index):
        raise TypeError(f"{selector!r} is not an index")
    return selector.index


def holds(code: str, index: int) -> str:
    """Source for `this value is a list that has that index`."""
    return f"type({code}) is list and len({code}) >= {index + 1 if index >= 0 else -index}"


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


def attribute(name: str) -> str:
    """The name of a JSON member as an attribute of a typed event."""
    return "f_" + "".join(letter if letter.isascii() and letter.isalnum() else f"_{ord(letter):x}_" for letter in name)


def compare(operator: str, left: str, right: str) -> str:
    """Source for a comparison; quick forms where one side is a text, a truth value or null."""
    if operator in ("==", "!="):
        quick = next((side for side in (left, right) if side[:1] in "'\"" or side in ("None", "True", "False")), "")
        if quick:
            other = right if quick == left else left
            sign = {"==": "==", "!=": "!="} if quick[:1] in "'\"" else {"==": "is", "!=": "is not"}
            return f"({other} {sign[operator]} {quick})"
        return f"same({left}, {right})" if operator == "==" else f"(not same({left}, {right}))"
    if operator == "in":
        return f"contains({right}, {left})"
    first, second = (left, right) if operator in ("<", "<=") else (right, left)
    code = f"less({first}, {second})"
    return f"({code} or same({left}, {right}))" if operator in ("<=", ">=") else code
