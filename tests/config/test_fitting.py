"""The quick look at a document says of it what jsonschema says."""

import copy
import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from jsonschema import Draft202012Validator

from proxy.config import shipped
from proxy.config.fitting import fits
from proxy.config.yaml import parse

FOLDER = Path(__file__).parent
SCHEMAS = {name: json.loads((shipped("schemas") / f"{name}.schema.json").read_text("utf-8")) for name in ("routes", "dialect")}
VALIDATORS = {name: Draft202012Validator(schema) for name, schema in SCHEMAS.items()}
DIALECTS = sorted(path for path in (shipped("schemas").parent / "proxy/dialects/upstream").rglob("*.yaml"))
FILES = [("routes", shipped("routes.yaml")), *(("dialect", path) for path in DIALECTS)]
ODD = [None, True, False, 0, 1, -1, 1.0, 1.5, "", "a", "*", "x-a", [], [1], ["a"], {}, {"a": 1}, {"x-a": 1}, {"model": "m", "to": "p/m"}]


def read(path: Path) -> Any:
    return parse(path.read_text("utf-8"), path.name).value


def whole(name: str, path: Path) -> Any:
    """A document as the schema has it: an operation's file is a part of one."""
    found = read(path)
    return found if name == "routes" or "dialect" in found else {"dialect": "x", "operations": {path.stem: found}}


DOCUMENTS = [(name, whole(name, path)) for name, path in FILES]


def places(value: Any) -> list[tuple[Any, Any]]:
    """Every member and item: what it is in, and its name or index."""
    inner = list(value.items()) if isinstance(value, dict) else list(enumerate(value)) if isinstance(value, list) else []
    return [(value, key) for key, _ in inner] + [place for _, part in inner for place in places(part)]


@pytest.mark.parametrize(("name", "document"), DOCUMENTS, ids=[path.stem for _, path in FILES])
def test_what_comes_with_samewire_is_certain_to_fit(name: str, document: Any) -> None:
    assert fits(document, SCHEMAS[name])


@pytest.mark.parametrize("path", sorted(FOLDER.glob("faults/**/*.yaml")), ids=lambda path: str(path.relative_to(FOLDER)))
def test_both_judge_the_faulty_files_alike(path: Path) -> None:
    document = read(path)
    for name, schema in SCHEMAS.items():
        assert fits(document, schema) is VALIDATORS[name].is_valid(document)


@settings(max_examples=400)
@given(data=st.data())
def test_both_judge_damaged_files_alike(data: st.DataObject) -> None:
    name, document = data.draw(st.sampled_from(DOCUMENTS))
    document = copy.deepcopy(document)
    for _ in range(data.draw(st.integers(1, 2))):
        owner, key = data.draw(st.sampled_from(places(document)))
        change = data.draw(st.sampled_from(["put", "take", "add"]))
        if change == "put":
            owner[key] = copy.deepcopy(data.draw(st.sampled_from(ODD)))
        elif change == "take":
            del owner[key]
        elif isinstance(owner, dict):
            owner[data.draw(st.sampled_from(["x-new", "new", "", "to", "key"]))] = copy.deepcopy(data.draw(st.sampled_from(ODD)))
    assert fits(document, SCHEMAS[name]) is VALIDATORS[name].is_valid(document)


def test_a_keyword_that_is_not_known_is_for_jsonschema_to_judge() -> None:
    assert fits({"a": 1}, {"type": "object"})
    assert not fits({"a": 1}, {"type": "object", "maxProperties": 2})
    assert not fits(1, {"not": {"multipleOf": 2}})
