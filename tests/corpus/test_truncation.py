"""The law of the end: a stream that breaks before its upstream has proven its end is an error, never a short answer that looks whole."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from itertools import pairwise

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.corpus.conftest import Theatre
from tests.corpus.exchanges import RECORDINGS, Exchange, collection
from tests.corpus.facts import Facts, compare
from tests.corpus.grammar import judge
from tests.corpus.readings import OPENAI, READINGS
from tests.corpus.replay import STRICT, ask, provider_of, script
from tests.corpus.schemas import faults
from tests.stage.client import Served
from tests.stage.upstream import End

STREAMS = [one for one in collection(RECORDINGS) if one.streamed and one.status == 200 and not one.facts().error]
_BLANK = re.compile(r"(?>\r\n|\n|\r)(?>\r\n|\n|\r)")  # a CR ends its line at once, whatever follows


def _split(exchange: Exchange, part: bytes) -> tuple[str, str]:
    """The complete events of a broken stream, and what is left of the one it broke in."""
    text = part.decode(errors="ignore")
    ends = [match.end() for match in (re.finditer(r"\n", text) if exchange.api == "ollama.chat" else _BLANK.finditer(text))]
    return (text[: ends[-1]], text[ends[-1] :]) if ends else ("", text)


def _proven(exchange: Exchange, events: str, rest: str, said: Facts, end: End) -> bool:
    """Whether the complete events, and what is left over, prove that the stream is whole."""
    match exchange.api:
        case "messages" | "streamRawPredict":
            return "message_stop" in events
        case "ollama.chat":
            return any(json.loads(line).get("done") for line in events.split("\n") if line)
        case "chat" if "data: [DONE]" in events or "data:[DONE]" in events:
            return True
    finished = bool(said.choices) and all(choice.finish for choice in said.choices.values())
    # no end marker: the finish reason, and then a clean end of the body with no half event before it
    return finished and end == "whole" and not rest.strip()


def _whole_but_for_its_end(rest: str) -> bool:
    """Whether what is left of an event could be taken for it all: then both endings are right."""
    lines = [line for line in re.split(r"[\r\n]+", rest) if line]
    data = lines[-1].removeprefix("data:").strip() if lines else ""
    try:
        json.loads("{}" if data == "[DONE]" else data)
    except ValueError:
        return False
    return True


def _broken(exchange: Exchange, served: Served, said: Facts) -> Iterator[str]:
    """What is wrong with an answer that must say it broke."""
    if served.status != 200:
        yield from [] if served.status in (502, 504) else [f"status {served.status} for a broken upstream"]
        yield from faults("error", served.json())
        return
    told = OPENAI.stream(served.body.decode())
    if told.error is None or b"[DONE]" in served.body or served.complete:
        yield f"not told as broken: error {told.error}, complete {served.complete}, ends with {served.body[-60:]!r}"
    if provider_of(exchange) in STRICT:
        yield from judge(served.body, usage_asked=True, complete=served.complete)
    for index, choice in told.choices.items():
        heard = said.choices.get(index)
        if choice.finish and (heard is None or heard.finish is None):
            yield f"invented finish_reason {choice.finish}"
        if heard is not None and choice.text != heard.text:
            yield f"text before the break: {heard.text[-40:]!r} became {choice.text[-40:]!r}"


async def _break(stage: object, exchange: Exchange, at: int, end: End, pieces: int = 1) -> list[str]:
    part = exchange.body()[:at]
    events, rest = _split(exchange, part)
    said = READINGS[exchange.api].stream(events)
    cuts = [at * number // pieces for number in range(pieces + 1)]
    served = await ask(stage, exchange, script(exchange, [part[a:b] for a, b in pairwise(cuts) if a < b], end), True)  # type: ignore[arg-type]
    clean = served.complete and b"[DONE]" in served.body
    if _whole_but_for_its_end(rest) and clean:  # then it was taken for whole, or was not needed any more
        said = min(
            said, READINGS[exchange.api].stream(part.decode()), key=lambda one: len(compare(one, OPENAI.stream(served.body.decode())))
        )
    elif not _proven(exchange, events, rest, said, end):
        return list(_broken(exchange, served, said))
    return compare(said, OPENAI.stream(served.body.decode())) if clean else ["proven, yet told as broken"]


def _places(body: bytes) -> set[int]:
    """Awkward places: nothing, one byte, in and between the first events, the middle, before and in the last event, one byte short."""
    size = len(body)
    first = body.find(b"\n\n") + 1 or body.find(b"\n") + 1
    last = max(body.rstrip().rfind(b"\ndata:"), body.rstrip().rfind(b"\n{"), 0)
    return {
        place
        for place in (0, 1, first - 1, first, first + 1, first + 9, size // 2, last, last + 12, size - 3, size - 1)
        if 0 <= place <= size
    }


@pytest.mark.parametrize("end", ["cut", "whole"])
@pytest.mark.parametrize("exchange", STREAMS, ids=lambda one: one.record["case"].replace("/", "-")[:60])
def test_a_broken_stream_says_so(theatre: Theatre, exchange: Exchange, end: End) -> None:
    for place in sorted(_places(exchange.body())):
        found = theatre.run(lambda stage, at=place: _break(stage, exchange, at, end))  # type: ignore[misc]
        assert not found, f"{exchange.path} broken at byte {place} of {len(exchange.body())}: {found}"


@settings(max_examples=150, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_a_stream_broken_anywhere_says_so(theatre: Theatre, data: st.DataObject) -> None:
    exchange = data.draw(st.sampled_from([one for one in STREAMS if len(one.body()) < 20_000]).map(lambda one: one), label="recording")
    at = data.draw(st.integers(0, len(exchange.body()) - 1), label="byte")
    end: End = data.draw(st.sampled_from(["cut", "whole"]), label="end")
    pieces = data.draw(st.integers(1, 12), label="pieces")
    found = theatre.run(lambda stage: _break(stage, exchange, at, end, pieces))
    assert not found, found
