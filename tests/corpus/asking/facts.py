"""The common ground on which a client's request and what went upstream are compared."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import Any

#: One thing said in a conversation, in order: ("user" | "assistant", text), ("media" | "audio", what), ("call", name, arguments),
#: ("result", name of the tool, what it gave).
Item = tuple[Any, ...]


@dataclass(slots=True)
class Tool:
    """A function a model may call; `schema` of its parameters."""

    name: str
    description: str
    schema: Any


@dataclass(slots=True)
class Request:
    """`settings` are in OpenAI's words: max_tokens, temperature, top_p, stop (a list), tool_choice, …"""

    system: list[str] = field(default_factory=list)
    said: list[Item] = field(default_factory=list)
    tools: list[Tool] = field(default_factory=list)
    settings: dict[str, Any] = field(default_factory=dict)


def outline(schema: Any) -> Any:
    """The members a JSON Schema names, all the way down: what remains of it in every vendor's dialect of JSON Schema."""
    found: dict[str, Any] = {}
    if isinstance(schema, dict):
        for name, inner in (schema.get("properties") or {}).items():
            found[name] = outline(inner)
        for word in ("items", "anyOf", "oneOf", "allOf", "prefixItems"):
            inner = schema.get(word)
            for one in inner if isinstance(inner, list) else [inner]:
                found |= outline(one)
    return found


def value(text: str) -> Any:
    """What a tool gave: an object if the text is one, else the text."""
    try:
        parsed = json.loads(text)
    except ValueError:
        return text
    return parsed if isinstance(parsed, dict) else text


def _alike(asked: Item, sent: Item) -> bool:
    """Equal; or a call whose arguments were no object, which a vendor's history can only hold as none or wrapped up."""
    if asked[0] == sent[0] == "call" and asked[1] == sent[1] and isinstance(asked[2], str):
        return sent[2] == {} or asked[2] in sent[2].values()
    return asked == sent


def _place(item: Item, items: list[Item]) -> int:
    return next((number for number, other in enumerate(items) if _alike(item, other)), -1)


def lost(asked: Request, sent: Request) -> list[str]:
    """What the client said that did not go upstream, or not in its order; empty when all did."""
    # a conversation of nothing but system messages is said by the user where a vendor wants someone to have spoken
    heard = [*sent.system, *(item[1] for item in sent.said if item[0] == "user" and not asked.said)]
    faults = [f"system text lost: {text[:60]!r}" for text in asked.system if text not in heard]
    rest = list(sent.said)
    for item in asked.said:
        place = _place(item, rest)
        if place < 0:
            faults.append(f"lost or out of order: {str(item)[:120]}")
        else:
            del rest[: place + 1]
    have = {tool.name: tool for tool in sent.tools}
    for tool in asked.tools:
        other = have.get(tool.name)
        if other is None:
            faults.append(f"tool lost: {tool.name}")
        elif tool.description != other.description or outline(tool.schema) != outline(other.schema):
            faults.append(f"tool changed: {tool.name}")
    return faults
