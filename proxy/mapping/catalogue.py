"""The closed catalogue of filters: what each is called, takes, does, and an example that runs as a test.

The compiler looks names up here; `proxy/dialects/README.md` is generated from it. A new filter needs two dialects that use it,
or must be a step on bytes or text that no template can say.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Literal

import msgspec

from proxy.mapping import filters

#: What an argument is: a table, a schema, a bare word out of a list, a value (a literal or an expression), a constant text (a separator
#: is not empty) or whole number.
Kind = Literal["table", "schema", "word", "value", "text", "separator", "number"]
_SHOWN = {"separator": "text", "number": "n"}


class Example(msgspec.Struct, frozen=True):
    """`expression` over `given` is `result` (None: absent); `spec` holds the tables and schemas it names."""

    expression: str
    given: Any
    result: Any
    spec: dict[str, Any] | None = None


class FilterEntry(msgspec.Struct, frozen=True):
    """One filter. `function` is None where the compiler itself writes the code."""

    name: str
    does: str
    function: Callable[..., Any] | None
    arguments: tuple[Kind, ...] = ()
    optional: int = 0
    words: tuple[str, ...] = ()
    examples: tuple[Example, ...] = ()

    @property
    def signature(self) -> str:
        """`name(table)`, as the documentation writes it."""
        if not self.arguments:
            return self.name
        shown = " or ".join(self.words) if self.words else ", ".join(_SHOWN.get(kind, kind) for kind in self.arguments)
        full = f"{self.name}({shown})"
        return f"{self.name}`, `{full}" if self.optional else full


_TABLES = {"tables": {"finish": {"end_turn|stop_sequence": "stop", "max_tokens": "length", "$else": "stop"}}}
_SCHEMAS = {
    "schemas": {
        "strict": {"drop": ["minLength"], "rename": {"oneOf": "anyOf"}, "set": {"object": {"additionalProperties": False}}},
        "flat": {"inline_refs": True},
        "plain": {"openapi": True, "rename": {"any_of": "anyOf"}},
    }
}


def _entry(name: str, does: str, function: Callable[..., Any] | None, *examples: Example, **more: Any) -> FilterEntry:
    return FilterEntry(name, does, function, examples=examples, **more)


_E = Example

ENTRIES = (
    _entry(
        "map",
        "through `tables.table`; without a fit the table's `$else`, else absent",
        None,
        _E(". | map(finish)", "end_turn", "stop", _TABLES),
        _E(". | map(finish)", "unheard of", "stop", _TABLES),
        arguments=("table",),
    ),
    _entry(
        "unmap",
        "the first key of the table that maps to the value",
        None,
        _E(". | unmap(finish)", "stop", "end_turn", _TABLES),
        arguments=("table",),
    ),
    _entry(
        "lookup",
        "the entry of a look-up table (`$index`)",
        filters.lookup,
        _E(".id | lookup(.names)", {"id": "a", "names": {"a": "weather"}}, "weather"),
        arguments=("value",),
    ),
    _entry(
        "parts",
        "message content as a list of parts: a string becomes one text part",
        filters.parts,
        _E(". | parts", "hi", [{"type": "text", "text": "hi"}]),
    ),
    _entry(
        "text",
        "message content as text: of a list the texts of its parts, joined",
        filters.text,
        _E(". | text", [{"type": "text", "text": "a"}, {"type": "image_url"}, {"type": "text", "text": "b"}], "ab"),
    ),
    _entry("list", "a list of one, unless it is a list", filters.as_list, _E(". | list", "x", ["x"])),
    _entry("string", "the value if it is a string, else absent", filters.as_string, _E(". | string", 3, None)),
    _entry("object", "the value if it is an object, else absent", filters.as_object, _E(". | object", {"a": 1}, {"a": 1})),
    _entry("nonempty", "absent when `''`, `[]` or `{}`", filters.nonempty, _E(". | nonempty", "", None)),
    _entry("first", "the first item of a list", filters.first, _E(". | first", [1, 2], 1)),
    _entry("last", "the last item of a list", filters.last, _E(". | last", [1, 2], 2)),
    _entry("count", "how many items a list has", filters.count, _E(". | count", [1, 2], 2)),
    _entry(
        "join",
        "a list of strings as one string",
        filters.join,
        _E(". | join", ["a", "b"], "ab"),
        _E(". | join(', ')", ["a", "b"], "a, b"),
        arguments=("text",),
        optional=1,
    ),
    _entry(
        "split",
        "the n-th piece of a string (from 0), absent beyond the end",
        filters.split,
        _E(". | split('~', 1)", "a~b", "b"),
        _E(". | split('~', 1)", "a", None),
        arguments=("separator", "number"),
    ),
    _entry("prefix", "text put in front", filters.prefix, _E(". | prefix('x-')", "a", "x-a"), arguments=("text",)),
    _entry("lower", "lower case", filters.lower, _E(". | lower", "AbC", "abc")),
    _entry("upper", "upper case", filters.upper, _E(". | upper", "AbC", "ABC")),
    _entry(
        "json",
        "parses a JSON text; absent when it is not JSON",
        filters.parse_json,
        _E(". | json", '{"a":1}', {"a": 1}),
        _E(". | json", "{", None),
    ),
    _entry("to_json", "the value as compact JSON text", filters.to_json, _E(". | to_json", {"a": [1]}, '{"a":[1]}')),
    _entry("at_most", "a number no greater than n", filters.at_most, _E(". | at_most(1)", 1.5, 1), arguments=("value",)),
    _entry("at_least", "a number no smaller than n", filters.at_least, _E(". | at_least(1024)", 10, 1024), arguments=("value",)),
    _entry("int", "a number cut to an integer", filters.integer, _E(". | int", 12.0, 12)),
    _entry("scheme", "of a URL: `data`, `https`, `gs`, …", filters.scheme, _E(". | scheme", "https://x/y", "https")),
    _entry(
        "data",
        "media type / base64 text / decoded UTF-8 text of a data URL (RFC 2397), else absent",
        filters.data_url,
        _E(". | data(type)", "data:image/png;base64,AA==", "image/png"),
        _E(". | data(data)", "data:image/png;base64,AA==", "AA=="),
        _E(". | data(data)", "data:image/png;base64,-_8=", "+/8="),
        _E(". | data(data)", "data:text/plain,a%20b", "YSBi"),
        _E(". | data(text)", "data:text/plain;base64,YSBi", "a b"),
        _E(". | data(type)", "https://x", None),
        arguments=("word",),
        words=("type", "data", "text"),
    ),
    _entry("mime", "media type by a URL's file ending", filters.mime, _E(". | mime", "https://x/a.PNG?v=1", "image/png")),
    _entry(
        "safe_id",
        "an id made legal (`[a-zA-Z0-9_-]{1,64}`; with n exactly n letters and digits), always the same; legal ids stay",
        filters.safe_id,
        _E(". | safe_id", "call_1", "call_1"),
        _E(". | safe_id", "call:1", "call_1_0af6315558b4"),
        _E(". | safe_id(9)", "call_1", "rKSxKBV4V"),
        arguments=("number",),
        optional=1,
    ),
    _entry(
        "ordinal",
        "stream state: the first key seen is 0, the next new one 1, …; the same key keeps its number",
        None,
        _E(". | ordinal(call)", 7, 0),
        arguments=("word",),
    ),
    _entry(
        "schema",
        "a JSON Schema down-levelled by `schemas.name`",
        None,
        _E(
            ". | schema(strict)",
            {"type": "object", "properties": {"a": {"type": "string", "minLength": 1}}},
            {"type": "object", "properties": {"a": {"type": "string"}}, "additionalProperties": False},
            _SCHEMAS,
        ),
        _E(". | schema(flat)", {"$ref": "#/$defs/a", "$defs": {"a": {"type": "string"}}}, {"type": "string"}, _SCHEMAS),
        _E(
            ". | schema(plain)",
            {"type": "STRING", "nullable": True, "maxLength": "9"},
            {"type": ["string", "null"], "maxLength": 9},
            _SCHEMAS,
        ),
        _E(". | schema(plain)", {"any_of": [{"type": "INTEGER"}]}, {"anyOf": [{"type": "integer"}]}, _SCHEMAS),
        arguments=("schema",),
    ),
    _entry("unix", "RFC 3339 time as unix seconds", filters.unix, _E(". | unix", "1970-01-01T00:01:00.123456789Z", 60)),
    _entry("rfc3339", "unix seconds as RFC 3339 time", filters.rfc3339, _E(". | rfc3339", 60, "1970-01-01T00:01:00Z")),
    _entry("seconds", "`'27s'`, `'1.5s'`, `'250ms'` as seconds", filters.seconds, _E(". | seconds", "27s", 27.0)),
    _entry(
        "floats",
        "a list of numbers as base64 of little-endian float32",
        filters.floats,
        _E(". | floats(base64)", [1.0, -2.0], "AACAPwAAAMA="),
        arguments=("word",),
        words=("base64",),
    ),
    _entry("required", "at the end of a field: the object around it is absent when the value is", None),
)

FILTERS = {entry.name: entry for entry in ENTRIES}

#: Keys of operators that take a text as it is, not a template.
NAMES = frozenset(("$use", "$as", "$by", "$leading", "$with", "$param"))

#: Template operators, with the keys each takes: (needed, allowed beside).
OPERATORS: dict[str, tuple[frozenset[str], frozenset[str]]] = {
    "$match": (frozenset(), frozenset(("$else",))),
    "$if": (frozenset(), frozenset(("$then", "$else"))),
    "$first": (frozenset(), frozenset()),
    "$each": (frozenset(), frozenset(("$where", "$as", "$do"))),
    "$concat": (frozenset(), frozenset()),
    "$merge_adjacent": (frozenset(("$by",)), frozenset(("$join_lists", "$leading"))),
    "$merge": (frozenset(), frozenset()),
    "$index": (frozenset(("$key", "$value")), frozenset()),
    "$use": (frozenset(), frozenset(("$of",))),
    "$join": (frozenset(), frozenset(("$with",))),
    "$reject": (frozenset(), frozenset(("$param",))),
    "$lit": (frozenset(), frozenset()),
}
