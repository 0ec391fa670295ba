"""Every fault of a specification is found, all at once, and says where: one example for each code at least."""

from functools import reduce

import pytest
from compiling import dialect

from proxy.errors import FaultError
from proxy.mapping.faults import CODES

CHAT = ("operations", "chat")
MANY_LOOPS = reduce(lambda template, _: {"$each": ".", "$do": template}, range(25), ".")
FAULTS = [
    # (parts of the dialect, path, code, offset, part of the message, part of the hint)
    ({"request": {"body": {"a": ".b ."}}}, (*CHAT, "request", "body", "a"), "expression", 3, "not expected", ""),
    ({"request": {"body": {"a": ".b == yes"}}}, (*CHAT, "request", "body", "a"), "expression", 6, "is not a value", ""),
    ({"request": {"body": {"a": ".b |"}}}, (*CHAT, "request", "body", "a"), "expression", 4, "expected the name of a filter", ""),
    ({"request": {"body": {"a": "(" * 60 + ".b"}}}, (*CHAT, "request", "body", "a"), "expression", 40, "too deeply", ""),
    ({"request": {"body": {"a": ".b" + " + .c" * 1000}}}, (*CHAT, "request", "body", "a"), "expression", 1005, "too long", ""),
    ({"request": {"body": {"a": ".b | prefix(3)"}}}, (*CHAT, "request", "body", "a"), "filter-argument", 5, "prefix(text)", ""),
    ({"request": {"body": {"a": ".b | split('', 0)"}}}, (*CHAT, "request", "body", "a"), "filter-argument", 5, "split(text, n)", ""),
    ({"request": {"body": {"a": ".b | safe_id('9')"}}}, (*CHAT, "request", "body", "a"), "filter-argument", 5, "safe_id(n)", ""),
    ({"request": {"body": {"a": ".b[?@.c ==]"}}}, (*CHAT, "request", "body", "a"), "path", 10, "", ""),
    ({"request": {"rewrite": [{"at": "messages[*", "drop": ["x"]}]}}, (*CHAT, "request", "rewrite", 0, "at"), "path", 10, "", ""),
    ({"request": {"body": {"a": ".b..c"}}}, (*CHAT, "request", "body", "a"), "path-unsupported", 2, "descendants", ""),
    ({"request": {"body": {"a": ".b[?count(@.c[*]) > 1]"}}}, (*CHAT, "request", "body", "a"), "path-unsupported", 4, "function", ""),
    ({"request": {"body": {"a": ".b | atmost(1)"}}}, (*CHAT, "request", "body", "a"), "unknown-filter", 5, "no filter 'atmost'", "at_most"),
    ({"request": {"body": {"a": ".b | at_most"}}}, (*CHAT, "request", "body", "a"), "filter-argument", 5, "at_most(value)", ""),
    (
        {"request": {"body": {"a": ".b | data(kind)"}}},
        (*CHAT, "request", "body", "a"),
        "filter-argument",
        5,
        "data(type or data or text)",
        "",
    ),
    ({"request": {"body": {"a": "$modle"}}}, (*CHAT, "request", "body", "a"), "unknown-variable", 0, "'$modle'", "$model"),
    ({"request": {"body": {"a": {"$mach": ".b"}}}}, (*CHAT, "request", "body", "a", "$mach"), "unknown-operator", 0, "$mach", "$match"),
    (
        {"request": {"body": {"a": {"$each": ".b", "$were": ".c"}}}},
        (*CHAT, "request", "body", "a", "$were"),
        "operator-keys",
        0,
        "$were",
        "$where",
    ),
    ({"stream": {"events": {"x": {"emits": {}}}}}, (*CHAT, "stream", "events", "x", "emits"), "operator-keys", 0, "emits", "emit"),
    (
        {"request": {"body": {"a": ".b | map(finnish)"}}, "tables": {"finish": {"a": "b"}}},
        (*CHAT, "request", "body", "a"),
        "unknown-name",
        5,
        "finnish",
        "finish",
    ),
    (
        {"request": {"body": {"a": {"$use": "part"}}}, "defs": {"parts": 1}},
        (*CHAT, "request", "body", "a", "$use"),
        "unknown-name",
        0,
        "part",
        "parts",
    ),
    (
        {"request": {"body": {"$use": "d"}}, "defs": {"d": {"x": {"$use": "d"}}}},
        ("defs", "d", "x", "$use"),
        "recursive-def",
        0,
        "uses itself",
        "",
    ),
    ({"response": {"body": {"a": {"$reject": "no"}}}}, (*CHAT, "response", "body", "a", "$reject"), "wrong-place", 0, "request", ""),
    ({"request": {"body": {"a": ".b | ordinal(x)"}}}, (*CHAT, "request", "body", "a"), "wrong-place", 5, "stream", ""),
    ({"request": {"body": {"a": {"$use": ["b"]}}}}, (*CHAT, "request", "body", "a", "$use"), "wrong-type", 0, "text", ""),
    (
        {"request": {"reject": [{"if": "'a' in .b", "say": "no"}]}},
        (*CHAT, "request", "reject", 0, "if"),
        "wrong-type",
        0,
        "true",
        "brackets",
    ),
    ({"request": {"body": {"a": MANY_LOOPS}}}, (), "nested", 0, "too deeply", ""),
    ({"request": {"body": {"a": {"$concat": ".b"}}}}, (*CHAT, "request", "body", "a", "$concat"), "wrong-type", 0, "list", ""),
]


@pytest.mark.parametrize(("parts", "path", "code", "offset", "message", "hint"), FAULTS, ids=[f"{row[2]}: {row[0]}"[:70] for row in FAULTS])
def test_fault(parts, path, code, offset, message, hint):
    with pytest.raises(FaultError) as caught:
        dialect(**parts)
    (fault,) = caught.value.faults
    assert (fault.path, fault.code, fault.offset) == (path, code, offset)
    assert message in fault.message
    assert hint in fault.hint


def test_every_code_has_an_example():
    assert {row[2] for row in FAULTS} == set(CODES)


def test_all_faults_at_once():
    with pytest.raises(FaultError) as caught:
        dialect(request={"body": {"a": ".b |", "c": {"$use": "nothing"}, "d": "$what"}}, response={"body": {"e": ".f | nothing"}})
    assert len(caught.value.faults) == 4
