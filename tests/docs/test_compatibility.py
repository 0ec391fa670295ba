"""Nothing that a request asks for is lost without a word, and docs/compatibility.md says what becomes of it."""

from __future__ import annotations

import re
from typing import Any

import pytest

from proxy.dialect import compile_dialect
from tests.docs.compatibility import ALWAYS, REQUEST, ROOT, Probe, mapped, outcome, probes, providers
from tests.docs.page import ANY_MODEL, COLUMNS, PAGE, page

ASKED = list(probes())


def generations(provider: str) -> set[str]:
    """A name for each pattern of a provider's traits: every kind of model that is told apart."""
    patterns = [pattern for row in providers()[provider].dialect.spec.get("traits", ()) for pattern in row["model"].split("|")]
    names = (re.sub(r"\[(.)[^]]*\]", r"\1", pattern.strip()).replace("?", "-").replace("*", "") for pattern in patterns)
    return {name or ANY_MODEL for name in names} | {ANY_MODEL}


MODELS = sorted({(name, model) for name, found in providers().items() if not found.demo for model in generations(name)} | set(COLUMNS))


@pytest.mark.parametrize(("provider", "model"), MODELS)
def test_nothing_is_lost(provider: str, model: str) -> None:
    dialect = providers()[provider].dialect
    assert [probe.asks for probe in ASKED if outcome(dialect, model, probe) == "lost"] == []


@pytest.mark.parametrize(("provider", "model"), MODELS)
def test_nothing_is_said_of_what_says_nothing(provider: str, model: str) -> None:
    """Nulls and defaults, as clients send them that write out their whole data classes."""
    assistant: dict[str, Any] = dict.fromkeys(("refusal", "annotations", "audio", "function_call", "tool_calls", "name"))
    image = {"type": "image_url", "image_url": {"url": "data:image/png;base64,aW1hZ2U=", "detail": "auto"}}
    messages = [
        {"role": "system", "content": "Be brief.", "name": None},
        {"role": "user", "content": [{"type": "text", "text": "Hello", "prompt_cache_breakpoint": None}, image], "name": None},
        {"role": "assistant", "content": "Hi", **assistant},
        {"role": "user", "content": "So"},
    ]
    request = dict.fromkeys(REQUEST) | ALWAYS | {"messages": messages, "n": 1, "tool_choice": "auto", "parallel_tool_calls": True}
    assert mapped(providers()[provider].dialect, model, request)[1] == ()


def test_the_page_is_up_to_date() -> None:
    assert PAGE.read_text("utf-8") == page(), "python -m tests.docs writes it anew"


def test_every_dialect_has_a_column() -> None:
    ours = {path.stem for path in (ROOT / "proxy" / "dialects" / "upstream").iterdir()}
    assert {providers()[provider].dialect.name for provider, _ in COLUMNS} == ours


def test_every_member_of_openais_request_is_asked_about() -> None:
    assert {name for probe in ASKED for name in probe.asked} == REQUEST - {"model"}


# ── would it be found? ──


def forged(request: dict[str, Any]) -> Any:
    return compile_dialect({"dialect": "forged", "operations": {"chat": {"path": "/chat", "request": request}}})


def probe(asks: str) -> Probe:
    (found,) = (probe for probe in ASKED if probe.asks == asks)
    return found


@pytest.mark.parametrize(
    ("request_", "asks", "expected"),
    [
        ({"body": {"m": ".messages"}, "ignore": ["seed"]}, "seed", "lost"),
        ({"body": {"m": ".messages", "seed": {"$if": ".seed", "$then": 1}}}, "seed", "lost"),
        ({"body": {"m": ".messages"}}, "seed", "reported"),
        ({"body": {"m": ".messages", "s": ".seed"}}, "seed", "carried"),
        ({"rewrite": [{"at": "messages[*]", "drop": ["name"]}]}, "name", "lost"),
        ({"rewrite": [{"drop": ["stop"]}]}, "stop, one", "reported"),
        ({"rewrite": [{"set": {"stop": ".stop | list | first"}}]}, "stop, several", "lost"),
        ({"rewrite": [], "reject": [{"if": ".n > 1", "say": "one", "param": "n"}]}, "n above 1", "refused"),
        ({"rewrite": [], "report": [{"if": ".seed", "param": "seed"}]}, "seed", "in part"),
    ],
)
def test_what_a_forged_dialect_does_is_seen(request_: dict[str, Any], asks: str, expected: str) -> None:
    assert outcome(forged(request_), ANY_MODEL, probe(asks)) == expected


def test_a_refusal_in_the_name_of_something_else_is_seen() -> None:
    with pytest.raises(AssertionError, match="refused in the name of n"):
        outcome(forged({"rewrite": [], "reject": [{"if": ".seed", "say": "no", "param": "n"}]}), ANY_MODEL, probe("seed"))
