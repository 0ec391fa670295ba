"""How events are framed for clients, read back by independent readers."""

from __future__ import annotations

import json

import pytest

from proxy.codecs import DECODERS
from proxy.codecs.framing import FRAMINGS

EVENTS = [{"text": "a\nb"}, {"text": ""}, {"n": 1}]


def _stream(name: str, data: list[bytes], silences: int = 0) -> bytes:
    framing = FRAMINGS[name]
    output = b"".join(framing.event(item, "kind") for item in data)
    return framing.silence * silences + framing.first(output) + framing.end


@pytest.mark.parametrize("silences", [0, 2])
def test_an_array_is_one_json_document(silences: int) -> None:
    data = [json.dumps(event, indent=1).encode() for event in EVENTS]
    for count in range(1, len(data) + 1):
        assert json.loads(_stream("array", data[:count], silences)) == EVENTS[:count]


@pytest.mark.parametrize("silences", [0, 2])
def test_ndjson_is_a_document_a_line(silences: int) -> None:
    data = [json.dumps(event, indent=1).encode() for event in EVENTS]
    lines = [line for line in _stream("ndjson", data, silences).split(b"\n") if line]
    assert [json.loads(line) for line in lines] == EVENTS


@pytest.mark.parametrize("silences", [0, 2])
def test_sse_shows_names(silences: int) -> None:
    data = [json.dumps(event).encode() for event in EVENTS]
    decoder = DECODERS["sse"]()
    assert decoder.feed(_stream("sse", data, silences)) == [("kind", item) for item in data]
    assert not decoder.pending


def test_an_array_without_events_has_not_begun() -> None:
    assert FRAMINGS["array"].first(b"") == b""
