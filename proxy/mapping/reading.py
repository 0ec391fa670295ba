"""Paths → source: each method writes the statements that read a place of a document, and returns the value they leave."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from proxy.mapping import paths
from proxy.mapping.code import Code, Node, Value
from proxy.mapping.paths import Index, Logical, Name, Query, Segments, Selector, Slice, Test

#: Request parameters that every mapping serves; they are never reported as dropped.
UNTRACKED = frozenset(("model", "messages", "stream", "input"))


class Reading(Code):
    """Adds paths to the source."""

    def used(self, value: Value) -> Value:
        """The value is taken as a whole: it must be decoded in full."""
        if value.node is not None and not self.typed:
            value.node.whole = True
        return value

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


def place(selector: Selector) -> int:
    """The index of a selector in a singular path."""
    if not isinstance(selector, Index):
        raise TypeError(f"{selector!r} is not an index")
    return selector.index


def holds(code: str, index: int) -> str:
    """Source for `this value is a list that has that index`."""
    return f"type({code}) is list and len({code}) >= {index + 1 if index >= 0 else -index}"


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
