"""Whether a vendor's own SDK types accept a request body. Members they do not know are faults: a vendor refuses them too."""

from __future__ import annotations

import types
from collections.abc import Callable, Sequence
from functools import cache
from typing import Annotated, Any, Literal, NotRequired, Required, Union, get_args, get_origin

from anthropic.types.message_create_params import MessageCreateParamsNonStreaming, MessageCreateParamsStreaming
from google.genai import types as google
from pydantic import TypeAdapter, ValidationError
from typing_extensions import TypeAliasType, get_type_hints, is_typeddict

#: Members that a vendor takes although its newest SDK no longer writes them.
ANTHROPIC_OLDER = {"temperature": float | int, "top_p": float | int, "top_k": int}


def anthropic_faults(body: dict[str, Any]) -> list[str]:
    """What Anthropic's SDK types refuse in a Messages body."""
    older = [fault for name, kind in ANTHROPIC_OLDER.items() if name in body for fault in faults(body[name], kind, name)]
    body = {name: value for name, value in body.items() if name not in ANTHROPIC_OLDER}
    return older + faults(body, MessageCreateParamsStreaming if body.get("stream") else MessageCreateParamsNonStreaming, "")


def faults(value: Any, kind: Any, place: str) -> list[str]:
    """What of a JSON value a type (TypedDict, Literal, Union, Iterable, …) refuses. Stricter than pydantic: no unknown members."""
    origin, inner = get_origin(kind), get_args(kind)
    if isinstance(kind, TypeAliasType):
        return faults(value, kind.__value__, place)
    if origin in (Annotated, Required, NotRequired):
        return faults(value, inner[0], place)
    if origin in (Union, types.UnionType):
        return _union(value, inner, place)
    if origin is Literal:
        return [] if value in inner else [f"{place}: {value!r} is none of {inner}"]
    if is_typeddict(kind):
        return _members(value, kind, place)
    if len(inner) == 2:  # a mapping
        if not isinstance(value, dict):
            return [f"{place}: not an object"]
        return [fault for name, item in value.items() for fault in faults(item, inner[1], f"{place}.{name}")]
    if inner:  # an iterable, of whatever name
        if not isinstance(value, list):
            return [f"{place}: not a list"]
        return [fault for number, item in enumerate(value) for fault in faults(item, inner[0], f"{place}.{number}")]
    return _plain(value, kind, place)


def _plain(value: Any, kind: Any, place: str) -> list[str]:
    if kind in (object, Any):
        return []
    if kind is None or kind is type(None):
        return [] if value is None else [f"{place}: not null"]
    wanted = (int, float) if kind is float else kind
    good = isinstance(value, wanted) and (kind is bool or not isinstance(value, bool))
    return [] if good else [f"{place}: {value!r:.60} is no {getattr(kind, '__name__', kind)}"]


def _union(value: Any, kinds: Sequence[Any], place: str) -> list[str]:
    """The faults of the kind that comes nearest: of the right shape, then of the right `type`, then with the fewest."""

    def distance(found: list[str]) -> tuple[bool, bool, int]:
        return any(fault.startswith(f"{place}:") for fault in found), any(f"{place}.type:" in fault for fault in found), len(found)

    return min((faults(value, kind, place) for kind in kinds), key=distance)


@cache
def _hints(kind: Any) -> dict[str, Any]:
    return get_type_hints(kind, include_extras=True)


def _members(value: Any, kind: Any, place: str) -> list[str]:
    if not isinstance(value, dict):
        return [f"{place}: not an object"]
    hints = _hints(kind)
    found = [f"{place}.{name}: not a member of {kind.__name__}" for name in value.keys() - hints.keys()]
    found += [f"{place}.{name}: missing" for name in kind.__required_keys__ - value.keys()]
    return found + [fault for name in value.keys() & hints.keys() for fault in faults(value[name], hints[name], f"{place}.{name}")]


#: The members of a REST generateContent body, by the SDK's types (extra members forbidden, camelCase).
GEMINI: dict[str, Any] = {
    "contents": list[google.Content],
    "systemInstruction": google.Content,
    "tools": list[google.Tool],
    "toolConfig": google.ToolConfig,
    "generationConfig": google.GenerationConfig,
    "safetySettings": list[google.SafetySetting],
    "cachedContent": str,
    "serviceTier": Literal["unspecified", "standard", "flex", "priority"],
    "labels": dict[str, str],
    "store": bool,
}
#: generationConfig of the REST API holds these; the SDK has them one level up.
GEMINI_CONFIG: dict[str, Any] = {
    "thinkingConfig": google.ThinkingConfig,
    "imageConfig": google.ImageConfig,
    "speechConfig": google.SpeechConfig,
    "responseModalities": list[str],
}


@cache
def _adapter(table: int, name: str) -> Callable[[Any], Any]:
    return TypeAdapter((GEMINI, GEMINI_CONFIG)[table][name]).validate_python


def gemini_faults(body: dict[str, Any]) -> list[str]:
    """What Google's SDK types refuse in a generateContent body."""
    body = dict(body)
    config = dict(body.get("generationConfig") or {})
    apart = {name: config.pop(name) for name in GEMINI_CONFIG if name in config}
    if "generationConfig" in body:
        body["generationConfig"] = config
    found = []
    for table, members in enumerate((body, apart)):
        for name, value in members.items():
            if name not in (GEMINI, GEMINI_CONFIG)[table]:
                found.append(f"{name}: not a member of a generateContent body")
                continue
            try:
                _adapter(table, name)(value)
            except ValidationError as refused:
                found += [f"{name}.{'.'.join(map(str, fault['loc']))}: {fault['msg']}" for fault in refused.errors()]
    return found
