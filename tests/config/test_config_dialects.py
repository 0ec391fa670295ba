"""Dialect files: one or many, alone or building on another."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from proxy.config.diagnostics import render
from proxy.config.dialects import Shelf, Spec, compile_file
from proxy.errors import ConfigError, Fault
from proxy.mapping.context import Context

BASE = """
dialect: base
provider: base.vendor
sources: [https://example.com]
auth: {header: x-key, prefix: "P "}
headers: {a: "1", b: "2"}
forward: [x-one]
traits: [{model: "*", size: 1}]
tables: {finish: {end: stop}, other: {a: b}}
defs: {usage: .usage}
errors: {when: .error, body: {message: .message}}
operations:
  chat:
    path: /chat
    request: {ignore: [user], members: {a: 1}}
    stream: {decode: sse, terminal: {data: "[DONE]"}, events: {"*": {usage: .usage}}}
  embeddings: {path: /embed}
  speech: {path: /speech}
"""

Shelved = Callable[..., Spec]


@pytest.fixture
def shelf(tmp_path: Path) -> Callable[..., Shelf]:
    """A shelf with `base` and the given dialects, written down."""

    def build(**texts: str) -> Shelf:
        paths: dict[str, Path | None] = {}
        for name, text in {"base": BASE, **texts}.items():
            paths[name] = tmp_path / f"{name}.yaml"
            (tmp_path / f"{name}.yaml").write_text(text, encoding="utf-8")
        return Shelf(paths)

    return build


def value(shelf: Shelf, name: str) -> dict[str, Any]:
    spec = shelf.spec(name)
    assert spec is not None, render(shelf.diagnostics)
    assert not shelf.diagnostics
    return spec.value()


def test_a_dialect_takes_over_all_it_does_not_say(shelf: Callable[..., Shelf]) -> None:
    found = value(shelf(mine="dialect: mine\nextends: base\n"), "mine")
    base = value(shelf(), "base")
    assert found == {**{key: part for key, part in base.items() if key != "provider"}, "dialect": "mine"}
    assert "sources" not in base


def test_a_part_that_is_given_replaces_the_other(shelf: Callable[..., Shelf]) -> None:
    found = value(
        shelf(
            mine="""
dialect: mine
extends: base
auth: {header: x-other}
headers: {b: "3"}
forward: [x-two]
tables: {finish: {done: stop}}
errors: {body: {type: .type}}
operations:
  chat:
    stream_path: /stream
    request: {ignore: [seed]}
    stream: {decode: ndjson}
"""
        ),
        "mine",
    )
    assert found["auth"] == {"header": "x-other"}
    assert found["headers"] == {"a": "1", "b": "3"}
    assert found["forward"] == ["x-two"]
    assert found["tables"] == {"finish": {"done": "stop"}, "other": {"a": "b"}}
    assert found["errors"] == {"when": ".error", "body": {"type": ".type"}}
    assert found["operations"]["chat"] == {
        "path": "/chat",
        "stream_path": "/stream",
        "request": {"ignore": ["seed"], "members": {"a": 1}},
        "stream": {"decode": "ndjson", "terminal": {"data": "[DONE]"}, "events": {"*": {"usage": ".usage"}}},
    }


def test_a_part_that_is_null_is_taken_away(shelf: Callable[..., Shelf]) -> None:
    found = value(
        shelf(
            mine="""
dialect: mine
extends: base
headers: {a: null}
forward: null
operations:
  chat: {request: {members: null, rewrite: [{drop: [user]}]}, stream: null}
  speech: null
"""
        ),
        "mine",
    )
    assert found["headers"] == {"b": "2"}
    assert "forward" not in found
    assert found["operations"] == {
        "chat": {"path": "/chat", "request": {"ignore": ["user"], "rewrite": [{"drop": ["user"]}]}},
        "embeddings": {"path": "/embed"},
    }


def test_only_some_operations_are_taken_over(shelf: Callable[..., Shelf]) -> None:
    found = value(shelf(mine="dialect: mine\nextends: base\nonly: [chat]\noperations: {images: {path: /i}}\n"), "mine")
    assert list(found["operations"]) == ["chat", "images"]


def test_own_traits_come_first_through_every_generation(shelf: Callable[..., Shelf]) -> None:
    shelved = shelf(
        child="dialect: child\nextends: base\ntraits: [{model: c, size: 2}, {model: d, size: 3}]\n",
        grandchild="dialect: grandchild\nextends: child\ntraits:\n  - {model: e}\n  - {model: f, size: 4}\n  - {model: g, size: 5}\n",
    )
    assert [row["model"] for row in value(shelved, "grandchild")["traits"]] == ["e", "f", "g", "c", "d", "*"]
    spec = shelved.spec("grandchild")
    assert spec is not None
    places = [spec.diagnostic(Fault(("traits", index, "size"), "x", "")) for index in range(6)]
    assert [Path(place.file).stem for place in places] == ["grandchild"] * 3 + ["child"] * 2 + ["base"]
    assert [place.source.strip() for place in places][2:] == [
        "- {model: g, size: 5}",
        "traits: [{model: c, size: 2}, {model: d, size: 3}]",
        "traits: [{model: c, size: 2}, {model: d, size: 3}]",
        'traits: [{model: "*", size: 1}]',
    ]


def test_names_of_its_own_vendor_are_not_taken_over(shelf: Callable[..., Shelf]) -> None:
    shelved = shelf(mine="dialect: mine\nextends: base\n")
    base, mine = shelved.spec("base"), shelved.spec("mine")
    assert base is not None
    assert mine is not None
    assert (base.provider, mine.provider) == ("base.vendor", None)


def test_a_dialect_may_replace_one_of_samewires_and_build_on_it(shelf: Callable[..., Shelf]) -> None:
    shelved = shelf(openai="dialect: openai\nextends: openai\nheaders: {x-mine: yes}\n", other="dialect: other\nextends: openai\n")
    assert value(shelved, "openai")["headers"] == {"x-mine": "yes"}
    assert value(shelved, "other")["headers"] == {"x-mine": "yes"}  # for all others the name means this one
    assert "embeddings" in value(shelved, "other")["operations"]


def test_a_folder_has_a_file_for_each_operation(tmp_path: Path) -> None:
    folder = tmp_path / "mine"
    (folder / "samples").mkdir(parents=True)
    (folder / "samples" / "case.yaml").write_text("not: [looked at", encoding="utf-8")
    (folder / "dialect.yaml").write_text("dialect: mine\nextends: openai\nonly: [speech]\ntables: {t: {a: b}}\n", encoding="utf-8")
    (folder / "chat.yaml").write_text('path: /talk\nresponse: {body: {x: ".x | map(t)"}}\n', encoding="utf-8")
    (folder / "embeddings.yaml").write_text("path: /embed\nrequest:\n", encoding="utf-8")
    dialect = compile_file(folder)
    assert sorted(dialect.operations) == ["chat", "embeddings", "speech"]
    response = dialect.operations["chat"].response
    assert response is not None
    assert response({"x": "a"}, Context(model="m"))["x"] == "b"


def test_one_file_by_itself(tmp_path: Path) -> None:
    file = tmp_path / "some-file.yaml"
    file.write_text("dialect: mine\noperations: {chat: {path: /talk}}\n", encoding="utf-8")
    assert compile_file(file).name == "mine"


@pytest.mark.parametrize("text", ["operations: {chat: {path: /x}}", "[]", "dialect: 5", "dialect: mine\nextends: nothing", "a: [", ""])
def test_a_file_that_is_no_dialect(tmp_path: Path, text: str) -> None:
    file = tmp_path / "mine.yaml"
    file.write_text(text, encoding="utf-8")
    with pytest.raises(ConfigError) as raised:
        compile_file(file)
    assert {found.file for found in raised.value.diagnostics} == {str(file)}


@pytest.mark.parametrize("name", ["../config", "a/b", "", ".", "README"])
def test_names_do_not_leave_the_folder(name: str) -> None:
    assert name not in Shelf()


def test_every_shipped_dialect_compiles() -> None:
    shelf = Shelf()
    for name in shelf.names():
        spec = shelf.spec(name)
        assert spec is not None, render(shelf.diagnostics)
        assert spec.compile().name == name
