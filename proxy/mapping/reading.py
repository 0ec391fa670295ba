"""Paths → source: each method writes the statements that read a place of a document, and returns the value they leave."""

from __future__ import annotations

from collections.abc import Callable

from msgspec.structs import replace

from proxy.mapping import paths
from proxy.mapping.code import Code, Node, Unfit, Value, attribute
from proxy.mapping.needs import first_name, tested
from proxy.mapping.paths import Index, Logical, Name, Query, Segments, Selector, Slice, Test

#: Request parameters that every mapping serves; they are never reported as dropped.
UNTRACKED = frozenset(("model", "messages", "stream", "input"))


ABSENT = Value("None")


class Reading(Code):
    """Adds paths to the source."""

    #: Lists are gone through from their ends.
    backwards = False

    def used(self, value: Value) -> Value:
        """The value is taken as a whole: it must be decoded in full, or made."""
        if value.members is not None:
            pieces = ", ".join(f"{name!r}: {member.code}" for name, member in value.members.items())
            return Value(self.assign("{" + pieces + "}"), absent=False, kind="dict", reads=value.reads)
        if value.node is not None and value.node.closed and not value.node.kind:
            raise Unfit
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
        if value.nothing or value.members is not None or value.kind == "str":
            return ABSENT
        index = place(selector)
        node = self.inner(value)
        code = f"{value.code}[{index}] if {holds(value.code, index)} else None"
        return Value(self.assign(code), reads=value.reads, node=node)

    def field(self, value: Value, name: str) -> Value:
        if value.nothing or value.kind == "str" or lacks(value, name):
            return ABSENT
        known = self.recall(value.code, name) if value.members is None else value.members.get(name, ABSENT)
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
        if node is not None and node.closed:
            result = Value(found, absent=value.absent or not node.required, kind=node.kind or ("list" if node.is_list else ""), node=node)
            return self.learn(value.code, name, result)
        several = self.family(found) if value.kind == "request" and self.depth == 1 and self.remember_reads else ""
        result = Value(found, reads=reads, certain=value.kind == "request", node=node, several=several)
        return result if value.code == "memory" else self.learn(value.code, name, result)

    def inner(self, value: Value, name: str | None = None) -> Node | None:
        """The node of a member or of the items; None where the value is not, or no longer, read as typed."""
        if value.kind == "request" and name is not None:
            return self.shapes.get(name)
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
        if value.code[:1] == "i" and self.remember_reads:
            return self.as_object(value) + read[len(value.code) :]
        return f"{read} if type({value.code}) is dict else {default}"

    def as_object(self, item: Value) -> str:
        """An item to read several members of: what is no object has none."""
        known = self.recall(item.code, "")
        return (known or self.learn(item.code, "", Value(self.assign(f"{item.code} if type({item.code}) is dict else EMPTY")))).code

    def probe(self, value: Value, segments: Segments) -> str:
        """A singular path as the standard reads it: NOTHING where there is nothing, None for null."""
        owner = self.walk(value, segments[:-1])
        last = segments[-1][0] if segments else None
        if last is None:
            return self.used(value).code
        if owner.nothing:
            return "NOTHING"
        if owner.members is not None:
            there = owner.members.get(last.name) if isinstance(last, Name) else None
            return self.named(there).code if there else "NOTHING"
        if owner.node is not None and owner.node.closed:
            if isinstance(last, Name) and last.name not in owner.node.fields:
                return "NOTHING"
            raise Unfit  # null is not told from nothing there
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
        if value.nothing and not nulls:
            return
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
        if value.kind == "str":
            return
        if isinstance(selector, Name | Index):
            if nulls:
                found = self.probe(value, ((selector,),))
                with self.block(f"if {found} is not NOTHING"):
                    self.visit(Value(found), rest, root, body, nulls)
            else:
                self.visit(self.step(value, selector), rest, root, body, nulls)
            return
        if value.members is not None:
            value = self.used(value)
        if value.several and (names := self.needed(selector, rest)):
            with self.block(f"if {' and '.join(self.there(value.several, [name]) for name in names)}"):
                self.select(replace(value, several="", family=value.several), selector, rest, root, body, nulls)
            return
        item, begun, empty = self.item(value), len(self.lines), False
        with self.block(f"for {item.code} in {self.loop(value, selector)}"):
            before = len(self.lines)
            test = self.logical(selector.condition, item, root) if isinstance(selector, Test) else "True"
            if test == "True":
                self.visit(item, rest, root, body, nulls)
                empty = len(self.lines) == before
            elif test == "False":
                empty = True
            else:
                with self.block(f"if {test}"):
                    self.visit(item, rest, root, body, nulls)
        if empty:
            del self.lines[begun:]

    def needed(self, selector: Selector, rest: Segments) -> list[str]:
        """Members without which an item is passed over."""
        names = tested(selector.condition) if isinstance(selector, Test) else frozenset()
        return sorted(names | (first_name(rest) or frozenset()))

    def item(self, value: Value) -> Value:
        """A name for the items of a list; those of a typed list are never null."""
        node = self.inner(value)
        return Value(
            self.name("i"),
            absent=not (self.typed and node is not None and node.is_object),
            reads=value.reads,
            node=node,
            family=value.several or value.family,
        )

    def loop(self, value: Value, selector: Selector) -> str:
        """Source for what a selector looks at, one by one."""
        return f"reversed({self.children(value, selector)})" if self.backwards else self.children(value, selector)

    def children(self, value: Value, selector: Selector) -> str:
        if isinstance(selector, Slice):
            piece = ":".join("" if bound is None else str(bound) for bound in (selector.start, selector.stop, selector.step))
            return f"({value.code}[{piece}] if type({value.code}) is list else ())" if selector.step != 0 else "()"
        if value.kind == "list" or (self.typed and value.node is not None and value.node.is_list):
            return f"{value.code} or ()" if value.absent else value.code
        code = value.code
        return f"({code} if type({code}) is list else {code}.values() if type({code}) is dict else ())"

    # -- tests inside brackets: the standard's semantics ------------------------------------------------------------

    def logical(self, condition: Logical, item: Value, root: Value) -> str:
        match condition:
            case paths.Junction(operator=operator, left=left, right=right):
                first, second = self.logical(left, item, root), self.logical(right, item, root)
                decides, idle = ("False", "True") if operator == "&&" else ("True", "False")
                if decides in (first, second):
                    return decides
                if idle in (first, second):
                    return second if first == idle else first
                return f"({first} {'and' if operator == '&&' else 'or'} {second})"
            case paths.Negation(operand=operand):
                inner = self.logical(operand, item, root)
                return {"True": "False", "False": "True"}.get(inner, f"(not {inner})")
            case paths.Comparison():
                return self.compared(condition, item, root)
            case _:
                return self.exists(condition, item, root)

    def compared(self, condition: paths.Comparison, item: Value, root: Value) -> str:
        """Beside a constant but null it is all one whether null or nothing is found: the field may have been read before."""
        left, right = condition.left, condition.right
        sides = [(left, right), (right, left)]
        told = any(isinstance(one, paths.Constant) and one.value is not None and isinstance(other, Query) for one, other in sides)
        first, second = (self.operand(side, item, root, told) for side in (left, right))
        if told and "None" in (first, second):  # what is not there is unlike any constant
            return repr(condition.operator == "!=")
        return compare(condition.operator, first, second)

    def operand(self, operand: Query | paths.Constant, item: Value, root: Value, told: bool) -> str:
        if isinstance(operand, paths.Constant):
            return repr(operand.value)
        if told:
            found = self.walk(item if operand.root == "@" else root, operand.segments)
            return "None" if found.nothing else self.named(self.used(found)).code
        return self.probe(item if operand.root == "@" else root, operand.segments)

    def exists(self, query: Query, item: Value, root: Value) -> str:
        start = item if query.root == "@" else root
        if paths.singular(query.segments):
            found = self.probe(start, query.segments)
            return "False" if found == "NOTHING" else f"({found} is not NOTHING)"
        found = self.assign("False")
        self.visit(start, query.segments, root, lambda _: self.line(f"{found} = True"), nulls=True)
        return found


def lacks(value: Value, name: str) -> bool:
    """Whether it is known to have no such member."""
    node = value.node
    return node is not None and node.closed and (name not in node.fields or node.fields[name].kind == "null")


def place(selector: Selector) -> int:
    """The index of a selector in a singular path."""
    if not isinstance(selector, Index):
        raise TypeError(f"{selector!r} is not an index")
    return selector.index


def holds(code: str, index: int) -> str:
    """Source for `this value is a list that has that index`."""
    return f"type({code}) is list and len({code}) >= {index + 1 if index >= 0 else -index}"


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
