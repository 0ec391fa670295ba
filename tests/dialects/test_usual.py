"""Requests whose messages are of the usual form: what the rules for those make of them is what those for all messages make."""

from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from proxy.config.dialects import Shelf
from proxy.mapping.context import Context
from proxy.mapping.mappings import Rejected, RequestMapping, read_usual

MODELS = {
    "anthropic": ["claude-sonnet-4-5", "claude-opus-5", "claude-3-haiku", "claude-sonnet-5-5"],
    "gemini": ["gemini-2.5-flash", "gemini-3-pro", "gemini-1.5-pro", "gemini-4-argon"],
}
DIALECTS = {name: Shelf().spec(name).compile() for name in MODELS}  # type: ignore[union-attr]
raws = msgspec.json.Decoder(dict[str, msgspec.Raw]).decode

texts = st.sampled_from(["", "hi", 'a "quoted"\nline', "ä€😀", "{}", '{"a": 1.50}', "[1]", "{bad", "\\"]) | st.text(max_size=5)
ids = st.sampled_from(["call_1", "call_2", "call_3", "ill egal!", "x" * 70, "call_1__thought__c2ln", ""])
calls = st.fixed_dictionaries(
    {"id": ids, "function": st.fixed_dictionaries({"name": texts, "arguments": texts})}, optional={"type": st.just("function")}
)
#: Now and then something unusual, which is to be seen.
odd = st.sampled_from(
    [{"name": "x"}, {"refusal": "no"}, {"audio": {"id": "a"}}, {"content": [{"type": "text", "text": "t"}]}, {"tool_calls": 1}]
)
nulls = st.fixed_dictionaries(
    {}, optional=dict.fromkeys(("refusal", "audio", "function_call", "content", "tool_calls", "tool_call_id"), st.none())
)
usual = st.fixed_dictionaries(
    {"role": st.sampled_from(["system", "developer", "user", "assistant", "tool", "tool", "assistant", "function"])},
    optional={"content": texts | st.none(), "tool_calls": st.lists(calls, max_size=3) | st.none(), "tool_call_id": ids},
)
messages = st.builds(lambda message, more: message | more, usual, st.just({}) | st.just({}) | nulls | odd)
bodies = st.fixed_dictionaries(
    {"messages": st.lists(messages, max_size=6)},
    optional={
        "max_tokens": st.integers(1, 5000),
        "temperature": st.sampled_from([0.5, 1, None]),
        "seed": st.just(7),
        "tools": st.just([{"type": "function", "function": {"name": "f", "parameters": {"type": "object"}}}]),
        "tool_choice": st.sampled_from(["auto", "none", "required", {"type": "function", "function": {"name": "f"}}]),
        "reasoning_effort": st.sampled_from(["none", "low", "high"]),
        "parallel_tool_calls": st.booleans(),
    },
)


def outcome(mapping: RequestMapping, document: dict[str, Any], context: Context) -> object:
    try:
        body, dropped = mapping(document, context)
    except Rejected as rejected:
        return rejected.message, rejected.param
    return msgspec.json.encode(body), dropped


@pytest.mark.parametrize("name", MODELS)
@settings(max_examples=300)
@given(body=bodies, data=st.data())
def test_both_make_the_same(name: str, body: dict[str, Any], data: st.DataObject) -> None:
    model = data.draw(st.sampled_from(MODELS[name]))
    chat = DIALECTS[name].operations["chat"]
    assert chat.request is not None
    assert chat.usual is not None
    context = Context(model=model, traits=DIALECTS[name].traits(model))
    text = msgspec.json.encode(body)
    read = read_usual(raws(text))
    if read is not None:
        assert outcome(chat.usual, read, context) == outcome(chat.request, msgspec.json.decode(text), context)


USUAL = [
    ({"role": "user", "content": "a"}, True),
    ({"role": "assistant", "content": None, "refusal": None, "audio": None}, True),
    ({"role": "assistant", "tool_calls": [{"id": "a", "type": "function", "function": {"name": "f", "arguments": "{}"}}]}, True),
    ({"role": "user", "content": [{"type": "text", "text": "a"}]}, False),
    ({"role": "user", "content": "a", "name": "me"}, False),
    ({"role": "assistant", "refusal": "no"}, False),
    ({"role": None, "content": "a"}, False),
    ({"content": "a"}, False),
    (None, False),
]


@pytest.mark.parametrize(("message", "fits"), USUAL)
def test_what_is_usual(message: object, fits: bool) -> None:
    found = read_usual(raws(msgspec.json.encode({"model": "m", "messages": [message], "n": 1})))
    assert (found is not None) is fits
    if found is not None:
        assert list(found) == ["model", "messages", "n"]


def test_messages_that_are_no_list_are_not() -> None:
    assert read_usual(raws(b'{"messages":{}}')) is None
    assert read_usual(raws(b'{"model":"m"}')) is None
