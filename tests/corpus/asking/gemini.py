"""A request in Gemini's words (https://ai.google.dev/api/generate-content)."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from tests.corpus.asking.facts import Item, Request, Tool, value

_SETTINGS = {
    "temperature": "temperature",
    "topP": "top_p",
    "topK": "top_k",
    "stopSequences": "stop",
    "seed": "seed",
    "candidateCount": "n",
    "presencePenalty": "presence_penalty",
    "frequencyPenalty": "frequency_penalty",
    "responseLogprobs": "logprobs",
    "logprobs": "top_logprobs",
    "responseJsonSchema": "response_format",
    "responseSchema": "response_format",
}
_PRESENT = {
    "thinkingConfig": ("reasoning_effort", "reasoning", "thinking"),
    "speechConfig": ("audio",),
    "responseModalities": ("modalities",),
}
_CHOICE = {"AUTO": "auto", "ANY": "required", "NONE": "none", "VALIDATED": "auto"}


def _parts(role: str, parts: list[dict[str, Any]]) -> Iterator[Item]:
    for part in parts:
        if "text" in part:
            yield "assistant" if role == "model" else "user", part["text"]
        elif "inlineData" in part:
            data = part["inlineData"]
            heard = data["mimeType"].startswith("audio/")
            yield ("audio", data["data"]) if heard else ("media", f"data:{data['mimeType']};base64,{data['data']}")
        elif "fileData" in part:
            yield "media", part["fileData"]["fileUri"]
        elif "functionCall" in part:
            yield "call", part["functionCall"]["name"], part["functionCall"].get("args") or {}
        elif "functionResponse" in part:
            given = part["functionResponse"]["response"]
            text = next(iter(given.values())) if len(given) == 1 and given.keys() <= {"result", "output", "content", "error"} else None
            yield "result", part["functionResponse"]["name"], value(text) if isinstance(text, str) else given
            yield from _parts(role, part["functionResponse"].get("parts") or [])


def read(body: dict[str, Any]) -> Request:
    """Everything the body says."""
    request = Request(system=[part["text"] for part in (body.get("systemInstruction") or {}).get("parts") or []])
    for content in body["contents"]:
        request.said += _parts(content["role"], content["parts"])
    for tool in body.get("tools") or []:
        for declared in tool.get("functionDeclarations") or []:
            schema = declared.get("parametersJsonSchema") or declared.get("parameters")
            request.tools.append(Tool(declared["name"], declared.get("description") or "", schema))
    request.settings = _settings(body, body.get("generationConfig") or {})
    return request


def _settings(body: dict[str, Any], config: dict[str, Any]) -> dict[str, Any]:
    settings = {name: config[theirs] for theirs, name in _SETTINGS.items() if theirs in config}
    if "maxOutputTokens" in config:
        settings |= dict.fromkeys(("max_tokens", "max_completion_tokens"), config["maxOutputTokens"])
    if config.get("responseMimeType") == "application/json":
        settings.setdefault("response_format", True)
    for theirs, names in _PRESENT.items():
        if theirs in config:
            settings |= dict.fromkeys(names, True)
    if any("googleSearch" in tool for tool in body.get("tools") or []):
        settings["web_search_options"] = True
    if "serviceTier" in body:
        settings["service_tier"] = True
    calling = (body.get("toolConfig") or {}).get("functionCallingConfig")
    if calling:
        names = calling.get("allowedFunctionNames")
        settings["tool_choice"] = names[0] if names else _CHOICE[calling["mode"]]
    return settings
