"""Tool calls: indexes, ids, names, arguments and the finish reason they bring."""

from __future__ import annotations

import json
from typing import Any

import pytest

from tests.corpus.facts import Call
from tests.stage.fixtures import Play
from tests.stage.upstream import Script, events, named
from tests.stage.wires import (
    USAGE,
    chunk,
    claude_answer,
    claude_call,
    claude_events,
    claude_stream,
    gemini,
    gemini_call,
    gemini_stream,
    ollama,
    ollama_stream,
    openai_answer,
)

pytestmark = pytest.mark.asyncio(loop_scope="session")


def _openai_call(index: int, arguments: str, id: str = "", name: str = "") -> dict[str, Any]:
    call: dict[str, Any] = {"index": index, "function": {"arguments": arguments}}
    if id:
        call |= {"id": id, "type": "function"}
        call["function"]["name"] = name
    return chunk({"tool_calls": [call]})


THREE_CLAUDE = [{"type": "text", "text": "So:"}, *(claude_call(f"f{n}", f'{{"i":{n}}}', f"toolu_{n}") for n in range(3))]
THREE = [("f0", {"i": 0}), ("f1", {"i": 1}), ("f2", {"i": 2})]
TWO = THREE[:2]


def _interleaved() -> Script:
    """Anthropic's format allows deltas of different blocks in any order."""
    documents = claude_events(*THREE_CLAUDE, stop="tool_use", step=3)
    starts = [one for one in documents if one["type"] == "content_block_start"]
    deltas = [one for one in documents if one["type"] == "content_block_delta"]
    by_block: dict[int, list[Any]] = {}
    for delta in deltas[1:]:
        by_block.setdefault(delta["index"], []).append(delta)
    rounds = [queue[turn] for turn in range(max(map(len, by_block.values()))) for queue in by_block.values() if turn < len(queue)]
    return named(documents[0], *starts, deltas[0], *rounds, *documents[-2:])


PARALLEL: dict[str, tuple[str, Script, list[tuple[str, Any]]]] = {
    "Claude: text and three calls": ("anthropic", claude_stream(*THREE_CLAUDE, stop="tool_use", step=4), THREE),
    "Claude: three calls, their deltas mixed": ("anthropic", _interleaved(), THREE),
    "Gemini: two calls in one event": ("gemini", gemini_stream(gemini(gemini_call("f0", i=0), gemini_call("f1", i=1))), TWO),
    "Gemini: two calls in two events": (
        "gemini",
        gemini_stream(gemini(gemini_call("f0", i=0), finish=None), gemini(gemini_call("f1", i=1))),
        TWO,
    ),
    "Gemini: the same call twice": ("gemini", gemini_stream(gemini(gemini_call("f0", i=0), gemini_call("f0", i=0))), [THREE[0], THREE[0]]),
    "Ollama: two calls in two lines": (
        "ollama",
        ollama_stream(
            ollama({"tool_calls": [{"function": {"name": "f0", "arguments": {"i": 0}}}]}),
            ollama({"tool_calls": [{"function": {"name": "f1", "arguments": {"i": 1}}}]}),
            ollama({}, done=True),
        ),
        TWO,
    ),
    "DeepSeek: every call says index 0": (
        "deepseek",
        events(*(_openai_call(0, f'{{"i":{n}}}', f"c{n}", f"f{n}") for n in range(3)), chunk({}, "tool_calls", usage=USAGE)),
        THREE,
    ),
    "Mistral: calls without index, finish in the same event": (
        "mistral",
        events(
            chunk(
                {
                    "content": "",
                    "tool_calls": [{"id": f"c0000000{n}", "function": {"name": f"f{n}", "arguments": f'{{"i":{n}}}'}} for n in range(3)],
                },
                "tool_calls",
                usage=USAGE,
            )
        ),
        THREE,
    ),
    "DeepSeek: a call after the finish": (
        "deepseek",
        events(_openai_call(0, '{"i":0}', "c0", "f0"), chunk({}, "stop"), _openai_call(1, '{"i":1}', "c1", "f1"), chunk(usage=USAGE)),
        TWO,
    ),
}


@pytest.mark.parametrize("name", PARALLEL)
async def test_parallel_calls_keep_apart_and_end_in_tool_calls(play: Play, name: str) -> None:
    provider, script, expected = PARALLEL[name]
    choice = (await play.stream(provider, script)).choices[0]
    assert [(call.name, call.arguments) for call in choice.calls] == expected
    assert choice.finish == "tool_calls"


ZERO: dict[str, tuple[str, Script, bool]] = {
    "Claude, no delta at all": ("anthropic", claude_stream(claude_call("now"), stop="tool_use"), True),
    "Claude, an empty delta": (
        "anthropic",
        named(
            *claude_events(claude_call("now"), stop="tool_use")[:3],
            {"type": "content_block_delta", "index": 0, "delta": {"type": "input_json_delta", "partial_json": ""}},
            *claude_events(claude_call("now"), stop="tool_use")[3:],
        ),
        True,
    ),
    "Claude, whole": (
        "anthropic",
        claude_answer({"type": "tool_use", "id": "toolu_1", "name": "now", "input": {}}, stop="tool_use"),
        False,
    ),
    "Gemini, no args": ("gemini", gemini_stream(gemini({"functionCall": {"name": "now"}})), True),
    "Ollama, no arguments": (
        "ollama",
        ollama_stream(ollama({"tool_calls": [{"function": {"name": "now", "arguments": {}}}]}), ollama({}, done=True)),
        True,
    ),
    "DeepSeek, an empty string": (
        "deepseek",
        events(_openai_call(0, "", "c0", "now"), chunk({}, "tool_calls"), chunk(usage=USAGE)),
        True,
    ),
    "DeepSeek, an empty string, whole": (
        "deepseek",
        openai_answer({"tool_calls": [{"id": "c0", "type": "function", "function": {"name": "now", "arguments": ""}}]}, "tool_calls"),
        False,
    ),
}


@pytest.mark.parametrize("name", ZERO)
async def test_a_call_without_arguments_has_an_empty_object(play: Play, name: str) -> None:
    provider, script, streamed = ZERO[name]
    served = await play.ask(provider, script, **({"stream": True} if streamed else {}))
    text = served.body.decode()
    assert served.status == 200
    if not streamed:
        assert served.json()["choices"][0]["message"]["tool_calls"][0]["function"] == {"name": "now", "arguments": "{}"}
        return
    pieces = [
        call["function"].get("arguments") or ""
        for line in text.split("\n\n")
        if line.startswith("data: {")
        for choice in json.loads(line[6:])["choices"]
        for call in choice["delta"].get("tool_calls", ())
    ]
    assert "".join(pieces) == "{}"


async def test_long_arguments_flow(play: Play) -> None:
    """100 kB in 500 deltas: neither gathered up nor cut."""
    arguments = json.dumps({"text": "".join(chr(97 + n % 26) for n in range(100_000))})
    step = len(arguments) // 500 + 1
    served = await play.ask("anthropic", claude_stream(claude_call("write", arguments), stop="tool_use", step=step), stream=True)
    deltas = served.body.count(b'"arguments":"')
    sent = -(-len(arguments) // step)
    assert sent <= deltas <= sent + 1
    facts = await play.stream("anthropic", claude_stream(claude_call("write", arguments), stop="tool_use", step=step))
    assert facts.choices[0].calls[0].arguments == json.loads(arguments)


FINISH: dict[str, tuple[str, Script, str]] = {
    "Gemini says STOP after a call": ("gemini", gemini_stream(gemini(gemini_call("f"))), "tool_calls"),
    "Gemini is cut in a call": ("gemini", gemini_stream(gemini(gemini_call("f"), finish="MAX_TOKENS")), "length"),
    "Gemini finishes before the call comes": (
        "gemini",
        gemini_stream(gemini({"text": "So:"}), gemini(gemini_call("f"), finish=None)),
        "tool_calls",
    ),
    "Gemini blocks": ("gemini", gemini_stream(gemini({"text": "So"}, finish="SAFETY")), "content_filter"),
    "Claude's window is full": ("anthropic", claude_stream({"type": "text", "text": "So"}, stop="model_context_window_exceeded"), "length"),
    "Claude pauses": ("anthropic", claude_stream({"type": "text", "text": "So"}, stop="pause_turn"), "stop"),
    "Claude refuses": ("anthropic", claude_stream({"type": "text", "text": "So"}, stop="refusal"), "content_filter"),
    "Claude says what nobody knows": ("anthropic", claude_stream({"type": "text", "text": "So"}, stop="brand_new"), "stop"),
    "Ollama says stop after a call": (
        "ollama",
        ollama_stream(ollama({"tool_calls": [{"function": {"name": "f", "arguments": {}}}]}), ollama({}, done=True)),
        "tool_calls",
    ),
    "Ollama is cut": ("ollama", ollama_stream(ollama({"content": "So"}), ollama({}, done=True, reason="length")), "length"),
    "Mistral's own word": ("mistral", events(chunk({"content": "So"}, "model_length", usage=USAGE)), "length"),
}


@pytest.mark.parametrize("name", FINISH)
async def test_one_finish_reason_in_openais_words(play: Play, name: str) -> None:
    provider, script, expected = FINISH[name]
    assert (await play.stream(provider, script)).choices[0].finish == expected


async def test_a_whole_answers_calls_have_no_index(play: Play) -> None:
    blocks: list[dict[str, Any]] = [{"type": "text", "text": "So"}, {"type": "tool_use", "id": "toolu_1", "name": "f", "input": {"a": 1}}]
    served = await play.ask("anthropic", claude_answer(*blocks, stop="tool_use"))
    (call,) = served.json()["choices"][0]["message"]["tool_calls"]
    assert call == {"id": "toolu_1", "type": "function", "function": {"name": "f", "arguments": '{"a":1}'}}


async def test_what_openai_sends_goes_through_untouched(play: Play) -> None:
    call = {"id": "call_1", "type": "function", "function": {"name": "f", "arguments": '{ "a" : 1 }'}}
    facts = await play.answer("openai", openai_answer({"tool_calls": [call]}, "tool_calls"))
    assert facts.choices[0].calls == [Call("f", {"a": 1}, "call_1")]
