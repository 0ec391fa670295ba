"""The rules by which a client dialect writes a stream → functions. (What runs them: `proxy.mapping.writer`.)

A stream to a client is a row of sections: runs of pieces of one kind (text, reasoning, a tool call, …), of which one is open at a time.
The rules are templates of events: what begins the stream, opens a section, carries a piece of it, closes it, ends the stream.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from proxy.errors import SpecPath
from proxy.mapping.code import Env, Pieces, Value, names
from proxy.mapping.context import Context
from proxy.mapping.operators import mentions
from proxy.mapping.rewrites import Rewrites
from proxy.mapping.section import KINDS, Framing, Kind, Template
from proxy.mapping.writer import SectionWriter

_KEYS = frozenset(("named", "numbered", "vars", "begin", "sections", "end", "done", "fail"))
_SECTION_KEYS = frozenset(("open", "piece", "annotation", "close", "item"))
#: What templates see beside the variables of every mapping: `.` is `document`.
_VARIABLES = {
    "stream": Value("stream", absent=False, kind="dict"),
    "items": Value("items", absent=False, kind="list"),
    "item": Value("item"),
    "piece": Value("piece", absent=False),
    "logprobs": Value("logprobs"),
    "error": Value("error", kind="dict"),
    "failure": Value("failure", kind="dict"),
}
_PARAMETERS = "document, context, stream, items, item=None, piece=None, logprobs=None, error=None, failure=None"


@dataclass(frozen=True, slots=True)
class SectionsMapping:
    """The `stream:` part of an operation of a client dialect, compiled.

    `named`: an event's name is its data's `type`. `numbered`: the member that counts the events, '' for none.
    `done`: the data of an event behind the end, which is no JSON; '' for none.
    `variables`: what all templates may use, made once when a stream begins.
    """

    named: bool
    numbered: str
    variables: Template | None
    kinds: Mapping[str, Kind]
    begin: Template | None
    end: Template | None
    done: str
    fail: Template | None

    def open(self, context: Context, *, framing: Framing) -> SectionWriter:
        """Begin a stream. `context.req` is the client's body."""
        return SectionWriter(self, context, framing)


def compile_sections(spec: Mapping[str, Any], path: SpecPath, pieces: Pieces) -> SectionsMapping:
    """Faults are noted in `pieces.faults`."""
    for key in spec.keys() - _KEYS:
        pieces.faults.unknown((*path, key), "operator-keys", "part of a stream", str(key), _KEYS)
    variables = _template(spec, "vars", path, pieces)
    known = {str(name): Value(f"stream['variables'].get({name!r})") for name in spec.get("vars", {})}
    kinds = {}
    for name, rules in spec.get("sections", {}).items():
        if name not in KINDS:
            pieces.faults.unknown((*path, "sections", name), "operator-keys", "kind of section", str(name), KINDS)
        kinds[str(name)] = _kind(rules, (*path, "sections", name), pieces, known)
    return SectionsMapping(
        named=bool(spec.get("named", False)),
        numbered=str(spec.get("numbered", "")),
        variables=variables,
        kinds=kinds,
        done=str(spec.get("done", "")),
        **{name: _template(spec, name, path, pieces, known) for name in ("begin", "end", "fail")},
    )


def _kind(rules: Mapping[str, Any], path: SpecPath, pieces: Pieces, known: Mapping[str, Value]) -> Kind:
    for key in rules.keys() - _SECTION_KEYS:
        pieces.faults.unknown((*path, key), "operator-keys", "part of a section", str(key), _SECTION_KEYS)
    later = [rules.get("close"), rules.get("item")]
    return Kind(
        **{name: _template(rules, name, path, pieces, known) for name in ("open", "piece", "annotation", "close", "item")},
        keeps=any(mentions(spec, name, pieces.defs) for spec in later for name in (".text", ".arguments")),
        cuts=list(_said(rules.get("piece"), pieces.defs)) == ["$piece"],
    )


def _said(spec: Any, defs: Mapping[str, Any], seen: frozenset[str] = frozenset()) -> Iterator[str]:
    """The expressions of a template in which the piece occurs."""
    if isinstance(spec, str) and "$piece" in spec:
        yield spec
    elif isinstance(spec, dict):
        used = spec.get("$use")
        if isinstance(used, str) and used in defs and used not in seen:
            yield from _said(defs[used], defs, seen | {used})
        for value in spec.values():
            yield from _said(value, defs, seen)
    elif isinstance(spec, list):
        for item in spec:
            yield from _said(item, defs, seen)


def _template(
    spec: Mapping[str, Any], name: str, path: SpecPath, pieces: Pieces, known: Mapping[str, Value] | None = None
) -> Template | None:
    """`known`: the stream's own variables."""
    if name not in spec:
        return None
    source = Rewrites(pieces)
    root = Value("document", absent=False, kind="dict")
    env = Env(root, root, {**names(), **_VARIABLES, **(known or {})})
    source.line(f"return {source.template(spec[name], (*path, name), env).code}")
    return source.function("template", _PARAMETERS)
