"""The two judges on trial: what is right passes, every breach is named."""

from __future__ import annotations

import copy
import json
from typing import Any

import pytest

from tests.corpus.exchanges import RECORDINGS, collection
from tests.corpus.grammar import judge
from tests.corpus.schemas import Kind, faults

USAGE = {"prompt_tokens": 1, "completion_tokens": 2, "total_tokens": 3}


def _chunk(delta: dict[str, Any] | None = None, finish: str | None = None, index: int = 0, **more: Any) -> dict[str, Any]:
    choices = [] if delta is None else [{"index": index, "delta": delta, "finish_reason": finish, "logprobs": None}]
    return {"id": "chatcmpl-1", "object": "chat.completion.chunk", "created": 1, "model": "m", "choices": choices, **more}


def _call(index: int, arguments: str, start: str = "") -> dict[str, Any]:
    head = {"id": start, "type": "function"} if start else {}
    return {"tool_calls": [{"index": index, **head, "function": {**({"name": "f"} if start else {}), "arguments": arguments}}]}


ROLE = _chunk({"role": "assistant", "content": ""})
TEXT = _chunk({"content": "Hi"})
STOP = _chunk({}, "stop")
TOTAL = _chunk(usage=USAGE)
ERROR = {"error": {"message": "gone", "type": "upstream_error", "param": None, "code": None}}
DONE = "[DONE]"
GOOD = [ROLE, TEXT, STOP, TOTAL, DONE]


def _body(events: list[Any]) -> bytes:
    return "".join(f"data: {event if isinstance(event, str) else json.dumps(event)}\n\n" for event in events).encode()


RIGHT = {
    "text": GOOD,
    "two choices, interleaved": [
        ROLE,
        _chunk({"role": "assistant"}, index=1),
        TEXT,
        _chunk({"content": "Ho"}, index=1),
        STOP,
        _chunk({}, "length", 1),
        TOTAL,
        DONE,
    ],
    "two calls": [
        ROLE,
        _chunk(_call(0, "", "a")),
        _chunk(_call(0, "{}")),
        _chunk(_call(1, "{}", "b")),
        _chunk({}, "tool_calls"),
        TOTAL,
        DONE,
    ],
    "finish with the last text": [ROLE, _chunk({"content": "Hi"}, "stop"), TOTAL, DONE],
}
WRONG: dict[str, tuple[list[Any], str]] = {
    "no role": ([TEXT, STOP, TOTAL, DONE], "has no role"),
    "role twice": ([ROLE, ROLE, STOP, TOTAL, DONE], "role comes twice"),
    "no [DONE]": (GOOD[:-1], "neither [DONE] nor an error"),
    "[DONE] twice": ([*GOOD, DONE], "after the end"),
    "text after [DONE]": ([*GOOD, TEXT], "after the end"),
    "text after the finish": ([ROLE, STOP, TEXT, TOTAL, DONE], "after its finish_reason"),
    "two finishes": ([ROLE, STOP, STOP, TOTAL, DONE], "after its finish_reason"),
    "no finish": ([ROLE, TEXT, TOTAL, DONE], "without finish_reason"),
    "no usage": ([ROLE, TEXT, STOP, DONE], "no usage chunk"),
    "usage that does not add up": ([ROLE, STOP, _chunk(usage=USAGE | {"total_tokens": 4}), DONE], "does not add up"),
    "usage too early": ([ROLE, TEXT, TOTAL, STOP, DONE], "after the usage chunk"),
    "usage twice": ([ROLE, STOP, TOTAL, TOTAL, DONE], "after the usage chunk"),
    "usage beside a choice": ([ROLE, _chunk({}, "stop", usage=USAGE), DONE], "in a chunk with choices"),
    "an empty chunk": ([ROLE, _chunk(), STOP, TOTAL, DONE], "neither choices nor usage"),
    "a new id": ([ROLE, TEXT | {"id": "chatcmpl-2"}, STOP, TOTAL, DONE], "id changed"),
    "a new model": ([ROLE, TEXT | {"model": "n"}, STOP, TOTAL, DONE], "model changed"),
    "calls not dense": ([ROLE, _chunk(_call(1, "{}", "a")), _chunk({}, "tool_calls"), TOTAL, DONE], "tool call index 1 after 0"),
    "a call without id": ([ROLE, _chunk(_call(0, "{}")), _chunk({}, "tool_calls"), TOTAL, DONE], "lacks its id"),
    "an id twice": ([ROLE, _chunk(_call(0, "", "a")), _chunk(_call(0, "{}", "a")), STOP, TOTAL, DONE], "says its id twice"),
    "the error, then [DONE]": ([ROLE, TEXT, ERROR, DONE], "after the end"),
    "an unknown word": ([ROLE, _chunk({}, "end_turn"), TOTAL, DONE], "is not valid under any"),
    "content in parts": ([ROLE, _chunk({"content": [{"type": "text", "text": "Hi"}]}), STOP, TOTAL, DONE], "delta.content"),
}


@pytest.mark.parametrize("name", RIGHT)
def test_a_right_stream_passes(name: str) -> None:
    assert judge(_body(RIGHT[name]), usage_asked=True, complete=True) == []


@pytest.mark.parametrize("name", WRONG)
def test_a_breach_is_named(name: str) -> None:
    events, breach = WRONG[name]
    assert any(breach in said for said in judge(_body(events), usage_asked=True, complete=True))


def test_an_error_cuts_the_connection() -> None:
    broken = _body([ROLE, TEXT, ERROR])
    assert judge(broken, usage_asked=True, complete=False) == []
    assert "must be cut" in judge(broken, usage_asked=True, complete=True)[0]
    assert "was cut" in judge(_body(GOOD), usage_asked=True, complete=False)[0]


def test_usage_only_when_asked() -> None:
    assert judge(_body([ROLE, STOP, DONE]), usage_asked=False, complete=True) == []
    assert judge(_body(GOOD), usage_asked=False, complete=True) == ["usage that nobody asked for"]


@pytest.mark.parametrize(("bent", "breach"), [(b"data:", b"data: "), (b"\r\n\r\n", b"\n\n"), (b"id: 1\ndata: ", b"data: ")])
def test_framing_is_strict(bent: bytes, breach: bytes) -> None:
    assert judge(_body(GOOD).replace(breach, bent), usage_asked=True, complete=True)


def test_nothing_is_left_unended() -> None:
    assert "without its end" in judge(_body(GOOD)[:-1], usage_asked=True, complete=True)[0]


ANSWER = {
    "id": "chatcmpl-1",
    "object": "chat.completion",
    "created": 1,
    "model": "m",
    "system_fingerprint": None,
    "choices": [
        {
            "index": 0,
            "finish_reason": "stop",
            "logprobs": None,
            "message": {"role": "assistant", "content": "Hi", "refusal": None, "reasoning_content": "hm"},
        }
    ],
    "usage": USAGE,
}
BENT = [
    ("choices", "missing"),
    ("id", None),
    ("created", 1.5),
    ("object", "chat.completion.chunk"),
    ("choices.0.finish_reason", "end_turn"),
    ("choices.0.logprobs", "missing"),
    ("choices.0.message.content", [{"type": "text", "text": "Hi"}]),
    ("choices.0.message.refusal", "missing"),
    ("choices.0.message.tool_calls", None),
    ("choices.0.message.tool_calls", [{"id": "a", "type": "function", "function": {"name": "f", "arguments": {}}}]),
    ("usage.total_tokens", "missing"),
    ("usage.prompt_tokens_details", None),
    ("service_tier", "on_demand"),
]


@pytest.mark.parametrize(("place", "value"), BENT)
def test_the_description_notices(place: str, value: Any) -> None:
    assert faults("answer", ANSWER) == []
    bent = copy.deepcopy(ANSWER)
    *way, last = place.split(".")
    box: Any = bent
    for step in way:
        box = box[int(step)] if step.isdigit() else box[step]
    if value == "missing":
        del box[last]
    else:
        box[last] = value
    assert faults("answer", bent)


BENT_ERRORS = [{"error": "text"}, {"error": {"message": "m", "type": "t", "param": None, "code": 400}}, {"message": "m"}]


@pytest.mark.parametrize("bent", BENT_ERRORS)
def test_the_description_notices_errors(bent: Any) -> None:
    assert faults("error", ERROR) == []
    assert faults("error", bent)


def test_openai_itself_passes() -> None:
    """OpenAI's own recorded answers are valid but for the allowances; a judge that refuses them would prove nothing."""
    judged = 0
    for exchange in collection(RECORDINGS):
        if exchange.vendor == "openai" and exchange.record["tier"] == 1 and not exchange.streamed:
            kind: Kind = "answer" if exchange.status == 200 else "error"
            assert faults(kind, json.loads(exchange.body()), near=True) == [], exchange.path
            judged += 1
    assert judged >= 10
