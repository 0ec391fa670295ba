"""Python source under construction, and what the compiler knows of each value in it.

Rules are compiled to straight-line Python once, at load. A value is always a name or a constant in that source, so that it can be
repeated freely; reading the same field of the same value twice reuses the name, as long as the block is open that read it first.
"""

from __future__ import annotations

import re
from ast import literal_eval
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from copy import deepcopy
from math import isfinite
from typing import Any

import msgspec
from msgspec.structs import replace

from proxy.mapping import filters
from proxy.mapping.faults import Faults
from proxy.mapping.schemas import Level, lower

#: What a path finds where there is nothing, when null must be told from it.
NOTHING = msgspec.UNSET
#: What `Value.constant` answers where the value is known at run time only.
UNKNOWN: Any = object()
NO_READS: frozenset[str] = frozenset()


class Node:
    """What the rules read of one place in an event: named fields, items, or the whole value; `tested`: whether there is anything.

    Built while the rules are compiled for plain dicts; `proxy.mapping.typed` turns it into a msgspec type. Or it is `closed`: all that
    the place may have was known before; it has then `kind`, and is there for certain where it is `required`.
    """

    __slots__ = ("closed", "fields", "items", "kind", "presence", "required", "tested", "whole")

    def __init__(self, kind: str = "", *, closed: bool = False, required: bool = False) -> None:
        self.kind = kind
        self.closed = closed
        self.required = required
        self.fields: dict[str, Node] = {}
        self.items: Node | None = None
        self.presence: set[str] = set()
        self.tested = False
        self.whole = False

    def field(self, name: str) -> Node:
        return self.fields.setdefault(name, Node())

    def item(self) -> Node:
        if self.items is None:
            self.items = Node()
        return self.items

    @property
    def is_object(self) -> bool:
        # A typed object is always true, `{}` is not: one that is tested is read as it is.
        return bool(self.fields) and not self.whole and not self.tested and self.items is None

    @property
    def is_list(self) -> bool:
        return self.items is not None and not self.whole and not self.fields


class Value(msgspec.Struct, frozen=True):
    """One value in the generated source.

    `absent`: it may be None, and None then means absent. `kind`: "dict", "list", "str" or "int" where that is certain.
    `several`: a list whose items' members are looked up once, by that name; `family`: one of its items.
    `members`: of an object that is known member by member, and made only where it is taken as a whole.
    `reads`: the request parameters it was computed from; `certain`: it is present whenever one of them is.
    `node`: its place in the event, while that is read as a typed document.
    """

    code: str
    absent: bool = True
    kind: str = ""
    reads: frozenset[str] = NO_READS
    certain: bool = False
    node: Node | None = None
    members: Mapping[str, Value] | None = None
    several: str = ""
    family: str = ""

    @property
    def constant(self) -> Any:
        """What it is, where that is known while compiling; else UNKNOWN."""
        literal = self.code in ("None", "True", "False") or self.code[:1] in "'\"-0123456789"
        return literal_eval(self.code) if literal else UNKNOWN

    @property
    def nothing(self) -> bool:
        """Known to be absent."""
        return self.absent and self.code == "None"


class Env(msgspec.Struct, frozen=True):
    """What can be named at one place: the current item, the document, the variables; and what holds there."""

    item: Value
    root: Value
    names: Mapping[str, Value]
    rejects: bool = False
    stateful: bool = False
    conditional: bool = False
    condition: frozenset[str] = NO_READS
    open_defs: tuple[str, ...] = ()


class Pieces(msgspec.Struct):
    """The named pieces of a dialect file: tables, schema levels, defs; and where its faults go.

    `made`: the traits that are lists or objects for some model.
    """

    faults: Faults
    tables: dict[str, dict[Any, Any]] = {}
    levels: dict[str, Level] = {}
    defs: Mapping[str, Any] = {}
    made: frozenset[str] = frozenset()


class Unfit(Exception):
    """Rules that cannot be compiled for closed places: they take one as a whole."""


def names() -> dict[str, Value]:
    """The variables that every mapping has."""
    known = {name: Value(f"context.{name}", absent=False) for name in ("model", "public", "now", "status", "stream")}
    return known | {
        "traits": Value("context.traits", absent=False, kind="dict"),
        "req": Value("context.req"),
    }


class Code:
    """Lines, indentation, names, constants and the fields read so far."""

    def __init__(self, pieces: Pieces, *, typed: bool = False, trace: bool = False) -> None:
        self.pieces = pieces
        self.faults = pieces.faults
        self.typed = typed
        self.tracing = trace
        self.lines: list[str] = []
        self.functions: list[str] = []
        self.depth = 1
        self.names = 0
        self.constants: dict[str, Any] = dict(RUNTIME)
        self.known: list[dict[tuple[str, str], Value]] = [{}]
        self.remember_reads = True
        self.reading: set[str] = set()
        self.flags: dict[str, set[str]] = {}
        self.shapes: Mapping[str, Node] = {}  # closed members of a request

    def line(self, text: str) -> None:
        self.lines.append("    " * self.depth + text)

    @contextmanager
    def block(self, header: str) -> Iterator[None]:
        """An indented block; what was read in it is forgotten behind it, and its names are free again: each costs at every call."""
        self.line(header + ":")
        self.depth += 1
        self.known.append({})
        before, names = len(self.lines), self.names
        yield
        if len(self.lines) == before:
            self.line("pass")
        self.names = names
        self.known.pop()
        self.depth -= 1

    def name(self, stem: str = "v") -> str:
        self.names += 1
        return f"{stem}{self.names}"

    def assign(self, code: str, stem: str = "v") -> str:
        """A new name for the value of `code`."""
        name = self.name(stem)
        self.line(f"{name} = {code}")
        return name

    def drop_unread(self, name: str, begun: int) -> None:
        """Forget a counter that no line from `begun` on reads."""
        read = re.compile(rf"\b{name}\b")
        places = [place for place in range(begun, len(self.lines)) if read.search(self.lines[place])]
        if all(self.lines[place].lstrip().startswith((f"{name} = -1", f"{name} += 1")) for place in places):
            for place in places:
                self.lines[place] = self.lines[place].partition(name)[0] + "pass"

    def named(self, value: Value) -> Value:
        """The value under a name: a literal cannot be tested for None without a word from Python."""
        return replace(value, code=self.assign(value.code)) if value.constant is not UNKNOWN else value

    def constant(self, value: Any) -> str:
        """Source for a constant: scalars in place, everything else by name."""
        if value is None or isinstance(value, bool | int | str) or (isinstance(value, float) and isfinite(value)):
            return repr(value)
        name = f"K{len(self.constants)}"
        self.constants[name] = value
        return name

    def anew(self, value: Any) -> str:
        """Source that makes a constant each time it runs: what is done to one document's must not show in another's."""
        if isinstance(value, dict):
            return "{" + ", ".join(f"{name!r}: {self.anew(item)}" for name, item in value.items()) + "}"
        return "[" + ", ".join(map(self.anew, value)) + "]" if isinstance(value, list) else self.constant(value)

    def recall(self, owner: str, key: str) -> Value | None:
        if not self.remember_reads:
            return None
        for scope in reversed(self.known):
            if (owner, key) in scope:
                return scope[owner, key]
        return None

    def learn(self, owner: str, key: str, value: Value) -> Value:
        self.known[-1][owner, key] = value
        return value

    def family(self, name: str) -> str:
        """A list under that name, read once for the whole document, about whose items it can be asked which members they have."""
        self.flags[name] = set()
        self.line(f"#{name}")
        return name

    def there(self, family: str, members: Iterable[str]) -> str:
        """Source for `some item of that list has one of these members`."""
        self.flags[family].update(members)
        return " or ".join(f"{family}_{attribute(member)}" for member in sorted(members))

    def body(self) -> Iterator[str]:
        """The lines, with the look-ups of members where their lists are read."""
        for line in self.lines:
            family = line.strip()[1:] if line.lstrip()[:1] == "#" else ""
            if not family:
                yield line
            elif self.flags[family]:
                yield f"    {family}_members = members_of({family})"
                yield from (f"    {family}_{attribute(member)} = {member!r} in {family}_members" for member in sorted(self.flags[family]))

    def function(self, name: str, parameters: str) -> Callable[..., Any]:
        """Compile what has been written into a function. Where faults were found there is nothing to compile: they will be raised."""
        if self.faults.found:
            return unusable
        source = f"def {name}({parameters}):\n" + "\n".join([*self.functions, *self.body()] or ["    pass"]) + "\n"
        namespace = dict(self.constants)
        try:
            code = compile(source, f"<{name}>", "exec")
        except SyntaxError as fault:  # Python bounds how deeply loops and blocks stand in each other
            self.faults.add((), "nested", f"the rules of a {name} are nested too deeply: {fault.msg}")
            return unusable
        exec(code, namespace)  # noqa: S102 - the source is written by this compiler alone; no text of a user enters it but as repr()
        function: Callable[..., Any] = namespace[name]
        function.__doc__ = source
        return function


def attribute(name: str) -> str:
    """The name of a JSON member as an attribute of a typed event, or part of a Python name."""
    return "f_" + "".join(letter if letter.isascii() and letter.isalnum() else f"_{ord(letter):x}_" for letter in name)


def members_of(items: Any) -> set[str]:
    """The members that any of the items has: of a list or, as `[*]` sees them, of an object; or of one item alone."""
    several = items if type(items) is list else [items, *items.values()] if type(items) is dict else ()
    return set().union(*[item for item in several if type(item) is dict])


def unusable(*_: Any, **__: Any) -> Any:
    """Stands for a function that could not be compiled."""
    raise TypeError("this mapping has faults")


def same(left: Any, right: Any) -> bool:
    """JSON equality: true is not 1, wherever it stands."""
    if left != right or isinstance(left, bool) != isinstance(right, bool):
        return False
    if isinstance(left, list):
        return all(map(same, left, right))
    return all(same(value, right[name]) for name, value in left.items()) if isinstance(left, dict) else True


def contains(items: Any, value: Any) -> bool:
    """`in`: whether a list has the value."""
    return isinstance(items, list) and any(same(item, value) for item in items)


def less(left: Any, right: Any) -> bool:
    """`<` where both are numbers or both are strings; else false."""
    if isinstance(left, bool) or isinstance(right, bool):
        return False
    if (isinstance(left, int | float) and isinstance(right, int | float)) or (isinstance(left, str) and isinstance(right, str)):
        return bool(left < right)  # type: ignore[operator]  # both are of one kind here
    return False


def put_together(items: Any, value: Any) -> Any:
    """A list (or nothing) and what comes behind it: a list item by item. Neither is changed."""
    if type(value) is not list:
        return items if value is None else [*items, value] if items else [value]
    return items + value if items and value else items or value


def add(left: Any, right: Any) -> Any:
    """Numbers or strings; an absent side counts as nothing."""
    if left is None or right is None:
        return right if left is None else left
    if isinstance(left, str) and isinstance(right, str):
        return left + right
    return left + right if _number(left) and _number(right) else None


def subtract(left: Any, right: Any) -> Any:
    """Numbers; an absent side counts as nothing."""
    if right is None:
        return left
    left = 0 if left is None else left
    return left - right if _number(left) and _number(right) else None


def _number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


class Numbers(dict[Any, int]):
    """The number of each key among those asked for: 0 for the first."""

    def __missing__(self, key: Any) -> int:
        number = self[key] = len(self)
        return number


def merge_adjacent(items: Any, by: str, joined: tuple[str, ...], leading: str | None = None) -> list[Any]:
    """Neighbours with the same value under `by` become one; the lists under `joined` and `leading` are put together, and at last those
    under `leading` go before those under the first of `joined`."""
    merged: list[Any] = []
    key: Any = NOTHING
    previous: dict[str, Any] | None = None  # a copy of the last item, once it is more than one
    for item in filters.as_list(items):
        before, key = key, item.get(by) if type(item) is dict else NOTHING
        if key is NOTHING or before is NOTHING or not (key == before and same(key, before)):
            merged.append(item)
            previous = None
            continue
        if previous is None:
            previous = merged[-1] = dict(merged[-1])
        for name, value in item.items():
            before = previous.get(name)
            lists = (name in joined or name == leading) and isinstance(before, list) and isinstance(value, list)
            previous[name] = before + value if lists else value
    if leading is None:
        return merged
    return [led(item, leading, joined[0]) if type(item) is dict and leading in item else item for item in merged]


def led(item: dict[str, Any], leading: str, name: str) -> dict[str, Any]:
    """The item with its list under `leading` before that under `name`, in one."""
    led = dict(item)
    first, rest = led.pop(leading), led.get(name)
    led[name] = put_together(first, rest) if type(first) is list else rest
    return led


def merge(*objects: Any) -> dict[str, Any] | None:
    """One object of several; later members win, but null wins over nothing only. Absent objects count for nothing."""
    merged: dict[str, Any] = {}
    for each in objects:
        if isinstance(each, dict):
            merged.update({name: value for name, value in each.items() if value is not None or name not in merged})
    return merged or None


def join_texts(separator: str, *values: Any) -> str | None:
    """The present values as one string; absent when all are."""
    texts = [value if isinstance(value, str) else filters.to_json(value) for value in values if value is not None]
    return separator.join(texts) if texts else None


#: What generated source may call.
RUNTIME: dict[str, Any] = {
    "EMPTY": {},
    "NOTHING": NOTHING,
    "add": add,
    "contains": contains,
    "deepcopy": deepcopy,
    "join_texts": join_texts,
    "less": less,
    "lower_schema": lower,
    "mapped": filters.mapped,
    "members_of": members_of,
    "merge": merge,
    "merge_adjacent": merge_adjacent,
    "put_together": put_together,
    "same": same,
    "subtract": subtract,
}
