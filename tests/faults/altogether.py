"""Everything at once, in any order."""

from __future__ import annotations

from tests.faults.promise import Row, Section

SECTION = Section(
    "altogether",
    "All of it at once",
    "`python -m tests.soak --minutes 30` is the long form of the last line. `python -m tests.suites.described` has schemathesis ask after "
    "OpenAI's own description, on nine operations: no answer is a fault of the server's, or of a status, type or form not described.",
    (
        Row(
            "any interleaving of an upstream's bytes, a client's reads, disconnects and deadlines (200 of them, up to 12 steps each)",
            "a whole answer that is proven, else a status or an error event and a cut connection",
            "nothing in flight and no task left; the upstream let go",
            "tests/pump/test_pump_machine.py::TestPump::runTest",
        ),
        Row(
            "minutes of mixed load, nearly half of it with a fault of the upstream, clients that leave, reloads",
            "each its answer, failure or cut",
            "sent = answered + failed + cancelled, and log and metrics agree; memory and descriptors flat",
            "tests/soak/test_soak.py::test_every_request_is_accounted_for_and_nothing_grows",
        ),
    ),
)
