"""What a generateContent body asks for, read independently (https://ai.google.dev/api/generate-content)."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

from tests.corpus.asking.facts import Item, Request, Tool

_FREE = {"args", "response", "parametersJsonSchema", "responseJsonSchema", "parameters", "responseSchema"}


def camel(value: Any) -> Any:
    """The body in camelCase, but for what people named; null is nothing."""
    if isinstance(value, list):
        return [camel(item) for item in value]
    if not isinstance(value, dict):
        return value
    named = {re.sub(r"_([a-z])", lambda found: found[1].upper(), name): item for name, item in value.items() if item is not None}
    return {name: item if name in _FREE else camel(item) for name, item in named.items()}


def many(value: Any) -> list[Any]:
    """protobuf's JSON takes one alone for a list of one."""
    return value if isinstance(value, list) else [] if value is None else [value]


def standard(text: str) -> str:
    """Base64 in its first alphabet."""
    return text.replace("-", "+").replace("_", "/")


def _media(part: dict[str, Any]) -> Item:
    if "fileData" in part:
        return "media", part["fileData"]["fileUri"]
    data, kind = standard(part["inlineData"]["data"]), part["inlineData"]["mimeType"]
    return ("audio", data) if kind.startswith("audio/") else ("media", f"data:{kind};base64,{data}")


def _said(role: str, parts: list[dict[str, Any]]) -> Iterator[Item]:
    results = [part["functionResponse"] for part in parts if "functionResponse" in part]
    for result in results:
        yield "result", result["name"], result["response"]
    for media in (inner for result in results for inner in many(result.get("parts"))):
        yield _media(media)
    text = "".join(part["text"] for part in parts if "text" in part and not part.get("thought"))
    if role == "assistant" and text:
        yield role, text
    for part in parts:
        if "functionCall" in part:
            yield "call", part["functionCall"]["name"], part["functionCall"].get("args") or {}
        elif "inlineData" in part or "fileData" in part:
            yield _media(part)
        elif "text" in part and role == "user":
            yield role, part["text"]


def schema(value: Any) -> Any:
    """Google's Schema as JSON Schema, as far as comparing needs it."""
    if isinstance(value, list):
        return [schema(item) for item in value]
    if isinstance(value, dict):
        return {re.sub("^any_of$", "anyOf", name): schema(item) for name, item in value.items()}
    return value


def read(body: dict[str, Any]) -> Request:
    """Everything the body says that a chat can say."""
    body = camel(body)
    request = Request(system=[part["text"] for part in many((body.get("systemInstruction") or {}).get("parts")) if part.get("text")])
    turns: list[tuple[str, list[dict[str, Any]]]] = []
    for content in many(body["contents"]):
        role = "assistant" if content.get("role") == "model" else "user"
        if turns and turns[-1][0] == role:
            turns[-1][1].extend(many(content["parts"]))
        else:
            turns.append((role, list(many(content["parts"]))))
    for role, parts in turns:
        request.said += _said(role, parts)
    for declared in (one for tool in many(body.get("tools")) for one in many(tool.get("functionDeclarations"))):
        given = declared.get("parametersJsonSchema") or declared.get("parameters")
        request.tools.append(Tool(declared["name"], declared.get("description") or "", schema(given)))
    request.settings = _settings(body, body.get("generationConfig") or {})
    return request


_PLAIN = {
    "temperature": "temperature",
    "topP": "top_p",
    "topK": "top_k",
    "seed": "seed",
    "stopSequences": "stop",
    "maxOutputTokens": "max_completion_tokens",
    "presencePenalty": "presence_penalty",
    "frequencyPenalty": "frequency_penalty",
    "responseLogprobs": "logprobs",
    "logprobs": "top_logprobs",
}
_MODES = {"AUTO": "auto", "VALIDATED": "auto", "ANY": "required", "NONE": "none"}


def _settings(body: dict[str, Any], config: dict[str, Any]) -> dict[str, Any]:
    """In OpenAI's words."""
    settings = {ours: config[theirs] for theirs, ours in _PLAIN.items() if theirs in config and config[theirs] != []}
    calling = (body.get("toolConfig") or {}).get("functionCallingConfig")
    if calling and any(tool.get("functionDeclarations") for tool in many(body.get("tools"))):
        settings["tool_choice"] = _MODES[calling["mode"].upper()]
        names = calling.get("allowedFunctionNames")
        if names and settings["tool_choice"] == "required":
            settings["tool_choice"] = sorted(names)
    if config.get("responseMimeType") == "application/json":
        settings["response_format"] = schema(config.get("responseSchema") or config.get("responseJsonSchema") or True)
    if any("googleSearch" in tool for tool in many(body.get("tools"))):
        settings["web_search_options"] = True
    thinking = config.get("thinkingConfig") or {}
    if thinking.get("thinkingBudget", -1) >= 0 or thinking.get("thinkingLevel"):
        settings["reasoning_effort"] = thinking.get("thinkingLevel", "").lower() or _effort(thinking["thinkingBudget"])
    return settings


def _effort(budget: int) -> str:
    return "none" if not budget else "low" if budget <= 4096 else "medium" if budget <= 12288 else "high"


def chosen(choice: Any) -> Any:
    """A chat's tool choice in the same words."""
    if not isinstance(choice, dict):
        return choice
    if choice["type"] == "function":
        return [choice["function"]["name"]]
    assert choice["allowed_tools"]["mode"] == "required"
    return sorted(tool["function"]["name"] for tool in choice["allowed_tools"]["tools"])
