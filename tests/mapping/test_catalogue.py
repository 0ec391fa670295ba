"""Every filter of the catalogue does what its examples say; the catalogue stays small; the documentation's table is it."""

from pathlib import Path

import pytest
from compiling import evaluate

from proxy.mapping.catalogue import ENTRIES, FILTERS, OPERATORS

EXAMPLES = [(entry.name, example) for entry in ENTRIES for example in entry.examples]


@pytest.mark.parametrize(("name", "example"), EXAMPLES, ids=[f"{name}: {example.expression}" for name, example in EXAMPLES])
def test_example(name, example):
    assert evaluate(example.expression, example.given, example.spec) == example.result


def test_every_filter_has_an_example():
    assert [entry.name for entry in ENTRIES if not entry.examples and entry.name != "required"] == []


def test_an_absent_value_stays_absent_through_every_filter():
    spec = {"tables": {"t": {"a": 1, "$else": 2}}, "schemas": {"s": {}}}
    arguments = {"table": "t", "schema": "s", "value": "1", "text": "'x'", "separator": "'x'", "number": "1"}
    for entry in FILTERS.values():
        if entry.name == "required":
            continue
        words = [entry.words[0] if kind == "word" and entry.words else arguments.get(kind, "w") for kind in entry.arguments]
        call = f"{entry.name}({', '.join(words)})" if words else entry.name
        assert evaluate(f".missing | {call}", {}, spec) is None, call


def test_the_catalogue_is_small():
    assert len(FILTERS) + len(OPERATORS) <= 46


def test_the_documentation_lists_the_catalogue():
    readme = (Path(__file__).parents[2] / "proxy/dialects/README.md").read_text()
    rows = [f"| `{entry.signature}` | {entry.does} |" for entry in ENTRIES]
    assert [row for row in rows if row not in readme] == []
