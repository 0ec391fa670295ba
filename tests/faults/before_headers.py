"""What goes wrong before an upstream has answered with its head."""

from __future__ import annotations

from tests.faults import places
from tests.faults.promise import Case, Row, Section, Status
from tests.upstream.scripted import drip, hang, reset

#: Seconds between two bytes.
DRIP = 0.002

UNREACHABLE = Status(502, "upstream_unreachable")
TRUNCATED = Status(502, "upstream_truncated")
INVALID = Status(502, "upstream_invalid")
LATE = Status(504, "upstream_timeout")

SECTION = Section(
    "before_headers",
    "Before the head of an answer",
    "A target that cannot be reached, breaks off, talks nonsense or says nothing. The same for whole answers and for streams, "
    "whatever the dialect; where the route has another target, it is asked instead.",
    (
        Case("refused", "the connection is refused", [], UNREACHABLE, "connect", place=places.refusing, requests=0),
        Case("dns", "the host's name is unknown", [], UNREACHABLE, "connect", place=places.unknown, requests=0),
        Case("connect-hang", "nobody takes the connection", [], LATE, "timeout", place=places.deaf, requests=0),
        Case("reset", "a reset instead of an answer", [reset], TRUNCATED, "truncated"),
        Case("closed", "the connection is closed without an answer", [], TRUNCATED, "truncated"),
        Case("silence", "no answer at all", [hang], LATE, "timeout"),
        Case(
            "header-drip",
            "a header that comes byte by byte and never ends",
            [drip(b"HTTP/1.1 200 OK\r\na: " + b"a" * 9999, DRIP)],
            LATE,
            "timeout",
        ),
        Row(
            "a connection from the pool turns out dead, without one byte of an answer",
            "the answer: the request goes out once more, on a fresh connection",
            "nothing: the upstream cannot have begun to work on it",
            "tests/upstream/test_pool.py::test_a_stale_connection_sends_the_request_once_more",
        ),
    ),
)
