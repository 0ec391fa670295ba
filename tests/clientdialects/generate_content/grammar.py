"""The grammar of a streamed generateContent answer, as a state machine over its events.

stream    = chunk* last                 a good end
          | chunk* error                a failure: no finishReason anywhere, and nothing behind it
chunk     = one candidate with one part or more, never empty
last      = every candidate with its finishReason, and the usage where there is one
"""

from __future__ import annotations

from typing import Any

from google.genai import types
from pydantic import ValidationError

#: Exactly one of these is in a part; a hidden thought is a signature alone.
_KINDS = {"text", "functionCall", "inlineData"}
_CHUNK = {"candidates", "modelVersion", "responseId"}
_LAST = _CHUNK | {"usageMetadata", "createTime"}


def breaches(events: list[dict[str, Any]], *, ended: bool) -> list[str]:
    """Everything that is wrong; `ended`: the stream has to have ended well."""
    found = [f"event {at}: {breach}" for at, event in enumerate(events[:-1]) for breach in _chunk(event)]
    last = events[-1] if events else {}
    if ended:
        found += [f"the last: {breach}" for breach in _last(last, {index for event in events[:-1] for index in _indexes(event)})]
    elif last.keys() != {"error"}:
        found.append(f"a failed stream ends with {sorted(last)}")
    elif not isinstance(last["error"]["code"], int) or not last["error"]["message"] or not last["error"]["status"].isupper():
        found.append(f"no error of Google's: {last}")
    named = [(event.get("modelVersion"), event.get("responseId")) for event in events if "error" not in event]
    return found + ([f"more than one name: {set(named)}"] if len(set(named)) > 1 else [])


def _indexes(event: dict[str, Any]) -> list[int]:
    return [candidate["index"] for candidate in event.get("candidates") or ()]


def _chunk(event: dict[str, Any]) -> list[str]:
    if not event.keys() <= _CHUNK or len(event.get("candidates") or ()) != 1:
        return [f"no chunk: {sorted(event)}"]
    candidate = event["candidates"][0]
    found = _content(candidate) + _typed(event)
    return [*found, "a reason to finish before the end"] if "finishReason" in candidate else found


def _last(event: dict[str, Any], seen: set[int]) -> list[str]:
    if not event.keys() <= _LAST or "candidates" not in event:
        return [f"not the last: {sorted(event)}"]
    found = [f"choice {index} was not begun" for index in sorted(seen - set(_indexes(event)))]
    for candidate in event["candidates"]:
        found += _content(candidate)
        if candidate.get("finishReason") not in ("STOP", "MAX_TOKENS", "SAFETY", "OTHER"):
            found.append(f"finishes for {candidate.get('finishReason')}")
    return found + _typed(event)


def _content(candidate: dict[str, Any]) -> list[str]:
    content = candidate.get("content") or {}
    parts = content.get("parts") or []
    found = [] if content.get("role") == "model" and parts else [f"content without a role or parts: {content}"]
    for part in parts:
        kinds = part.keys() & _KINDS
        if len(kinds) != 1 and not (not kinds and part.get("thought") and part.get("thoughtSignature")):
            found.append(f"a part of {sorted(part)}")
        if "functionCall" in part and not isinstance(part["functionCall"]["args"], dict):
            found.append("arguments that are no object")
    return found


def _typed(event: dict[str, Any]) -> list[str]:
    try:
        types.GenerateContentResponse.model_validate(event)
    except ValidationError as refused:
        # recorded signatures were replaced by words that are no base64
        return [str(fault) for fault in refused.errors() if "thoughtSignature" not in fault["loc"]]
    return []
