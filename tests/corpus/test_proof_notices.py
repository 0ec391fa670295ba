"""The proof on trial: what the gateway really served, with one fault planted, must not pass."""

from __future__ import annotations

import copy
import json
from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any

import pytest

from tests.corpus.conftest import Theatre
from tests.corpus.exchanges import RECORDINGS, Exchange, collection
from tests.corpus.replay import STRICT, ask, breaches, excused, provider_of, script
from tests.stage.client import Served

EXCHANGES = [one for one in collection(RECORDINGS) if one.status == 200 and one.facts().error is None]
STREAMS = [one for one in EXCHANGES if one.streamed]
ANSWERS = [one for one in EXCHANGES if not one.streamed]
Chunks = list[Any]  # the documents of a stream; "[DONE]" is text


def _deltas(chunks: Chunks, *names: str) -> list[tuple[int, dict[str, Any]]]:
    """(place, delta) of every chunk whose delta holds one of these."""
    found = [
        (n, choice["delta"])
        for n, one in enumerate(chunks)
        if isinstance(one, dict)
        for choice in one.get("choices") or []
        if choice.get("delta")
    ]
    return [(n, delta) for n, delta in found if any(delta.get(name) for name in names)]


def _lose_text(chunks: Chunks) -> Iterator[Chunks]:
    for place, _ in _deltas(chunks, "content", "reasoning_content", "reasoning")[:2]:
        yield chunks[:place] + chunks[place + 1 :]


def _say_twice(chunks: Chunks) -> Iterator[Chunks]:
    for place, _ in _deltas(chunks, "content", "reasoning_content", "reasoning")[-2:]:
        yield chunks[: place + 1] + chunks[place:]


def _change_arguments(chunks: Chunks) -> Iterator[Chunks]:
    for place, delta in _deltas(chunks, "tool_calls"):
        if delta["tool_calls"][0].get("function", {}).get("arguments"):
            changed = copy.deepcopy(chunks)
            _deltas([changed[place]], "tool_calls")[0][1]["tool_calls"][0]["function"]["arguments"] = '{"planted": 1}'
            yield changed
            return


def _shift_index(chunks: Chunks) -> Iterator[Chunks]:
    for place, _ in _deltas(chunks, "tool_calls")[:1]:
        changed = copy.deepcopy(chunks)
        _deltas([changed[place]], "tool_calls")[0][1]["tool_calls"][0]["index"] += 1
        yield changed


def _forget_id(chunks: Chunks) -> Iterator[Chunks]:
    for place, _ in _deltas(chunks, "tool_calls")[:1]:
        changed = copy.deepcopy(chunks)
        del _deltas([changed[place]], "tool_calls")[0][1]["tool_calls"][0]["id"]
        yield changed


def _other_finish(chunks: Chunks) -> Iterator[Chunks]:
    for place, one in enumerate(chunks):
        for number, choice in enumerate(one.get("choices") or [] if isinstance(one, dict) else []):
            if choice.get("finish_reason"):
                changed = copy.deepcopy(chunks)
                changed[place]["choices"][number]["finish_reason"] = "length" if choice["finish_reason"] != "length" else "stop"
                if not any(
                    isinstance(later, dict) and any(c.get("finish_reason") for c in later.get("choices") or [])
                    for later in chunks[place + 1 :]
                ):
                    yield changed


def _other_usage(chunks: Chunks) -> Iterator[Chunks]:
    places = [n for n, one in enumerate(chunks) if isinstance(one, dict) and (one.get("usage") or {}).get("total_tokens")]
    for place in places[-1:]:
        changed = copy.deepcopy(chunks)
        changed[place]["usage"]["prompt_tokens"] += 1
        changed[place]["usage"]["total_tokens"] += 1
        yield changed


def _no_end(chunks: Chunks) -> Iterator[Chunks]:
    yield chunks[:-1]


def _two_ends(chunks: Chunks) -> Iterator[Chunks]:
    yield [*chunks, chunks[-1]]


def _an_error_in_it(chunks: Chunks) -> Iterator[Chunks]:
    yield [*chunks[:-1], {"error": {"message": "planted", "type": "x", "param": None, "code": None}}, chunks[-1]]


def _no_role(chunks: Chunks) -> Iterator[Chunks]:
    for place, _ in _deltas(chunks, "role")[:1]:
        yield chunks[:place] + chunks[place + 1 :]


def _another_id(chunks: Chunks) -> Iterator[Chunks]:
    yield [*chunks[:-2], chunks[-2] | {"id": "chatcmpl-planted"}, chunks[-1]]


def _no_usage(chunks: Chunks) -> Iterator[Chunks]:
    for place, one in enumerate(chunks):
        if isinstance(one, dict) and one.get("usage") and not one.get("choices"):
            yield chunks[:place] + chunks[place + 1 :]


ANYWHERE = (_lose_text, _say_twice, _change_arguments, _other_finish, _other_usage, _no_end, _two_ends, _an_error_in_it, _forget_id)
IN_FORM = (_shift_index, _no_role, _another_id, _no_usage)


def _chunks(body: bytes) -> Chunks:
    return [event[6:] if event == "data: [DONE]" else json.loads(event[6:]) for event in body.decode().split("\n\n") if event]


def _bytes(chunks: Chunks) -> bytes:
    return "".join(f"data: {one if isinstance(one, str) else json.dumps(one)}\n\n" for one in chunks).encode()


def _passes(exchange: Exchange, served: Served) -> bool:
    pardoned = excused(exchange)
    return all(breach in pardoned for breach in breaches(exchange, exchange.facts(), served, True))


@pytest.mark.parametrize("plant", [*ANYWHERE, *IN_FORM], ids=lambda plant: plant.__name__.strip("_"))
def test_a_fault_in_a_stream_is_noticed(theatre: Theatre, plant: Callable[[Chunks], Iterator[Chunks]]) -> None:
    planted = 0
    for exchange in STREAMS:
        if plant in IN_FORM and provider_of(exchange) not in STRICT:
            continue  # other hosts break the form themselves, and are handed through
        served = theatre.run(lambda stage, one=exchange: ask(stage, one, script(one, [one.body()]), True))  # type: ignore[misc]
        assert _passes(exchange, served), exchange.path
        for bent in plant(_chunks(served.body)):
            planted += 1
            assert not _passes(exchange, replace(served, body=_bytes(bent))), f"{exchange.path}: unnoticed"
    assert planted >= 10


BENDS: dict[str, Callable[[Any], Any]] = {
    "text": lambda answer: answer["choices"][0]["message"].update(content="planted"),
    "finish": lambda answer: answer["choices"][0].update(
        finish_reason="stop" if answer["choices"][0].get("finish_reason") == "length" else "length"
    ),
    "usage": lambda answer: answer["usage"].update(prompt_tokens=10**6, total_tokens=10**6 + answer["usage"]["completion_tokens"]),
    "calls": lambda answer: answer["choices"][0]["message"].update(
        tool_calls=[{"id": "x", "type": "function", "function": {"name": "planted", "arguments": "{}"}}]
    ),
    "reasoning": lambda answer: answer["choices"][0]["message"].update(reasoning_content="planted"),
    "a choice": lambda answer: answer["choices"].append(answer["choices"][0] | {"index": 9}),
    "everything": lambda answer: answer.clear(),
}


@pytest.mark.parametrize("bend", BENDS)
def test_a_fault_in_an_answer_is_noticed(theatre: Theatre, bend: str) -> None:
    for exchange in ANSWERS:
        served = theatre.run(lambda stage, one=exchange: ask(stage, one, script(one, [one.body()]), True))  # type: ignore[misc]
        assert _passes(exchange, served), exchange.path
        answer = served.json()
        if bend != "usage" or answer.get("usage"):
            BENDS[bend](answer)
            assert not _passes(exchange, replace(served, body=json.dumps(answer).encode())), exchange.path


def test_a_cut_is_noticed(theatre: Theatre) -> None:
    for exchange in EXCHANGES:
        served = theatre.run(lambda stage, one=exchange: ask(stage, one, script(one, [one.body()]), True))  # type: ignore[misc]
        assert not _passes(exchange, replace(served, complete=False)), exchange.path
