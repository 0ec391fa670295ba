"""Filters → source: a call of the catalogue's function, or an expression in its place where that says the same for most values."""

from __future__ import annotations

from abc import abstractmethod
from typing import Any

from proxy.errors import SpecPath
from proxy.mapping import filters
from proxy.mapping.catalogue import FILTERS, FilterEntry
from proxy.mapping.code import Env, Value
from proxy.mapping.reading import ABSENT, Reading
from proxy.mapping.syntax import Expression, Filter, Literal

NEVER_ABSENT = frozenset(("parts", "list", "to_json", "at_most", "at_least", "ordinal", "schema", "safe_id"))
#: `json | object` in one step.
PARSED_OBJECT = FilterEntry("parse_object", "parses a JSON text that is an object", filters.parse_object)
KINDS = {
    "parse_object": "dict",
    "parts": "list",
    "list": "list",
    "string": "str",
    "object": "dict",
    "split": "str",
    "safe_id": "str",
    "text": "str",
}

#: Filters in line: {v} is the operand, {0} and {1} the arguments. What is not the common case calls the function ({f}).
#: Each has the meaning of its function, and none for what is absent.
INLINE = {
    "string": "{v} if type({v}) is str else None",
    "object": "{v} if type({v}) is dict else None",
    "text": "{v} if type({v}) is str else {f}({v})",
    "safe_id": "{v} if type({v}) is str and f_legal({v}) else {f}({v})",
    "prefix": "{0} + {v} if type({v}) is str else None",
}
#: The n-th piece of a text that mostly has one.
FIRST_PIECE = "{v} if type({v}) is str and {0} not in {v} else {f}({v}, {0}, {1})"
LATER_PIECE = "{f}({v}, {0}, {1}) if type({v}) is str and {0} in {v} else None"


class Filtering(Reading):
    """Adds filters to the source."""

    @abstractmethod
    def expression(self, tree: Expression, path: SpecPath, env: Env) -> Value:
        """The value of an expression."""

    def filter(self, tree: Filter, path: SpecPath, env: Env) -> Value:
        entry = FILTERS.get(tree.name)
        if entry is None:
            self.faults.unknown(path, "unknown-filter", "filter", tree.name, FILTERS, tree.offset)
            return ABSENT
        inner = tree.operand
        if tree.name == "object" and not tree.arguments and isinstance(inner, Filter) and (inner.name, inner.arguments) == ("json", ()):
            entry, inner = PARSED_OBJECT, inner.operand
        operand = self.expression(inner, path, env)
        operand = operand if operand.nothing else self.named(operand)
        if not len(entry.arguments) - entry.optional <= len(tree.arguments) <= len(entry.arguments):
            return self.misused(entry, tree, path)
        if entry.name == "required":
            self.faults.add(path, "wrong-place", "'| required' stands at the end of a field", offset=tree.offset, length=8)
            return ABSENT
        if entry.name == "ordinal" and not env.stateful:
            self.faults.add(path, "wrong-place", "ordinal() counts within a stream", offset=tree.offset, length=len(tree.name))
        arguments = [self.argument(entry, position, argument, tree, (path, env)) for position, argument in enumerate(tree.arguments)]
        given = [argument for argument in arguments if argument is not None]
        if len(given) < len(arguments) or operand.nothing:
            return ABSENT
        return self.applied(entry, operand, given)

    def applied(self, entry: FilterEntry, operand: Value, arguments: list[Value]) -> Value:
        code = operand.code
        if entry.name == "nonempty":
            empty = "" if operand.kind in ("str", "list", "dict") else f"{code} is False or {code} == 0"
            kept = f"{code} if {code} or {empty} else None" if empty else f"{code} or None"
            return Value(self.assign(kept), kind=operand.kind, reads=operand.reads)
        if operand.kind == "str" and entry.name in ("string", "object"):
            return operand if entry.name == "string" else ABSENT
        inline = self.inline(entry, operand, arguments)
        if not inline:
            call = self.call(entry, code, [argument.code for argument in arguments])
            inline = f"{call} if {code} is not None else None" if operand.absent else call
        absent = operand.absent or entry.name not in NEVER_ABSENT
        kind = "" if entry.name == "safe_id" and operand.kind != "str" else KINDS.get(entry.name, "")
        return Value(self.assign(inline), absent=absent, kind=kind, reads=operand.reads)

    def inline(self, entry: FilterEntry, operand: Value, arguments: list[Value]) -> str:
        """The filter as an expression; "" where it has none."""
        form = INLINE.get(entry.name, "") if len(arguments) == len(entry.arguments) - entry.optional else ""
        if entry.name == "split":
            form = FIRST_PIECE if arguments[1].code == "0" else LATER_PIECE if arguments[1].code[:1] != "-" else ""
        elif entry.name == "lookup" and arguments[0].kind == "dict" and not arguments[0].absent:
            form = "{0}.get({v}) if type({v}) is str else None"
        if not form:
            return ""
        if operand.kind == "str" and not operand.absent:  # which need not be asked
            form = form.replace("type({v}) is str and ", "").removesuffix(" if type({v}) is str else None")
        self.constants |= {"f_legal": filters.LEGAL.fullmatch, f"f_{entry.name}": entry.function}
        return form.format(*(argument.code for argument in arguments), v=operand.code, f=f"f_{entry.name}")

    def call(self, entry: FilterEntry, code: str, arguments: list[str]) -> str:
        if entry.name in ("map", "unmap"):
            table = self.constants[arguments[0]]
            otherwise = self.constant(table.get("$else") if entry.name == "map" else None)
            found = f"mapped({code}, {arguments[0]}, {otherwise})"
            shared = any(isinstance(value, dict | list) for value in table.values())
            return f"deepcopy({found})" if shared else found
        if entry.name == "schema":
            return f"lower_schema({code}, {arguments[0]})"
        if entry.name == "ordinal":
            return f"ordinals[{arguments[0]}][{code} if type({code}) is int else repr({code})]"
        self.constants[f"f_{entry.name}"] = entry.function
        return f"f_{entry.name}({', '.join([code, *arguments])})"

    def argument(
        self, entry: FilterEntry, position: int, argument: Expression | str, tree: Filter, at: tuple[SpecPath, Env]
    ) -> Value | None:
        """One argument; None (and a fault) when it is of the wrong kind."""
        kind, (path, env) = entry.arguments[position], at
        if kind == "value" and not isinstance(argument, str):
            return self.expression(argument, path, env)
        if isinstance(argument, Literal) and fits(argument.value, kind):
            return Value(repr(argument.value), absent=False)
        if kind == "word" and isinstance(argument, str) and (not entry.words or argument in entry.words):
            return Value(repr(argument), absent=False)
        if kind in ("table", "schema") and isinstance(argument, str):
            known: dict[str, Any] = self.pieces.tables if kind == "table" else self.pieces.levels
            if argument not in known:
                self.faults.unknown(path, "unknown-name", kind, argument, known, tree.offset)
                return None
            piece = known[argument]
            return Value(self.constant(backwards(piece) if entry.name == "unmap" else piece), absent=False)
        self.misused(entry, tree, path)
        return None

    def misused(self, entry: FilterEntry, tree: Filter, path: SpecPath) -> Value:
        self.faults.add(path, "filter-argument", f"the filter is written `{entry.signature}`", offset=tree.offset, length=len(tree.name))
        return ABSENT


def fits(value: Any, kind: str) -> bool:
    """Whether a constant can be an argument of that kind."""
    if kind == "separator":
        return isinstance(value, str) and value != ""
    return isinstance(value, str) if kind == "text" else kind == "number" and type(value) is int


def backwards(table: dict[Any, Any]) -> dict[Any, Any]:
    """value → the first key that maps to it."""
    turned: dict[Any, Any] = {}
    for key, value in table.items():
        if key != "$else" and isinstance(value, str | int):
            turned.setdefault(value, key)
    return turned
