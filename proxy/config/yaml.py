"""Strict YAML: one document, 1.2's core schema, every fault with its place.

PyYAML's C loader reads YAML 1.1 and forgives much: `no` is false, `1:30` is 90, of two equal keys the last one wins, an alias
may blow up to gigabytes, thousands of brackets take seconds. Here the C loader only builds nodes (which know where they
stand); values are made from the nodes by the rules of YAML 1.2, section 10.3:

- `true`, `false`, `null` (also capitalised), `~`; `12`, `0o14`, `0xC`, `1e3`, `.5`. All other plain scalars are strings.
- Keys are always strings, the text as written: `429:` is "429", `on:` is "on".
- Anchors, aliases and merge keys (`<<`) work; what they expand to is bounded, and so is nesting.
- Refused: equal keys, tags (but `!!str`, `!!map`, `!!seq`), keys that are lists or maps, `.inf` and `.nan`, several documents.
"""

from __future__ import annotations

import re
from bisect import bisect_right
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import yaml
from yaml.nodes import MappingNode, Node, ScalarNode, SequenceNode

from proxy.config.scalars import LINE_BREAK, decoded_to_raw
from proxy.errors import Diagnostic, SpecPath

#: Faults after which the value is not whole.
FATAL = frozenset(("yaml-syntax", "yaml-size", "yaml-depth", "yaml-aliases"))

MAX_BYTES = 4 * 2**20
MAX_DEPTH = 64
MAX_NODES = 50_000

#: Makes the value of one scalar; gets the node, whether it stood unquoted, and its place in the document.
Convert = Callable[[str, bool, SpecPath], Any]

#: Name → key node and value node.
Entries = dict[str, tuple[Node, Node]]

_TAG = "tag:yaml.org,2002:"
_OWN_TAGS: dict[type, str] = {ScalarNode: _TAG + "str", SequenceNode: _TAG + "seq", MappingNode: _TAG + "map"}
_WORDS: dict[str, Any] = {"": None, "~": None}
_WORDS |= dict.fromkeys(("null", "Null", "NULL"))
_WORDS |= dict.fromkeys(("true", "True", "TRUE"), True) | dict.fromkeys(("false", "False", "FALSE"), False)
_INT = re.compile(r"[-+]?[0-9]+|0o[0-7]+|0x[0-9a-fA-F]+")
_FLOAT = re.compile(r"[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?")
_NO_NUMBER = re.compile(r"[-+]?\.(inf|Inf|INF)|\.(nan|NaN|NAN)")
_MAYBE_NUMBER = frozenset("+-.0123456789")


class _TooDeep(Exception):
    """Nested too deeply; `args[0]` is where in the text."""


class _Loader(yaml.CSafeLoader):
    """Builds nodes only. The resolver's hooks are called for every node as it is met, so nesting is cut short while scanning."""

    def __init__(self, text: str) -> None:
        super().__init__(text)
        self.depth = 0

    def descend_resolver(self, current_node: Any, current_index: Any) -> None:
        self.depth += 1
        if self.depth > MAX_DEPTH:
            raise _TooDeep(current_node.start_mark.index)

    def ascend_resolver(self) -> None:
        self.depth -= 1

    def resolve(self, kind: Any, value: Any, implicit: Any) -> str:
        return ""  # tags that were not written: values are made below


def plain_value(text: str) -> Any:
    """The value of an unquoted scalar by YAML 1.2's core schema; ValueError for numbers that JSON does not have."""
    if text in _WORDS:
        return _WORDS[text]
    if text[0] not in _MAYBE_NUMBER:
        return text
    if _INT.fullmatch(text):
        if len(text) > 4000:
            raise ValueError("this number has too many digits")
        return int(text, 0) if text[:2] in ("0o", "0x") else int(text)
    if _FLOAT.fullmatch(text):
        number = float(text)
        if number in (float("inf"), float("-inf")):
            raise ValueError("this number is too large")
        return number
    if _NO_NUMBER.fullmatch(text):
        raise ValueError(f"{text} is not a number here")
    return text


def default_convert(text: str, plain: bool, path: SpecPath) -> Any:
    """A `Convert` that takes scalars as they stand."""
    return plain_value(text) if plain else text


@dataclass(eq=False)
class Document:
    """One parsed file: its value, and where everything in it stands.

    `value` is as far as it could be read; `faults` are all faults found on the way. `root` is None when nothing could be read.
    `shipped`: it comes with Samewire.
    """

    file: str
    text: str
    root: Node | None = None
    value: Any = None
    faults: list[Diagnostic] = field(default_factory=list)
    shipped: bool = False
    _entries: dict[int, Entries] = field(default_factory=dict)

    @cached_property
    def _line_starts(self) -> list[int]:
        return [0, *(match.end() for match in LINE_BREAK.finditer(self.text))]

    def diagnostic(self, index: int, code: str, message: str, hint: str = "", length: int = 1) -> Diagnostic:
        """A fault `index` characters into the text."""
        starts = self._line_starts
        line = bisect_right(starts, index) - 1
        end = starts[line + 1] if line + 1 < len(starts) else len(self.text)
        source = self.text[starts[line] : end].rstrip("\r\n\x85\u2028\u2029")
        column = index - starts[line]
        length = max(1, min(length, len(source) - column))
        return Diagnostic(self.file, line + 1, column + 1, code, message, hint, source, length)

    def find(self, path: SpecPath) -> tuple[Node | None, Node | None, bool]:
        """The key node and the value node at `path` (merged and aliased ones where they were written), and whether it is there.

        What is not there is looked for as far as the path goes: the nodes are then its nearest ancestor's.
        """
        key: Node | None = None
        value = self.root
        for step in path:
            entry = self._child(value, step)
            if entry is None:
                return key, value, False
            key, value = entry
        return key, value, True

    def entries(self, node: MappingNode, depth: int = 0) -> Entries:
        """A map's keys, merged ones too: own keys win over merged ones, earlier merges over later ones."""
        known = self._entries.get(id(node))
        if known is not None:
            return known
        self._entries[id(node)] = {}  # what merges itself finds nothing
        own: Entries = {}
        merged: Entries = {}
        for key, value in node.value:
            if _is_merge(key) and depth >= MAX_DEPTH:
                self.faults.append(_too_deep(self, key.start_mark.index))
            elif _is_merge(key):
                for source in _sources(value) or ():
                    merged = self.entries(source, depth + 1) | merged
            elif isinstance(key, ScalarNode):
                own.setdefault(key.value, (key, value))
        self._entries[id(node)] = merged | own
        return self._entries[id(node)]

    def _child(self, node: Node | None, step: str | int) -> tuple[Node | None, Node] | None:
        if isinstance(node, MappingNode):
            return self.entries(node).get(str(step))
        if isinstance(node, SequenceNode) and isinstance(step, int) and 0 <= step < len(node.value):
            return None, node.value[step]
        return None

    def inside(self, node: ScalarNode, offset: int) -> int:
        """Where in the text the scalar's character number `offset` stands."""
        return decoded_to_raw(self.text, node, offset)


def parse(text: str, file: str, convert: Convert = default_convert) -> Document:
    """Read `text`; never raises for what is in it."""
    document = Document(file, text.removeprefix("\ufeff"))
    if len(document.text) > MAX_BYTES:
        document.faults.append(document.diagnostic(0, "yaml-size", f"the file is larger than {MAX_BYTES // 2**20} MiB"))
        return document
    try:
        loader = _Loader(document.text)
        try:
            document.root = loader.get_single_node()
        except _TooDeep as error:
            document.faults.append(_too_deep(document, error.args[0]))
        finally:
            loader.dispose()
    except yaml.YAMLError as error:
        document.faults.append(_syntax(document, error))
    if document.root is not None:
        builder = _Builder(document, convert)
        document.value = builder.build(document.root, ())
        document.faults = list(dict.fromkeys(document.faults))
    return document


def _too_deep(document: Document, index: int) -> Diagnostic:
    return document.diagnostic(index, "yaml-depth", f"nested deeper than {MAX_DEPTH} levels")


class _Builder:
    """Nodes to values. Aliases are expanded, so that equal text gives equal but separate values; their number is bounded."""

    def __init__(self, document: Document, convert: Convert) -> None:
        self.document = document
        self.convert = convert
        self.depth = 0
        self.nodes = 0

    def fault(self, node: Node, code: str, message: str, hint: str = "", length: int = 1) -> None:
        self.document.faults.append(self.document.diagnostic(node.start_mark.index, code, message, hint, length))

    def build(self, node: Node, path: SpecPath) -> Any:
        self.nodes += 1
        if self.nodes > MAX_NODES:
            if self.nodes == MAX_NODES + 1:
                key = self.document.find(path[:1])[0] or node
                self.fault(key, "yaml-aliases", f"with this, aliases make more than {MAX_NODES} values of the file")
            return None
        if node.tag and node.tag != _OWN_TAGS[type(node)]:
            hint = "quote a value to make it a string"
            self.fault(node, "yaml-tag", f"the tag {node.tag.replace(_TAG, '!!')} is not taken here", hint)
        if isinstance(node, ScalarNode):
            return self.scalar(node, path)
        if self.depth >= MAX_DEPTH:
            self.document.faults.append(_too_deep(self.document, node.start_mark.index))
            return None
        self.depth += 1
        value: Any = None
        if isinstance(node, MappingNode):
            value = self.mapping(node, path)
        elif isinstance(node, SequenceNode):
            value = self.sequence(node, path)
        self.depth -= 1
        return value

    def scalar(self, node: ScalarNode, path: SpecPath) -> Any:
        try:
            return self.convert(node.value, not node.style and not node.tag, path)
        except ValueError as error:
            self.fault(node, "yaml-number", str(error), "quote it to make it a string", len(node.value))
            return None

    def sequence(self, node: SequenceNode, path: SpecPath) -> list[Any]:
        return [self.build(child, (*path, index)) for index, child in enumerate(node.value)]

    def mapping(self, node: MappingNode, path: SpecPath) -> dict[str, Any]:
        self.check_keys(node)
        return {key: self.build(value, (*path, key)) for key, (_, value) in self.document.entries(node).items()}

    def check_keys(self, node: MappingNode) -> None:
        seen: dict[tuple[str, bool], ScalarNode] = {}
        for key, value in node.value:
            if not isinstance(key, ScalarNode):
                self.fault(key, "yaml-key", "a key is a word, not a list or a map", "quote a key that has [ ] or { } in it")
                continue
            name = (key.value, _is_merge(key))
            if name in seen:
                first = seen[name].start_mark.line + 1
                message = f"the key '{key.value}' on line {key.start_mark.line + 1} was already given on line {first}"
                self.fault(key, "yaml-duplicate-key", message, "remove one of them", len(key.value))
            seen.setdefault(name, key)
            if _is_merge(key) and _sources(value) is None:
                self.fault(key, "yaml-merge", "<< takes a map, an alias of one, or a list of them", length=2)


def _is_merge(key: Node) -> bool:
    return isinstance(key, ScalarNode) and key.value == "<<" and not key.style


def _sources(value: Node) -> list[MappingNode] | None:
    """The maps that a merge key names, first wins; None when it names something else."""
    sources = value.value if isinstance(value, SequenceNode) else [value]
    maps = [source for source in sources if isinstance(source, MappingNode)]
    return maps if len(maps) == len(sources) else None


_HINTS: tuple[tuple[str, str], ...] = (
    ("${", "quote what has ${…} in it when it stands inside {…} or […]"),
    ("'@", "a plain value may not begin with @ or `: quote it"),
    ("'`", "a plain value may not begin with @ or `: quote it"),
    ("'\t", "indent with spaces, not tabs"),
    ("an alias", "quote what begins with *, and a path with [*] in it when it stands inside {…} or […]"),
    ("flow", "quote a path or expression with [ ] { } or , in it when it stands inside {…} or […]"),
    ("mapping values are not allowed", "quote a value that has ': ' in it; or the indentation is wrong"),
    ("undefined alias", "a plain value may not begin with *: quote it; or name the anchor with & before"),
    ("simple key", "a line here has no ':' after its key"),
    ("another document", "one file holds one document: remove the second '---'"),
)


def _syntax(document: Document, error: yaml.YAMLError) -> Diagnostic:
    mark = getattr(error, "problem_mark", None)
    if mark is None:  # ReaderError: a character that YAML does not allow
        index = getattr(error, "position", 0)
        return document.diagnostic(
            index, "yaml-syntax", f"{getattr(error, 'reason', error)}", "remove the character, or write it as an escape in double quotes"
        )
    context, problem = getattr(error, "context", None), getattr(error, "problem", None)
    start = getattr(error, "context_mark", None)
    index = mark.index
    message = f"{context}: {problem}" if context else str(problem)
    end = len(document.text.rstrip())
    if start is not None and index >= end:
        index = min(start.index, end - 1)  # the end of the file says nothing: point at what was not closed
    elif start is not None and start.line != mark.line:
        message += f" (it begins on line {start.line + 1})"
    looked_at = f"{message} '{document.text[mark.index : mark.index + 1]} {document.text[mark.index - 1 : mark.index + 1]}"
    hint = next((hint for sign, hint in _HINTS if sign in looked_at), "")
    return document.diagnostic(index, "yaml-syntax", message, hint)
