"""The last touch to a whole chat completion, whatever dialect it came from: what OpenAI's clients rely on."""

from __future__ import annotations

from typing import Any

from proxy.mapping.chunks import new_id
from proxy.mapping.context import Context


def settle(document: dict[str, Any], context: Context) -> dict[str, Any]:
    """Bring a chat completion into order, in place; other documents only get the model name to show."""
    if context.shown and "model" in document:
        document["model"] = context.shown
    if document.get("object") != "chat.completion":
        return document
    if not document.get("id"):
        document["id"] = "chatcmpl-" + new_id()
    if not document.get("created"):
        document["created"] = context.now
    if "model" not in document:
        document["model"] = context.shown or context.model
    for position, choice in enumerate(document.get("choices") or ()):
        _settle_choice(choice, position, context)
    usage = document.get("usage")
    if isinstance(usage, dict) and "prompt_tokens" in usage:
        usage.setdefault("completion_tokens", 0)
        usage.setdefault("total_tokens", usage["prompt_tokens"] + usage["completion_tokens"])
    return document


def as_canonical(document: Any, operation: str, context: Context) -> dict[str, Any]:
    """What such a host has answered to one of OpenAI's operations that others are served by. Raises ValueError as `as_completion` does."""
    if operation == "chat":
        return as_completion(document, context)
    if not isinstance(document, dict) or not isinstance(document.get("data"), list):
        raise ValueError("it is no list of data")
    return settle(document, context)


def as_completion(document: Any, context: Context) -> dict[str, Any]:
    """What a host that speaks as OpenAI does has answered, as a canonical answer. Raises ValueError for what is none, or not whole."""
    if not isinstance(document, dict) or not isinstance(document.get("choices"), list):
        raise ValueError("it is no chat completion")
    document["object"] = "chat.completion"
    settle(document, context)
    if not told_its_end(document):
        raise ValueError("it does not say how it ended")
    return document


def told_its_end(document: dict[str, Any]) -> bool:
    """Whether every choice of a chat completion has its finish reason: one is never made up. Other documents have none."""
    if document.get("object") != "chat.completion":
        return True
    choices = document.get("choices") or ()
    return bool(choices) and all(choice.get("finish_reason") for choice in choices)


def _settle_choice(choice: dict[str, Any], position: int, context: Context) -> None:
    choice.setdefault("index", position)
    choice.setdefault("logprobs", None)
    message = choice.get("message")
    if not isinstance(message, dict):
        return
    message.setdefault("role", "assistant")
    message.setdefault("content", None)
    message.setdefault("refusal", None)
    if "tool_calls" in message:
        _settle_calls(choice, message)
    text = message.get("reasoning_content") or message.get("reasoning")
    if isinstance(text, str):
        message.pop("reasoning", None)
        message.pop("reasoning_content", None)
        message.update(dict.fromkeys(context.reasoning, text))


def _settle_calls(choice: dict[str, Any], message: dict[str, Any]) -> None:
    calls = message["tool_calls"]
    if not calls:
        del message["tool_calls"]
        return
    for call in calls:
        call["id"] = call.get("id") or "call_" + new_id()
        call.pop("index", None)
        function = call.get("function")
        if isinstance(function, dict) and not function.get("arguments"):  # clients parse them; what was cut stays cut
            function["arguments"] = "" if choice.get("finish_reason") == "length" else "{}"
    if choice.get("finish_reason") == "stop":
        choice["finish_reason"] = "tool_calls"
