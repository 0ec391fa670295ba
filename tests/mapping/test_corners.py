"""What a careless compiler gets wrong: constants that requests share, loops and state read too late, parameters lost in silence."""

import json

import pytest
from compiling import dialect

from proxy.config.dialects import Shelf
from proxy.dialect import encode_segment
from proxy.errors import FaultError
from proxy.mapping.chunks import ChunkWriter
from proxy.mapping.context import Context


def opened(reasoning=("reasoning_content",), **parts):
    """Streams of one dialect, as many as are wanted."""
    mapping = dialect(**parts).operations["chat"].stream
    while True:
        yield mapping.open(Context(model="m"), ChunkWriter("m", 1, reasoning=reasoning))


def mapped(parameters, defs=None, **request):
    mapping = dialect(request=request, defs=defs or {}).operations["chat"].request
    return mapping({"model": "x", "messages": [], **parameters}, Context(model="m"))


# -- constants belong to one document ------------------------------------------------------------------------------------


@pytest.mark.parametrize("constant", [{"source": "rule"}, {"$lit": {"source": "rule"}}, ".known | map(objects)"])
def test_a_constant_that_a_later_rule_edits_stays_as_it_was(constant):
    rules = [{"set": {"metadata": constant}}, {"at": "metadata", "when": "$.user", "set": {"user": "$.user"}}]
    tables = {"objects": {"yes": {"source": "rule"}}}
    mapping = dialect(request={"rewrite": rules}, tables=tables).operations["chat"].request
    first, _ = mapping({"known": "yes", "user": "alice"}, Context(model="m"))
    second, _ = mapping({"known": "yes"}, Context(model="m"))
    assert first["metadata"] == {"source": "rule", "user": "alice"}
    assert second["metadata"] == {"source": "rule"}


@pytest.mark.parametrize(
    "field",
    ["$traits.extra", "$traits.extra | object", "$traits.none // $traits.extra", {"$if": "$traits.extra", "$then": "$traits.extra"}],
)
def test_a_trait_that_a_later_rule_edits_stays_as_it_was(field):
    rules = [{"set": {"extra": field}}, {"at": "extra.kept", "set": {"model": ".model // $model"}}]
    edited = dialect(traits=[{"model": "*", "extra": {"kept": {"a": 1}}}], request={"rewrite": rules})
    mapping = edited.operations["chat"].request
    for model in ("first", "second"):
        body, _ = mapping({"model": "x"}, Context(model=model, traits=edited.traits(model)))
        assert body["extra"] == {"kept": {"a": 1, "model": model}}


def test_what_the_last_touch_adds_to_an_answer_stays_with_it():
    call = {"type": "function", "function": {"name": "f"}}
    choice = {"finish_reason": "stop", "message": {"content": None, "tool_calls": [call]}}
    mapping = dialect(response={"body": {"object": "chat.completion", "id": ".id", "choices": [choice]}}).operations["chat"].response
    first, second = (mapping({"id": name}, Context(model="m"))["choices"][0]["message"]["tool_calls"][0]["id"] for name in "ab")
    assert first != second


def test_a_delta_chosen_among_constants_is_whole_in_each_stream():
    delta = {"$match": ".type", "a": {"content": "c", "reasoning_content": "r"}}
    streams = opened(("reasoning",), stream={"events": {"*": {"emit": {"delta": delta}}}})
    for stream in (next(streams), next(streams)):
        for _ in range(2):
            stream.event("", b'{"type":"a"}')
            assert b'"delta":{"content":"c","reasoning":"r"}' in stream.writer.take()


# -- streams ---------------------------------------------------------------------------------------------------------------

PIECE = {"emit": {"delta": {"content": ".text"}}}


def test_a_rule_emits_one_piece_after_the_other():
    pieces = [
        {"$each": ".texts", "$do": {"delta": {"content": "."}}},
        {"index": 1, "delta": {"content": ".last"}},
        {"delta": {"content": ".none"}},
    ]
    stream = next(opened(stream={"events": {"*": {"each": ".items", "emit": pieces}}}))
    stream.event("", b'{"items":[{"texts":["a","b"],"last":"c"},{"last":"d"}]}')
    chunks = [json.loads(line[6:])["choices"][0] for line in stream.writer.take().split(b"\n\n")[:-1]]
    assert [(chunk["index"], chunk["delta"]["content"]) for chunk in chunks if "role" not in chunk["delta"]] == [
        (0, "a"),
        (0, "b"),
        (1, "c"),
        (1, "d"),
    ]


def test_usage_that_a_later_event_does_not_tell_is_kept():
    stream = next(opened(stream={"events": {"*": {**PIECE, "usage": {"prompt_tokens": ".used"}}}}))
    stream.event("", b'{"used":3}')
    stream.event("", b'{"text":"a"}')
    assert stream.usage == {"prompt_tokens": 3}


@pytest.mark.parametrize("usage", [".used", {"$use": "usage", "$of": ".used"}, {"n": ".used.n"}])
def test_an_empty_usage_hides_none(usage):
    mapped = opened(stream={"events": {"*": {**PIECE, "usage": usage}}}, defs={"usage": {"n": ".n"}})
    watched = opened(stream={"events": {"*": {"usage": usage}}}, defs={"usage": {"n": ".n"}})
    for stream in (next(mapped), next(mapped), next(watched), next(watched)):
        for event in [b'{"used":{"n":3}}', *[b'{"used":{}}'] * 40, b'{"used":null}', b"{}"]:
            stream.event("", event)
        assert stream.usage == {"n": 3}


def test_usage_of_a_loop_is_that_of_its_last_item():
    rules = [PIECE, {"each": ".list", "usage": {"prompt_tokens": ".used"}}]
    stream = next(opened(stream={"events": {"*": rules}}))
    stream.event("", b'{"list":[{"used":3},{"used":5},null]}')
    assert stream.usage == {"prompt_tokens": 5}


def test_usage_of_the_state_is_that_of_its_moment():
    rules = [PIECE, {"when": ".tell", "usage": {"$use": "usage", "$of": "$s.seen"}}, {"set": {"seen": ".seen"}}]
    stream = next(opened(stream={"events": {"*": rules}}, defs={"usage": {"prompt_tokens": ".n"}}))
    for event in (b'{"seen":{"n":3}}', b'{"tell":true}', b'{"seen":{"n":9}}'):
        stream.event("", event)
    assert stream.usage == {"prompt_tokens": 3}


def test_a_def_over_the_state_counts_and_remembers_as_rules_do():
    defs = {"number": {"content": ". | ordinal(key) | to_json"}, "again": {"refusal": "$s.key"}}
    rules = {
        "set": {"key": ".key"},
        "emit": {"delta": {"$merge": [{"$use": "number", "$of": "$s.key"}, {"$use": "again", "$of": "$s.key"}]}},
    }
    streams = opened(stream={"events": {"*": rules}}, defs=defs)
    for stream in (next(streams), next(streams)):
        for key, number in ((b"x", b"0"), (b"y", b"1"), (b"x", b"0")):
            stream.event("", b'{"key":"%s"}' % key)
            assert b'"delta":{"content":"%s","refusal":"%s"}' % (number, key) in stream.writer.take()


# -- parameters carried and lost -----------------------------------------------------------------------------------------------

USER = {"u": "$.user"}


@pytest.mark.parametrize(
    ("parameters", "request_spec", "dropped"),
    [
        ({}, {"body": {"a": {"$each": ".tools", "$do": USER}}}, ("user",)),
        ({"tools": [{}]}, {"body": {"a": {"$each": ".tools", "$do": USER}}}, ("tools",)),
        ({}, {"body": {"a": {"x": ".x | required", "u": ".user"}}}, ("user",)),
        ({"x": 1}, {"body": {"a": {"x": ".x | required", "u": ".user"}}}, ()),
        ({}, {"body": {"a": {"$use": "user", "$of": ".x"}}}, ("user",)),
        ({"x": {}}, {"body": {"a": {"$use": "user", "$of": ".x"}}}, ("x",)),
        ({}, {"rewrite": [{"at": "tools[*]", "set": USER}, {"drop": ["user"]}]}, ("user",)),
        (
            {},
            {
                "rewrite": [
                    {"at": "tools[*]", "set": {"u": {"$if": "$.user", "$then": "$.user"}}},
                    {"set": {"id": ".user"}, "drop": ["user"]},
                ]
            },
            (),
        ),
        ({}, {"body": {"a": {"$if": "has(.user)", "$then": "y"}}}, ()),
        ({}, {"body": {"a": "(.none // [.user])"}}, ()),
        ({"max_tokens": 3}, {"body": {"u": ".user", "a": "($now | at_least(.max_tokens))"}}, ()),
        ({}, {"vars": {"a": {"$use": "name"}, "b": {"$use": "name"}}, "body": {"b": "$b"}}, ()),
        ({}, {"vars": {"a": "has(.user)"}, "body": {"b": {"$match": "$a", "true": "y"}}}, ()),
    ],
)
def test_what_is_reported_as_dropped(parameters, request_spec, dropped):
    _, found = mapped({"user": "u", **parameters}, {"user": USER, "name": ".user"}, **request_spec)
    assert found == dropped


# -- what the language bounds ----------------------------------------------------------------------------------------------------


def nested(depth, outer, inner):
    template = "."
    for _ in range(depth):
        template = {**outer, inner: template}
    return template


@pytest.mark.parametrize("body", [nested(25, {"$each": "."}, "$do"), nested(110, {"$if": "."}, "$then")])
def test_templates_nested_too_deeply_are_a_fault(body):
    with pytest.raises(FaultError) as caught:
        dialect(request={"body": {"a": body}})
    assert [fault.code for fault in caught.value.faults] == ["nested"]


@pytest.mark.parametrize("text", ["not " * 3000 + ".a", ".a < 1e999", ".a[?@ < 1e999]"])
def test_an_expression_out_of_bounds_is_a_fault(text):
    with pytest.raises(FaultError):
        dialect(request={"body": {"a": text}})


@pytest.mark.parametrize(
    "value", ["", ".", "..", "a/.", "./a", "a/./b", "a/../b", "a/", "/a", "a//b", "a%2e", "a?b", "a#b", "a\\b", "a\n", "é"]
)
def test_what_could_leave_its_place_in_an_address_is_refused(value):
    with pytest.raises(ValueError, match="address"):
        encode_segment(value, "id")


@pytest.mark.parametrize(
    ("value", "shown"), [("a/b-1.5:free", "a/b-1.5:free"), ("a b+c", "a%20b%2Bc"), ("v1.0", "v1.0"), ("@cf/a/b", "@cf/a/b")]
)
def test_what_stands_in_an_address(value, shown):
    assert encode_segment(value, "id") == shown


# -- whole answers that are decoded by type ------------------------------------------------------------------------------


ANSWER = {"object": "chat.completion", "id": ".id", "choices": [{"finish_reason": ".why", "message": {"content": ".parts[*].text | join"}}]}


def answers(text):
    """What is made of a whole answer: decoded by type, and in full."""
    operation = dialect(response={"body": ANSWER}, errors={"when": ".type == 'error'"}).operations["chat"]
    context = Context(model="m", now=1)
    return operation.response.read(text, context), lambda: operation.response(json.loads(text), context)


@pytest.mark.parametrize("parts", [[], [{"text": "a"}, {"text": "b", "more": [1, {"x": None}]}, {}], None])
def test_a_whole_answer_decoded_by_type_is_the_same(parts):
    typed, in_full = answers(json.dumps({"id": "1", "why": "stop", "parts": parts, "more": {}}).encode())
    assert typed is not None
    assert typed == in_full()


@pytest.mark.parametrize(
    "text",
    [b'{"type":"error","why":"stop"}', b'{"why":"stop","parts":"text"}', b'{"why":"stop","parts":[null]}', b"[]", b"{", b"", b'"\xff"'],
)
def test_what_is_no_answer_of_the_usual_form_is_decoded_in_full(text):
    assert answers(text)[0] is None


def test_an_answer_decoded_by_type_must_tell_its_end():
    with pytest.raises(ValueError, match="how it ended"):
        answers(b'{"id":"1","parts":[]}')


@pytest.mark.parametrize("name", ["anthropic", "gemini", "ollama"])
def test_chat_answers_are_decoded_by_type(name):
    assert Shelf().spec(name).compile().operations["chat"].response.decoder is not None
