"""The events of one read together: what they give does not depend on how many come at once, and each must be one JSON object."""

import json

import pytest
from compiling import dialect
from hypothesis import given
from hypothesis import strategies as st

from proxy.mapping.chunks import ChunkWriter
from proxy.mapping.context import Context

RULES = {
    "terminal": {"data": "[DONE]"},
    "events": {
        "*": [
            {"emit": {"index": ".index", "delta": {"content": ".text", "tool_calls": ".calls"}}},
            {"finish": {"index": ".index", "reason": ".reason"}},
            {"usage": {"$use": "usage", "$of": ".usage"}},
        ]
    },
}
DEFS = {"usage": {"prompt_tokens": ".n"}}
MAPPINGS = {codec: dialect(stream={"decode": codec, **RULES}, defs=DEFS).operations["chat"].stream for codec in ("sse", "ndjson")}
WHOLE = [
    b'{"index":0,"text":"a"}',
    b'{"index":1,"text":"b\\u00e9 \xc3\xa9","usage":{"n":3}}',
    b'{"index":0,"calls":[{"index":0,"id":"x","function":{"name":"f","arguments":"{"}}]}',
    b'{"index":0,"calls":[{"index":0,"id":"x","function":{"arguments":"}"}}]}',
    b'{"index":1,"reason":"stop"}',
    b'{"text":[1]}',
    b'[{"text":"in a list"}]',
    b' {"text":"}\\n{"} ',
    b"{}",
]
#: Each is no JSON object, but some make objects with their neighbours.
BROKEN = [
    b'{"text":"1"}{"text":',
    b'"2"}',
    b"",
    b'{"text":"3"}{"text":"4"}',
    b"{}x",
    b'{"a":[',
    b"{}]}",
    b"7",
    b'{"t":"\xff"}',
    b'{"\xff":1}',
]


def result(codec, events, sizes, typed=True):
    """What a stream gives when that many events come at once, and how it failed."""
    writer = ChunkWriter("m", 1, usage_wanted=True)
    writer.id = "chatcmpl-1"
    stream = MAPPINGS[codec].open(Context(model="m"), writer)
    if not typed:
        stream.decoder = None
    rest = [("", data) for data in events]
    fault = ""
    try:
        while rest and not stream.ended:
            size = next(sizes, len(rest))
            stream.read(rest[:size])
            rest = rest[size:]
        stream.end()
    except ValueError as error:
        fault = str(error)
    return writer.take(), fault, stream.usage


@pytest.mark.parametrize("codec", MAPPINGS)
@given(events=st.lists(st.sampled_from([*WHOLE, *WHOLE, b"[DONE]", *BROKEN])), sizes=st.lists(st.integers(1, 5)))
def test_how_many_come_at_once_makes_no_difference(codec, events, sizes):
    assert result(codec, events, iter(sizes)) == result(codec, events, iter([1] * len(events)), typed=False)


@pytest.mark.parametrize("events", [BROKEN[:2], BROKEN[3:1:-1], BROKEN[5:7], [b"{}{}", b"", b"{}"], [b"{}\n{}", b""], [b"", b"{}\t{}"]])
def test_what_is_an_object_only_together_is_refused(events):
    written, fault, _ = result("sse", [WHOLE[0], *events], iter(()))
    assert b'"content":"a"' in written
    assert fault


def test_nothing_counts_after_the_end():
    written, fault, _ = result("sse", [WHOLE[0], b"[DONE]", b"garbage", WHOLE[1]], iter(()))
    assert not fault
    assert [json.loads(line[6:])["choices"] for line in written.split(b"\n\n")[:3]][2][0]["finish_reason"] is None
    assert written.endswith(b"data: [DONE]\n\n")
    assert written.count(b"[DONE]") == 1
    assert b"\xc3\xa9" not in written


def test_passthrough_shows_all_but_what_only_tells_the_usage():
    watch = {"usage_only": ".usage", "terminal": {"data": "[DONE]"}, "events": {"*": {"usage": ".usage"}}}
    mapping = dialect(stream=watch).operations["chat"].stream
    events = [("", b'{"a":1}'), ("x", b'{"a":2}'), ("", b'{"usage":{"n":1}}'), ("", b'{"a":3}'), ("", b"[DONE]"), ("", b'{"a":4}')]
    for all_shown, places in ((False, [0, 1, 3]), (True, [0, 1, 2, 3])):
        for size in (1, 2, 6):
            stream = mapping.open(Context(model="m"))
            shown = []
            for start in range(0, len(events), size):
                if not stream.ended:
                    stream.read(events[start : start + size], shown, all_shown=all_shown)
            assert shown == [events[place] for place in places]
            assert stream.ended
            assert stream.usage == {"n": 1}
