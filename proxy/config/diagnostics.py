"""Faults, which know a place in a document, become diagnostics, which know a line and a column; and how they are shown."""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterable, Sequence
from dataclasses import asdict, replace
from typing import Any

from yaml.nodes import ScalarNode

from proxy.config.yaml import Document
from proxy.errors import Diagnostic, Fault

#: Faults about a key, not about what stands under it.
KEY_CODES = frozenset({"unknown-key", "bad-name", "unknown-operator"})

_WIDTH = 150
_SECRET = re.compile(
    r"""((?:key|token|secret|password|authorization|sig|signature)["']?\s*[:=]\s*["']?(?:Bearer\s+)?(?:\$\{\w+:-)?)   # a name that says so
        ([^\s"'{}$,/.][^\s"'{}$,]{3})([^\s"'{}$,]{8,})   # a value, or a default, that is no ${…} and no path""",
    re.VERBOSE | re.IGNORECASE,
)


def suggest(word: str, known: Iterable[str]) -> str:
    """A hint for a name that nothing has: the nearest one, else all there are when they are few."""
    names = sorted(set(known))
    near = difflib.get_close_matches(word, names, 1)
    if near:
        return f"did you mean '{near[0]}'?"
    if not names:
        return ""
    return "there are: " + ", ".join(names[:15]) + (", …" if len(names) > 15 else "")


def locate(document: Document, fault: Fault) -> Diagnostic:
    """Where in the file a fault sits: inside the scalar when it is about one, else at the key, else where the value begins.

    A place that does not exist (a key that is missing) is shown at its nearest ancestor.
    """
    key, value, found = document.find(fault.path)
    index, length = 0, 1
    if found and isinstance(value, ScalarNode) and fault.code not in KEY_CODES:
        index, length = document.inside(value, fault.offset), fault.length
    elif key is not None:
        index, length = key.start_mark.index, key.end_mark.index - key.start_mark.index
    elif value is not None:
        index = value.start_mark.index
    diagnostic = document.diagnostic(index, fault.code, fault.message, fault.hint, length)
    return replace(diagnostic, severity=fault.severity)


def as_json(diagnostic: Diagnostic) -> dict[str, Any]:
    """A diagnostic for machines; without the source line, which may hold more than the fault."""
    return {key: value for key, value in asdict(diagnostic).items() if key != "source"}


def masked(line: str) -> str:
    """A source line without what looks like a secret; as long as before, so that carets stay right."""
    return _SECRET.sub(lambda match: match[1] + match[2] + "*" * len(match[3]), line)


def in_order(diagnostics: Iterable[Diagnostic]) -> tuple[Diagnostic, ...]:
    """Each once, by file, line and column."""
    return tuple(sorted(set(diagnostics), key=lambda found: (found.file, found.line, found.column, found.code, found.message)))


def render(diagnostics: Sequence[Diagnostic], color: bool = False) -> str:
    """All of them for people: `file:line:column: error[code]: message`, the source line, a caret below the place, a hint."""
    return "\n".join(_one(diagnostic, color) for diagnostic in diagnostics)


def _one(diagnostic: Diagnostic, color: bool) -> str:
    def paint(text: str, style: str) -> str:
        return f"\x1b[{style}m{text}\x1b[0m" if color else text

    style = "1;31" if diagnostic.severity == "error" else "1;33"
    place = f"{diagnostic.file}:{diagnostic.line}:{diagnostic.column}:"
    lines = [f"{paint(place, '1')} {paint(f'{diagnostic.severity}[{diagnostic.code}]:', style)} {diagnostic.message}"]
    if diagnostic.source.strip():
        source, caret = _window(masked(diagnostic.source), diagnostic.column - 1, diagnostic.length)
        lines += [f"    {source}", f"    {paint(caret, style)}"]
    if diagnostic.hint:
        lines.append(f"    {paint('hint:', '1;36')} {diagnostic.hint}")
    return "\n".join(lines) + "\n"


def _window(source: str, column: int, length: int) -> tuple[str, str]:
    """The part of a long line around the column, and the carets below it; tabs stay, so that both lines step alike."""
    start = 0
    if len(source) > _WIDTH:
        start = max(0, min(column - _WIDTH // 2, len(source) - _WIDTH))
        end = start + _WIDTH
        source = ("…" if start else "") + source[start + bool(start) : end] + ("…" if end < len(source) else "")
    before = source[: column - start]
    pad = "".join("\t" if letter == "\t" else " " for letter in before)
    return source.rstrip(), pad + "^" * max(1, min(length, len(source) - len(before)))
