"""What goes wrong in a stream."""

from __future__ import annotations

from tests.faults.promise import STREAMS, Broken, Case, Section
from tests.upstream.scripted import Step, hang, reset, until_shown

TRUNCATED = Broken("upstream_truncated")


def then(*steps: Step):  # type: ignore[no-untyped-def]
    """After "Hello" has been seen."""
    return lambda wire: [wire.begins(), until_shown, *steps]


SECTION = Section(
    "streams",
    "Streams",
    "A stream that has begun ends well only after the upstream proved that its own did.",
    (
        Case("reset", "a reset in the middle", then(reset), TRUNCATED, "truncated", STREAMS),
        Case("closed", "the connection is closed in the middle", then(), TRUNCATED, "truncated", STREAMS),
        Case("hang", "silence in the middle", then(hang), Broken("upstream_timeout"), "timeout", STREAMS),
    ),
)
