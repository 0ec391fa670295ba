"""Expressions → source. Each method writes the statements it needs and returns the value they leave. (Paths: `proxy.mapping.reading`.)"""

from __future__ import annotations

from collections.abc import Callable

from proxy.errors import SpecPath
from proxy.mapping import paths, syntax
from proxy.mapping.code import UNKNOWN, Env, Node, Value
from proxy.mapping.filtering import Filtering
from proxy.mapping.paths import Index, Name
from proxy.mapping.reading import ABSENT, compare
from proxy.mapping.syntax import Binary, Expression, Filter, Has, ListOf, Literal, Not, Path, SyntaxFault


class Expressions(Filtering):
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
            if value.node is not None and value.node.is_object and value.node.closed and not value.absent:
                return Value("True", absent=False, reads=value.reads)  # it has a member
            if value.node is not None and not value.node.closed:
                value.node.tested = True
            return value
        if isinstance(tree, Path):
            return self.any(tree, path, env)
        if isinstance(tree, Not):
            return self.inverse(self.truth(tree.operand, path, env))
        if isinstance(tree, Binary) and tree.operator in ("and", "or"):
            return self.lazy(tree, path, env, self.truth)
        return self.expression(tree, path, env)

    def any(self, tree: Path, path: SpecPath, env: Env) -> Value:
        """Whether a path finds anything: the first is enough."""
        begun = len(self.lines)
        found = self.assign("False")
        reads: set[str] = set()

        looped = any(not any(isinstance(selector, Name | Index) for selector in segment) for segment in tree.segments)

        def find(value: Value) -> None:
            reads.update(value.reads if value.node is not None and value.node.closed else self.used(value).reads)
            self.line(f"{found} = True")
            if looped:
                self.line("break")

        self.visit(self.root(tree, path, env), tree.segments, env.root, find)
        if not any(line.endswith(f"{found} = True") for line in self.lines[begun:]):  # there is no place where it could be
            loops = (place for place in range(begun, len(self.lines)) if self.lines[place].startswith("    " * self.depth + "for "))
            del self.lines[next(loops, len(self.lines)) :]
            return Value("False", absent=False)
        return Value(found, absent=False, reads=frozenset(reads))

    def inverse(self, value: Value) -> Value:
        constant = value.constant
        if constant is not UNKNOWN:
            return Value(repr(not constant), absent=False, reads=value.reads)
        return Value(self.assign(f"not {value.code}"), absent=False, reads=value.reads)

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
                return self.inverse(self.expression(operand, path, env))
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
        constant = left.constant
        if constant is not UNKNOWN:
            decides = {"//": constant is not None, "and": not constant, "or": constant}[tree.operator]
            return left if decides else read(tree.right, path, env)
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
        constant = left.constant
        if isinstance(constant, str) and tree.operator == "in" and (texts := texts_of(tree.right)):
            return Value(repr(constant in texts), absent=False, reads=left.reads)
        left = self.named(left) if isinstance(tree.right, Literal) else left
        if tree.operator == "in" and (texts := texts_of(tree.right)):
            return Value(self.assign(f"{left.code} in {texts!r}"), absent=False, reads=left.reads)
        right = self.expression(tree.right, path, env)
        reads = left.reads | right.reads
        if tree.operator == "+":  # nearly always of two counts
            whole = f"type({left.code}) is type({right.code}) is int"
            return Value(self.assign(f"{left.code} + {right.code} if {whole} else add({left.code}, {right.code})"), reads=reads)
        if tree.operator == "-":
            return Value(self.assign(f"subtract({left.code}, {right.code})"), reads=reads)
        numbers = left.kind == "int" and isinstance(tree.right, Literal) and isinstance(tree.right.value, int)
        code = f"{left.code} {tree.operator} {right.code}" if numbers else compare(tree.operator, left.code, right.code)
        return Value(self.assign(code), absent=False, reads=reads)

    def has(self, tree: Path, path: SpecPath, env: Env) -> Value:
        if not paths.singular(tree.segments) or not tree.segments:
            self.faults.add(path, "wrong-place", "has() takes a path of names and indexes", offset=tree.offset)
            return ABSENT
        found = self.probe(self.root(tree, path, env), tree.segments)
        return Value(self.assign(f"{found} is not NOTHING"), absent=False)

    def filter(self, tree: Filter, path: SpecPath, env: Env) -> Value:
        if tree.name in ("first", "last") and isinstance(tree.operand, Path) and not tree.arguments:
            several = [segment for segment in tree.operand.segments if not paths.singular((segment,))]
            if len(several) == 1 and len(several[0]) == 1:
                return self.outermost(tree.operand, path, env, last=tree.name == "last")
        return super().filter(tree, path, env)

    def outermost(self, tree: Path, path: SpecPath, env: Env, last: bool) -> Value:
        """The first or the last that a path finds: it need not be followed further."""
        found = self.assign("None")
        reads: set[str] = set()
        closed: list[Node] = []

        def take(value: Value) -> None:
            if value.node is not None and value.node.closed:
                closed.append(value.node)
            else:
                value = self.used(value)
            reads.update(value.reads)
            self.line(f"{found} = {value.code}")
            self.line("break")

        self.backwards = last
        self.visit(self.root(tree, path, env), tree.segments, env.root, take)
        self.backwards = False
        return Value(found, reads=frozenset(reads), node=closed[0] if closed else None)

    # -- paths ---------------------------------------------------------------------------------------------------

    def root(self, tree: Path, path: SpecPath, env: Env) -> Value:
        if tree.root in (".", "$"):
            return env.item if tree.root == "." else env.root
        if tree.root == "uuid":
            return Value(self.assign("context.uuid()"), absent=False)
        if tree.root == "traits" and self.pieces.made and not self.plain(tree):  # what is done to them must not show in the next request
            return Value(self.assign("deepcopy(context.traits)"), absent=False, kind="dict")
        if tree.root in env.names:
            self.reading |= env.names[tree.root].reads
        else:
            self.faults.unknown(path, "unknown-variable", "variable", "$" + tree.root, ["$" + name for name in env.names], tree.offset)
            return ABSENT
        return env.names[tree.root]

    def plain(self, tree: Path) -> bool:
        """Whether a path into the traits finds a text, a number or a truth value."""
        first = tree.segments[0][0] if tree.segments else None
        return isinstance(first, Name) and len(tree.segments[0]) == 1 and first.name not in self.pieces.made

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


def texts_of(tree: Expression) -> tuple[str, ...]:
    """The texts of a list that holds nothing else."""
    items = tree.items if isinstance(tree, ListOf) else ()
    texts = tuple(item.value for item in items if isinstance(item, Literal) and isinstance(item.value, str))
    return texts if len(texts) == len(items) else ()
