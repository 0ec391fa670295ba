"""Every Case of every section, with each dialect it names, whole and streamed, on uvloop, which is what serves.

On asyncio's loop, too, but there once whole and once streamed, the dialects in turn: what differs between the loops is sockets and
timers, and the same for all dialects.
"""

from __future__ import annotations

import json
import re
import subprocess
import sys
from collections.abc import Iterator

import pytest

from tests.corpus.frames import sse
from tests.corpus.grammar import judge
from tests.corpus.readings import OPENAI
from tests.docs.compatibility import ROOT
from tests.exchange.wire import Reply
from tests.faults.page import PAGE, SECTIONS, page
from tests.faults.promise import Answered, AsItCame, Broken, Case, How, Row, Section, Status
from tests.faults.stage import Outcome, play, script_of, second

LINE_END = "\n"


CASES = [(section, case) for section in SECTIONS for case in section.promises if isinstance(case, Case)]


def in_turn() -> Iterator[object]:
    """(case, dialect, how) once for each `how` of a case, called `section-case-dialect-how`."""
    for number, (section, case) in enumerate(CASES):
        for how in dict.fromkeys(how for _, how in case.tries):
            dialects = [dialect for dialect, tried in case.tries if tried == how]
            yield named(section, case, dialects[number % len(dialects)], how)


def named(section: Section, case: Case, dialect: str, how: How) -> object:
    return pytest.param(case, dialect, how, id=f"{section.name}-{case.id}-{dialect}-{how}")


EACH = [named(section, case, *tried) for section, case in CASES for tried in case.tries]


@pytest.mark.asyncio(loop_factories=["uvloop"])
@pytest.mark.parametrize(("case", "dialect", "how"), EACH)
async def test_promise(case: Case, dialect: str, how: How, capfd: pytest.CaptureFixture[str]) -> None:
    await keeps(case, dialect, how, capfd)


@pytest.mark.asyncio(loop_factories=["asyncio"])
@pytest.mark.parametrize(("case", "dialect", "how"), list(in_turn()))
async def test_promise_on_the_other_loop(case: Case, dialect: str, how: How, capfd: pytest.CaptureFixture[str]) -> None:
    await keeps(case, dialect, how, capfd)


async def keeps(case: Case, dialect: str, how: How, capfd: pytest.CaptureFixture[str]) -> None:
    outcome = await play(case, dialect, how, lambda: capfd.readouterr().out)
    match case.sees:
        case Status():
            refused(case.sees, outcome.reply)
        case Broken():
            broken(case.sees, outcome.reply)
        case Answered():
            answered(case.sees, outcome.reply, how, translated=dialect != "openai")
        case AsItCame():
            as_it_came(case, dialect, outcome.reply)
    noted(case, dialect, how, outcome)
    assert outcome.requests == case.requests


def envelope(sees: Status | Broken, reply: Reply) -> None:
    """The error says what it is in one clear sentence, and nothing of where the upstream is."""
    error = reply.error
    assert set(error) == {"message", "type", "param", "code"}
    assert (error["type"], error["code"]) == (sees.type, sees.code)
    assert re.search(sees.message, error["message"]), error["message"]
    assert not re.search(r"127\.0\.0\.1|sk-secret|no-such-host", reply.body.decode())


def refused(sees: Status, reply: Reply) -> None:
    assert (reply.status, reply.headers["content-type"], reply.whole) == (sees.status, "application/json", True)
    envelope(sees, reply)


def broken(sees: Broken, reply: Reply) -> None:
    assert (reply.status, reply.whole, reply.closed) == (200, False, True)
    assert not judge(reply.body, usage_asked=False, complete=False), reply.body
    envelope(sees, reply)
    facts = OPENAI.stream(reply.body.decode())
    assert [(choice.text, choice.finish) for choice in facts.choices.values()] == [(sees.text, None)]


def answered(sees: Answered, reply: Reply, how: How, *, translated: bool) -> None:
    assert (reply.status, reply.whole) == (200, True), reply.body
    if how == "stream":
        # Events that are passed through keep their names and lines; a client joins them by the standard.
        plain = reply.body if translated else reframed(reply.body)
        assert not judge(plain, usage_asked=False, complete=True), reply.body
        facts = OPENAI.stream(reply.body.decode())
    else:
        facts = OPENAI.answer(200, json.loads(reply.body.decode("utf-8", "strict")))
    assert [(choice.text, choice.finish) for choice in facts.choices.values()] == [(sees.text, "stop")]


def reframed(body: bytes) -> bytes:
    """The same events, each on one line and without a name."""
    return "".join(f"data: {data.replace(LINE_END, ' ')}\n\n" for _, data in sse(body.decode())).encode()


def as_it_came(case: Case, dialect: str, reply: Reply) -> None:
    assert (reply.status, reply.headers["content-type"], reply.whole) == (200, "application/json", True), reply.body
    (sent,) = script_of(case, dialect)
    assert isinstance(sent, bytes)
    assert reply.body == sent.partition(b"\r\n\r\n")[2].replace(b'"gpt"', b'"openai"')


def noted(case: Case, dialect: str, how: How, outcome: Outcome) -> None:
    """One line in the log, and one more of each figure that tells of it."""
    line = outcome.line
    assert (line["target"].removesuffix("/up"), line["attempts"]) == ((second(dialect), 2) if case.elsewhere else (dialect, 1))
    assert (line["status"], line.get("stream", False)) == (outcome.reply.status, how == "stream")
    errors = {name: value for name, value in outcome.figures.items() if name.startswith("samewire_upstream_errors_total")}
    counted = [name for name in outcome.figures if name.startswith("gen_ai_server_request_duration_seconds_count")]
    if not case.kind:
        assert ("blame" not in line, "error_kind" not in line, errors) == (True, True, {})
        return
    if isinstance(case.sees, Status | Broken):
        assert (line["error_kind"], line["error_type"], line["blame"], line["level"]) == (case.kind, case.sees.type, "upstream", "warning")
    (count,) = errors.items()
    assert f'kind="{case.kind}"' in count[0]
    assert count[1] == 1
    assert ["error_type=" in name for name in counted] == [not case.elsewhere]


# ── the page ──


def test_the_page_is_up_to_date() -> None:
    assert PAGE.read_text("utf-8") == page(), "python -m tests.docs writes it anew"


def test_no_two_promises_have_one_name() -> None:
    for section in SECTIONS:
        names = [promise.id for promise in section.promises if isinstance(promise, Case)]
        assert sorted(set(names)) == sorted(names)


def test_tests_that_live_elsewhere_are_there() -> None:
    """They are collected by the names that the page tells."""
    named = {row.test for section in SECTIONS for row in section.promises if isinstance(row, Row)}
    files = sorted({test.partition("::")[0] for test in named})
    command = [sys.executable, "-m", "pytest", "-p", "no:cacheprovider", "-o", "addopts=", "--collect-only", "-q", *files]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=280, check=False)
    found = set(done.stdout.splitlines())
    found |= {test.partition("[")[0] for test in found}
    # Tests that run on both loops say so at the front of their parameters.
    found |= {re.sub(r"\[(?:asyncio|uvloop)(?:-|\])", "[", test).removesuffix("[") for test in found}
    assert sorted(named - found) == [], done.stdout[-2000:] + done.stderr
