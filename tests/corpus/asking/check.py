"""What is wrong with an upstream body made of a client's request: refused by the vendor's SDK types, or something lost on the way."""

from __future__ import annotations

from collections.abc import Callable, Collection
from dataclasses import dataclass
from typing import Any

from tests.corpus.asking import anthropic, gemini, openai
from tests.corpus.asking.accepted import anthropic_faults, gemini_faults
from tests.corpus.asking.facts import Request, lost, outline

#: A parameter with OpenAI's documented default says nothing and may go.
NEUTRAL: dict[str, Any] = {
    "n": 1,
    "temperature": 1,
    "top_p": 1,
    "presence_penalty": 0,
    "frequency_penalty": 0,
    "logprobs": False,
    "store": False,
    "tool_choice": "auto",
    "parallel_tool_calls": True,
    "response_format": {"type": "text"},
    "service_tier": "auto",
    "stop": [],
}
_GATEWAY = {"model", "stream", "stream_options"}  # served by the gateway itself


@dataclass(frozen=True, slots=True)
class Vendor:
    """`carried`: parameters that this vendor has, so that reporting them as dropped is no excuse."""

    read: Callable[[dict[str, Any]], Request]
    refused: Callable[[dict[str, Any]], list[str]]
    carried: frozenset[str]
    parts: frozenset[str]


_ALL = ("max_tokens", "max_completion_tokens", "stop", "tool_choice", "temperature", "top_p")
VENDORS = {
    "anthropic": Vendor(
        anthropic.read,
        anthropic_faults,
        frozenset((*_ALL, "user", "safety_identifier", "parallel_tool_calls")),
        frozenset(("text", "refusal", "image_url", "file")),
    ),
    "gemini": Vendor(
        gemini.read,
        gemini_faults,
        frozenset((*_ALL, "seed", "n", "presence_penalty", "frequency_penalty", "logprobs", "top_logprobs", "response_format")),
        frozenset(("text", "refusal", "image_url", "file", "input_audio")),
    ),
}


def refusable(vendor: str, body: dict[str, Any]) -> bool:
    """Whether a 400 that names the parameter is right: the request asks for what the vendor cannot do at all."""
    parts = [part for message in body["messages"] for part in message.get("content") or [] if isinstance(part, dict)]
    odd_parts = any(part.get("type") not in VENDORS[vendor].parts for part in parts)
    odd_tools = any(tool.get("type", "function") != "function" for tool in body.get("tools") or [])
    speech = "audio" in body or "audio" in (body.get("modalities") or [])
    return odd_parts or odd_tools or speech or "functions" in body or (vendor == "anthropic" and (body.get("n") or 1) > 1)


def _same(name: str, given: Any, sent: Any) -> bool:
    match name:
        case "tool_choice" if isinstance(given, dict):
            return bool(sent == given.get("function", {}).get("name"))
        case "tool_choice":
            return bool(sent == {"any": "required"}.get(given, given))
        case "response_format":
            schema = (given.get("json_schema") or {}).get("schema")
            return outline(schema) == outline(sent) if schema else bool(sent)
        case "temperature":
            return bool(sent in (given, min(given, 1)))
    return sent is True or bool(sent == given)  # True: it was read that the vendor is told of it, in words of its own


def _setting(name: str, given: Any, sent: Request, body: dict[str, Any], excused: bool) -> str:
    if name in sent.settings and not (name == "tool_choice" and excused):
        return "" if _same(name, given, sent.settings[name]) else f"{name}: {given!r:.60} became {sent.settings[name]!r:.60}"
    if excused or body.get(name) == given:
        return ""
    return f"{name}: neither carried nor reported"


def faults(vendor: str, asked: dict[str, Any], body: dict[str, Any], dropped: Collection[str], refuses: Collection[str] = ()) -> list[str]:
    """All that is wrong; empty when the vendor's types accept the body and nothing was lost.

    `dropped`: the names in `x-samewire-dropped`. `refuses`: parameters that this model refuses although the vendor has them.
    """
    said, sent = openai.read(asked), VENDORS[vendor].read(body)
    found = [f"refused by the SDK's types: {fault}" for fault in VENDORS[vendor].refused(body)] + lost(said, sent)
    for name, given in said.settings.items():
        if name in _GATEWAY or NEUTRAL.get(name) == given:
            continue
        has = name in VENDORS[vendor].carried and name not in refuses and given != "any"  # Mistral's word, not OpenAI's
        needless = has and name in dropped and name not in sent.settings
        found += [f"{name}: dropped although {vendor} has it"] if needless else []
        fault = _setting(name, given, sent, body, name in dropped or (name == "tool_choice" and not said.tools))
        found += [fault] if fault else []
    return found
