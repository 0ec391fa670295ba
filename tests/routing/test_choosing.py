"""Which target is asked first."""

from __future__ import annotations

import itertools
from collections import Counter
from random import Random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from proxy.config.policy import Cooldown
from proxy.routing import Failure, Standings, first
from proxy.routing.choosing import in_order
from tests.routing.ways import Plain, resolution


def names(groups: list[tuple[Plain, ...]]) -> list[str]:
    return [group[0].choice.name for group in groups]


def test_the_files_order() -> None:
    assert names(in_order(resolution("a/x", "b/y", "c/z"), None)) == ["a/x", "b/y", "c/z"]


def test_weights_draw_the_order() -> None:
    found = resolution("a/x*3", "b/y", order="weighted")
    draws = [step / 200 for step in range(1, 200)]
    first_ones = [names(in_order(found, None, iter(pair).__next__))[0] for pair in itertools.product(draws, draws)]
    assert abs(first_ones.count("a/x") / len(first_ones) - 0.75) < 0.01
    assert {len(in_order(found, None)) for _ in range(9)} == {2}
    assert set(names(in_order(found, None, lambda: 0.0))) == {"a/x", "b/y"}


def test_the_least_loaded_for_its_weight() -> None:
    found = resolution("a/x*3", "b/y", "c/z", order="least_loaded")
    asked = []
    for _ in range(10):
        way = first(found, None, 0.0)
        way.standing.target.load += 1
        asked.append(way.choice.name)
    assert Counter(asked) == {"a/x": 6, "b/y": 2, "c/z": 2}


CLIENTS = [f"client {number}".encode() for number in range(60)]


@settings(max_examples=50)
@given(st.sets(st.sampled_from([f"p{number}/m" for number in range(9)]), min_size=2), st.data())
def test_a_client_stays_and_only_those_of_a_target_that_leaves_move(targets: set[str], data: st.DataObject) -> None:
    everybody = resolution(*sorted(targets), order="sticky")
    shuffled = resolution(*data.draw(st.permutations(sorted(targets))), order="sticky")
    before = {client: first(everybody, client, 0.0).choice.name for client in CLIENTS}
    assert before == {client: first(shuffled, client, 0.0).choice.name for client in CLIENTS}
    left = data.draw(st.sampled_from(sorted(targets)))
    others = resolution(*sorted(targets - {left}), order="sticky")
    after = {client: first(others, client, 0.0).choice.name for client in CLIENTS}
    assert {client for client in CLIENTS if before[client] != after[client]} == {client for client in CLIENTS if before[client] == left}


def test_clients_are_spread_by_weight() -> None:
    found = resolution("a/x*2", "b/y", "c/z", order="sticky")
    spread = Counter(first(found, b"%d" % number, 0.0).choice.name for number in range(4000))
    assert all(abs(spread[name] / 4000 - share) < 0.03 for name, share in {"a/x": 0.5, "b/y": 0.25, "c/z": 0.25}.items())


def test_a_request_that_nobody_can_tell_from_others_goes_anywhere() -> None:
    found, pick = resolution("a/x", "b/y", order="sticky"), Random(1).random
    assert {first(found, None, 0.0, pick).choice.name for _ in range(50)} == {"a/x", "b/y"}


@pytest.mark.parametrize("order", ["ordered", "weighted", "least_loaded", "sticky"])
def test_what_is_set_aside_is_passed_over_until_it_is_back(order: str) -> None:
    standings = Standings()
    found = resolution("a/x", "b/y", "c/z", standings=standings, order=order)
    usual = first(found, b"me", 0.0, lambda: 0.5)
    standings.of(usual.choice.target.provider.name, usual.choice.model or "", 1).failed(Failure("rate_limit", wait=9), 0.0, 0.0, Cooldown())
    next_one = first(found, b"me", 1.0, lambda: 0.5)
    assert next_one != usual
    assert first(found, b"me", 9.0, lambda: 0.5) == usual


def test_when_all_are_set_aside_the_one_that_is_back_soonest_is_asked() -> None:
    standings = Standings()
    found = resolution("a/x", "b/y", standings=standings)
    for name, wait in (("a", 9), ("b", 4)):
        standings.of(name, {"a": "x", "b": "y"}[name], 1).failed(Failure("rate_limit", wait=wait), 0.0, 0.0, Cooldown())
    assert first(found, None, 1.0).choice.name == "b/y"


def test_requests_are_spread_over_keys_and_a_dead_one_gets_none() -> None:
    standings, pick = Standings(), Random(1).random
    found = resolution("a/x", standings=standings, keys=3)
    spread = Counter(first(found, None, 0.0, pick).text for _ in range(900))
    assert all(abs(spread[name] - 300) < 60 for name in ("a/x", "a/x#2", "a/x#3"))
    standings.of("a", "other", 2).failed(Failure("auth", 401), 0.0, 0.0, Cooldown())
    assert Counter(first(found, None, 1.0, pick).text for _ in range(60)).keys() == {"a/x", "a/x#3"}


def test_a_client_that_stays_stays_with_its_key() -> None:
    found = resolution("a/x", "b/y", keys=3, order="sticky")
    assert all(first(found, client, 0.0) == first(found, client, 1.0) for client in CLIENTS)
    assert len({first(found, client, 0.0).text for client in CLIENTS}) == 6


def test_a_target_for_certain_failures_is_not_asked_first_unless_there_is_no_other() -> None:
    assert first(resolution("a/x?context_length", "b/y"), None, 0.0).choice.name == "b/y"
    assert first(resolution("a/x?context_length"), None, 0.0).choice.name == "a/x"
