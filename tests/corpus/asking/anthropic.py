"""A request in Anthropic's words (https://docs.anthropic.com/en/api/messages)."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from tests.corpus.asking.facts import Item, Request, Tool, value


def _source(source: dict[str, Any]) -> str:
    match source["type"]:
        case "base64":
            return f"data:{source['media_type']};base64,{source['data']}"
        case "url":
            return str(source["url"])
        case "file":
            return str(source["file_id"])
        case "text":
            return str(source["data"])
    raise ValueError(source)


def _blocks(role: str, content: Any, called: dict[str, str]) -> Iterator[Item]:
    blocks: list[dict[str, Any]] = [{"type": "text", "text": content}] if isinstance(content, str) else content
    for block in blocks:
        match block["type"]:
            case "text":
                yield role, block["text"]
            case "image":
                yield "media", _source(block["source"])
            case "document":
                yield "media", _source(block["source"])
            case "tool_use":
                called[block["id"]] = block["name"]
                yield "call", block["name"], block["input"]
            case "tool_result":
                given = block.get("content") or ""
                text = given if isinstance(given, str) else "".join(part.get("text") or "" for part in given)
                yield "result", called[block["tool_use_id"]], value(text)
                yield from (item for item in ([] if isinstance(given, str) else _blocks(role, given, called)) if item[0] == "media")


def read(body: dict[str, Any]) -> Request:
    """Everything the body says."""
    request, called = Request(), dict[str, str]()
    system = body.get("system") or []
    request.system = [system] if isinstance(system, str) else [block["text"] for block in system]
    for message in body["messages"]:
        if message["role"] == "system":  # the newest API takes it among the messages
            request.system += [text for _, text in _blocks("system", message["content"], called)]
        else:
            request.said += _blocks(message["role"], message["content"], called)
    request.tools = [
        Tool(tool["name"], tool.get("description") or "", tool.get("input_schema"))
        for tool in body.get("tools") or []
        if "input_schema" in tool
    ]
    request.settings = _settings(body)
    return request


def _settings(body: dict[str, Any]) -> dict[str, Any]:
    settings: dict[str, Any] = {name: body[name] for name in ("stream", "temperature", "top_p") if name in body}
    settings |= {"max_tokens": body["max_tokens"], "max_completion_tokens": body["max_tokens"]}
    if "stop_sequences" in body:
        settings["stop"] = body["stop_sequences"]
    choice = body.get("tool_choice")
    if choice:
        settings["tool_choice"] = {"any": "required", "tool": choice.get("name")}.get(choice["type"], choice["type"])
        if choice.get("disable_parallel_tool_use"):
            settings["parallel_tool_calls"] = False
    if "user_id" in body.get("metadata", {}):
        settings["user"] = settings["safety_identifier"] = body["metadata"]["user_id"]
    if any(str(tool.get("type")).startswith("web_search") for tool in body.get("tools") or []):
        settings["web_search_options"] = True
    output = body.get("output_config", {})
    if "format" in output:
        settings["response_format"] = output["format"]["schema"]
    if "thinking" in body or "effort" in output:
        settings |= dict.fromkeys(("reasoning_effort", "reasoning", "thinking"), True)
    if "service_tier" in body:
        settings["service_tier"] = True
    return settings
