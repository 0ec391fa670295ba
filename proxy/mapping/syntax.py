"""The expression language: text → tree. The grammar, loosest first:

either      = both {"or" both}
both        = inverse {"and" inverse}
inverse     = "not" inverse | comparison
comparison  = chain [("==" | "!=" | "<" | ">" | "<=" | ">=" | "in") chain]
chain       = sum {"//" sum | "|" filter}             read left to right
sum         = primary {("+" | "-") primary}
primary     = path | literal | "has(" path ")" | "(" either ")" | "[" [either {"," either}] "]"
"""

from __future__ import annotations

import re
from math import inf

import msgspec

from proxy.mapping import paths
from proxy.mapping.paths import PathFault, Segments


class SyntaxFault(ValueError):
    """An expression that cannot be read; `offset` counts characters from its first."""

    def __init__(self, code: str, message: str, offset: int, length: int = 1) -> None:
        super().__init__(message)
        self.code = code
        self.offset = offset
        self.length = length


class Path(msgspec.Struct, frozen=True):
    """A path; `root` is "." (the current item), "$" (the document), or a variable's name."""

    root: str
    segments: Segments
    offset: int


class Literal(msgspec.Struct, frozen=True):
    """A constant."""

    value: str | int | float | bool | None


class ListOf(msgspec.Struct, frozen=True):
    """`[a, b]`."""

    items: tuple[Expression, ...]


class Binary(msgspec.Struct, frozen=True):
    """Two operands: `//`, `+`, `-`, a comparison, `and`, `or`."""

    operator: str
    left: Expression
    right: Expression


class Not(msgspec.Struct, frozen=True):
    """`not x`."""

    operand: Expression


class Has(msgspec.Struct, frozen=True):
    """`has(path)`: the key is there, even with null."""

    path: Path


class Filter(msgspec.Struct, frozen=True):
    """`x | name(arguments)`; a bare word as an argument is a name (of a table, a tag …)."""

    operand: Expression
    name: str
    arguments: tuple[Expression | str, ...]
    offset: int


Expression = Path | Literal | ListOf | Binary | Not | Has | Filter

_TOKEN = re.compile(
    r"""\s*(?:
      (?P<number>\d+(?:\.\d+)?(?:[eE][+-]?\d+)?)
    | (?P<string>'(?:[^'\\]|\\.)*')
    | (?P<word>[A-Za-z_][A-Za-z0-9_-]*)
    | (?P<variable>\$[A-Za-z_][A-Za-z0-9_]*)
    | (?P<path>\$|\.)
    | (?P<symbol>//|==|!=|<=|>=|[<>|+\-(),\[\]])
    )""",
    re.VERBOSE,
)
#: Letters, `_` and all beyond ASCII (as what they are not: so large a range takes long to compile); then digits too.
_NAME = re.compile(r"\.?[^\x00-@\[-^`{-\x7f][^\x00-/:-@\[-^`{-\x7f]*")
_QUOTED = re.compile(r"'(?:[^'\\]|\\.)*'|\"(?:[^\"\\]|\\.)*\"")
_CONSTANTS = {"true": True, "false": False, "null": None}
_COMPARISONS = ("==", "!=", "<", ">", "<=", ">=", "in")
_DEPTH = 40
_OPERATORS = 200


def is_expression(text: str) -> bool:
    """Whether a YAML string is an expression rather than a literal."""
    return (text[:1] in (".", "$", "(") and text[:2] not in ("$$", "..", "./")) or text.startswith(("not ", "has("))


def parse(text: str) -> Expression:
    """Read one expression. Raises SyntaxFault."""
    parser = _Parser(text)
    tree = parser.either()
    if parser.kind:
        raise parser.fault(f"{parser.value!r} is not expected here")
    return tree


class _Parser:
    def __init__(self, text: str) -> None:
        self.text = text
        self.position = 0
        self.depth = 0
        self.operators = 0
        self.kind = self.value = ""
        self.start = 0
        self.advance()

    def fault(self, message: str) -> SyntaxFault:
        return SyntaxFault("expression", message, self.start, max(len(self.value), 1))

    def advance(self) -> str:
        """Move to the next token; returns the value of the one that was current."""
        passed = self.value
        match = _TOKEN.match(self.text, self.position)
        if match and match.lastgroup:
            self.kind, self.value, self.start = match.lastgroup, match[match.lastgroup], match.start(match.lastgroup)
            self.position = match.end()
            return passed
        rest = self.text[self.position :]
        self.start = self.position + len(rest) - len(rest.lstrip())
        if rest.strip():
            self.value = rest.strip()[0]
            raise self.fault(f"{self.value!r} is not part of the expression language")
        self.kind = self.value = ""
        return passed

    def take(self, *values: str) -> str:
        """The current token, if it is one of these; else ''."""
        if self.value in values and self.kind in ("symbol", "word"):
            return self.advance()
        return ""

    def operator(self, *values: str) -> str:
        """As `take`; an operator makes the tree one deeper, and what goes through it must come to its end."""
        found = self.take(*values)
        self.operators += found != ""
        if self.operators > _OPERATORS:
            raise self.fault("this expression is too long")
        return found

    def expect(self, value: str) -> None:
        if not self.take(value):
            raise self.fault(f"expected {value!r}" + (f", found {self.value!r}" if self.kind else " before the end"))

    def either(self) -> Expression:
        tree = self.both()
        while self.operator("or"):
            tree = Binary("or", tree, self.both())
        return tree

    def both(self) -> Expression:
        tree = self.inverse()
        while self.operator("and"):
            tree = Binary("and", tree, self.inverse())
        return tree

    def inverse(self) -> Expression:
        self.depth += 1
        if self.depth > _DEPTH:
            raise self.fault("this expression is nested too deeply")
        tree = Not(self.inverse()) if self.take("not") else self.comparison()
        self.depth -= 1
        return tree

    def comparison(self) -> Expression:
        left = self.chain()
        operator = self.take(*_COMPARISONS)
        return Binary(operator, left, self.chain()) if operator else left

    def chain(self) -> Expression:
        tree = self.sum()
        while operator := self.operator("//", "|"):
            tree = Binary("//", tree, self.sum()) if operator == "//" else self.filter(tree)
        return tree

    def sum(self) -> Expression:
        tree = self.primary()
        while operator := self.operator("+", "-"):
            tree = Binary(operator, tree, self.primary())
        return tree

    def filter(self, operand: Expression) -> Expression:
        if self.kind != "word":
            raise self.fault("expected the name of a filter after '|'")
        offset, name = self.start, self.advance()
        arguments: list[Expression | str] = []
        if self.take("("):
            while not self.take(")"):
                arguments.append(self.argument())
                if not self.take(","):
                    self.expect(")")
                    break
        return Filter(operand, name, tuple(arguments), offset)

    def argument(self) -> Expression | str:
        if self.kind == "word" and self.value not in (*_CONSTANTS, "not", "has"):
            return self.advance()
        return self.either()

    def primary(self) -> Expression:
        kind = self.kind
        if kind in ("path", "variable"):
            return self.path()
        if kind == "number" or self.value == "-":
            text = self.take("-") + self.number()
            number = int(text) if re.fullmatch(r"-?\d+", text) else float(text)
            if number in (inf, -inf):
                raise self.fault("this number is too large")
            return Literal(number)
        if kind == "string":
            return Literal(re.sub(r"\\(.)", r"\1", self.advance()[1:-1]))
        if kind == "word":
            return self.word()
        if self.take("("):
            tree = self.either()
            self.expect(")")
            return tree
        if self.take("["):
            return self.list()
        raise self.fault(f"{self.value!r} is not expected here" if kind else "the expression ends too early")

    def number(self) -> str:
        if self.kind != "number":
            raise self.fault("expected a number after '-'")
        return self.advance()

    def word(self) -> Expression:
        if self.value in _CONSTANTS:
            return Literal(_CONSTANTS[self.advance()])
        if self.value == "has":
            self.advance()
            self.expect("(")
            if self.kind not in ("path", "variable"):
                raise self.fault("has() takes a path")
            path = self.path()
            self.expect(")")
            return Has(path)
        raise self.fault(f"{self.value!r} is not a value: write '{self.value}' in single quotes for a text, .{self.value} for a field")

    def list(self) -> ListOf:
        items: list[Expression] = []
        while not self.take("]"):
            items.append(self.either())
            if not self.take(","):
                self.expect("]")
                break
        return ListOf(tuple(items))

    def path(self) -> Path:
        offset, root = self.start, self.value
        if root == "." and _NAME.match(self.text, self.position):
            end = self.segments_end(self.position - 1)
            text = self.text[self.position - 1 : end]
        else:
            end = self.segments_end(self.position)
            text = self.text[self.position : end]
        try:
            segments = paths.parse(text)
        except PathFault as error:
            raise SyntaxFault(error.code, str(error), end - len(text) + error.offset) from None
        self.position = end
        self.value = ""
        self.advance()
        return Path(root if root in (".", "$") else root[1:], segments, offset)

    def segments_end(self, position: int) -> int:
        """The position behind the `.name` and `[…]` that follow."""
        text = self.text
        while position < len(text):
            if text[position] == "[":
                position = self.bracket_end(position)
            elif text[position] == "." and (name := _NAME.match(text, position)):
                position = name.end()
            elif text.startswith("..", position):
                raise SyntaxFault("path-unsupported", "descendants ('..') are not taken", position, 2)
            else:
                break
        return position

    def bracket_end(self, position: int) -> int:
        text, start, depth = self.text, position, 0
        while position < len(text):
            if quoted := _QUOTED.match(text, position):
                position = quoted.end()
                continue
            depth += {"[": 1, "]": -1}.get(text[position], 0)
            position += 1
            if depth == 0:
                return position
        raise SyntaxFault("path", "this '[' is not closed", start)
