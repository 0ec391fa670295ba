"""Who is left alone, and when it is tried again: against a plain model of it, on a clock of its own."""

from __future__ import annotations

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from proxy.config.policy import Cooldown
from proxy.routing.health import LONGEST_WAIT, Aside, Health, Standings
from proxy.routing.policy import Failure

COOLDOWN = Cooldown(after=2, seconds=10, longest=35)
LEASE = COOLDOWN.seconds


class Life(RuleBasedStateMachine):
    """One Health, asked as the gateway asks it: take, then nothing (its client left), a success or a failure."""

    def __init__(self) -> None:
        super().__init__()
        self.health = Health()
        self.now = 100.0
        self.running: list[float] = []  # when each request in work began
        self.row = 0  # failures since the last success
        self.aside_until = 0.0
        self.reopened = False  # by failures: one request has to try first
        self.probe_until = 0.0

    @rule(seconds=st.sampled_from([1, 9, 10, 40]))
    def time_passes(self, seconds: float) -> None:
        self.now += seconds

    @precondition(lambda self: self.health.usable(self.now))
    @rule()
    def ask(self) -> None:
        if self.aside_until and self.reopened:
            assert self.now >= self.probe_until, "two probes at once"
            self.probe_until = self.now + LEASE
        else:
            self.aside_until = 0.0
        self.health.take(self.now, LEASE)
        self.running.append(self.now)

    @rule()
    def ask_all_the_same(self) -> None:
        """The only target of a route, while it is left alone."""
        if not self.health.usable(self.now):
            self.running.append(self.now)

    @precondition(lambda self: self.running)
    @rule(data=st.data())
    def client_leaves(self, data: st.DataObject) -> None:
        self.running.remove(data.draw(st.sampled_from(self.running)))

    @precondition(lambda self: self.running)
    @rule(data=st.data())
    def ends_well(self, data: st.DataObject) -> None:
        began = data.draw(st.sampled_from(self.running))
        self.running.remove(began)
        before = self.health.until
        self.health.succeeded(began)
        if before and self.health.until:
            assert began < self.health._since, "a request from after the ejection ended well, and it is still left alone"
        else:
            self.row, self.aside_until, self.reopened, self.probe_until = 0, 0.0, False, 0.0

    @precondition(lambda self: self.running)
    @rule(data=st.data())
    def fails(self, data: st.DataObject) -> None:
        self.running.remove(data.draw(st.sampled_from(self.running)))
        before = self.health.until
        self.row += 1
        opened = self.health.failed(self.now, COOLDOWN)
        if before and self.now < before:
            assert not opened
            assert self.health.until == before, "what fails while it is left alone changes nothing"
        else:
            assert opened is (self.row >= COOLDOWN.after)
        if opened:
            self.aside_until, self.reopened, self.probe_until = self.health.until, True, 0.0
            assert COOLDOWN.seconds <= self.health.until - self.now <= COOLDOWN.longest

    @rule(seconds=st.sampled_from([1, 5, 30]))
    def told_to_wait(self, seconds: float) -> None:
        aside = self.health.until > self.now
        assert self.health.set_aside(self.now, seconds) is not aside
        assert self.health.until >= self.now + seconds
        if not aside:
            self.reopened, self.probe_until = False, 0.0
        self.aside_until = self.health.until

    @invariant()
    def it_is_left_alone_exactly_until_then(self) -> None:
        assert self.health.usable(self.now) == (self.now >= self.aside_until and self.now >= self.probe_until)
        assert self.health.usable(self.health.back_at(self.now))
        assert self.health.back_at(self.now) - self.now <= max(COOLDOWN.longest, 60)


TestLife = Life.TestCase
TestLife.settings = settings(max_examples=200, stateful_step_count=50)


def test_the_cool_down_doubles_up_to_its_longest_and_starts_anew_after_a_success() -> None:
    health, now, spans = Health(), 0.0, []
    for _ in range(COOLDOWN.after - 1):
        assert not health.failed(now, COOLDOWN)
    for _ in range(4):
        assert health.failed(now, COOLDOWN)
        spans.append(health.until - now)
        now = health.until
        health.take(now, LEASE)
    assert spans == [10, 20, 35, 35]
    health.succeeded(now)
    assert [health.failed(now, COOLDOWN) for _ in range(2)] == [False, True]
    assert health.until - now == 10


def ejected() -> Health:
    """Set aside at 100 for ten seconds."""
    health = Health()
    for _ in range(COOLDOWN.after):
        health.failed(100.0, COOLDOWN)
    return health


def test_one_request_tries_and_the_others_wait() -> None:
    health = ejected()
    assert [health.usable(now) for now in (100.0, 109.0, 110.0)] == [False, False, True]
    health.take(110.0, LEASE)
    assert [health.usable(now) for now in (110.0, 119.0, 120.0)] == [False, False, True], "one that never reports is replaced"
    health.succeeded(110.0)
    assert health.usable(110.0)


def test_what_began_before_proves_nothing() -> None:
    health = ejected()
    health.succeeded(99.0)
    assert not health.usable(105.0)
    health.succeeded(101.0)
    assert health.usable(105.0), "the only target of a route was asked all the same, and answered"


def test_told_to_wait_needs_no_probe_and_the_longest_wait_counts() -> None:
    health = Health()
    assert health.set_aside(0.0, 9.0)
    assert not health.set_aside(1.0, 2.0)
    assert [health.usable(8.0), health.usable(9.0)] == [False, True]
    health.take(9.0, LEASE)
    assert health.usable(9.0)


def test_a_key_at_a_limit_of_unknown_length_is_left_alone_for_longer_and_longer() -> None:
    standing, now, spans = Standings().of("a", "x", 1), 0.0, []
    for _ in range(6):
        assert standing.failed(Failure("rate_limit", 429), now, now, COOLDOWN)
        assert not standing.failed(Failure("rate_limit", 429), now, now, COOLDOWN), "what was in work at the same time counts once"
        spans.append(standing.back_at(now) - now)
        now = standing.back_at(now)
        standing.take(now, LEASE)
        assert standing.usable(now), "nobody has to try first"
    assert spans == [1, 2, 4, 8, 10, 10]
    standing.succeeded(now)
    standing.failed(Failure("rate_limit", 429), now, now, COOLDOWN)
    assert standing.back_at(now) - now == 1


def test_a_success_after_a_limit_is_worth_noting_so_that_the_next_limit_starts_anew() -> None:
    standing = Standings().of("a", "x", 1)
    standing.failed(Failure("rate_limit", 429), 0.0, 0.0, COOLDOWN)
    standing.take(1.0, LEASE)
    assert standing.ailing, "whoever asks notes a success of the ailing only"
    standing.succeeded(1.0)
    assert not standing.ailing


def test_told_to_wait_for_no_time_sets_nothing_aside() -> None:
    standing = Standings().of("a", "x", 1)
    assert not standing.failed(Failure("rate_limit", 429, wait=0.0), 5.0, 5.0, COOLDOWN)
    assert not standing.failed(Failure("overload", 503, wait=0.0), 5.0, 5.0, COOLDOWN)
    assert standing.usable(5.0)


def test_zero_never_sets_aside() -> None:
    health = Health()
    assert not any(health.failed(0.0, Cooldown(after=0)) for _ in range(100))
    assert health.usable(0.0)


#: Failure → what is left alone for it (model and number of the key; "" and 0: any), and for how long.
NOTED: list[tuple[Failure, list[Aside]]] = [
    (Failure("auth", 401), [Aside("a", "", 1, 35)]),
    (Failure("auth", 403), [Aside("a", "x", 1, 35)]),
    (Failure("quota", 429), [Aside("a", "", 1, 35)]),
    (Failure("quota", 402, wait=7), [Aside("a", "", 1, 7)]),
    (Failure("rate_limit", 429), [Aside("a", "x", 1, 1)]),
    (Failure("rate_limit", 429, wait=2), [Aside("a", "x", 1, 2)]),
    (Failure("rate_limit", 429, wait=10**6), [Aside("a", "x", 1, LONGEST_WAIT)]),
    (Failure("overload", 503, wait=4), [Aside("a", "x", 0, 4)]),
    (Failure("overload", 503), []),
    (Failure("connect"), []),
    (Failure("timeout"), []),
    (Failure("broken"), []),
    (Failure("server", 500), []),
    (Failure("context_length", 400), []),
    (Failure("refused", 404), []),
    (Failure("unsupported"), []),
    (Failure("busy"), []),
]


@pytest.mark.parametrize(("failure", "aside"), NOTED, ids=[f"{failure.reason} {failure.status} {failure.wait}" for failure, _ in NOTED])
def test_a_failure_is_noted_where_it_belongs(failure: Failure, aside: list[Aside]) -> None:
    standings = Standings()
    standing = standings.of("a", "x", 1)
    assert standing.failed(failure, 50.0, 40.0, COOLDOWN) is bool(aside)
    assert list(standings.aside(50.0)) == aside
    other_key, other_model = standings.of("a", "x", 2), standings.of("a", "y", 1)
    assert standing.usable(50.0) is not bool(aside)
    assert [other_key.usable(50.0), other_model.usable(50.0)] == [
        not any(found.number == 0 for found in aside),
        not any(found.model == "" for found in aside),
    ]


@pytest.mark.parametrize("reason", ["connect", "timeout", "broken", "overload", "server"])
def test_failures_in_a_row_set_the_target_aside_whatever_the_key(reason: str) -> None:
    standings = Standings()
    first, second = standings.of("a", "x", 1), standings.of("a", "x", 2)
    assert [way.failed(Failure(reason), 0.0, 0.0, COOLDOWN) for way in (first, second)] == [False, True]
    assert not second.usable(0.0)
    assert standings.of("a", "y", 1).usable(0.0)


@pytest.mark.parametrize("reason", ["refused", "context_length", "content_filter"])
def test_an_answer_that_blames_the_client_is_an_answer(reason: str) -> None:
    standing = Standings().of("a", "x", 1)
    for _ in range(10):
        standing.failed(Failure("connect"), 0.0, 0.0, Cooldown(after=2))
        standing.failed(Failure(reason, 400), 1.0, 1.0, Cooldown(after=3))
    assert (standing.target.failures, standing.ailing) == (0, False)


@pytest.mark.parametrize("reason", ["busy", "unsupported"])
def test_what_was_never_sent_proves_nothing(reason: str) -> None:
    standing = Standings().of("a", "x", 1)
    standing.failed(Failure("connect"), 0.0, 0.0, COOLDOWN)
    assert not standing.failed(Failure(reason), 1.0, 1.0, COOLDOWN)
    assert standing.failed(Failure("connect"), 2.0, 2.0, COOLDOWN), "two in a row"


@pytest.mark.parametrize("reason", ["auth", "quota", "rate_limit"])
def test_nothing_is_remembered_of_a_clients_own_key(reason: str) -> None:
    standings = Standings()
    standing = standings.of("a", "x", 0)
    assert not standing.failed(Failure(reason, 429, wait=5), 0.0, 0.0, COOLDOWN)
    assert standing.usable(0.0)


def test_a_configuration_read_anew_finds_what_was_known() -> None:
    standings = Standings()
    standings.of("a", "x", 1).failed(Failure("rate_limit", 429, wait=5), 0.0, 0.0, COOLDOWN)
    assert not standings.of("a", "x", 1).usable(1.0)


def test_a_new_key_in_the_place_of_a_dead_one_starts_afresh() -> None:
    standings = Standings()
    standings.of("a", "x", 1, "dead").failed(Failure("auth", 401), 0.0, 0.0, COOLDOWN)
    assert not standings.of("a", "x", 1, "dead").usable(1.0)
    assert standings.of("a", "x", 1, "new").usable(1.0)


def test_names_that_clients_make_up_do_not_fill_the_memory() -> None:
    standings = Standings()
    standings.of("a", "bad", 1).failed(Failure("rate_limit", 429, wait=5), 0.0, 0.0, COOLDOWN)
    for number in range(9_000):
        standings.of("a", f"m-{number}", 1)
    assert len(standings._known) <= 4200
    assert not standings.of("a", "bad", 1).usable(1.0)


def test_not_even_when_the_upstream_refuses_them_all() -> None:
    standings = Standings()
    for number in range(9_000):
        standings.of("a", f"m-{number}", 1).failed(Failure("rate_limit", 429, wait=5), 0.0, 0.0, COOLDOWN)
    assert len(standings._known) <= 4200
    assert not standings.of("a", "m-8999", 1).usable(1.0), "the newest are remembered"
    assert len(list(standings.aside(1.0))) <= 4200


def test_what_is_in_use_stays_one_and_the_same_however_many_names_there_are() -> None:
    standings = Standings()
    used = standings.of("a", "used", 1)
    for number in range(9_000):
        standings.of("a", f"m-{number}", 1)
    used.failed(Failure("overload", 503, wait=5), 0.0, 0.0, COOLDOWN)
    assert not standings.of("a", "used", 1).usable(1.0)
    assert list(standings.aside(1.0)) == [Aside("a", "used", 0, 4.0)]
