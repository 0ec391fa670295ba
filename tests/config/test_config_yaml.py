"""Strict YAML: 1.2's scalars, nothing twice, nothing endless, and every value with its place."""

from __future__ import annotations

import json
from typing import Any

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from proxy.config.yaml import MAX_DEPTH, MAX_NODES, Document, parse, plain_value

#: What YAML 1.1 (PyYAML by itself) reads otherwise, or what looks as if; YAML 1.2.2, 10.3.2.
SCALARS: list[tuple[str, Any]] = [
    ("yes", "yes"),
    ("no", "no"),
    ("on", "on"),
    ("off", "off"),
    ("y", "y"),
    ("NO", "NO"),
    ("true", True),
    ("True", True),
    ("TRUE", True),
    ("tRue", "tRue"),
    ("false", False),
    ("null", None),
    ("Null", None),
    ("~", None),
    ("", None),
    ("nULL", "nULL"),
    ("0", 0),
    ("012", 12),
    ("-012", -12),
    ("+3", 3),
    ("0o14", 12),
    ("0x1F", 31),
    ("-0x1F", "-0x1F"),
    ("0b11", "0b11"),
    ("1_000", "1_000"),
    ("1:30", "1:30"),
    ("12:30:45", "12:30:45"),
    ("2026-11-22", "2026-11-22"),
    ("1e3", 1000.0),
    ("1E+3", 1000.0),
    ("-1.5e-2", -0.015),
    (".5", 0.5),
    ("-.5", -0.5),
    ("5.", 5.0),
    (".", "."),
    ("-", "-"),
    ("+", "+"),
    ("...x", "...x"),
    (".a.b", ".a.b"),
    ("1.2.3", "1.2.3"),
    ("=", "="),
    ("123456789012345678901234567890", 123456789012345678901234567890),
    ("$.x", "$.x"),
    ("infinity", "infinity"),
    ("nan", "nan"),
]


@pytest.mark.parametrize(("text", "value"), SCALARS)
def test_plain_scalars(text: str, value: Any) -> None:
    found = plain_value(text)
    assert (type(found), found) == (type(value), value)


@pytest.mark.parametrize(("text", "value"), [case for case in SCALARS if case[0] not in ("-", "=")])
def test_scalars_in_a_document(text: str, value: Any) -> None:
    document = parse(f'plain: {text}\nquoted: "{text}"\nkeys: {{{text or "~"}: 1}}\n', "x")
    assert not document.faults
    assert document.value["plain"] == value
    assert document.value["quoted"] == text
    assert list(document.value["keys"]) == [text or "~"]


@pytest.mark.parametrize("text", [".inf", "-.inf", "+.INF", ".nan", ".NaN", "1e999", "-1e999", "9" * 5000])
def test_numbers_that_json_does_not_have(text: str) -> None:
    with pytest.raises(ValueError, match="number"):
        plain_value(text)


def codes(text: str) -> list[str]:
    return [fault.code for fault in parse(text, "x").faults]


BOMB = "a: &a [x, x, x, x, x, x, x, x, x]\n" + "".join(
    f"{after}: &{after} [{', '.join([f'*{before}'] * 9)}]\n" for before, after in zip("abcdefgh", "bcdefghi", strict=True)
)
#: Merge keys that double with every line.
MERGES = "a0: &a0 {x: 1}\nb0: &b0 {y: 1}\n" + "".join(
    f"{key}{n}: &{key}{n} {{<<: [*a{n - 1}, *b{n - 1}]}}\n" for n in range(1, 60) for key in "ab"
)
#: A chain of merges, longest link first asked for.
CHAIN = "c: [&a0 {x: 1}, " + ", ".join(f"&a{n} {{<<: *a{n - 1}}}" for n in range(1, 3000)) + "]\n<<: *a2999\n"


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        pytest.param(BOMB, ["yaml-aliases"], id="alias bomb"),
        pytest.param(CHAIN, ["yaml-depth"], id="chain of merges"),
        pytest.param("a: &a [*a]\n", ["yaml-depth"], id="itself in a list"),
        pytest.param("a: &a {b: *a}\n", ["yaml-depth"], id="itself in a map"),
        pytest.param("[" * 5000, ["yaml-depth"], id="5000 brackets"),
        pytest.param("{" * 5000, ["yaml-depth"], id="5000 braces"),
        pytest.param("[" * 300_000, ["yaml-depth"], id="300000 brackets"),
        pytest.param("{a: " * 100_000, ["yaml-depth"], id="maps in maps"),
        pytest.param("- " * 100_000 + "x", ["yaml-depth"], id="lists in lists"),
        pytest.param("? " * 100_000 + "x", ["yaml-depth"], id="keys in keys"),
        pytest.param("[\n" * 100_000, ["yaml-depth"], id="a bracket a line"),
        pytest.param("a: " + "[" * (MAX_DEPTH - 2) + "]" * (MAX_DEPTH - 2), [], id="as deep as may be"),
        pytest.param(f"[{', '.join(['x'] * (MAX_NODES - 2))}]", [], id="as many as may be"),
        pytest.param(MERGES, [], id="merges of merges"),
    ],
)
def test_bombs(text: str, expected: list[str]) -> None:
    assert codes(text) == expected


def test_aliases_and_merges() -> None:
    text = """
base: &base {a: 1, b: {c: 2}}
other: &other {b: 9, d: 4}
one: {<<: *base, a: 5}
two: {a: 5, <<: [*base, *other]}
three: *base
four: {"<<": 1}
"""
    document = parse(text, "x")
    assert not document.faults
    assert document.value["one"] == {"a": 5, "b": {"c": 2}}
    assert document.value["two"] == {"a": 5, "b": {"c": 2}, "d": 4}
    assert document.value["three"] == document.value["base"]
    assert document.value["three"] is not document.value["base"]
    assert document.value["four"] == {"<<": 1}


def test_a_merged_value_that_is_overridden_is_not_looked_at() -> None:
    seen: list[Any] = []

    def convert(text: str, plain: bool, path: Any) -> Any:
        seen.append((path, text))
        return text

    parse("a: &a {x: one, y: two}\nb: {<<: *a, x: three}\n", "x", convert)
    assert seen == [(("a", "x"), "one"), (("a", "y"), "two"), (("b", "x"), "three"), (("b", "y"), "two")]


def test_places() -> None:
    document = parse("a:\n  - b: 1\n    c: &x {d: 2}\n  - {<<: *x, e: 3}\n", "x")

    def place(*path: str | int) -> tuple[int | None, int, bool]:
        key, value, found = document.find(path)
        assert value is not None
        return key.start_mark.line if key else None, value.start_mark.line, found

    assert place("a", 0, "b") == (1, 1, True)
    assert place("a", 0, "c", "d") == (2, 2, True)
    assert place("a", 1, "d") == (2, 2, True)  # where it was written
    assert place("a", 1, "e") == (3, 3, True)
    assert place("a", 0, "nothing") == (None, 1, False)
    assert place("a", 7) == (0, 1, False)


@pytest.mark.parametrize("line_break", ["\n", "\r\n", "\r"])
def test_lines(line_break: str) -> None:
    document = parse(line_break.join(["# one", "a: 1", "a: 2", ""]), "x")
    (fault,) = document.faults
    assert (fault.line, fault.column, fault.source) == (3, 1, "a: 2")


def test_a_byte_order_mark_is_no_character() -> None:
    document = parse("\ufeffa: 1\na: 2\n", "x")
    assert [(fault.line, fault.column) for fault in document.faults] == [(2, 1)]


def written(document: Document, offset: int) -> str:
    """The character in the file that the value's character at `offset` was made of, with the rest of its line."""
    _, node, _ = document.find(("a", "b"))
    assert isinstance(node, yaml.ScalarNode)
    return document.text[document.inside(node, offset) :].split("\n")[0]


@pytest.mark.parametrize(
    ("text", "offset", "rest"),
    [
        ("a:\n  b: hello world", 6, "world"),
        ("a: {b: hello world}", 6, "world}"),
        ("a:\n  b: &x hello", 1, "ello"),
        ("a:\n  b: !!str hello", 1, "ello"),
        ("a:\n  b: 'it''s here'", 5, "here'"),
        ("a:\n  b: 'it''s here'", 2, "''s here'"),
        ('a:\n  b: "x \\u0041\\t\\x42c \\U0001F600d"', 5, 'c \\U0001F600d"'),
        ('a:\n  b: "x \\u0041\\t\\x42c \\U0001F600d"', 8, 'd"'),
        ('a:\n  b: "one \\\n    two"', 4, 'two"'),
        ("a:\n  b: one\n    two three", 8, "three"),
        ("a:\n  b: one\n\n    two", 4, "two"),
        ("a:\n  b: 'one\n\n\n    two'", 5, "two'"),
        ("a:\n  b: |\n    one\n    two three\n", 8, "three"),
        ("a:\n  b: |\n    one\n      two\n", 6, "two"),
        ("a:\n  b: >-\n    one\n    two three\n", 8, "three"),
        ("a:\n  b: |-\n\n    one", 1, "one"),
    ],
)
def test_a_character_of_a_scalar_in_the_file(text: str, offset: int, rest: str) -> None:
    document = parse(text, "x")
    assert not document.faults
    assert document.value["a"]["b"][offset] == (written(document, offset)[0] if rest[0] != "'" else "'")
    assert written(document, offset) == rest


WORDS = st.text(alphabet="ab'\"\\é\u20ac: #,[]{}\t\n😀", min_size=1, max_size=30)


@given(WORDS, st.sampled_from(["'", '"', "|"]))
def test_each_character_in_the_file(text: str, style: str) -> None:
    """Whatever PyYAML writes, each character is found where it was written, or the escape that stands for it is."""
    file = yaml.dump({"a": {"b": text}}, default_style=style, allow_unicode=True, width=20)
    document = parse(file, "x")
    assert not document.faults
    assert document.value == {"a": {"b": text}}
    _, node, _ = document.find(("a", "b"))
    assert isinstance(node, yaml.ScalarNode)
    places = [document.inside(node, offset) for offset in range(len(text))]
    assert places == sorted(places)
    for place, letter in zip(places, text, strict=True):
        assert file[place] in (letter, "\\", " ", "\n", "'"), (file, place, letter)


PRINTABLE = st.text(alphabet=st.characters(exclude_categories=("Cc", "Cs", "Cn", "Zl", "Zp")))


@given(
    st.recursive(st.none() | st.booleans() | st.integers() | PRINTABLE, lambda inner: st.lists(inner) | st.dictionaries(PRINTABLE, inner))
)
def test_json_is_yaml(value: Any) -> None:
    document = parse(json.dumps({"value": value}, ensure_ascii=False), "x")
    assert not document.faults
    assert document.value == {"value": value}
