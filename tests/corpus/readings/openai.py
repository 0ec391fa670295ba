"""OpenAI chat completions (https://platform.openai.com/docs/api-reference/chat), with what the hosts that speak it add or bend.

Read for two purposes: what such a host recorded, and what the gateway serves. Being well-formed is judged elsewhere (`schemas`, `grammar`).
"""

from __future__ import annotations

import json
from typing import Any

from tests.corpus.facts import Call, Choice, Error, Facts, Usage
from tests.corpus.frames import sse_json

FINISH = {"eos": "stop", "model_length": "length", "sensitive": "content_filter"}  # Together's, Mistral's, Z.ai's


def _number(*candidates: Any) -> int | None:
    return next((int(value) for value in candidates if value is not None), None)


def _usage(usage: dict[str, Any] | None) -> Usage | None:
    """Where the total tells that a host counts audio or reasoning beside the rest (Mistral, xAI), it is put inside, where OpenAI has it."""
    if not usage or usage.get("total_tokens") is None:
        return None
    asked, answered = usage.get("prompt_tokens_details") or {}, usage.get("completion_tokens_details") or {}
    prompt, completion, total = usage.get("prompt_tokens") or 0, usage.get("completion_tokens") or 0, usage["total_tokens"]
    reasoning = _number(answered.get("reasoning_tokens"), usage.get("reasoning_tokens"))
    beside = total - prompt - completion
    if beside:
        prompt += beside if beside == asked.get("audio_tokens") else 0
        completion += beside if beside == reasoning else 0
    cached = _number(asked.get("cached_tokens"), usage.get("prompt_cache_hit_tokens"), usage.get("cached_tokens"))
    return Usage(prompt, completion, total, cached, asked.get("cache_write_tokens"), reasoning)


def _arguments(text: Any) -> Any:
    try:
        return json.loads(text) if isinstance(text, str) else text
    except ValueError:
        return text


def _thought(part: dict[str, Any]) -> str:
    inner = part["thinking"]
    return inner if isinstance(inner, str) else "".join(piece.get("text") or "" for piece in inner)


def _content(choice: Choice, content: Any) -> None:
    """A string, or a list of text and thinking parts (Mistral)."""
    if isinstance(content, str):
        choice.text += content
    for part in content if isinstance(content, list) else ():
        if part["type"] == "text":
            choice.text += part["text"]
        elif part["type"] == "thinking":
            choice.reasoning += _thought(part)


def _reasoning(choice: Choice, message: dict[str, Any]) -> None:
    details = message.get("reasoning_details") or []
    text = message.get("reasoning_content") or message.get("reasoning")
    choice.reasoning += text or "".join(detail.get("text") or detail.get("summary") or "" for detail in details)
    choice.signatures += [proof for detail in details if (proof := detail.get("signature") or detail.get("data"))]
    google = ((message.get("extra_content") or {}).get("google") or {}).get("thought_signature")
    if google:
        choice.signatures = [google]


class _Calls:
    """Tool calls being put together. `arguments` of a whole answer are one piece."""

    def __init__(self) -> None:
        self.order: list[dict[str, Any]] = []
        self.at: dict[Any, dict[str, Any]] = {}

    def add(self, piece: dict[str, Any], key: Any) -> None:
        function, identity = piece.get("function") or {}, piece.get("id")
        call = self.at.get(key)
        if call is None or (identity and call["id"] and identity != call["id"] and function.get("name")):
            call = self.at[key] = {"id": None, "name": "", "arguments": "", "signature": None}
            self.order.append(call)
        call["id"] = call["id"] or identity
        call["name"] = call["name"] or function.get("name") or ""
        arguments = function.get("arguments")
        call["arguments"] = call["arguments"] + arguments if isinstance(arguments, str) else arguments if arguments else call["arguments"]
        google = (piece.get("extra_content") or {}).get("google") or {}
        call["signature"] = call["signature"] or google.get("thought_signature")

    def calls(self) -> list[Call]:
        return [Call(call["name"], _arguments(call["arguments"] or "{}"), call["id"], call["signature"]) for call in self.order]


def _merge(choice: Choice, calls: _Calls, piece: dict[str, Any], message: dict[str, Any]) -> None:
    """One choice of one chunk, or the whole of it, into the choice so far."""
    _content(choice, message.get("content"))
    _reasoning(choice, message)
    choice.refusal += message.get("refusal") or ""
    choice.images += [image["image_url"]["url"] for image in message.get("images") or []]
    for position, call in enumerate(message.get("tool_calls") or []):
        calls.add(call, call.get("index", call.get("id", position)))
    if message.get("function_call"):
        calls.add({"id": "function_call", "function": message["function_call"]}, "function_call")
    for token in (piece.get("logprobs") or {}).get("content") or []:
        choice.logprobs.append((token["token"], token["logprob"]))
    finish = piece.get("finish_reason")
    choice.finish = FINISH.get(str(finish), finish) or choice.finish


def error_message(body: Any) -> str:
    """The sentence in an error body, in any of the shapes OpenAI's look-alikes use."""
    body = body[0] if isinstance(body, list) else body
    if isinstance(body, str):
        return body
    inner = body.get("error")
    if isinstance(inner, dict):
        return str(inner.get("message"))
    found = inner or body.get("message") or body.get("detail")
    return found if isinstance(found, str) else json.dumps(found)


def answer(status: int, body: Any) -> Facts:
    """A whole answer or an error body."""
    if status >= 400 or "choices" not in body:
        return Facts(error=Error(error_message(body), status))
    facts = Facts(usage=_usage(body.get("usage")))
    for piece in body["choices"]:
        calls, choice = _Calls(), Choice()
        message = piece["message"]
        for position, call in enumerate(message.get("tool_calls") or []):
            calls.add(call, position)
        _merge(choice, calls, piece, message | {"tool_calls": None})
        choice.calls = calls.calls()
        facts.choices[piece.get("index", 0)] = choice
    return facts


def stream(body: str) -> Facts:
    """A stream of chunks; the last usage counts, wherever a host puts it."""
    facts = Facts()
    calls: dict[int, _Calls] = {}
    for chunk in sse_json(body):
        if chunk.get("error"):
            facts.error = Error(error_message(chunk))
            break
        for piece in chunk.get("choices") or []:
            index = piece.get("index", 0)
            choice = facts.choices.setdefault(index, Choice())
            _merge(choice, calls.setdefault(index, _Calls()), piece, piece.get("delta") or {})
            facts.usage = _usage(piece.get("usage")) or facts.usage
        facts.usage = _usage(chunk.get("usage")) or _usage((chunk.get("x_groq") or {}).get("usage")) or facts.usage
    for index, choice in facts.choices.items():
        choice.calls = calls[index].calls()
    return facts
