"""`${…}` in scalars."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy.config.variables import MAX_FILE, Variables
from proxy.config.yaml import parse

ENVIRON = {"A": "one", "EMPTY": "", "NUMBER": "8080", "YES": "true", "DOLLAR": "$${A}", "LINES": "x\n  y: z"}


def never(path: Any) -> bool:
    return False


def fill(text: str, environ: dict[str, str] = ENVIRON, folder: Path = Path()) -> tuple[Any, Variables]:
    variables = Variables(environ, folder)
    document = parse(text, "x", variables.converter(never, lambda path: path == ("key",), lambda path: path == ("key",)))
    assert not document.faults
    return document.value, variables


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("${A}", "one"),
        ("x${A}y${A}z", "xoneyonez"),
        ("${EMPTY}", None),  # unquoted and empty is null, as everywhere in YAML
        ("'${EMPTY}'", ""),
        ("${NUMBER}", 8080),
        ("'${NUMBER}'", "8080"),
        ('"${NUMBER}"', "8080"),
        ("1${NUMBER}", 18080),
        ("${YES}", True),
        ("${NOT_SET:-5}", 5),
        ("${NOT_SET:-}", None),
        ("${EMPTY:-x}", "x"),
        ("${A:-x}", "one"),
        ("${NOT_SET:-${A}}", "one"),
        ("${NOT_SET:-a${NOT_SET:-b${A}}c}", "abonec"),
        ("${A:-${NOT_SET}}", "one"),  # what an unused default lacks is no fault
        ("${A:-${NOT_SET:?needed}}", "one"),
        ("${A:?needed}", "one"),
        ("$$", "$"),
        ("$${A}", "${A}"),
        ("$$$${A}", "$${A}"),
        ("$$${A}", "$one"),
        ("${NOT_SET:-$$}", "$"),
        ("${DOLLAR}", "$${A}"),  # what is filled in is not read again
        ("${LINES}", "x\n  y: z"),
        ("$", "$"),
        ("$A", "$A"),
        ("$.a[0].b", "$.a[0].b"),
        ("$name.a", "$name.a"),
        ("cost: $5", None),
        ("a } b", "a } b"),
    ],
)
def test_forms(text: str, value: Any) -> None:
    if ": $" in text:
        text, value = f"'{text}'", text
    found, variables = fill(f"a: {text}")
    assert not variables.faults
    assert (type(found["a"]), found["a"]) == (type(value), value)


def test_keys_are_left_alone() -> None:
    assert fill("$$a: 1\n${A}: 2\n")[0] == {"$$a": 1, "${A}": 2}


@pytest.mark.parametrize(
    ("text", "missing"),
    [
        ("${KEY}", ("KEY",)),
        ("${EMPTY}", ("EMPTY",)),
        ("${FIRST:-${SECOND}}", ("FIRST", "SECOND")),
        ("${FIRST:-}", ("FIRST",)),
        ("'  ${KEY} '", ("KEY",)),
        ("${A}", None),
        ("${KEY:-given}", None),
        ("written", None),
    ],
)
def test_a_key_may_be_missing(text: str, missing: tuple[str, ...] | None) -> None:
    value, variables = fill(f"key: {text}")
    assert not variables.faults
    assert variables.missing.get(("key",)) == missing
    assert isinstance(value["key"], str)


def test_a_key_of_digits_stays_text() -> None:
    assert fill("key: ${NUMBER}")[0] == {"key": "8080"}


def test_files(tmp_path: Path) -> None:
    (tmp_path / "key").write_text("se$cret${A}\n", encoding="utf-8")
    (tmp_path / "dos").write_bytes(b"x\r\n")
    (tmp_path / "two").write_bytes(b"x\n\n")
    value, variables = fill(f"a: ${{file:key}}\nb: ${{file:{tmp_path}/key}}\nc: '${{file:dos}}'\nd: '${{file:two}}'\n", folder=tmp_path)
    assert not variables.faults
    assert value == {"a": "se$cret${A}", "b": "se$cret${A}", "c": "x", "d": "x\n"}
    assert variables.files[0] == tmp_path / "key"


def test_a_file_that_is_no_small_text(tmp_path: Path) -> None:
    (tmp_path / "large").write_text("x" * (MAX_FILE + 1), encoding="utf-8")
    (tmp_path / "bytes").write_bytes(b"\xff\xfe\x00")
    _, variables = fill("a: ${file:large}\nb: ${file:bytes}\n", folder=tmp_path)
    assert [fault.code for fault in variables.faults] == ["variable-file", "variable-file"]
    assert "64 KiB" in variables.faults[0].message


@given(st.text(alphabet=st.characters(exclude_characters="$", exclude_categories=("Cs",))), st.sampled_from("'\""))
def test_text_without_a_dollar_is_never_changed(text: str, quote: str) -> None:
    variables = Variables({}, Path())
    convert = variables.converter(never, never, never)
    assert convert(text, False, ()) == text
    assert not variables.faults


@given(st.text(alphabet="ab${}:-?A $.[", max_size=25))
def test_any_text_gives_a_value_or_a_fault_inside_it(text: str) -> None:
    variables = Variables({"A": "1"}, Path("/nonexistent"))
    value = variables.converter(never, never, never)(text, False, ("x",))
    assert isinstance(value, str)
    for fault in variables.faults:
        assert text[fault.offset : fault.offset + 2] == "${"
        assert fault.offset + fault.length <= len(text)
    if "${" not in text:
        assert not variables.faults
        assert value == text.replace("$$", "$")


@given(
    st.lists(st.tuples(st.text(alphabet="xyz .", max_size=4), st.sampled_from(["A", "B"])), max_size=6),
    st.text(alphabet="${}:-AB", max_size=8),
)
def test_filled_in_text_is_taken_as_it_is(pieces: list[tuple[str, str]], value: str) -> None:
    source = "".join(f"{text}${{{name}}}" for text, name in pieces)
    variables = Variables({"A": value, "B": "b"}, Path())
    expected = "".join(text + {"A": value, "B": "b"}[name] for text, name in pieces)
    assert variables.converter(never, never, never)(source, False, ()) == expected
