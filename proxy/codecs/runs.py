"""Long runs of base64 in a large JSON text, found step by step.

A request with an image of 5 MB is one string and little else. Without the inside of that string the text is small, and still tells all
that must be known of it: letters, digits and `+/=-_` can be taken out of a string, and what is left is JSON exactly if all of it was.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

#: Bytes looked at in one step.
STEP = 2**18
#: A run of at least twice as many bytes is found, a shorter one perhaps.
STRIDE = 2**16

_ALPHABET = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/=-_"
_MARK = b";base64,"
#: How far behind the beginning of its string a mark is looked for: a media type is short.
_MARK_WITHIN = 256


def base64_runs(text: bytes) -> Iterator[tuple[int, int]]:
    """Where such runs begin and end, in order and in steps of at most `STEP` bytes: between two of them others may have their turn.

    Before a run stands one more character of the kind, and before that a `"` or `;base64,`. Outside of strings they stand so only in
    what is no JSON, and what is left of it shows that: none of these characters comes after a string's last `"`, `;` in no other place.
    """
    done, probe = 0, STRIDE
    while probe < len(text):
        end = text.find(b'"', probe)
        end = len(text) if end < 0 else end
        start = text.rfind(b'"', done, probe) + 1
        if start and end - probe >= STRIDE:
            mark = text.find(_MARK, start, start + _MARK_WITHIN)
            yield from _checked(text, mark + len(_MARK) if mark >= 0 else start, end)
        done = end
        probe = end + STRIDE


def without(text: bytes, runs: Sequence[tuple[int, int]]) -> bytes:
    """What is left of the text."""
    view = memoryview(text)
    starts, ends = [0, *(end for _, end in runs)], [*(start for start, _ in runs), len(text)]
    return b"".join([view[start:end] for start, end in zip(starts, ends, strict=True)])


def _checked(text: bytes, start: int, end: int) -> Iterator[tuple[int, int]]:
    """The steps of what stands there, as far as it is base64, without its first character."""
    kept = start + 1
    while start < end:
        stop = min(start + STEP, end)
        if text[start:stop].translate(None, _ALPHABET):
            return
        if kept < stop:
            yield max(start, kept), stop
        start = stop
