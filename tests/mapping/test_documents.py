"""Half a surrogate pair is read as U+FFFD; everything else as it is, or not at all."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy.mapping.documents import decode

READ = {
    r'"\ud83d"': "\ufffd",
    r'"\ude00"': "\ufffd",
    r'"\uD83D\uDE00"': "\N{GRINNING FACE}",
    r'"\ud83d\ud83d\ude00"': "\ufffd\N{GRINNING FACE}",
    r'"\ud83dx\ude00"': "\ufffdx\ufffd",
    r'"\\ud83d"': r"\ud83d",
    r'"\\\ud83d"': "\\\ufffd",
    r'{"\ud83d":"\\"}': {"\ufffd": "\\"},
}


@pytest.mark.parametrize(("text", "expected"), READ.items())
def test_halves(text: str, expected: object) -> None:
    assert decode(text.encode()) == expected


@pytest.mark.parametrize("text", [b'"\\ud83', b'"\\ud83d', b'"\\x\\ud83d"', b"\\ud83d", b'"\\ud83d" x'])
def test_no_json_stays_none(text: bytes) -> None:
    with pytest.raises(ValueError):
        decode(text)


@given(st.text(st.characters(exclude_categories=())))
def test_any_text(text: str) -> None:
    assert decode(json.dumps(text).encode()) == text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")
