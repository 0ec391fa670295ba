"""The same faults where the route has a second target: it answers, as long as nothing has reached the client."""

from __future__ import annotations

from dataclasses import replace

from tests.faults import before_events, before_headers, whole_bodies
from tests.faults.promise import Answered, Case, Row, Section

#: Faults of the other tables, by section and id: of each kind one or more.
FAULTS = {
    before_headers: ("reset", "closed", "garbage", "silence", "header-drip", "endless-100"),
    whole_bodies: ("reset", "short", "chunk-size", "hang", "page", "cut-json", "large", "bomb"),
    before_events: (
        "reset",
        "empty",
        "comments",
        "torn",
        "silence",
        "comments-drip",
        "garbage",
        "page",
        "document",
        "error-openai",
        "error-anthropic",
    ),
}


def elsewhere(section: Section, case: Case) -> Case:
    """The client gets the second target's answer."""
    return replace(
        case, id=f"{section.name}-{case.id}", fault=f"{section.title}: {case.fault}", sees=Answered(), elsewhere=True, requests=2
    )


SECTION = Section(
    "elsewhere",
    "Another target",
    "A fault before anything reached the client lets the next target of the route answer, if there is one: streams always, whole answers "
    "where the request cannot have been worked on or the route says `maybe_processed: always` (as here). No target is asked twice.",
    (
        *(
            elsewhere(module.SECTION, case)
            for module, names in FAULTS.items()
            for case in module.SECTION.promises
            if isinstance(case, Case) and case.id in names
        ),
        Row(
            "a whole answer that may have been worked on, where the route says nothing of that",
            "the first target's error",
            "`attempts: 1`",
            "tests/routing/test_turns.py::test_what_may_have_been_worked_on",
        ),
        Row(
            "a target that cannot be reached",
            "the next one's answer",
            "`attempts: 2`",
            "tests/exchange/test_failover.py::test_an_upstream_that_cannot_be_reached",
        ),
        Row(
            "a request that is the client's fault: 400, 404",
            "the first target's error",
            "`error_kind: status`",
            "tests/exchange/test_failover.py::test_the_next_target_is_not_asked",
        ),
        Row(
            "all targets fail",
            "the last one's error",
            "each failure is counted",
            "tests/exchange/test_failover.py::test_the_last_failure_is_what_is_told",
        ),
        Row(
            "a form whose upload has begun",
            "the first target's error: it is gone",
            "`attempts: 1`",
            "tests/exchange/test_failover.py::test_a_form_is_sent_once",
        ),
        Row(
            "a stream whose heartbeat is out",
            "an error event: the head named the status",
            "`attempts: 1`",
            "tests/exchange/test_failover.py::test_heartbeats_end_the_choice",
        ),
    ),
)
