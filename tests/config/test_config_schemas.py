"""The JSON Schemas: whole, described, and of one mind with the code and the files."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import MISSING, fields
from pathlib import Path
from typing import Any

import pytest
from jsonschema import Draft202012Validator

from proxy.client_dialect import Operation
from proxy.config import schema, shipped
from proxy.config.client_dialects import read_spec
from proxy.config.dialects import DIALECTS
from proxy.config.files import CLIENT_DIALECTS
from proxy.config.model import Limits, Log, Route, Server, Timeouts
from proxy.config.policy import CLASSES, REASONS, Concurrency, Cooldown, Failover, Retry
from proxy.config.routes import _failover
from proxy.config.server import size
from proxy.config.yaml import parse
from proxy.mapping.section import KINDS

NAMES = ("routes", "dialect", "client")
SCHEMAS: dict[str, dict[str, Any]] = {name: json.loads((shipped("schemas") / f"{name}.schema.json").read_text("utf-8")) for name in NAMES}
#: Keywords whose breach is told in words of our own (`proxy.config.schema`), and those that say nothing about a value by themselves.
KNOWN = set(schema._RULES) | {
    *("$schema", "$id", "$defs", "$ref", "title", "description", "examples", "default", "errorMessage", "patternErrorMessage"),
    *("properties", "patternProperties", "items", "if", "then"),
}


def subschemas(node: Any, path: str = "") -> Iterator[tuple[str, dict[str, Any]]]:
    """Every schema in a schema."""
    yield path, node
    for key in ("properties", "$defs", "patternProperties"):
        for name, inner in node.get(key, {}).items():
            yield from subschemas(inner, f"{path}/{key}/{name}")
    for key in ("items", "additionalProperties", "propertyNames"):
        if isinstance(node.get(key), dict):
            yield from subschemas(node[key], f"{path}/{key}")


def resolved(name: str, node: dict[str, Any]) -> dict[str, Any]:
    """A schema with what its $ref says."""
    while "$ref" in node:
        target: Any = SCHEMAS[name]
        for step in node["$ref"].removeprefix("#/").split("/"):
            target = target[step]
        node = {**target, **{key: value for key, value in node.items() if key != "$ref"}}
    return node


@pytest.mark.parametrize("name", NAMES)
def test_it_is_a_schema(name: str) -> None:
    Draft202012Validator.check_schema(SCHEMAS[name])
    assert SCHEMAS[name]["$schema"] == "https://json-schema.org/draft/2020-12/schema"
    assert SCHEMAS[name]["$id"].endswith(f"/{name}.schema.json")


@pytest.mark.parametrize("name", NAMES)
def test_every_rule_can_be_told(name: str) -> None:
    for path, node in subschemas(SCHEMAS[name]):
        assert node.keys() <= KNOWN, path
        assert "pattern" not in node or "patternErrorMessage" in node, path


@pytest.mark.parametrize("name", NAMES)
def test_every_property_is_described_by_example(name: str) -> None:
    for path, node in subschemas(SCHEMAS[name]):
        if path.rpartition("/")[0].endswith(("/properties", "properties")):
            whole = resolved(name, node)
            assert whole.get("description"), path
            assert whole.keys() & {"examples", "default"}, path


@pytest.mark.parametrize("name", NAMES)
def test_examples_and_defaults_fit(name: str) -> None:
    for path, node in subschemas(SCHEMAS[name]):
        own = {key: value for key, value in node.items() if key not in ("$id", "$schema")}
        validator = Draft202012Validator({**own, "$defs": SCHEMAS[name].get("$defs", {})})
        for example in [*node.get("examples", ()), *([node["default"]] if "default" in node else [])]:
            assert not list(validator.iter_errors(example)), (path, example)


@pytest.mark.parametrize("name", NAMES)
def test_maps_take_no_unknown_keys(name: str) -> None:
    """But traits and tables, whose keys are the user's."""
    for path, node in subschemas(SCHEMAS[name]):
        if "properties" in node and not path.endswith("traits/items"):
            assert node["additionalProperties"] is False, path


def test_what_both_share_is_the_same() -> None:
    both = SCHEMAS["routes"]["$defs"].keys() & SCHEMAS["dialect"]["$defs"].keys()
    assert both >= {"template", "condition", "rewrite", "rule", "traits", "tables", "errors"}
    for name in both:
        assert SCHEMAS["routes"]["$defs"][name] == SCHEMAS["dialect"]["$defs"][name]
    for name in ("template", "condition", "traits", "tables"):
        assert SCHEMAS["client"]["$defs"][name] == SCHEMAS["dialect"]["$defs"][name]


def section(name: str) -> dict[str, Any]:
    properties: dict[str, Any] = SCHEMAS["routes"]["$defs"][name]["properties"]
    return properties


def test_the_defaults_an_editor_shows_are_those_of_the_code() -> None:
    server, route = section("server"), section("route")
    limits = {key: size(node["default"]) for key, node in server["limits"]["properties"].items()}
    assert limits == {field.name: getattr(Limits(), field.name) for field in fields(Limits)}
    assert {key: node["default"] for key, node in server["log"]["properties"].items()} == {"level": Log().level, "requests": Log().requests}
    assert {key: node.get("default") for key, node in section("timeouts").items()} == {
        field.name: getattr(Timeouts(), field.name) for field in fields(Timeouts)
    }
    assert (server["port"]["default"], server["drain"]["default"], server["event_loop"]["default"]) == (8787, 30, "auto")
    assert (server["host"]["default"],) == Server().hosts
    assert (server["workers"]["default"], server["watch"]["default"]) == (Server().workers, Server().watch)
    plain = Route(None, None, ())
    shown = {
        Retry: route["retry"],
        Cooldown: section("provider")["cooldown"],
        Concurrency: section("provider")["concurrency"],
    }
    for kind, node in shown.items():
        assert {key: part["default"] for key, part in node["properties"].items() if "default" in part} == {
            field.name: field.default for field in fields(kind) if field.default is not MISSING
        }
    assert route["failover"]["properties"]["maybe_processed"]["default"] == Failover().maybe_processed
    assert _failover(route["failover"]["properties"]["on"]["default"]) == Failover()
    words = SCHEMAS["routes"]["$defs"]["causes"]["items"]["pattern"].strip("^()$").split("|")
    assert words == [*REASONS, *CLASSES]
    for key in ("unsupported", "answer_model", "credential", "reasoning_field"):
        assert route[key]["default"] == getattr(plain, key)


@pytest.mark.parametrize("path", sorted(DIALECTS.rglob("*.yaml")), ids=lambda path: str(path.relative_to(DIALECTS)))
def test_shipped_dialects_fit(path: Path) -> None:
    document = parse(path.read_text(encoding="utf-8"), path.name)
    assert not document.faults
    operation = path.parent != DIALECTS and path.name != "dialect.yaml"
    assert not schema.check({"dialect": "x", "operations": {"x": document.value}} if operation else document.value, "dialect")


@pytest.mark.parametrize("path", sorted(CLIENT_DIALECTS.iterdir()), ids=lambda path: path.stem)
def test_client_dialects_fit(path: Path) -> None:
    assert not schema.check(read_spec(path), "client")


def test_the_schema_of_client_dialects_knows_what_the_code_knows() -> None:
    defs = SCHEMAS["client"]["$defs"]
    told = {key: node["default"] for key, node in defs["operation"]["properties"].items() if "default" in node}
    assert told.pop("framing") == "sse"
    assert told == {field.name: field.default for field in fields(Operation) if field.name in told}
    assert list(defs["chat"]["properties"]["stream"]["properties"]["sections"]["properties"]) == list(KINDS)
