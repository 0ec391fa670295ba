"""The grammar of Ollama's streams, as a state machine over their lines.

stream = piece* last        every piece says done: false, the last done: true and why
       | piece* error       a failure: {"error": …}, no line says done: true, and nothing comes behind it
"""

from __future__ import annotations

from datetime import datetime
from typing import Any

from ollama import ChatResponse, GenerateResponse

_HEAD = {"model", "created_at", "done"}
_COUNTS = {"done_reason", "prompt_eval_count", "eval_count"}


def breaches(lines: list[dict[str, Any]], *, ended: bool, said: str = "message") -> list[str]:
    """Everything that is wrong; `ended`: the stream has to have ended well. `said`: `message` of a chat, or `response`."""
    found = [f"line {at}: {breach}" for at, line in enumerate(lines[:-1]) for breach in _line(line, said, done=False)]
    last = lines[-1] if lines else {}
    if ended:
        found += [f"the last: {breach}" for breach in _line(last, said, done=True)]
    elif last.keys() != {"error"} or not isinstance(last["error"], str):
        found.append(f"a failed stream ends with {last}")
    names = {(line["model"], line["created_at"]) for line in lines if "error" not in line}
    return found + ([f"more than one name: {names}"] if len(names) > 1 else [])


def _line(line: dict[str, Any], said: str, *, done: bool) -> list[str]:
    allowed = _HEAD | {said, "logprobs"} | ({"thinking"} if said == "response" else set()) | (_COUNTS if done else set())
    if not line.keys() <= allowed or not line.keys() >= _HEAD or said not in line:
        return [f"a line of {sorted(line)}"]
    found = [] if line["done"] is done else [f"done: {line['done']}"]
    datetime.fromisoformat(line["created_at"])
    if done and line.get("done_reason") not in ("stop", "length", "content_filter"):
        found.append(f"done for {line.get('done_reason')}")
    if said == "response":
        GenerateResponse(**line)
        return found
    message = ChatResponse(**line).message
    if message.role != "assistant" or message.content is None:
        found.append(f"a message of {line['message']}")
    return found
