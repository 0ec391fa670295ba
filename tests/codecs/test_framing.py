"""How events are framed for clients, read back by independent readers."""

from __future__ import annotations

import json

import pytest

from proxy.codecs import DECODERS
from proxy.codecs.framing import FRAMINGS

EVENTS = [{"text": "a\nb"}, {"text": ""}, {"n": 1}]


def _stream(name: str, data: list[bytes], *, silent: bool = False) -> bytes:
    framing = FRAMINGS[name]
    output = b"".join(framing.event(item, "kind") for item in data)
    before = b"" if not silent else b": keep-alive\n" if name == "sse" else b"\n"
    return before + (framing.begun(output) if output else b"") + framing.end(begun=bool(output))


@pytest.mark.parametrize("silent", [False, True])
def test_an_array_is_one_json_document(silent: bool) -> None:
    data = [json.dumps(event).encode() for event in EVENTS]
    for count in range(1, len(data) + 1):
        assert json.loads(_stream("array", data[:count], silent=silent)) == EVENTS[:count]


@pytest.mark.parametrize("silent", [False, True])
def test_ndjson_is_a_document_a_line(silent: bool) -> None:
    data = [json.dumps(event).encode() for event in EVENTS]
    lines = [line for line in _stream("ndjson", data, silent=silent).split(b"\n") if line]
    assert [json.loads(line) for line in lines] == EVENTS


@pytest.mark.parametrize("silent", [False, True])
def test_sse_shows_names(silent: bool) -> None:
    data = [json.dumps(event).encode() for event in EVENTS]
    decoder = DECODERS["sse"]()
    assert decoder.feed(_stream("sse", data, silent=silent)) == [("kind", item) for item in data]
    assert not decoder.pending


def test_an_array_without_events_is_empty() -> None:
    assert json.loads(_stream("array", [])) == []


@pytest.mark.parametrize("kind", ["kind", ""])
@pytest.mark.parametrize("name", FRAMINGS)
def test_what_stands_around_the_data(name: str, kind: str) -> None:
    before, after = FRAMINGS[name].around(kind)
    assert before + b"{}" + after == FRAMINGS[name].event(b"{}", kind)
