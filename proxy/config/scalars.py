"""From a character of a YAML scalar's value to the place in the file where it was written.

Quoting, escapes, folded lines and block indentation all make the two differ; carets must point at the written character.
YAML 1.2.2, sections 5.7 (escapes), 6.5 (folding), 7.3 (flow scalars), 8.1 (block scalars).
"""

from __future__ import annotations

import re

from yaml.nodes import ScalarNode

#: What libyaml counts as the end of a line.
LINE_BREAK = re.compile("\r\n|[\n\r\x85\u2028\u2029]")

_PROPERTIES = re.compile(r"(?:[&!]\S*\s+)*")
_FOLD = r"[ \t]*(?:\r\n|\n|\r)(?:[ \t]*(?:\r\n|\n|\r))*[ \t]*"
_ESCAPES = {
    "": re.compile(_FOLD),
    "'": re.compile(rf"''|{_FOLD}"),
    '"': re.compile(rf"\\(?:x..|u.{{4}}|U.{{8}}|(?:\r\n|\n|\r)[ \t]*|.)|{_FOLD}"),
}
_FIRST_LINE = re.compile(r"(?: *(?:\r\n|\n|\r))*( *)")
_NEWLINE = re.compile(r"\r\n|\n|\r")


def decoded_to_raw(text: str, node: ScalarNode, offset: int) -> int:
    """The index in `text` of the character `offset` of the node's value."""
    start, style = node.start_mark.index, node.style or ""
    if properties := _PROPERTIES.match(text, start):
        start = properties.end()
    if style in ("|", ">"):
        return _in_block(text, start, node.value, offset)
    return _in_flow(text, start + len(style), _ESCAPES[style], offset)


def _in_flow(text: str, index: int, escapes: re.Pattern[str], offset: int) -> int:
    """Piece by piece: plain runs count one for one, an escape or a fold counts what it stands for."""
    for match in escapes.finditer(text, index):
        run = match.start() - index
        if offset < run:
            break
        width = _width(match[0])
        if offset < run + width:
            return match.start()
        offset -= run + width
        index = match.end()
    return min(index + offset, len(text))


def _width(written: str) -> int:
    """How many characters an escape or a fold stands for."""
    breaks = len(_NEWLINE.findall(written))
    if written[0] == "\\":
        return 0 if breaks else 1
    return max(1, breaks - 1)


def _in_block(text: str, start: int, value: str, offset: int) -> int:
    """Block scalars: each line gives what follows its indentation, and one character for its end."""
    header = LINE_BREAK.search(text, start)
    if header is None:
        return start
    index = header.end()
    indent = _leading_spaces(text, index) - _leading_spaces(value, 0)
    while True:
        end = LINE_BREAK.search(text, index)
        stop = end.start() if end else len(text)
        content = min(index + indent, stop)
        if offset <= stop - content or end is None:
            return min(content + offset, stop)
        offset -= stop - content + 1
        index = end.end()


def _leading_spaces(text: str, index: int) -> int:
    """How far the first line with something on it is indented."""
    match = _FIRST_LINE.match(text, index)
    return len(match[1]) if match else 0
