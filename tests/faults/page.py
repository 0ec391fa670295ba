"""docs/faults.md: the promises of all sections, as tables."""

from __future__ import annotations

from tests.docs.compatibility import ROOT
from tests.faults import (
    altogether,
    before_events,
    before_headers,
    clients,
    elsewhere,
    oddities,
    operations,
    refusals,
    request_bodies,
    routing,
    security,
    streams,
    whole_bodies,
)
from tests.faults.promise import Case, Row, Section

PAGE = ROOT / "docs" / "faults.md"
#: In the order of the page.
SECTIONS: tuple[Section, ...] = (
    before_headers.SECTION,
    refusals.REFUSALS,
    whole_bodies.SECTION,
    refusals.MEDIA,
    before_events.SECTION,
    streams.SECTION,
    oddities.SECTION,
    elsewhere.SECTION,
    clients.LEAVING_SECTION,
    clients.SLOW_SECTION,
    clients.HTTP_SECTION,
    request_bodies.SECTION,
    routing.SECTION,
    operations.SECTION,
    security.SECTION,
    altogether.SECTION,
)

INTRODUCTION = """\
# Faults, and what becomes of them

<!-- Written by `python -m tests.docs` from tests/faults: do not edit. A test holds it to that. -->

Each line is a promise: the fault, what the client sees of it, what the operator sees, and the test that injects it through real sockets.

- A status comes with OpenAI's error envelope; its `code` is shown here, or its `type` where there is none.
  The message is one sentence and names no host; where there is more to say, the log has it as `error_detail`.
- Every failure is a line of the request log with `status`, `error_type`, `error_kind`, `blame` and `target`, counted in
  `gen_ai_server_request_duration_seconds` with its `error_type` and, for each target that failed, in `samewire_upstream_errors_total`.
- A name without a path is a case of `tests/faults`: `python -m pytest tests/faults -k NAME` runs it on uvloop
  with a dialect that is passed through and those that are translated; on asyncio's loop with one of them in turn.
"""


def page() -> str:
    """The whole text."""
    return INTRODUCTION + "".join(table(section) for section in SECTIONS)


def table(section: Section) -> str:
    lines = ["| fault | the client sees | the operator sees | test |", "|---|---|---|---|"]
    for promise in section.promises:
        cells = [promise.fault, promise.client(), promise.operator(), test(section, promise)]
        lines.append(f"| {' | '.join(cell.replace('|', '&#124;') for cell in cells)} |")
    return "\n".join(["", f"## {section.title}", "", section.says, "", *lines, ""])


def test(section: Section, promise: Case | Row) -> str:
    """A link to where the test is."""
    if isinstance(promise, Case):
        return f"[{section.name}-{promise.id}](../tests/faults/{section.name}.py)"
    path, _, name = promise.test.partition("::")
    return f"[{path.rpartition('/')[2]}: {name}](../{path})"
