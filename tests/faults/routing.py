"""Which target is asked after a failure, how often and when; what is left alone meanwhile."""

from __future__ import annotations

from tests.faults.promise import Row, Section

RECOVERY = "tests/exchange/test_recovery.py::"
HEALTH = "tests/routing/test_health.py::"
CHOOSING = "tests/routing/test_choosing.py::"
GATE = "tests/exchange/test_gate.py::"
RELOADING = "tests/exchange/test_reloading.py::"
TRIED = "`attempts` and `failures` in the log; `samewire_attempts_total` by outcome"
ASIDE = "`samewire_ejections_total`, `samewire_set_aside`, and a warning that says for how long"

SECTION = Section(
    "routing",
    "Routing under failure",
    "What the defaults are, and what each key changes, is told in [recipes](recipes.md#routing-under-failure); `samewire explain` plays it "
    "through.",
    (
        Row(
            "a target fails before anything reached the client",
            "the next target's answer, with `x-samewire-attempts` and `x-samewire-failures`",
            TRIED,
            RECOVERY + "test_what_was_tried_is_told",
        ),
        Row(
            "all targets fail",
            "the last failure, with its `retry-after`, and what was tried",
            TRIED,
            RECOVERY + "test_the_client_is_told_of_every_failure",
        ),
        Row(
            "it may have been worked on: a reset, silence, an empty stream, a page",
            "streams: the next target's answer; whole answers: 502 or 504, unless `maybe_processed: always`",
            "`samewire_maybe_processed_retries_total`",
            RECOVERY + "test_what_may_have_been_worked_on",
        ),
        Row(
            "the same, with a target that may be asked `again`",
            "the failure: no target gets twice what it may have worked on",
            TRIED,
            RECOVERY + "test_what_may_have_been_worked_on_is_never_asked_twice_of_one",
        ),
        Row("the same, for a GET", "the next target's answer: a GET changes nothing", TRIED, RECOVERY + "test_a_get_may_be_asked_twice"),
        Row(
            "429, 503 or no connection, and `retry.again`",
            "the same target's answer after a pause that doubles, a random part of it left out",
            TRIED,
            RECOVERY + "test_and_answers_at_last",
        ),
        Row(
            "it goes on failing",
            "the failure, and `x-should-retry: false` once the budget is spent",
            TRIED,
            RECOVERY + "test_a_target_that_took_nothing_is_asked_again_until_the_budget_is_spent",
        ),
        Row(
            "a `Retry-After` longer than `retry.longest`",
            "the next target's answer at once, else the 429 with its `retry-after`",
            ASIDE,
            RECOVERY + "test_a_long_retry_after_is_not_waited_for",
        ),
        Row(
            "the seconds of the budget are over",
            "the failure, and `x-should-retry: false`",
            TRIED,
            RECOVERY + "test_no_attempt_begins_after_its_time",
        ),
        Row(
            "the client leaves during a pause",
            "nothing",
            "status 499; nobody is asked any more",
            RECOVERY + "test_a_client_that_leaves_during_a_pause_ends_it",
        ),
        Row(
            "a target fails time after time",
            "the other targets' answers; after the cool-down one request tries it, the others do not wait",
            ASIDE,
            RECOVERY + "test_failures_in_a_row_set_a_target_aside_and_one_request_tries_it_again",
        ),
        Row(
            "the request that tries it never ends",
            "another one tries after one more cool-down",
            ASIDE,
            HEALTH + "test_one_request_tries_and_the_others_wait",
        ),
        Row(
            "the only target of a route fails time after time",
            "its answer, whatever it is: it is asked all the same",
            ASIDE,
            RECOVERY + "test_the_only_target_is_asked_all_the_same",
        ),
        Row(
            "all targets of a route are left alone",
            "the answer of the one that is back soonest",
            ASIDE,
            CHOOSING + "test_when_all_are_set_aside_the_one_that_is_back_soonest_is_asked",
        ),
        Row(
            "one of several keys is refused, empty or at its limit",
            "another key's answer",
            "`samewire_set_aside` with the key's number, never its text",
            RECOVERY + "test_another_key_takes_over",
        ),
        Row(
            "the prompt is too long for a target, or its filter refuses it",
            "the answer of the target that stands there `after` such a failure; without one the 400",
            TRIED,
            RECOVERY + "test_a_target_for_certain_failures",
        ),
        Row(
            "a target cannot serve a parameter, and the route says `unsupported: reject`",
            "the next target's answer; 400 when none can",
            TRIED,
            RECOVERY + "test_a_parameter_that_one_target_cannot_serve_is_served_by_the_next",
        ),
        Row(
            "the host of a sticky client is gone",
            "the answer of the next by rendezvous hashing; nobody else moves",
            ASIDE,
            CHOOSING + "test_a_client_stays_and_only_those_of_a_target_that_leaves_move",
        ),
        Row(
            "a provider has as many requests as its `concurrency` allows",
            "the answer, after waiting its turn",
            "`samewire_provider_in_flight`, `samewire_provider_queue`",
            RECOVERY + "test_one_waits_for_the_other",
        ),
        Row(
            "its queue is full, or the wait too long",
            "the next target's answer, else 503 `overloaded` with `retry-after`",
            "`samewire_provider_rejections_total`",
            RECOVERY + "test_beyond_the_cap",
        ),
        Row(
            "a client leaves the queue, or is given its place in the same moment",
            "nothing",
            "its place goes to the next; none is lost",
            GATE + "test_any_crowd",
        ),
        Row(
            "a reload changes a provider's `concurrency` while requests wait",
            "those who fit now are served at once",
            "`samewire_provider_in_flight`, `samewire_provider_queue`",
            RELOADING + "test_a_cap_that_grows_lets_those_in_who_wait",
        ),
        Row(
            "a reload while a target or a key is left alone",
            "the other targets' answers, as before; a new key in a dead one's place is tried at once",
            "`samewire_set_aside` stays",
            RELOADING + "test_what_is_left_alone_is_left_alone_after_a_reload_too",
        ),
        Row(
            "a reload while one request tries a target again",
            "its answer; nobody else tries meanwhile",
            "`samewire_set_aside` stays, until it is back",
            RELOADING + "test_a_request_that_tries_reports_to_whoever_asks_now",
        ),
        Row(
            "429 with `Retry-After` for a client's own key, and `retry.again`",
            "the 429: its wait is respected, though nothing is remembered of such a key",
            TRIED,
            RECOVERY + "test_what_a_clients_own_key_is_told_to_wait_is_waited_for_too",
        ),
        Row(
            "clients make up model names, and the upstream refuses each",
            "the refusals",
            "memory stays bounded: the newest few thousand are remembered",
            HEALTH + "test_not_even_when_the_upstream_refuses_them_all",
        ),
    ),
)
