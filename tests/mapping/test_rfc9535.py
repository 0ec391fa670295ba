"""The standard's own compliance suite against the compiled paths: what is taken is right, what is not is refused at load."""

import json
from collections import Counter
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy.mapping import bracketed, paths
from proxy.mapping.code import Env, Pieces, Value
from proxy.mapping.faults import Faults
from proxy.mapping.paths import PathFault, parse
from proxy.mapping.rewrites import Rewrites

CASES = [json.loads(line) for line in (Path(__file__).parent / "data/jsonpath-compliance.jsonl").read_text().splitlines()]


def find(selector: str, document: object) -> list[object]:
    """Everything a path selects, nulls included."""
    source = Rewrites(Pieces(Faults()))
    root = Value("document", absent=False)
    env = Env(root, root, {})
    source.line("found = []")
    source.visit(root, parse(selector[1:]), env.root, lambda value: source.line(f"found.append({value.code})"), nulls=True)
    source.line("return found")
    return source.function("find", "document")(document)


@pytest.mark.parametrize("case", CASES, ids=[case["name"] for case in CASES])
def test_compliance(case):
    selector = case["selector"]
    if case.get("invalid_selector"):
        with pytest.raises(PathFault):
            parse(selector[1:] if selector.startswith("$") else "?" + selector)
        return
    try:
        found = find(selector, case["document"])
    except PathFault as fault:
        assert fault.code == "path-unsupported", selector
        return
    assert found in case.get("results", [case.get("result")])


def test_how_much_of_the_standard_is_taken():
    verdicts = Counter()
    for case in CASES:
        try:
            parse(case["selector"][1:] if case["selector"].startswith("$") else "?")
            verdicts["taken"] += 1
        except PathFault as fault:
            verdicts[fault.code] += 1
    assert verdicts == {"taken": 363, "path": 247, "path-unsupported": 93}


PIECES = [
    ".a",
    ".b1",
    "._",
    "..",
    ".",
    "[*]",
    "[0]",
    "[-1]",
    "[-0]",
    "[01]",
    "[1:2]",
    "['a']",
    "['a b\\'']",
    "['ä']",
    "[''] ",
    "[?",
    "]",
    "@",
    "@.a",
    "$.a",
]
PIECES += [
    "!@.a",
    "! @",
    "@.a == 'x'",
    "@.a!='é'",
    "@['a']",
    "@.a <= -1",
    "@ > 1.5",
    "@.a == null",
    "@.a == @.b",
    "true",
    " && ",
    "||",
    "(",
    ")",
    " ",
    "\n",
    "'x'",
]


@given(st.lists(st.sampled_from(PIECES), min_size=1, max_size=8).map("".join) | st.sampled_from([case["selector"][1:] for case in CASES]))
def test_what_is_read_without_the_library_is_what_the_library_reads(path):
    try:
        found = paths._usual(path)
    except paths._Unusual:
        return
    assert found == bracketed.parse(path)
