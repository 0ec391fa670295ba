"""Reading what an upstream wrote: JSON, with mercy for half a surrogate pair."""

from __future__ import annotations

import re
from typing import Any

import msgspec

_decode = msgspec.json.Decoder().decode
#: A surrogate pair, half of one, any other escape: in this order, so that only halves are changed.
_escape = re.compile(rb"\\u[dD][89abAB][0-9a-fA-F]{2}\\u[dD][c-fC-F][0-9a-fA-F]{2}|\\u[dD][89a-fA-F][0-9a-fA-F]{2}|\\.")
_HALF = 6  # characters


def decode(text: bytes) -> Any:
    """The document. Half a surrogate pair, which RFC 8259 allows and UTF-8 cannot hold, reads as U+FFFD.

    Raises ValueError (msgspec.DecodeError, UnicodeDecodeError) for what is no JSON, RecursionError for what is nested too deeply.
    """
    try:
        return _decode(text)
    except msgspec.DecodeError:
        mended = _escape.sub(_mend, text) if b"\\ud" in text or b"\\uD" in text else text
        if mended == text:
            raise
        return _decode(mended)


def _mend(escape: re.Match[bytes]) -> bytes:
    return rb"\ufffd" if len(escape[0]) == _HALF else escape[0]
