"""Streams: events in, OpenAI's chunks out. The typed (fast) way and the plain way give equal bytes, whatever the fields are called."""

import json
import re

import pytest
from compiling import dialect
from hypothesis import given
from hypothesis import strategies as st

from proxy.mapping.chunks import ChunkWriter
from proxy.mapping.context import Context
from proxy.mapping.stream import StreamFault

BLOCKS = {
    "decode": "sse",
    "event": ".type",
    "terminal": {"event": "message_stop"},
    "events": {
        "message_start": [
            {"head": {"id": ".message.id"}},
            {"set": {"usage": ".message.usage"}},
            {"usage": {"prompt_tokens": ".message.usage.input_tokens"}},
        ],
        "content_block_start": {
            "when": ".content_block.type == 'tool_use'",
            "emit": {
                "delta": {
                    "tool_calls": [
                        {
                            "index": ".index | ordinal(tool)",
                            "id": ".content_block.id",
                            "type": "function",
                            "function": {"name": ".content_block.name", "arguments": ""},
                        }
                    ]
                }
            },
        },
        "content_block_delta": {
            "emit": {
                "$match": ".delta.type",
                "text_delta": {"delta": {"content": ".delta.text"}},
                "thinking_delta": {"delta": {"reasoning_content": ".delta.thinking"}},
                "input_json_delta": {
                    "delta": {"tool_calls": [{"index": ".index | ordinal(tool)", "function": {"arguments": ".delta.partial_json"}}]}
                },
            }
        },
        "message_delta": {
            "finish": ".delta.stop_reason",
            "set": {"usage": {"$merge": ["$s.usage", ".usage"]}},
            "usage": {"prompt_tokens": "$s.usage.input_tokens", "completion_tokens": "$s.usage.output_tokens"},
        },
        "error": {"error": {"message": ".error.message", "type": ".error.type"}},
    },
}
EVENTS = [
    {"type": "message_start", "message": {"id": "m1", "usage": {"input_tokens": 3}, "unread": [1, {"x": None}]}},
    {"type": "ping"},
    {"type": "content_block_delta", "index": 0, "delta": {"type": "thinking_delta", "thinking": "hm"}},
    {"type": "content_block_delta", "index": 1, "delta": {"type": "text_delta", "text": 'héllo \u2028 "q" \\ \n'}},
    {"type": "content_block_start", "index": 2, "content_block": {"type": "tool_use", "id": "t1", "name": "f", "input": {}}},
    {"type": "content_block_delta", "index": 2, "delta": {"type": "input_json_delta", "partial_json": '{"a":'}},
    {"type": "content_block_delta", "index": 2, "delta": {"type": "input_json_delta", "partial_json": "1}"}},
    {"type": "content_block_start", "index": 3, "content_block": {"type": "tool_use", "id": "t2", "name": "g", "input": {}}},
    {"type": "message_delta", "delta": {"stop_reason": "stop"}, "usage": {"output_tokens": 5, "input_tokens": None}},
    {"type": "message_stop"},
]


def run(mapping, events, typed=True, wanted=True):
    """The bytes that a stream of these events gives, and the stream."""
    writer = ChunkWriter("shown", 1, usage_wanted=wanted)
    stream = mapping.open(Context(model="m"), writer)
    if not typed:
        stream.decoder = None
    for event in events:
        stream.event("", event if isinstance(event, bytes) else json.dumps(event).encode())
    stream.end()
    return writer.take(), stream


def chunks(data):
    lines = [line[6:] for line in data.decode().split("\n\n") if line]
    assert lines[-1] == "[DONE]"
    return [json.loads(line) for line in lines[:-1]]


def test_a_whole_stream():
    data, stream = run(dialect(stream=BLOCKS).operations["chat"].stream, EVENTS)
    assert stream.ended
    found = chunks(data)
    assert {(chunk["id"], chunk["model"], chunk["created"]) for chunk in found} == {("m1", "shown", 1)}
    deltas = [chunk["choices"][0]["delta"] for chunk in found if chunk["choices"]]
    call = {"index": 0, "id": "t1", "type": "function", "function": {"name": "f", "arguments": ""}}
    assert deltas == [
        {"role": "assistant", "content": ""},
        {"reasoning_content": "hm"},
        {"content": 'héllo \u2028 "q" \\ \n'},
        {"tool_calls": [call]},
        {"tool_calls": [{"index": 0, "function": {"arguments": '{"a":'}}]},
        {"tool_calls": [{"index": 0, "function": {"arguments": "1}"}}]},
        {"tool_calls": [{**call, "index": 1, "id": "t2", "function": {"name": "g", "arguments": ""}}]},
        {"tool_calls": [{"index": 1, "function": {"arguments": "{}"}}]},
        {},
    ]
    assert [chunk["choices"][0]["finish_reason"] for chunk in found if chunk["choices"]] == [None] * 8 + ["tool_calls"]
    assert found[-1]["choices"] == []
    assert found[-1]["usage"] == {"prompt_tokens": 3, "completion_tokens": 5}


def renamed(spec, events):
    """The same rules and events with every field called something else."""
    names = sorted({name for event in events for name in re.findall(r'"(\w+)":', json.dumps(event))}, key=len, reverse=True)
    fields = re.compile(r"(?<=\.)(" + "|".join(names) + r")\b")

    def rule(value):
        if isinstance(value, dict):
            return {key: rule(item) for key, item in value.items()}
        if isinstance(value, list):
            return [rule(item) for item in value]
        return fields.sub(lambda match: "zz_" + match[1], value) if isinstance(value, str) and value[:1] in ".$" else value

    def event(value):
        if isinstance(value, dict):
            return {"zz_" + key: event(item) for key, item in value.items()}
        return [event(item) for item in value] if isinstance(value, list) else value

    return rule(spec), [event(item) for item in events]


def test_the_fast_way_knows_no_names():
    spec, events = renamed(BLOCKS, EVENTS)
    spec["events"]["message_delta"]["usage"] = {
        "prompt_tokens": "$s.usage.zz_input_tokens",
        "completion_tokens": "$s.usage.zz_output_tokens",
    }
    spec["events"]["message_delta"]["set"] = {"usage": {"$merge": ["$s.usage", ".zz_usage"]}}
    mapping = dialect(stream=spec).operations["chat"].stream
    assert mapping.decoder is not None
    assert run(mapping, events)[0] == run(dialect(stream=BLOCKS).operations["chat"].stream, EVENTS)[0]


values = st.recursive(
    st.none() | st.booleans() | st.integers(-9, 10**20) | st.floats(allow_nan=False, allow_infinity=False) | st.text(max_size=8),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(["type", "text", "index", "usage", "id", "x"]), inner, max_size=3)
    ),
    max_leaves=8,
)


@given(
    st.lists(
        st.tuples(
            st.sampled_from(EVENTS),
            st.dictionaries(st.sampled_from(["index", "delta", "usage", "content_block", "message"]), values, max_size=2),
        )
    )
)
def test_the_fast_way_and_the_plain_way_agree(changed):
    mapping = dialect(stream=BLOCKS).operations["chat"].stream
    events = [EVENTS[0], *[{**event, **change} for event, change in changed]]
    for event in events:
        if event["type"] == "content_block_start":
            event["content_block"] = {"type": "tool_use", "id": "t", "name": "f"}
    outcomes = []
    for typed in (True, False):
        try:
            outcomes.append(re.sub(rb"call_[0-9a-f]{24}", b"call", run(mapping, events, typed=typed)[0]))
        except Exception as error:
            outcomes.append(type(error).__name__)
    assert outcomes[0] == outcomes[1]


def test_an_error_event_is_a_fault():
    mapping = dialect(stream=BLOCKS).operations["chat"].stream
    with pytest.raises(StreamFault) as caught:
        run(mapping, [{"type": "error", "error": {"type": "overloaded_error", "message": "busy"}}])
    assert caught.value.report == {"message": "busy", "type": "overloaded_error"}


@pytest.mark.parametrize("data", [b"42", b"[1]", b"{", b'"x"', b"", b"null", b"\xff", b'{"type": "\xff"}', b"[" * 5000])
def test_what_is_no_event_is_refused(data):
    mapping = dialect(stream=BLOCKS).operations["chat"].stream
    with pytest.raises(ValueError, match="an event that is not"):
        run(mapping, [data])


WATCH = {
    "decode": "sse",
    "terminal": {"data": "[DONE]", "eof": "after_finish"},
    "usage_only": ".usage and not .choices[0]",
    "events": {"*": [{"each": ".choices", "finish": {"index": ".index", "reason": ".finish_reason"}}, {"usage": ".usage"}]},
}


def test_a_stream_that_is_only_watched():
    mapping = dialect(stream=WATCH).operations["chat"].stream
    assert mapping.passthrough
    stream = mapping.open(Context(model="m"))
    assert stream.event("", b'{"choices":[{"index":0,"delta":{"content":"x"},"finish_reason":null}]}')
    assert not stream.complete()
    assert stream.event("", b'{"choices":[{"index":0,"delta":{},"finish_reason":"stop"}]}')
    assert stream.complete()
    assert not stream.event("", b'{"choices":[],"usage":{"total_tokens":3}}')
    assert stream.usage == {"total_tokens": 3}
    assert not stream.ended
    stream.event("", b"[DONE]")
    assert stream.ended


def rewritten(events, rules=()):
    mapping = dialect(stream={"decode": "sse", "terminal": {"data": "[DONE]"}, "rewrite": list(rules)}).operations["chat"].stream
    assert not mapping.passthrough
    data, stream = run(mapping, events, wanted=False)
    return [chunk["choices"][0] for chunk in chunks(data)], stream


def delta(**more):
    return {"id": "c", "choices": [{"index": 0, "delta": more, "finish_reason": None}]}


def call(index, call_id, name, arguments):
    return {"index": index, "id": call_id, "type": "function", "function": {"name": name, "arguments": arguments}}


def test_calls_that_all_say_index_zero_are_told_apart():
    events = [delta(tool_calls=[call(0, f"c{n}", "f", f'{{"i":{n}}}')]) for n in range(3)]
    found, _ = rewritten([*events, {"choices": [{"index": 0, "delta": {}, "finish_reason": "stop"}]}, b"[DONE]"])
    indexes = [piece["index"] for choice in found for piece in choice["delta"].get("tool_calls", ())]
    assert indexes == [0, 1, 2]
    assert found[-1]["finish_reason"] == "tool_calls"


def test_an_id_and_a_name_repeated_are_said_once():
    events = [delta(tool_calls=[call(0, "c", "f", piece)]) for piece in ('{"a"', ": 1", "}")]
    found, _ = rewritten(events)
    assert [choice["delta"].get("tool_calls") for choice in found[1:4]] == [
        [call(0, "c", "f", '{"a"')],
        [{"index": 0, "function": {"arguments": ": 1"}}],
        [{"index": 0, "function": {"arguments": "}"}}],
    ]


def test_a_call_cut_by_the_length_limit_is_not_completed():
    found, _ = rewritten([delta(tool_calls=[call(0, "c", "f", "")]), {"choices": [{"index": 0, "delta": {}, "finish_reason": "length"}]}])
    assert found[-1]["finish_reason"] == "length"
    assert "{}" not in [piece["function"]["arguments"] for choice in found for piece in choice["delta"].get("tool_calls", ())]


def test_several_choices_each_have_their_role_and_finish():
    pieces = [{"choices": [{"index": n, "delta": {"role": "assistant", "content": "x"}, "finish_reason": None}]} for n in (0, 1)]
    ends = [{"choices": [{"index": n, "delta": {}, "finish_reason": "stop"}]} for n in (1, 0)]
    found, stream = rewritten([*pieces, *ends, b"[DONE]"])
    assert stream.complete()
    assert [choice["index"] for choice in found if "role" in choice["delta"]] == [0, 1]
    assert sorted(choice["index"] for choice in found if choice["finish_reason"]) == [0, 1]


def test_an_error_in_a_near_stream_is_a_fault():
    with pytest.raises(StreamFault):
        rewritten([delta(content="x"), {"error": {"message": "gone", "code": 502}}])


@given(st.lists(st.sampled_from(["<", "th", "ink", ">", "</", "a", " ", "\n", "<think>", "</think>"]), max_size=14), st.data())
def test_tags_are_split_alike_however_the_text_is_cut(pieces, data):
    from proxy.mapping.untag import Untag, untag_whole

    text = "".join(pieces)
    splitter = Untag("think")
    outside = inside = ""
    rest = text
    while rest:
        length = data.draw(st.integers(1, len(rest)))
        found = splitter.feed(rest[:length])
        outside, inside, rest = outside + found[0], inside + found[1], rest[length:]
    found = splitter.end()
    assert (outside + found[0], inside + found[1]) == untag_whole(text, "think")
    if "<think>" not in text:
        assert outside + found[0] == text


def test_untag_keeps_the_choices_of_one_chunk_apart():
    rules = [{"at": "choices[*].delta", "untag": {"tag": "think", "from": "content", "to": "reasoning_content"}}]
    pieces = [("<th", "Yes"), ("ink>hm</think>N", ", <b"), ("o", ">")]
    events = [{"choices": [{"index": n, "delta": {"content": text}} for n, text in enumerate(both)]} for both in pieces]
    found, _ = rewritten([*events, {"choices": [{"index": n, "delta": {}, "finish_reason": "stop"} for n in (0, 1)]}], rules)
    texts = {
        (choice["index"], name): "".join(other["delta"].get(name, "") for other in found if other["index"] == choice["index"])
        for choice in found
        for name in ("content", "reasoning_content")
    }
    assert texts == {
        (0, "content"): "No",
        (0, "reasoning_content"): "hm",
        (1, "content"): "Yes, <b>",
        (1, "reasoning_content"): "",
    }


def test_untag_in_a_stream_flushes_what_it_held():
    rules = [{"at": "choices[*].delta", "untag": {"tag": "think", "from": "content", "to": "reasoning_content"}}]
    events = [delta(content=piece) for piece in ("<th", "ink>hm", "m</thi", "nk>\n\nan", "swer")]
    found, _ = rewritten([*events, {"choices": [{"index": 0, "delta": {}, "finish_reason": "stop"}]}], rules)
    assert "".join(choice["delta"].get("reasoning_content", "") for choice in found) == "hmm"
    assert "".join(choice["delta"].get("content", "") for choice in found) == "answer"
    found, _ = rewritten([delta(content="<thi"), {"choices": [{"index": 0, "delta": {}, "finish_reason": "stop"}]}], rules)
    assert "".join(choice["delta"].get("content", "") for choice in found) == "<thi"
