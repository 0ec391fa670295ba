"""Recorded answers of every vendor, read as Messages: by an independent reader, by Anthropic's SDK, by a state machine of the events'
grammar; in any pieces, and broken anywhere."""

from __future__ import annotations

import json
from itertools import pairwise
from typing import Any

import anthropic
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.clientdialects.messages.grammar import judge
from tests.clientdialects.messages.replaying import EXCHANGES, READING, ask, breaches, read, request, told, unmarked
from tests.corpus.conftest import Theatre
from tests.corpus.exchanges import Exchange
from tests.corpus.facts import Facts, compare
from tests.corpus.replay import Stage, crumbs, provider_of, script, whole
from tests.stage.client import call
from tests.stage.upstream import End, events
from tests.stage.upstream import whole as json_answer

STREAMS = [one for one in EXCHANGES if one.streamed and one.status == 200]
WELL = [one for one in EXCHANGES if one.status == 200 and not one.facts().error]


def _name(exchange: Exchange) -> str:
    return str(exchange.record["case"]).replace("/", "-")[:60]


@pytest.mark.parametrize("exchange", EXCHANGES, ids=_name)
def test_a_recording_comes_out_right(messages: Theatre, exchange: Exchange) -> None:
    for cut in (whole, crumbs) if exchange.streamed else (whole,):
        served = messages.run(lambda stage, cut=cut: ask(stage, exchange, script(exchange, cut(exchange.body()))))  # type: ignore[misc]
        assert list(breaches(exchange, served)) == []


@pytest.mark.parametrize("exchange", [one for one in WELL if provider_of(one) == "anthropic"], ids=_name)
def test_anthropic_answers_are_handed_through(messages: Theatre, exchange: Exchange) -> None:
    served = messages.run(lambda stage: ask(stage, exchange, script(exchange, whole(exchange.body())), by_chat=False))
    if not exchange.streamed:
        assert served.json() == json.loads(exchange.body()) | {"model": request(exchange, by_chat=False)["model"]}
    assert served.complete
    assert compare(exchange.facts(), read(served)) == []


async def _final(stage: Stage, exchange: Exchange) -> dict[str, Any]:
    """The message that Anthropic's SDK makes of it."""
    stage.upstream.answer(script(exchange, whole(exchange.body())))
    host, port = stage.address
    async with anthropic.AsyncAnthropic(base_url=f"http://{host}:{port}", api_key="any", max_retries=0, timeout=20) as client:
        body = request(exchange)
        if not body.pop("stream", False):
            return (await client.messages.create(**body)).to_dict()
        async with client.messages.stream(**body) as stream:
            return (await stream.get_final_message()).to_dict()


@pytest.mark.parametrize("exchange", WELL, ids=_name)
def test_the_sdk_reads_the_same(messages: Theatre, exchange: Exchange) -> None:
    message = messages.run(lambda stage: _final(stage, exchange))
    assert compare(told(exchange), unmarked(READING.answer(200, message))) == []


@settings(max_examples=150)
@given(data=st.data())
def test_a_stream_broken_anywhere_says_so(messages: Theatre, data: st.DataObject) -> None:
    exchange = data.draw(st.sampled_from([one for one in STREAMS if len(one.body()) < 20_000]), label="recording")
    body = exchange.body()
    at = data.draw(st.integers(0, len(body) - 1), label="byte")
    end: End = data.draw(st.sampled_from(["cut", "whole"]), label="end")
    cuts = [0, *data.draw(st.lists(st.integers(0, at), max_size=8).map(sorted), label="cuts"), at]
    pieces = [body[a:b] for a, b in pairwise(cuts) if a < b]
    served = messages.run(lambda stage: ask(stage, exchange, script(exchange, pieces, end)))
    if served.status != 200:
        assert (served.json()["type"], bool(served.json()["error"]["message"])) == ("error", True)
        return
    assert judge(served.body, complete=served.complete) == []
    found = read(served)
    assert _begins(told(exchange), found)
    if served.complete:  # then nothing that matters is missing
        assert found.choices[0].finish


def _begins(all_of_it: Facts, part: Facts) -> bool:
    """Whether what was said before the break is what the recording says first."""
    if not part.choices:
        return True
    heard, said = part.choices[0], all_of_it.choices[0]
    calls = [one.name for one in heard.calls] == [one.name for one in said.calls][: len(heard.calls)]
    return said.text.startswith(heard.text) and said.reasoning.startswith(heard.reasoning) and calls


_TEXT = st.text(st.characters(exclude_categories=["Cs"]), max_size=12)
_CALLS = st.lists(st.tuples(st.sampled_from(["f", "g"]), st.dictionaries(_TEXT, _TEXT, max_size=2)), max_size=3)


def _pieces(data: st.DataObject, text: str) -> list[str]:
    cuts = [0, *data.draw(st.lists(st.integers(0, len(text)), max_size=3).map(sorted), label="cuts"), len(text)]
    return [text[a:b] for a, b in pairwise(cuts) if a < b]


async def _both(stage: Stage, message: dict[str, Any], deltas: list[dict[str, Any]], finish: str) -> list[Facts]:
    """The same answer, whole and as a stream."""
    head = {"id": "c", "object": "chat.completion", "created": 1, "model": "m"}
    chunks = [head | {"choices": [{"index": 0, "delta": delta, "finish_reason": None}]} for delta in deltas]
    last = head | {"choices": [{"index": 0, "delta": {}, "finish_reason": finish}]}
    usage = {"prompt_tokens": 5, "completion_tokens": 7, "total_tokens": 12, "prompt_tokens_details": {"cached_tokens": 2}}
    answer = head | {"choices": [{"index": 0, "message": message, "finish_reason": finish}], "usage": usage}
    found = []
    for streamed, replayed in ((False, json_answer(answer)), (True, events(*chunks, last, head | {"choices": [], "usage": usage}))):
        stage.upstream.answer(replayed)
        asked = {"model": "openai/m", "max_tokens": 9, "messages": [{"role": "user", "content": "Hi"}], "stream": streamed}
        served = await call(stage.address, asked, "/v1/messages")
        assert served.status == 200
        if streamed:
            assert judge(served.body, complete=served.complete) == []
        found.append(read(served))
    return found


@settings(max_examples=80)
@given(data=st.data())
def test_whole_and_streamed_say_the_same(messages: Theatre, data: st.DataObject) -> None:
    reasoning, text, calls = data.draw(_TEXT, label="reasoning"), data.draw(_TEXT, label="text"), data.draw(_CALLS, label="calls")
    made = [
        {"id": f"call_{n}", "type": "function", "function": {"name": name, "arguments": json.dumps(given)}}
        for n, (name, given) in enumerate(calls)
    ]
    message = {"role": "assistant", "content": text or None, "reasoning_content": reasoning or None, "tool_calls": made or None}
    deltas: list[dict[str, Any]] = [{"role": "assistant"}]
    deltas += [{"reasoning_content": piece} for piece in _pieces(data, reasoning)]
    deltas += [{"content": piece} for piece in _pieces(data, text)]
    for n, one in enumerate(made):
        function: Any = one["function"]
        deltas.append({"tool_calls": [one | {"index": n, "function": {"name": function["name"], "arguments": ""}}]})
        deltas += [{"tool_calls": [{"index": n, "function": {"arguments": piece}}]} for piece in _pieces(data, function["arguments"])]
    finish = "tool_calls" if made else data.draw(st.sampled_from(["stop", "length"]), label="finish")
    whole_one, streamed = messages.run(lambda stage: _both(stage, message, deltas, finish))
    assert compare(whole_one, streamed) == []
    assert (whole_one.choices[0].text, whole_one.choices[0].reasoning, len(whole_one.choices[0].calls)) == (text, reasoning, len(calls))
