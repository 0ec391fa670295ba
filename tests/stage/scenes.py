"""The same scene in every provider's wire format: an answer, thoughts, two tool calls."""

from __future__ import annotations

import json
from typing import Any

from tests.stage.upstream import Script, events, whole
from tests.stage.wires import (
    USAGE,
    chunk,
    claude_answer,
    claude_call,
    claude_stream,
    gemini,
    gemini_call,
    gemini_stream,
    ollama,
    ollama_stream,
    openai_answer,
)

PNG = "iVBORw0KGgo="
TOOLS: Any = [
    {
        "type": "function",
        "function": {"name": name, "description": name, "parameters": {"type": "object", "properties": {"city": {"type": "string"}}}},
    }
    for name in ("weather", "time")
]
CALLS = [("weather", {"city": "Seoul"}), ("time", {"city": "Seoul"})]


def answer(provider: str, text: str) -> Script:
    """A whole answer that says this."""
    match provider:
        case "anthropic":
            return claude_answer({"type": "text", "text": text})
        case "gemini":
            return whole(gemini({"text": text}))
        case "ollama":
            return Script([ollama({"content": text}, done=True)])
    return openai_answer({"content": text})


def thinks(provider: str, streamed: bool) -> Script:
    """Thoughts before the answer `4`; Anthropic's are signed."""
    thought, text = "Let me see.", "4"
    match provider:
        case "anthropic":
            blocks = [{"type": "thinking", "thinking": thought, "signature": "c2ln"}, {"type": "text", "text": text}]
            return claude_stream(*blocks, step=3) if streamed else claude_answer(*blocks)
        case "gemini":
            parts: list[dict[str, Any]] = [{"text": thought, "thought": True}, {"text": text}]
            return gemini_stream(gemini(parts[0], finish=None), gemini(parts[1])) if streamed else whole(gemini(*parts))
        case "ollama":
            lines = [ollama({"thinking": thought}), ollama({"content": text}), ollama({}, done=True)]
            return ollama_stream(*lines) if streamed else Script([ollama({"thinking": thought, "content": text}, done=True)])
        case "mistral":
            content = [{"type": "thinking", "thinking": [{"type": "text", "text": thought}]}, {"type": "text", "text": text}]
            if streamed:
                return events(*(chunk({"content": [part]}) for part in content), chunk({}, "stop", usage=USAGE))
            return openai_answer({"content": content})
    if streamed:
        return events(
            chunk({"role": "assistant", "reasoning_content": thought}), chunk({"content": text}), chunk({}, "stop"), chunk(usage=USAGE)
        )
    return openai_answer({"content": text, "reasoning_content": thought})


def calls(provider: str, streamed: bool) -> Script:
    """The two calls of CALLS; Google's first is signed."""
    pairs = [(name, arguments, f"call_{n}") for n, (name, arguments) in enumerate(CALLS)]
    match provider:
        case "anthropic" if streamed:
            return claude_stream(
                *(claude_call(name, json.dumps(given), f"toolu_{at}") for name, given, at in pairs), stop="tool_use", step=5
            )
        case "anthropic":
            blocks = [{"type": "tool_use", "id": f"toolu_{at}", "name": name, "input": given} for name, given, at in pairs]
            return claude_answer(*blocks, stop="tool_use")
        case "gemini":
            parts = [gemini_call(name, "c2ln" if not n else None, **given) for n, (name, given, _) in enumerate(pairs)]
            return gemini_stream(*(gemini(part) for part in parts)) if streamed else whole(gemini(*parts))
        case "ollama":
            told = [{"function": {"name": name, "arguments": given}} for name, given, _ in pairs]
            if streamed:
                return ollama_stream(*(ollama({"tool_calls": [call]}) for call in told), ollama({}, done=True))
            return Script([ollama({"tool_calls": told}, done=True)])
    whole_calls = [{"id": at, "type": "function", "function": {"name": name, "arguments": json.dumps(given)}} for name, given, at in pairs]
    if streamed:
        deltas = [chunk({"tool_calls": [{"index": n, **call}]}) for n, call in enumerate(whole_calls)]
        return events(chunk({"role": "assistant", "content": None}), *deltas, chunk({}, "tool_calls"), chunk(usage=USAGE))
    return openai_answer({"tool_calls": whole_calls}, "tool_calls")
