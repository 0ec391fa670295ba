"""Ollama's own /api/chat (https://docs.ollama.com/api/chat): answers, NDJSON streams and errors."""

from __future__ import annotations

from typing import Any

from tests.corpus.facts import Call, Choice, Error, Facts, Usage
from tests.corpus.frames import ndjson


def _read(facts: Facts, line: dict[str, Any]) -> None:
    choice = facts.choices.setdefault(0, Choice())
    message = line.get("message") or {}
    choice.text += message.get("content") or ""
    choice.reasoning += message.get("thinking") or ""
    for call in message.get("tool_calls") or []:
        choice.calls.append(Call(call["function"]["name"], call["function"].get("arguments") or {}, call.get("id")))
    choice.logprobs += [(token["token"], token["logprob"]) for token in line.get("logprobs") or []]
    if line.get("done"):
        finish = "length" if line.get("done_reason") == "length" else "stop"
        choice.finish = "tool_calls" if choice.calls and finish == "stop" else finish
        if "eval_count" in line or "prompt_eval_count" in line:
            prompt, completion = line.get("prompt_eval_count") or 0, line.get("eval_count") or 0
            facts.usage = Usage(prompt, completion, prompt + completion)


def answer(status: int, body: Any) -> Facts:
    """A whole answer or an error body."""
    if "error" in body:
        return Facts(error=Error(body["error"], status))
    facts = Facts()
    _read(facts, body)
    return facts


def stream(body: str) -> Facts:
    """A stream: every line a fragment of the message, the last one with the counts."""
    facts = Facts()
    for line in ndjson(body):
        if "error" in line:
            facts.error = Error(line["error"])
            break
        _read(facts, line)
    return facts
