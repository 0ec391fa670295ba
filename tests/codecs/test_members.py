"""Members: top-level members, their spans, and changes that leave everything else byte for byte."""

import json
import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy.codecs import Members, MembersError

SPACED = b' {\n  "model" : "gpt" ,\n  "n":\t1e2,"stream": true, "\\u0061\\"\\\\" : {"model": "x"} }\r\n'
COMPACT = b'{"model":"gpt","n":1e2,"stream":true,"a":{"model":"x"}}'


def test_get():
    members = Members.parse(SPACED)
    assert members.get("model") == b'"gpt"'
    assert members.get("n") == b"1e2"
    assert members.get('a"\\') == b'{"model": "x"}'
    assert members.get("x") is None
    assert Members.parse(b'{"a":null}').get("a") == b"null"


SPLICES = [
    # (text, changes, result)
    (COMPACT, {}, COMPACT),
    (COMPACT, {"model": b'"o"'}, b'{"model":"o","n":1e2,"stream":true,"a":{"model":"x"}}'),
    (COMPACT, {"n": None}, b'{"model":"gpt","stream":true,"a":{"model":"x"}}'),
    (COMPACT, {"z": b"0", "y": b"[]"}, b'{"model":"gpt","n":1e2,"stream":true,"a":{"model":"x"},"z":0,"y":[]}'),
    (COMPACT, {"none": None}, COMPACT),
    (SPACED, {}, SPACED),
    (SPACED, {"model": b'"o"'}, SPACED.replace(b'"gpt"', b'"o"')),
    (SPACED, {"stream": b"false", "model": b'"o"'}, SPACED.replace(b'"gpt"', b'"o"').replace(b"true", b"false")),
    (b'{"a": 1, "b": 2}', {"a": None}, b'{ "b": 2}'),
    (b'{"a": 1, "b": 2}', {"b": None}, b'{"a": 1}'),
    (b'{"a": 1, "b": 2, "c": 3}', {"b": None}, b'{"a": 1, "c": 3}'),
    (b'{"a": 1, "b": 2, "c": 3}', {"a": None, "b": None}, b'{ "c": 3}'),
    (b'{"a": 1, "b": 2, "c": 3}', {"a": None, "c": None}, b'{ "b": 2}'),
    (b'{"a": 1, "b": 2}', {"a": None, "b": None}, b"{}"),
    (b'{"a": 1, "b": 2}', {"a": None, "b": None, "c": b"3", "d": b"4"}, b'{"c":3,"d":4}'),
    (b'{"a": 1, "b": 2}', {"b": None, "c": b"3"}, b'{"a": 1,"c":3}'),
    (b'{"a": 1 }', {'q"\n': b"2"}, b'{"a": 1,"q\\"\\n":2 }'),
    (b"{ }", {"a": b"1", "b": b"2"}, b'{"a":1,"b":2 }'),
    (b"{}", {"a": b"1"}, b'{"a":1}'),
    (b"{}", {"a": None}, b"{}"),
]


@pytest.mark.parametrize(("text", "changes", "result"), SPLICES)
def test_splice(text, changes, result):
    assert Members.parse(text).splice(changes) == result


FAULTS = [
    (b"", "not valid JSON"),
    (b"{", "not valid JSON"),
    (b'{"a":1}x', "not valid JSON"),
    (b'{"a":01}', "not valid JSON"),
    (b'{"a":NaN}', "not valid JSON"),
    (b'{"a":[1,]}', "not valid JSON"),
    (b"{'a':1}", "not valid JSON"),
    (b'{"a":"\n"}', "not valid JSON"),
    (b'{"\xff":1}', "not valid JSON"),
    (b'\xef\xbb\xbf{"a":1}', "not valid JSON"),
    ('{"a":1}'.encode("utf-16"), "not valid JSON"),
    (b"[1]", "must be a JSON object"),
    (b'"a"', "must be a JSON object"),
    (b"null", "must be a JSON object"),
    (b'{"a":' + b"[" * 100_000 + b"]" * 100_000 + b"}", "nested too deeply"),
    (b'{"a":' * 100_000 + b"1" + b"}" * 100_000, "nested too deeply"),
]


@pytest.mark.parametrize(("text", "message"), FAULTS, ids=range(len(FAULTS)))
def test_faults(text, message):
    with pytest.raises(MembersError, match=message) as caught:
        Members.parse(text)
    assert caught.value.member is None


DUPLICATES = [
    (b'{"model":"a","model":"a"}', "model"),
    (b'{"model":"a","model":"b"}', "model"),
    (b'{"model":"a","n":1,"model":"longer"}', "model"),
    (b'{"model": "longer", "n": 1, "model": "a"}', "model"),
    (b'{"model":"a","mod\\u0065l":"b"}', "model"),
    (b'{"\\u006dodel":"a","model":"a"}', "model"),
    (b'{"n":1,"n":12}', "n"),
    (b'{"n":12,"n":1}', "n"),
    (b'{"a":1,"b":2,"b":2 , "c":3}', "b"),
    # The first reading's value hides a text that continues as the second one's.
    (b'{"a":{"x":1,"b":2},"a":123456,"b":3}', "a"),
    (b'{"a":1,"b":[{"x":1 ,      "b":22222}],"a":123456789012345678}', "a"),
    # A name whose backslash reads like an escaped quote.
    (b'{"a\\\\":1,"a\\":1":2,"a\\":1":3}', 'a":1'),
    (b'{"' + b"k" * 1000 + b'":1,"' + b"k" * 1000 + b'":2}', "k" * 64),
]


@pytest.mark.parametrize(("text", "name"), DUPLICATES)
def test_a_name_that_appears_twice(text, name):
    with pytest.raises(MembersError, match="more than one member named") as caught:
        Members.parse(text)
    assert caught.value.member == name


def test_names_may_repeat_further_down():
    text = b'{"a":{"b":1,"b":2}, "b":[{"a":1,"a":2}]}'
    assert Members.parse(text).splice({"c": b"3"}) == text[:-1] + b',"c":3}'


@pytest.mark.parametrize("size", [100, 2**16, 2**18])
def test_a_large_body(size):
    text = b'{"model":"m","messages":[{"role":"user","content":"%b"}],"stream":false}' % (b"A" * size)
    members = Members.parse(text)
    assert members.splice({"model": b'"other"'}) == text.replace(b'"m"', b'"other"')
    assert members.get("messages") == text[24:-16]


def test_a_name_of_a_million_escapes():
    name = b"\\n" * 1_000_000
    assert Members.parse(b'{"%b": 1, "b": 2}' % name).splice({"b": b"3"}) == b'{"%b": 1, "b": 3}' % name


NAMES = st.text(st.characters(codec="utf-8"), max_size=4) | st.sampled_from(["model", "stream", "n", 'a"', "a\\", "a,b", "{", "}"])
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(st.characters(codec="utf-8")),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(NAMES, inner, max_size=3),
    max_leaves=6,
)
OBJECTS = st.dictionaries(NAMES, VALUES, max_size=6)


def write(pairs: list[tuple[str, object]], seed: int) -> bytes:
    """JSON text with any white space and any way to write a name's characters."""
    rand = random.Random(seed)
    gap = lambda: "".join(rand.choices(" \t\n\r", k=rand.choice([0, 0, 0, 1, 3])))  # noqa: E731

    def name(text: str) -> str:
        units = text.encode("utf-16-be")
        escaped = "".join(f"\\u{units[at] << 8 | units[at + 1]:04x}" for at in range(0, len(units), 2))
        return f'"{escaped}"' if rand.random() < 0.3 else json.dumps(text, ensure_ascii=rand.random() < 0.5)

    members = [f"{gap()}{name(key)}{gap()}:{gap()}{json.dumps(value, indent=rand.choice([None, 1]))}{gap()}" for key, value in pairs]
    return f"{gap()}{{{','.join(members) or gap()}}}{gap()}".encode()


SEEDS = st.integers(0, 2**32)


@given(OBJECTS, st.dictionaries(NAMES, st.none() | VALUES.map(json.dumps), max_size=4), st.sets(st.integers(0, 5)), SEEDS)
def test_any_object_with_any_change(document, changes, removed, seed):
    for compact in (False, True):
        text = json.dumps(document, ensure_ascii=False, separators=(",", ":")).encode() if compact else write(list(document.items()), seed)
        members = Members.parse(text)
        for name, value in document.items():
            assert json.loads(members.get(name)) == value
        assert members.splice({}) == text
        names = list(document)
        edit = {**changes, **{names[at]: None for at in removed if at < len(names)}}
        result = members.splice({name: value.encode() if value is not None else None for name, value in edit.items()})
        merged = {**document, **{name: json.loads(value) for name, value in edit.items() if value is not None}}
        expected = [(name, value) for name, value in merged.items() if edit.get(name, "") is not None]
        assert json.loads(result, object_pairs_hook=list) == json.loads(json.dumps(dict(expected)), object_pairs_hook=list)


@given(OBJECTS.filter(bool), VALUES, SEEDS, st.data())
def test_any_duplicate_is_found(document, value, seed, data):
    pairs = list(document.items())
    name = data.draw(st.sampled_from(list(document)))
    pairs.insert(data.draw(st.integers(0, len(pairs))), (name, value))
    with pytest.raises(MembersError) as caught:
        Members.parse(write(pairs, seed))
    assert caught.value.member == name
