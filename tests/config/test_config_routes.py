"""Routes: names, targets, policy, and the request fields that they fill in."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from proxy.config.globs import Glob
from proxy.config.model import Config, Timeouts
from proxy.config.policy import Causes, Failover, Retry, Sticky
from proxy.mapping.code import Pieces
from proxy.mapping.context import Context
from proxy.mapping.faults import Faults
from proxy.mapping.mappings import compile_members

Loaded = Callable[..., Config]


def test_targets(loaded: Loaded) -> None:
    config = loaded(
        """
routes:
  - {model: a, to: up}
  - {model: b, to: up/vendor/model-1}
  - {model: "c-*", to: "up/x-*"}
  - {model: [d, "d-*"], to: [up/one, {provider: up, model: two, weight: 3}]}
  - {model: e, to: [{provider: up, weight: 1}], order: ordered}
  - {operations: ["file_*"], to: up/}
"""
    )
    a, b, c, d, d_star, e, files = config.routes
    assert [target.model for target in (*a.targets, *b.targets, *c.targets)] == [None, "vendor/model-1", "x-*"]
    assert (a.targets[0].model_for("a", ()), c.targets[0].model_for("c-9", ("9",))) == ("a", "x-9")
    assert [(target.model, target.weight) for target in d.targets] == [("one", 1), ("two", 3)]
    assert (a.order, d.order, e.order) == ("ordered", "weighted", "ordered")
    assert (d.pattern, d_star.pattern, d.targets) == (Glob("d"), Glob("d-*"), d_star.targets)
    assert (files.pattern, files.serves("file_list"), files.serves("chat"), a.serves("chat")) == (None, True, False, True)
    assert [route.line for route in config.routes] == [4, 5, 6, 7, 7, 8, 9]
    assert [route.name for route in (a, files)] == ["a", "* (file_*)"]


def test_provider_prefix(loaded: Loaded) -> None:
    config = loaded("provider_prefix: true\nroutes: [{model: a, to: up}]")
    first, last = config.routes
    assert (first.implied, last.implied, last.pattern) == (False, True, Glob("up/*"))
    assert last.targets[0].model_for("up/vendor/m", ("vendor/m",)) == "vendor/m"


def test_policy(loaded: Loaded) -> None:
    (route,) = loaded(
        """
routes:
  - model: a
    to: up
    headers: {X-A: b}
    timeouts: {idle: 5}
    unsupported: reject
    answer_model: upstream
    reasoning_field: both
    drop: [logit_bias]
    failover: [connect, broken, 404, 5xx]
"""
    ).routes
    assert (route.headers, route.unsupported, route.answer_model, route.reasoning_field) == ((("x-a", "b"),), "reject", "upstream", "both")
    assert (route.targets[0].timeouts, route.drop) == (Timeouts(idle=5), ("logit_bias",))
    include = route.failover.on.include
    assert [include("connect", 0), include("broken", 0), include("timeout", 0)] == [True, True, False]
    assert [include("refused", 404), include("overload", 503), include("rate_limit", 429)] == [True, True, False]


def test_policy_of_failures(loaded: Loaded) -> None:
    short, long, body, client = loaded(
        """
routes:
  - {model: a, to: [up/x, {provider: up, model: y, after: [context_length, 413]}], failover: []}
  - model: b
    to: up/x
    failover: {on: [connect, 4xx], maybe_processed: never}
    retry: {attempts: 2, seconds: 3, again: 1, pause: 0.1, longest: 5}
  - {model: c, to: up/x, sticky: {}}
  - {model: d, to: up/x, sticky: {headers: [X-Session-Id]}, order: sticky}
"""
    ).routes
    first, second = short.targets
    assert (bool(first.after), second.after) == (False, Causes(frozenset({"context_length"}), frozenset({413})))
    assert (bool(short.failover.on), short.failover.maybe_processed, short.retry) == (False, "streams", Retry())
    assert [" ".join(found.words()) for found in (second.after, long.failover.on, Causes())] == ["context_length 413", "connect 4xx", ""]
    assert (long.failover.on.include("connect", 0), long.failover.on.include("rate_limit", 429)) == (True, True)
    assert (long.failover.maybe_processed, long.retry) == ("never", Retry(2, 3, 1, 0.1, 5))
    assert (body.order, body.sticky) == ("sticky", Sticky((), ("prompt_cache_key", "user")))
    assert (client.order, client.sticky) == ("sticky", Sticky(("x-session-id",), ()))


@pytest.mark.parametrize(
    ("reason", "status", "allowed"),
    [
        ("connect", 0, True),
        ("timeout", 0, True),
        ("broken", 0, True),
        ("auth", 401, True),
        ("rate_limit", 429, True),
        ("quota", 429, True),
        ("quota", 402, True),
        ("server", 500, True),
        ("overload", 529, True),
        ("unsupported", 0, True),
        ("busy", 0, True),
        ("context_length", 400, False),
        ("refused", 400, False),
    ],
)
def test_failover_by_default(reason: str, status: int, allowed: bool) -> None:
    assert Failover().on.include(reason, status) is allowed


@pytest.mark.parametrize(
    ("policy", "body", "changes"),
    [
        ("default: {temperature: 0.2}", {}, {"temperature": 0.2}),
        ("default: {temperature: 0.2}", {"temperature": None}, {"temperature": 0.2}),
        ("default: {temperature: 0.2}", {"temperature": 0}, {}),
        ("default: {stop: [a, .b], metadata: {x: $y, z: null}}", {}, {"stop": ["a", ".b"], "metadata": {"x": "$y", "z": None}}),
        ("default: {user: '${TEAM}'}", {}, {"user": "blue"}),
        ("default: {max_tokens: 10}", {}, {"max_tokens": 10}),
        ("default: {max_tokens: 10}", {"max_completion_tokens": 5}, {}),
        ("clamp: {temperature: {min: 0.1, max: 1}}", {"temperature": 2}, {"temperature": 1}),
        ("clamp: {temperature: {min: 0.1, max: 1}}", {"temperature": 0}, {"temperature": 0.1}),
        ("clamp: {temperature: {min: 0.1, max: 1}}", {"temperature": 0.5}, {}),
        ("clamp: {temperature: {min: 0.1, max: 1}}", {}, {}),
        ("clamp: {presence_penalty: {min: -1}}", {"presence_penalty": -2}, {"presence_penalty": -1}),
        ("clamp: {max_tokens: {max: 100}}", {"max_tokens": 500}, {"max_tokens": 100}),
        ("clamp: {max_tokens: {max: 100}}", {"max_completion_tokens": 500}, {"max_completion_tokens": 100}),
        ("clamp: {max_tokens: {max: 100}}, default: {max_tokens: 500}", {}, {"max_tokens": 100}),
        ("set: {user: .model, n: 1}", {"user": "me", "n": 1}, {"user": ".model"}),
        ("set: {temperature: 2}, clamp: {temperature: {max: 1}}", {"temperature": 0}, {"temperature": 2}),
    ],
)
def test_request_fields(loaded: Loaded, policy: str, body: dict[str, Any], changes: dict[str, Any]) -> None:
    """The templates that `default`, `clamp` and `set` become, run by the mapping engine."""
    (route,) = loaded(f"routes:\n  - {{model: a, to: up, {policy}}}", TEAM="blue").routes
    faults = Faults()
    members = compile_members(route.members, (), Pieces(faults, {}, {}, {}))
    assert members is not None
    assert not faults.found
    assert members(body, Context(model="a")) == changes


def test_what_is_set_under_one_name_does_not_go_up_under_the_other(loaded: Loaded) -> None:
    one, both = loaded(
        "routes:\n  - {model: a, to: up, set: {max_tokens: 5}}\n  - {model: b, to: up, set: {max_tokens: 5, max_completion_tokens: 6}}"
    ).routes
    assert (one.drop, both.drop) == (("max_completion_tokens",), ())


@pytest.mark.parametrize(
    ("one", "other", "covers"),
    [
        ("*", "a*", True),
        ("a*", "*", False),
        ("a*", "a", True),
        ("a*", "ab*", True),
        ("a*c", "abc", True),
        ("a*c", "a*bc", True),
        ("a*c", "a*", False),
        ("*b*", "a*b*c", True),
        ("a*b", "a*b*", False),
        ("a.c", "abc", False),
    ],
)
def test_patterns_that_cover_others(one: str, other: str, covers: bool) -> None:
    assert Glob(one).covers(Glob(other)) is covers


@pytest.mark.parametrize(
    ("pattern", "name", "parts", "filled"),
    [
        ("gpt-*", "gpt-5", ("5",), "x-5-y"),
        ("gpt-*", "gpt-", ("",), "x--y"),
        ("gpt-*", "GPT-5", None, ""),
        ("*/*", "a/b/c", ("a/b", "c"), "x-a/b-y"),
        ("g[a]*", "g[a]\nb", ("\nb",), "x-\nb-y"),
    ],
)
def test_patterns(pattern: str, name: str, parts: tuple[str, ...] | None, filled: str) -> None:
    assert Glob(pattern).match(name) == parts
    if parts is not None:
        assert Glob.fill("x-*-y", parts) == filled
