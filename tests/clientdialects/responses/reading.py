"""What a served Response says, read without the gateway's code (https://platform.openai.com/docs/api-reference/responses/object)."""

from __future__ import annotations

import json
from typing import Any

from tests.clientdialects.responses import grammar
from tests.corpus.facts import Call, Choice, Error, Facts, Usage

_FINISH = {"max_output_tokens": "length", "content_filter": "content_filter"}


def _usage(usage: dict[str, Any] | None) -> Usage | None:
    if usage is None:
        return None
    asked, answered = usage["input_tokens_details"], usage["output_tokens_details"]
    return Usage(
        usage["input_tokens"],
        usage["output_tokens"],
        usage["total_tokens"],
        asked["cached_tokens"],
        asked["cache_write_tokens"],
        answered["reasoning_tokens"],
    )


def _arguments(text: str) -> Any:
    try:
        return json.loads(text)
    except ValueError:
        return text


def _item(choice: Choice, item: dict[str, Any]) -> None:
    match item["type"]:
        case "reasoning":
            choice.reasoning += "".join(part["text"] for part in item["summary"])
            if sealed := item.get("encrypted_content"):
                mark, _, proof = sealed.split(".", 2)
                assert mark == "samewire"
                choice.signatures.append(proof.partition("|")[0])
        case "message":
            for part in item["content"]:
                choice.text += part.get("text", "")
                choice.refusal += part.get("refusal", "")
                choice.logprobs += [(token["token"], token["logprob"]) for token in part.get("logprobs") or []]
        case "image_generation_call":
            choice.images.append(item["result"])
        case "function_call":
            identity = item["call_id"].removeprefix("samewire.")
            signature = identity.partition("__thought__")[2] or None
            choice.calls.append(Call(item["name"], _arguments(item["arguments"] or "{}"), identity, signature))


def answer(status: int, document: dict[str, Any]) -> Facts:
    """A whole answer, or an error."""
    if status >= 400:
        return Facts(error=Error(document["error"]["message"], status))
    choice = Choice()
    for item in document["output"]:
        _item(choice, item)
    reason = (document["incomplete_details"] or {}).get("reason")
    choice.finish = _FINISH[reason] if reason else "tool_calls" if choice.calls else "stop"
    return Facts({0: choice}, _usage(document["usage"]))


def stream(body: bytes) -> Facts:
    """A stream, read from what its last event repeats."""
    events = grammar.read(body)
    failures = [Error(document["message"]) for _, document in events if document["type"] == "error"]
    facts = answer(200, events[-1][1]["response"] | ({"incomplete_details": None} if failures else {}))
    if failures:
        facts.error = failures[0]
        facts.choices[0].finish = None
    return facts
