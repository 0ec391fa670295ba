"""The recordings: every one named with its source, every placeholder known, every stream put together of whole frames."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st
from jsonschema import Draft202012Validator

from proxy.demo.flavour import RECORDINGS, Flavour, look
from proxy.demo.sample import sample

FLAVOURS = sorted(folder.parent for folder in RECORDINGS.glob("*/flavour.yaml"))
FILES = [file for folder in FLAVOURS for file in sorted(folder.iterdir()) if file.name != "flavour.yaml"]


def data(folder: Path) -> dict[str, Any]:
    loaded: dict[str, Any] = yaml.safe_load((folder / "flavour.yaml").read_text("utf-8"))
    return loaded


@pytest.mark.parametrize("folder", FLAVOURS, ids=lambda folder: folder.name)
def test_each_recording_has_a_source_and_each_source_a_recording(folder: Path) -> None:
    sources = data(folder)["sources"]
    assert set(sources) == {file.name for file in FILES if file.parent == folder}
    assert all({"repo", "path", "commit", "license"} <= source.keys() for source in sources.values())


@pytest.mark.parametrize("folder", FLAVOURS, ids=lambda folder: folder.name)
def test_each_flavour_has_text_reasoning_and_a_tool_call_whole_and_streamed(folder: Path) -> None:
    form = data(folder)
    expected = {use + form[lane]["file"] for use in ("text", "reasoning", "tool") for lane in ("whole", "stream")}
    assert set(form["sources"]) == expected


@pytest.mark.parametrize("file", FILES, ids=lambda file: f"{file.parent.name}/{file.name}")
def test_placeholders_are_known_and_the_rest_is_the_vendors_json(file: Path) -> None:
    form = data(file.parent)
    text = file.read_bytes().decode()
    assert set(re.findall(r"<<(\w+)", text)) <= set(form["fill"])
    filled = re.sub(r"<<.*?>>", '""', text)
    if file.suffix == ".json":
        assert isinstance(json.loads(filled), dict)
        return
    frame = form["stream"]["frame"]
    assert filled.endswith(frame)
    for piece in filled.removesuffix(frame).split(frame):
        line = piece.splitlines()[-1].removeprefix("data: ")
        assert line == "[DONE]" or isinstance(json.loads(line), dict)


@pytest.mark.parametrize(
    ("path", "value"),
    [("a.b", 1), ("a.c.0", "x"), ("a.c.-1", "z"), ("a.c.7", None), ("a.c.-7", None), ("a.c.x", None), ("a.b.c", None), ("q", None)],
)
def test_look(path: str, value: object) -> None:
    assert look({"a": {"b": 1, "c": ["x", "y", "z"]}}, path) == value


SCHEMAS: list[tuple[dict[str, Any], object]] = [
    ({"type": "object", "properties": {"a": {"type": "string"}, "b": {"type": "boolean"}}, "required": ["b"]}, {"b": True}),
    ({"type": "object", "properties": {"a": {"type": "number"}}}, {"a": 1}),
    ({"type": "OBJECT", "properties": {"a": {"type": "ARRAY", "items": {"type": "STRING"}, "minItems": 2}}}, {"a": ["example"] * 2}),
    ({"properties": {"a": {"enum": ["x", "y"]}}}, {"a": "x"}),
    ({"const": 3}, 3),
    ({"type": ["string", "null"], "format": "date"}, "2026-01-31"),
    ({"type": "string", "minLength": 9}, "example.."),
    ({"type": "string", "maxLength": 2}, "ex"),
    ({"anyOf": [{"type": "null"}, {"type": "string"}]}, None),
    ({"$defs": {"n": {"type": "integer"}}, "type": "object", "properties": {"n": {"$ref": "#/$defs/n"}}}, {"n": 1}),
    ({"$ref": "#/nowhere"}, None),
    ({}, None),
]


@pytest.mark.parametrize(("schema", "expected"), SCHEMAS)
def test_sample(schema: dict[str, Any], expected: object) -> None:
    assert sample(schema) == expected
    if str(schema.get("type", "")).islower():
        Draft202012Validator(schema).validate(expected)


def test_a_schema_that_refers_to_itself_ends() -> None:
    node: dict[str, Any] = {"type": "object", "properties": {"next": {"$ref": "#"}}, "required": ["next"]}
    assert json.dumps(sample(node)).count("next") < 20


NAMES = st.text(min_size=1, max_size=12)


@given(st.dictionaries(NAMES, st.sampled_from([{"type": "string"}, {"type": "integer"}, {"type": "boolean"}]), max_size=6))
def test_streamed_arguments_come_together_again(properties: dict[str, Any]) -> None:
    flavour = Flavour(RECORDINGS / "claude")
    schema = {"type": "object", "properties": properties}
    body = json.dumps({"model": "m", "stream": True, "tools": [{"name": "f", "input_schema": schema}]}).encode()
    pieces = b"".join(flavour.answer("/v1/messages", body).pieces).decode()
    events = [json.loads(line[6:]) for line in pieces.split("\n") if line.startswith("data: ")]
    fragments = [event["delta"]["partial_json"] for event in events if event.get("delta", {}).get("type") == "input_json_delta"]
    assert json.loads("".join(fragments)) == sample(schema)
