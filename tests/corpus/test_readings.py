"""The readings themselves on trial: known answers to transcripts written from the vendors' documents, and faults planted in recordings."""

from __future__ import annotations

import copy
import json
import re
from collections.abc import Iterator
from typing import Any

import pytest

from tests.corpus.exchanges import RECORDINGS, Exchange, collection
from tests.corpus.facts import Call, Choice, Error, Facts, Usage, compare
from tests.corpus.frames import ndjson, sse, sse_json
from tests.corpus.readings import READINGS

EXCHANGES = list(collection(RECORDINGS))


def _sse(*events: dict[str, Any]) -> str:
    return "".join(f"data: {json.dumps(event)}\n\n" for event in events)


def _chunk(delta: dict[str, Any], finish: str | None = None, **more: Any) -> dict[str, Any]:
    return {"choices": [{"index": 0, "delta": delta, "finish_reason": finish}], **more}


def _call(index: int, arguments: str, **start: str) -> dict[str, Any]:
    head = {"id": start["id"], "type": "function"} if start else {}
    name = {"name": start["name"]} if start else {}
    return _chunk({"tool_calls": [{"index": index, **head, "function": {**name, "arguments": arguments}}]})


KNOWN: dict[str, tuple[str, str, Facts]] = {
    "Anthropic: thinking, text, two calls in turn, cache": (
        "messages",
        _sse(
            {
                "type": "message_start",
                "message": {"content": [], "usage": {"input_tokens": 10, "cache_read_input_tokens": 100, "output_tokens": 1}},
            },
            {"type": "content_block_start", "index": 0, "content_block": {"type": "thinking", "thinking": "", "signature": ""}},
            {"type": "content_block_delta", "index": 0, "delta": {"type": "thinking_delta", "thinking": "hm"}},
            {"type": "content_block_delta", "index": 0, "delta": {"type": "signature_delta", "signature": "c2ln"}},
            {"type": "content_block_start", "index": 1, "content_block": {"type": "text", "text": ""}},
            {"type": "content_block_delta", "index": 1, "delta": {"type": "text_delta", "text": "Let"}},
            {"type": "ping"},
            {"type": "content_block_delta", "index": 1, "delta": {"type": "text_delta", "text": " me"}},
            {"type": "content_block_start", "index": 2, "content_block": {"type": "tool_use", "id": "t1", "name": "f", "input": {}}},
            {"type": "content_block_start", "index": 3, "content_block": {"type": "tool_use", "id": "t2", "name": "g", "input": {}}},
            {"type": "content_block_delta", "index": 3, "delta": {"type": "input_json_delta", "partial_json": '{"a":'}},
            {"type": "content_block_delta", "index": 3, "delta": {"type": "input_json_delta", "partial_json": "1}"}},
            {
                "type": "message_delta",
                "delta": {"stop_reason": "tool_use"},
                "usage": {"output_tokens": 33, "cache_creation_input_tokens": 20},
            },
            {"type": "message_stop"},
        ),
        Facts(
            {0: Choice("Let me", "hm", "", [Call("f", {}, "t1"), Call("g", {"a": 1}, "t2")], "tool_calls", [], ["c2ln"])},
            Usage(130, 33, 163, 100, 20, None),
        ),
    ),
    "Gemini: a thought, a signed call, thoughts beside the candidates": (
        "streamGenerateContent",
        _sse(
            {
                "candidates": [{"content": {"parts": [{"text": "hm", "thought": True}]}}],
                "usageMetadata": {"promptTokenCount": 5, "totalTokenCount": 5},
            },
            {
                "candidates": [
                    {
                        "content": {"parts": [{"functionCall": {"name": "f", "args": {"a": 1}}, "thoughtSignature": "s"}]},
                        "finishReason": "STOP",
                    }
                ],
                "usageMetadata": {"promptTokenCount": 5, "candidatesTokenCount": 7, "thoughtsTokenCount": 11, "totalTokenCount": 23},
            },
        ),
        Facts({0: Choice(reasoning="hm", calls=[Call("f", {"a": 1}, None, "s")], finish="tool_calls")}, Usage(5, 18, 23, None, None, 11)),
    ),
    "Gemini: a blocked prompt": (
        "streamGenerateContent",
        _sse({"promptFeedback": {"blockReason": "SAFETY"}, "usageMetadata": {"promptTokenCount": 5, "totalTokenCount": 5}}),
        Facts({0: Choice(refusal="SAFETY", finish="content_filter")}, Usage(5, 0, 5)),
    ),
    "Ollama: thinking, text, a call, stop": (
        "ollama.chat",
        "\n".join(
            json.dumps(line)
            for line in (
                {"message": {"thinking": "hm"}, "done": False},
                {"message": {"content": "Let me", "tool_calls": [{"function": {"name": "f", "arguments": {"a": 1}}}]}, "done": False},
                {"message": {"content": ""}, "done": True, "done_reason": "stop", "prompt_eval_count": 3, "eval_count": 4},
            )
        ),
        Facts({0: Choice("Let me", "hm", "", [Call("f", {"a": 1})], "tool_calls")}, Usage(3, 4, 7)),
    ),
    "OpenAI: interleaved calls, usage in a chunk of its own": (
        "chat",
        _sse(
            _chunk({"role": "assistant", "content": ""}),
            _call(0, '{"a"', id="c1", name="f"),
            _call(1, "", id="c2", name="g"),
            _call(0, ":1}"),
            _chunk({}, "tool_calls"),
            {
                "choices": [],
                "usage": {"prompt_tokens": 1, "completion_tokens": 2, "total_tokens": 3, "prompt_tokens_details": {"cached_tokens": 1}},
            },
        )
        + "data: [DONE]\n\n",
        Facts({0: Choice(calls=[Call("f", {"a": 1}, "c1"), Call("g", {}, "c2")], finish="tool_calls")}, Usage(1, 2, 3, 1)),
    ),
    "OpenAI: a host that says index 0 for every call": (
        "chat",
        _sse(_call(0, "{}", id="c1", name="f"), _call(0, '{"b":2}', id="c2", name="f"), _chunk({}, "tool_calls")),
        Facts({0: Choice(calls=[Call("f", {}, "c1"), Call("f", {"b": 2}, "c2")], finish="tool_calls")}),
    ),
    "Mistral: thinking and text as content parts": (
        "chat",
        _sse(
            _chunk({"content": [{"type": "thinking", "thinking": [{"type": "text", "text": "hm"}]}]}),
            _chunk({"content": [{"type": "text", "text": "4"}]}, "stop"),
        ),
        Facts({0: Choice("4", "hm", finish="stop")}),
    ),
    "an error after text": (
        "chat",
        _sse(_chunk({"content": "Hel"}), {"error": {"message": "overloaded", "code": 502}}, _chunk({"content": "lo"})),
        Facts({0: Choice("Hel")}, error=Error("overloaded")),
    ),
}


@pytest.mark.parametrize("name", KNOWN)
def test_a_transcript_is_read_as_documented(name: str) -> None:
    api, body, expected = KNOWN[name]
    assert READINGS[api].stream(body) == expected


@pytest.mark.parametrize("end", ["\n", "\r", "\r\n"])
def test_event_streams_are_cut_as_whatwg_says(end: str) -> None:
    lines = [
        "\ufeff: comment",
        "event: a",
        "data: 1",
        "data:2",
        "",
        "",
        "id: 7",
        "data:  x\u2028\u0085y",
        "",
        "retry: 1",
        "",
        "data: unfinished",
    ]
    assert list(sse(end.join(lines))) == [("a", "1\n2"), ("", " x\u2028\u0085y"), ("", "unfinished")]


def test_the_selection_is_read_without_a_hitch_and_agrees_with_itself() -> None:
    for exchange in EXCHANGES:
        facts = exchange.facts()
        assert facts.error or facts.choices, exchange.path
        if exchange.status >= 400:
            assert facts.error, exchange.path
            assert facts.error.status == exchange.status, exchange.path
        for choice in facts.choices.values():
            for number, call in enumerate(choice.calls):
                call.id = call.id or f"id {number}"
        assert compare(facts, facts) == [], exchange.path


#: Where facts lie: (pattern of the place, only in the last document that has it).
PLACES: dict[str, tuple[tuple[str, bool], ...]] = {
    "messages": (
        (r"^(content\.\d+\.|delta\.)(text|thinking|signature|partial_json)$", False),
        (r"^(content\.\d+\.(name|id|input)|content_block\.(name|id))$", False),
        (r"^(delta\.)?stop_reason$", True),
        (r"^usage\.((cache_(creation|read)_)?input|output)_tokens$", True),
        (r"^error\.message$", True),
    ),
    "generateContent": (
        (r"^candidates\.\d+\.content\.parts\.\d+\.(text|functionCall\.(name|args)|inlineData\.data)$", False),
        (r"^candidates\.\d+\.finishReason$", True),
        (r"^usageMetadata\.(prompt|candidates|thoughts|total|cachedContent)TokenCount$", True),
        (r"^error\.message$", True),
    ),
    "ollama.chat": (
        (r"^message\.(content|thinking|tool_calls\.\d+\.function\.(name|arguments))$", False),
        (r"^done_reason$", True),
        (r"^(prompt_)?eval_count$", True),
        (r"^error$", True),
    ),
    "chat": (
        (r"^choices\.\d+\.(message|delta)\.(content|reasoning_content|refusal|tool_calls\.\d+\.(id|function\.(name|arguments)))$", False),
        (r"^choices\.\d+\.finish_reason$", True),
        (r"^usage\.(prompt|completion|total)_tokens$", True),
        (r"^error\.message$", True),
    ),
}
OTHER_FINISH = {
    **dict.fromkeys(("end_turn", "tool_use", "stop_sequence", "refusal"), "max_tokens"),
    **dict.fromkeys(("stop", "tool_calls", "function_call", "content_filter"), "length"),
    "max_tokens": "end_turn",
    "length": "stop",
    "STOP": "MAX_TOKENS",
    "MAX_TOKENS": "STOP",
}


def _leaves(value: Any, place: str = "") -> Iterator[tuple[str, Any, Any]]:
    """(place, container, key) of everything in a document."""
    pairs = enumerate(value) if isinstance(value, list) else value.items() if isinstance(value, dict) else ()
    for key, item in pairs:
        here = f"{place}.{key}".lstrip(".")
        yield here, value, key
        yield from _leaves(item, here)


def _other(value: Any) -> Any:
    match value:
        case str():
            return OTHER_FINISH.get(value, f"{value}#")
        case dict():
            return value | {"planted": 1}
        case int():
            return value + 1
    return None


def _planted(api: str, documents: list[dict[str, Any]]) -> Iterator[tuple[str, list[dict[str, Any]]]]:
    """The documents again and again, each time with one fact changed; and with one text event lost, and one told twice."""
    for pattern, only_last in PLACES[api]:
        hits = [
            (n, place)
            for n, document in enumerate(documents)
            for place, box, key in _leaves(document)
            if re.search(pattern, place) and box[key] not in (None, "")
        ]
        for n, place in hits[-1:] if only_last else hits[:3]:
            changed = copy.deepcopy(documents)
            box, key = next((box, key) for here, box, key in _leaves(changed[n]) if here == place)
            box[key] = _other(box[key])
            yield place, changed
            if not only_last and len(documents) > 1 and re.search(r"\b(text|content|thinking|partial_json)$", place):
                yield f"{place} lost", documents[:n] + documents[n + 1 :]
                yield f"{place} twice", documents[: n + 1] + documents[n:]


def _served(documents: list[dict[str, Any]], exchange: Exchange) -> Facts:
    reading = READINGS[exchange.api]
    if not exchange.streamed or exchange.status != 200:
        return reading.answer(exchange.status, documents[0])
    text = "\n".join(map(json.dumps, documents)) if exchange.api == "ollama.chat" else _sse(*documents)
    return reading.stream(text)


def _fit_for_planting(exchange: Exchange) -> bool:
    """Where every place in PLACES is a fact: server tools have texts and inputs of their own, Perplexity says all twice."""
    other = {"server_tools", "code_exec", "odd_finish", "web_search", "error_mid_stream"}
    return exchange.vendor != "perplexity" and not other & set(exchange.record["features"])


@pytest.mark.parametrize(("api", "least"), [("messages", 100), ("generateContent", 100), ("ollama.chat", 40), ("chat", 400)])
def test_planted_faults_are_noticed(api: str, least: int) -> None:
    planted = 0
    family = {"generateContent": {"generateContent", "streamGenerateContent"}}.get(api, {api})
    for exchange in EXCHANGES:
        if exchange.api not in family or not _fit_for_planting(exchange):
            continue
        body = exchange.body().decode()
        if not exchange.streamed or exchange.status != 200:
            documents = [json.loads(body)]
        else:
            documents = list(ndjson(body) if api == "ollama.chat" else sse_json(body))
        expected = exchange.facts()
        for place, changed in _planted(api, documents):
            assert compare(expected, _served(changed, exchange)), f"{exchange.path}: {place} went unnoticed"
            planted += 1
    assert planted >= least


def test_swapped_calls_are_noticed() -> None:
    swapped = 0
    for exchange in EXCHANGES:
        expected = exchange.facts()
        for choice in expected.choices.values():
            if len(choice.calls) > 1 and choice.calls[0] != choice.calls[1]:
                served = copy.deepcopy(expected)
                calls = next(iter(served.choices.values())).calls
                calls[0], calls[1] = calls[1], calls[0]
                assert compare(expected, served), exchange.path
                swapped += 1
    assert swapped >= 8
