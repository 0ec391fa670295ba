"""Gemini generateContent (https://ai.google.dev/api/generate-content), on AI Studio and Vertex: answers, streams and errors."""

from __future__ import annotations

from typing import Any

from tests.corpus.facts import Call, Choice, Error, Facts, Usage
from tests.corpus.frames import sse_json

FINISH = {
    "STOP": "stop",
    "MAX_TOKENS": "length",
    "CONTINUATION": "length",
    **dict.fromkeys(
        ("SAFETY", "RECITATION", "LANGUAGE", "BLOCKLIST", "PROHIBITED_CONTENT", "SPII", "MODEL_ARMOR", "ESCALATION"),
        "content_filter",
    ),
}
NUMBERS = {1: "STOP", 2: "MAX_TOKENS", 3: "SAFETY", 4: "RECITATION", 5: "OTHER", 6: "BLOCKLIST", 7: "PROHIBITED_CONTENT", 8: "SPII"}


def _usage(usage: dict[str, Any] | None) -> Usage | None:
    """Gemini counts thoughts and tool-use prompts beside the rest; OpenAI counts them inside."""
    if not usage or not any(name.endswith("TokenCount") for name in usage):
        return None
    prompt = (usage.get("promptTokenCount") or 0) + (usage.get("toolUsePromptTokenCount") or 0)
    completion = (usage.get("candidatesTokenCount") or 0) + (usage.get("thoughtsTokenCount") or 0)
    total = usage.get("totalTokenCount")
    return Usage(
        prompt,
        completion,
        prompt + completion if total is None else total,
        usage.get("cachedContentTokenCount"),
        None,
        usage.get("thoughtsTokenCount"),
    )


def _part(choice: Choice, part: dict[str, Any]) -> None:
    signature = part.get("thoughtSignature")
    if "functionCall" in part:
        call = part["functionCall"]
        choice.calls.append(Call(call["name"], call.get("args") or {}, call.get("id"), signature))
    elif "inlineData" in part:
        choice.images.append(f"data:{part['inlineData']['mimeType']};base64,{part['inlineData']['data']}")
    elif "text" in part:
        if part.get("thought"):
            choice.reasoning += part["text"]
        else:
            choice.text += part["text"]
    if signature and "functionCall" not in part:
        choice.signatures = [signature]  # the last one is the one that must come back


def _candidate(choice: Choice, candidate: dict[str, Any]) -> None:
    for part in (candidate.get("content") or {}).get("parts") or []:
        _part(choice, part)
    reason = candidate.get("finishReason")
    if reason is not None:
        choice.finish = FINISH.get(NUMBERS.get(reason, reason), "content_filter" if str(reason).startswith("IMAGE_") else "stop")
    if choice.calls and choice.finish == "stop":
        choice.finish = "tool_calls"
    result = candidate.get("logprobsResult") or {}
    choice.logprobs += [(token["token"], token["logProbability"]) for token in result.get("chosenCandidates") or []]


def _read(facts: Facts, document: dict[str, Any]) -> None:
    for candidate in document.get("candidates") or []:
        _candidate(facts.choices.setdefault(candidate.get("index") or 0, Choice()), candidate)
    feedback = document.get("promptFeedback") or {}
    if feedback.get("blockReason") and not facts.choices:
        facts.choices[0] = Choice(refusal=feedback.get("blockReasonMessage") or feedback["blockReason"], finish="content_filter")
    facts.usage = _usage(document.get("usageMetadata")) or facts.usage


def answer(status: int, body: Any) -> Facts:
    """A whole answer or an error body (which may come in a list of one)."""
    document = body[0] if isinstance(body, list) else body
    if "error" in document:
        return Facts(error=Error(document["error"]["message"], status))
    facts = Facts()
    _read(facts, document)
    return facts


def stream(body: str) -> Facts:
    """A stream of GenerateContentResponse objects; usage is cumulative, the last one counts."""
    facts = Facts()
    for document in sse_json(body):
        if "error" in document:
            facts.error = Error(document["error"]["message"])
            break
        _read(facts, document)
    return facts
