"""What the product finds wrong under its schemas is what a whole JSON Schema validator finds."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from jsonschema import Draft202012Validator

from proxy.config import shipped
from proxy.config.breaches import Validator
from proxy.config.files import DIALECTS
from proxy.config.yaml import parse

HERE = Path(__file__).parent
SCHEMAS = {name: json.loads((shipped("schemas") / f"{name}.schema.json").read_text("utf-8")) for name in ("routes", "dialect")}
ROUTES = [shipped("routes.yaml"), *sorted((HERE / "faults").rglob("*.yaml"))]
FILES = [*(("routes", path) for path in ROUTES), *(("dialect", path) for path in sorted((HERE / "faults").rglob("*.yaml")))]
FILES += [("dialect", path) for path in sorted(DIALECTS.rglob("*.yaml"))]


def theirs(schema: Any, value: Any) -> set[tuple[Any, ...]]:
    found = Draft202012Validator(schema).iter_errors(value)
    return {(tuple(error.absolute_path), error.validator, repr(error.instance), repr(error.validator_value)) for error in found}


def ours(schema: Any, value: Any) -> set[tuple[Any, ...]]:
    return {(breach.path, breach.rule, repr(breach.value), repr(breach.wanted)) for breach in Validator(schema).breaches(value)}


@pytest.mark.parametrize(("name", "path"), FILES, ids=lambda part: part if isinstance(part, str) else "/".join(part.parts[-2:]))
def test_a_file_is_judged_alike(name: str, path: Path) -> None:
    value = parse(path.read_text("utf-8"), path.name).value
    assert ours(SCHEMAS[name], value) == theirs(SCHEMAS[name], value)


VALUES = st.recursive(
    st.none() | st.booleans() | st.integers(-2, 70000) | st.sampled_from([0.0, 1.0, 1.5, "", "x", "true", "https://a.b", "12", "off"]),
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(st.sampled_from(["a", "x-y", "to", "model", "A b"]), inner, max_size=2),
    max_leaves=4,
)
DEFAULT = parse(shipped("routes.yaml").read_text("utf-8"), "routes.yaml").value
GEMINI = parse((DIALECTS / "gemini" / "dialect.yaml").read_text("utf-8"), "dialect.yaml").value


@st.composite
def bent(draw: st.DrawFn, whole: Any) -> Any:
    """A document with another value at one place, or a member more."""
    whole = json.loads(json.dumps(whole))
    place = whole
    while True:
        step = draw(st.sampled_from(sorted(place) if isinstance(place, dict) else range(len(place))))
        inner = place[step]
        if not isinstance(inner, dict | list) or not inner or draw(st.integers(0, 3)) == 0:
            if isinstance(place, dict) and draw(st.booleans()):
                step = draw(st.sampled_from(["a", "x-y", "to", "timeouts", "weight", "A b"]))
            place[step] = draw(VALUES)
            return whole
        place = inner


@settings(max_examples=150, deadline=None)
@given(value=bent(DEFAULT))
def test_a_bent_configuration_is_judged_alike(value: Any) -> None:
    assert ours(SCHEMAS["routes"], value) == theirs(SCHEMAS["routes"], value)


@settings(max_examples=100, deadline=None)
@given(value=bent(GEMINI))
def test_a_bent_dialect_is_judged_alike(value: Any) -> None:
    assert ours(SCHEMAS["dialect"], value) == theirs(SCHEMAS["dialect"], value)
