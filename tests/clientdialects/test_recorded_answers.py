"""Recorded answers and streams of every vendor, as clients of Gemini's and of Ollama's API read them: the same facts, in order, however
the events come together, and with no good end where the upstream had none."""

from __future__ import annotations

import base64
import json
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy.cli.cases import neutral
from proxy.codecs.framing import FRAMINGS, Framing
from proxy.mapping.context import Context
from tests.clientdialects.cases import clients
from tests.clientdialects.cases import events as framed
from tests.clientdialects.generate_content import grammar as gemini_grammar
from tests.clientdialects.ollama_chat import grammar as ollama_grammar
from tests.clientdialects.recorded import ANSWERED, canonical, events, shown, streamed
from tests.corpus.exchanges import Exchange
from tests.corpus.facts import Choice, Facts, compare
from tests.corpus.readings import gemini, ollama

#: A host whose usage only the repairs of its provider entry bring into order.
REPAIRED = {"xai"}
RECORDED = [one for one in ANSWERED if one.vendor not in REPAIRED]
VENDORS = sorted({one.vendor for one in RECORDED})
STREAMS = [one for one in RECORDED if one.streamed]


@dataclass(frozen=True, slots=True)
class Reader:
    """A client dialect as its client reads it. `shows`: the facts that it has a place for."""

    operation: str
    framing: Framing
    answer: Callable[[int, Any], Facts]
    stream: Callable[[str], Facts]
    shows: Callable[[Facts], Facts]
    breaches: Callable[..., list[str]]


def _of_gemini(facts: Facts) -> Facts:
    """A refusal is text; there is no word for what was written to a cache, nor for sound's transcript."""
    for choice in facts.choices.values():
        choice.text, choice.refusal = choice.text + choice.refusal, ""
        choice.images = [image for image in choice.images if image.startswith("data:image/")]
        choice.signatures = [_unmarked(signature) for signature in choice.signatures][-1:]
    return replace(facts, usage=facts.usage and replace(facts.usage, cache_write=None))


def _unmarked(signature: str) -> str:
    """What a vendor said, without the mark that it is not Google's."""
    if not signature.startswith("c2FtZXdpcmUu"):
        return signature
    return base64.b64decode(signature).decode().rpartition(".")[2]


def _of_ollama(facts: Facts) -> Facts:
    """One choice, of text, thoughts and calls; usage in two counts."""
    facts.choices = {index: choice for index, choice in facts.choices.items() if index == 0}
    for choice in facts.choices.values():
        choice.text, choice.refusal, choice.images, choice.signatures = choice.text + choice.refusal, "", [], []
        choice.finish = "stop" if choice.finish == "content_filter" else choice.finish  # the independent reading knows it as no other end
        for call in choice.calls:
            call.signature = None
            call.id = call.id and call.id.partition("__thought__")[0]  # Google's comes behind the id
    return replace(facts, usage=facts.usage and replace(facts.usage, cached=None, cache_write=None, reasoning=None))


READERS = {
    "gemini": Reader("generate_content", FRAMINGS["sse"], gemini.answer, gemini.stream, _of_gemini, gemini_grammar.breaches),
    "ollama": Reader("ollama_chat", FRAMINGS["ndjson"], ollama.answer, ollama.stream, _of_ollama, ollama_grammar.breaches),
}
each_reader = pytest.mark.parametrize("reader", READERS.values(), ids=READERS)


def read(exchange: Exchange, reader: Reader, **how: int) -> Facts:
    """What the client reads of a recorded answer."""
    if exchange.streamed:
        return reader.stream(streamed(exchange, reader.operation, reader.framing, **how)[0].decode())
    return reader.answer(200, shown(canonical(exchange), reader.operation))


def facts_of(exchange: Exchange) -> Facts:
    """What an independent reading of the recording says; some vendors say stop after calls, and one calls in an older way."""
    facts = exchange.facts()
    for choice in facts.choices.values():
        choice.finish = "tool_calls" if choice.calls and choice.finish == "stop" else choice.finish
    return facts


def older_call(exchange: Exchange) -> bool:
    return any(choice.finish == "function_call" for choice in exchange.facts().choices.values())


@each_reader
@pytest.mark.parametrize("vendor", VENDORS)
def test_the_facts_are_those_of_the_recording(reader: Reader, vendor: str) -> None:
    wrong = {}
    for exchange in RECORDED:
        if exchange.vendor == vendor and not older_call(exchange):
            found = compare(reader.shows(facts_of(exchange)), reader.shows(read(exchange, reader)))
            if found:
                wrong[exchange.path] = found
    assert not wrong


def lines(output: bytes, reader: Reader) -> list[dict[str, Any]]:
    """The events of a stream."""
    found = framed(output, reader.framing)
    assert all(name == "" for name, _ in found)
    return [data for _, data in found]


@each_reader
@pytest.mark.parametrize("vendor", sorted({one.vendor for one in STREAMS}))
def test_streams_keep_to_their_grammar(reader: Reader, vendor: str) -> None:
    for exchange in STREAMS:
        if exchange.vendor == vendor:
            output, ended = streamed(exchange, reader.operation, reader.framing)
            assert reader.breaches(lines(output, reader), ended=ended) == [], exchange.path


@each_reader
@given(data=st.data())
def test_a_stream_broken_anywhere_fails_in_the_dialects_words(reader: Reader, data: st.DataObject) -> None:
    exchange = data.draw(st.sampled_from(STREAMS), label="stream")
    cut = data.draw(st.integers(0, len(events(exchange))), label="cut")
    step = data.draw(st.integers(1, 5), label="step")
    output, ended = streamed(exchange, reader.operation, reader.framing, cut=cut, step=step)
    assert not ended
    assert reader.breaches(lines(output, reader), ended=False) == []
    full, part = facts_of(exchange).choices, reader.stream(output.decode())
    assert part.error is not None
    for index, choice in part.choices.items():
        want = full.get(index, Choice())
        assert (want.text + want.refusal).startswith(choice.text)
        assert want.reasoning.startswith(choice.reasoning)
        assert choice.finish is None


@each_reader
@given(data=st.data())
def test_however_events_come_together_the_client_reads_the_same(reader: Reader, data: st.DataObject) -> None:
    exchange = data.draw(st.sampled_from(STREAMS), label="stream")
    step = data.draw(st.integers(1, 7), label="step")
    together, apart = (neutral(streamed(exchange, reader.operation, reader.framing, step=size)[0]) for size in (1000, step))
    assert apart == together


@each_reader
def test_whole_and_streamed_say_the_same(reader: Reader) -> None:
    for exchange in RECORDED:
        if not exchange.streamed:
            answer = canonical(exchange)
            mapping = clients().mappings[reader.operation]
            assert mapping.stream is not None
            writer = mapping.stream.open(Context(model="m", public="m", now=1700000000, req={}, stream=True), framing=reader.framing)
            writer.head({name: answer[name] for name in ("id", "created", "model")})
            for choice in answer["choices"][: None if reader.operation == "generate_content" else 1]:
                writer.emit(dict(choice["message"]), choice["index"], choice["logprobs"])
                writer.finish(choice["finish_reason"], choice["index"])
            if answer.get("usage"):
                writer.usage = answer["usage"]
            writer.end()
            one, other = reader.answer(200, shown(answer, reader.operation)), reader.stream(writer.take().decode())
            assert compare(one, other) == [], exchange.path


def test_an_array_is_json_at_a_good_end_only() -> None:
    array = FRAMINGS["array"]
    for exchange in STREAMS[:20]:
        output, ended = streamed(exchange, "generate_content", array)
        assert ended
        assert gemini_grammar.breaches(json.loads(output), ended=True) == []
        broken, _ = streamed(exchange, "generate_content", array, cut=1)
        assert not broken.endswith(b"]")
        assert gemini_grammar.breaches(json.loads(broken + b"]"), ended=False) == []


SOUND = [{"candidates": [{"content": {"parts": [{"text": "a"}], "role": "model"}, "index": 0}]}]
END = [{"candidates": [{"content": {"parts": [{"text": ""}], "role": "model"}, "index": 0, "finishReason": "STOP"}]}]
ERROR: list[dict[str, Any]] = [{"error": {"code": 502, "message": "m", "status": "UNAVAILABLE"}}]


@pytest.mark.parametrize(
    ("told", "ended"),
    [
        (SOUND, True),
        (END + SOUND, True),
        (SOUND + END, False),
        (END + ERROR, False),
        (SOUND + ERROR + END, True),
        ([{"candidates": [{"content": {"role": "model"}, "index": 0}]}, *END], True),
        ([{"candidates": [{"content": {"parts": [{"thought": True}], "role": "model"}, "index": 0}]}, *END], True),
    ],
)
def test_the_judge_of_geminis_grammar_notices(told: list[dict[str, Any]], ended: bool) -> None:
    assert gemini_grammar.breaches(SOUND + END, ended=True) == gemini_grammar.breaches(SOUND + ERROR, ended=False) == []
    assert gemini_grammar.breaches(told, ended=ended)


PIECE = {"model": "m", "created_at": "2026-01-01T00:00:00Z", "message": {"role": "assistant", "content": "a"}, "done": False}
DONE = PIECE | {"done": True, "done_reason": "stop"}


@pytest.mark.parametrize(
    ("told", "ended"),
    [([PIECE], True), ([DONE, PIECE], True), ([PIECE, DONE], False), ([DONE, {"error": "e"}], False), ([{"error": "e"}, DONE], True)],
)
def test_the_judge_of_ollamas_grammar_notices(told: list[dict[str, Any]], ended: bool) -> None:
    assert ollama_grammar.breaches([PIECE, DONE], ended=True) == ollama_grammar.breaches([PIECE, {"error": "e"}], ended=False) == []
    with pytest.raises((AssertionError, KeyError)):
        assert ollama_grammar.breaches(told, ended=ended) == []
