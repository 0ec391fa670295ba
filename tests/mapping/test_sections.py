"""The writer of a client dialect's streams: what it sees to by itself, whatever comes."""

from __future__ import annotations

import json
from typing import Any

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from proxy.codecs import SseDecoder
from proxy.codecs.framing import FRAMINGS
from proxy.mapping.code import Pieces
from proxy.mapping.context import Context
from proxy.mapping.failures import ErrorMapping
from proxy.mapping.faults import Faults
from proxy.mapping.sections import SectionsMapping, compile_sections
from proxy.mapping.stream import StreamFault
from proxy.mapping.streams import compile_stream
from proxy.mapping.writer import SectionWriter

SECTION = """
  open: [{type: open, n: .n, kind: .kind, name: .name}]
  piece: {type: piece, n: .n, text: $piece}
  close: [{type: close, n: .n, item: $item}]
  item: {kind: .kind, text: .text, arguments: .arguments, signature: .signature, id: .id, data: .data}
"""
RULES: dict[str, Any] = {
    "named": True,
    "begin": [{"type": "begin", "model": ".model", "known": ".usage.prompt_tokens"}],
    "sections": {name: yaml.safe_load(SECTION) for name in ("reasoning", "hidden", "text", "refusal", "call")},
    "end": yaml.safe_load("[{type: end, items: $items, finish: .finish, usage: .usage}]"),
    "fail": yaml.safe_load("[{type: fail, message: $failure.message, shown: $error.text}]"),
}
SIGNED = {"reasoning_content": "hm", "reasoning_details": [{"type": "reasoning.text", "index": 0, "text": "hm"}]}


def compiled(**changes: Any) -> SectionsMapping:
    faults = Faults()
    mapping = compile_sections(RULES | changes, ("stream",), Pieces(faults))
    faults.raise_if_any()
    return mapping


def opened(framing: str = "sse", **changes: Any) -> SectionWriter:
    return compiled(**changes).open(Context(model="theirs"), framing=FRAMINGS[framing])


def call(index: int, text: str, call_id: str | None = None) -> dict[str, Any]:
    named = {"id": call_id, "function": {"name": f"f{index}", "arguments": text}} if call_id else {"function": {"arguments": text}}
    return {"tool_calls": [{"index": index, **named}]}


def events(output: bytes) -> list[dict[str, Any]]:
    read = SseDecoder().feed(output)
    assert all(json.loads(data)["type"] == name for name, data in read)
    return [json.loads(data) for _, data in read]


def told(output: bytes) -> list[str]:
    """The events of a stream, a word each."""
    return [
        f"{event['type']} {event.get('n', '')} {event.get('text', event.get('name', event.get('kind', '')))}".strip()
        for event in events(output)
    ]


CASES: dict[str, tuple[list[dict[str, Any]], list[str]]] = {
    "text": (
        [{"content": "a"}, {"content": "b\n"}],
        ["begin", "open 0 text", "piece 0 a", "piece 0 b", "close 0", "end"],
    ),
    "reasoning with its text in two places counts once": (
        [SIGNED, {"reasoning_details": [{"type": "reasoning.text", "index": 0, "signature": "s"}]}, {"content": "a"}],
        ["begin", "open 0 reasoning", "piece 0 hm", "close 0", "open 1 text", "piece 1 a", "close 1", "end"],
    ),
    "another reasoning block is another section": (
        [SIGNED, {"reasoning_content": "ha", "reasoning_details": [{"type": "reasoning.text", "index": 1, "text": "ha"}]}],
        ["begin", "open 0 reasoning", "piece 0 hm", "close 0", "open 1 reasoning", "piece 1 ha", "close 1", "end"],
    ),
    "reasoning between texts": (
        [{"content": "a"}, {"reasoning": "r"}, {"content": "b"}],
        ["begin", "open 0 text", "piece 0 a", "close 0", "open 1 reasoning", "piece 1 r", "close 1",
         "open 2 text", "piece 2 b", "close 2", "end"],
    ),
    "hidden reasoning comes whole": (
        [{"reasoning_details": [{"type": "reasoning.encrypted", "data": "x"}]}],
        ["begin", "open 0 hidden", "close 0", "end"],
    ),
    "calls one after another": (
        [call(0, "", "a"), call(0, "{}"), call(1, "{}", "b")],
        ["begin", "open 0 f0", "piece 0 {}", "close 0", "open 1 f1", "piece 1 {}", "close 1", "end"],
    ),
    "a second call waits until the first is whole": (
        [call(0, '{"a":', "a"), call(1, "{", "b"), call(0, "1}"), call(1, "}"), {"content": "x"}],
        ["begin", "open 0 f0", 'piece 0 {"a":', "piece 0 1}", "close 0",
         "open 1 f1", "piece 1 {", "piece 1 }", "close 1", "open 2 text", "piece 2 x", "close 2", "end"],
    ),
    "a kind without rules is not shown": (
        [{"images": [{"image_url": {"url": "data:"}}]}, {"content": "a"}],
        ["begin", "open 0 text", "piece 0 a", "close 0", "end"],
    ),
    "nothing at all": ([], ["begin", "end"]),
}  # fmt: skip


@pytest.mark.parametrize("name", CASES)
def test_sections(name: str) -> None:
    deltas, expected = CASES[name]
    writer = opened()
    for delta in deltas:
        writer.emit(delta)
    writer.end()
    assert told(writer.take()) == expected


def test_what_is_kept_of_sections_is_repeated_at_the_end() -> None:
    writer = opened()
    for delta in (
        SIGNED,
        {"reasoning_details": [{"type": "reasoning.text", "index": 0, "signature": "s"}]},
        {"content": "a"},
        call(0, "", "c"),
    ):
        writer.emit(delta)
    writer.finish("stop")
    writer.usage = {"prompt_tokens": 1}
    writer.end()
    last = events(writer.take())[-1]
    assert last["items"] == [
        {"kind": "reasoning", "text": "hm", "signature": "s"},
        {"kind": "text", "text": "a"},
        {"kind": "call", "arguments": "{}", "id": "c"},
    ]
    assert (last["finish"], last["usage"]) == ("tool_calls", {"prompt_tokens": 1})


def test_the_head_and_early_usage_are_in_the_first_event() -> None:
    writer = opened()
    writer.head({"id": "x", "model": "first"})
    writer.head({"model": "second"})
    writer.usage = {"prompt_tokens": 7}
    writer.emit({"content": "a"})
    assert events(writer.take())[0] == {"type": "begin", "model": "first", "known": 7}


def test_variables_are_made_once_of_what_the_client_asked() -> None:
    asked = {"names": {"$index": "$req.tools", "$key": ".short", "$value": ".name"}}
    shown = {"text": {"close": {"type": "close", "name": "('a') | lookup($names)"}}}
    mapping = compiled(vars=asked, sections=shown, end=[{"type": "end", "name": "('b') | lookup($names)"}])
    tools = [{"short": "a", "name": "Anna"}, {"short": "b", "name": "Berta"}]
    writer = mapping.open(Context(model="m", req={"tools": tools}), framing=FRAMINGS["sse"])
    writer.emit({"content": "x"})
    writer.end()
    assert [event.get("name") for event in events(writer.take())] == [None, "Anna", "Berta"]


def test_a_section_knows_its_logprobs_and_the_last_one_the_finish() -> None:
    kept = {"text": {"piece": {"type": "piece", "text": "$piece"}, "close": {"type": "close", "all": ".logprobs", "end": "$stream.finish"}}}
    writer = opened(sections=kept, end=[])
    for token in ("a", "b"):
        writer.emit({"content": token}, 0, {"content": [{"token": token}]})
    writer.emit({"content": "c"})
    writer.finish("length")
    writer.end()
    assert events(writer.take())[-1] == {"type": "close", "all": [{"token": "a"}, {"token": "b"}], "end": "length"}


def test_events_are_numbered() -> None:
    writer = opened(numbered="seq")
    for text in ("a", "b", "c"):
        writer.emit({"content": text})
    first = writer.take()
    writer.emit({"content": "d"})
    writer.end()
    assert [event["seq"] for event in events(first + writer.take())] == list(range(8))


def test_a_piece_that_a_template_changes_is_made_anew_each_time() -> None:
    changed = {"text": {"piece": {"type": "piece", "text": "$piece | upper", "twice": "$piece"}}}
    writer = opened(sections=changed)
    for text in ("a", "b"):
        writer.emit({"content": text})
    assert [(event["text"], event["twice"]) for event in events(writer.take())[1:]] == [("A", "a"), ("B", "b")]


def test_a_failure_ends_nothing() -> None:
    writer = opened()
    writer.emit({"content": "a"})
    assert told(writer.take()) == ["begin", "open 0 text", "piece 0 a"]
    assert events(writer.fail({"message": "gone"}, {"text": "Gone."})) == [{"type": "fail", "message": "gone", "shown": "Gone."}]


def test_a_piece_of_a_call_that_was_over_is_refused() -> None:
    writer = opened()
    for delta in (call(0, "{}", "a"), call(1, "{}", "b")):
        writer.emit(delta)
    with pytest.raises(ValueError, match="over"):
        writer.emit(call(0, "x"))


@pytest.mark.parametrize(
    ("framing", "expected"), [("ndjson", b'{"type":"begin"}\n{"type":"end"}\n'), ("array", b'[\n{"type":"begin"},\n{"type":"end"}]')]
)
def test_framings(framing: str, expected: bytes) -> None:
    writer = opened(framing, begin=[{"type": "begin"}], end=[{"type": "end"}])
    writer.end()
    assert writer.take() == expected


def test_an_array_without_events_is_an_array() -> None:
    writer = opened("array", begin=[], end=[])
    writer.end()
    assert json.loads(writer.take()) == []


@pytest.mark.parametrize(
    ("rules", "hint"),
    [({"begun": []}, "begin"), ({"sections": {"txt": {}}}, "text"), ({"sections": {"text": {"pieces": {}}}}, "piece")],
)
def test_unknown_words_are_faults(rules: dict[str, Any], hint: str) -> None:
    faults = Faults()
    compile_sections(rules, ("stream",), Pieces(faults))
    assert [hint in fault.hint for fault in faults.found] == [True]


DELTAS = st.one_of(
    st.text(min_size=1, max_size=3).map(lambda text: {"content": text}),
    st.text(min_size=1, max_size=3).map(lambda text: {"reasoning_content": text}),
    st.tuples(st.integers(0, 2), st.text(min_size=1)).map(
        lambda piece: {"reasoning_details": [{"type": "reasoning.text", "index": piece[0], "text": piece[1]}]}
    ),
    st.just({"reasoning_details": [{"type": "reasoning.encrypted", "data": "x"}]}),
    st.text(min_size=1, max_size=3).map(lambda text: {"refusal": text}),
)


@given(st.lists(st.tuples(DELTAS, st.booleans())), st.integers(0, 3), st.booleans())
def test_every_stream_keeps_the_grammar(deltas: list[tuple[dict[str, Any], bool]], calls: int, numbered: bool) -> None:
    """begin (open piece* close)* end, sections numbered from 0, all text there once; wherever it is taken in between."""
    writer = opened(numbered="seq" if numbered else "")
    output, expected = b"", ""
    for delta, taken in deltas:
        writer.emit(json.loads(json.dumps(delta)))
        details = delta.get("reasoning_details", [{}])[0]
        expected += str(delta.get("content") or delta.get("reasoning_content") or delta.get("refusal") or details.get("text") or "")
        if taken:
            output += writer.take()
    for index in range(calls):
        writer.emit(call(index, "", f"c{index}"))
    for index in reversed(range(calls)):  # the other way round than they began
        writer.emit(call(index, '{"a":"'))
        writer.emit(call(index, '"}'))
        expected += '{"a":""}'
    writer.end()
    seen = events(output + writer.take())
    assert [event["type"] for event in (seen[0], seen[-1])] == ["begin", "end"]
    open_section, said, count = None, "", 0
    for event in seen[1:-1]:
        if event["type"] == "open":
            assert open_section is None
            open_section, count = event["n"], count + 1
            assert open_section == count - 1
        else:
            assert event["n"] == open_section
            said += event.get("text", "")
            open_section = None if event["type"] == "close" else open_section
    assert open_section is None
    assert said == expected
    assert len(seen[-1].get("items", [])) == count


def test_openais_chunks_are_put_through_the_writer() -> None:
    """A stream that passes by for a chat's client is written anew for others, usage and finish with it."""
    faults = Faults()
    rules = {
        "terminal": {"data": "[DONE]"},
        "events": {
            "*": [
                {"error": {"$if": ".error", "$then": {"message": ".error.message"}}},
                {"usage": ".usage"},
                {"each": ".choices", "finish": {"index": ".index // 0", "reason": ".finish_reason"}},
            ]
        },
    }
    mapping = compile_stream(rules, ("stream",), Pieces(faults), ErrorMapping(None, lambda *_: False, lambda *_: {}))
    faults.raise_if_any()
    writer = opened()
    stream = mapping.open(Context(model="m"), writer)
    head = {"id": "x", "model": "theirs too"}
    for chunk in (
        {**head, "choices": [{"index": 0, "delta": {"role": "assistant", "content": "", "refusal": None}, "finish_reason": None}]},
        {**head, "choices": [{"index": 0, "delta": {"content": "a", "odd": None}}]},
        {**head, "choices": [{"index": 0, "delta": {}, "finish_reason": "stop"}]},
        {**head, "choices": [], "usage": {"prompt_tokens": 2}},
    ):
        stream.read([("", json.dumps(chunk).encode())])
    stream.read([("", b"[DONE]")])
    assert stream.ended
    stream.end()
    seen = events(writer.take())
    assert [event["type"] for event in seen] == ["begin", "open", "piece", "close", "end"]
    assert (seen[0]["model"], seen[-1]["finish"], seen[-1]["usage"]) == ("theirs too", "stop", {"prompt_tokens": 2})
    with pytest.raises(StreamFault):
        mapping.open(Context(model="m"), opened()).read([("", b'{"error":{"message":"no"},"choices":[{"delta":{"content":"a"}}]}')])
