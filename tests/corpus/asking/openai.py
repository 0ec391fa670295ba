"""A request in OpenAI's words (https://platform.openai.com/docs/api-reference/chat/create)."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from tests.corpus.asking.facts import Item, Request, Tool, value


def _text(content: Any) -> str:
    if isinstance(content, list):
        return "".join(part.get("text") or "" for part in content)
    return content or ""


def _parts(role: str, content: Any) -> Iterator[Item]:
    parts: list[dict[str, Any]] = [{"type": "text", "text": content}] if isinstance(content, str) else content or []
    for part in parts:
        match part.get("type"):
            case "text" if part["text"]:
                yield role, part["text"]
            case "refusal":
                yield role, part["refusal"]
            case "image_url":
                yield "media", part["image_url"] if isinstance(part["image_url"], str) else part["image_url"]["url"]
            case "video_url":
                yield "media", part["video_url"]["url"]
            case "file":
                yield "media", part["file"].get("file_data") or part["file"]["file_id"]
            case "input_audio":
                yield "audio", part["input_audio"] if isinstance(part["input_audio"], str) else part["input_audio"]["data"]


def read(body: dict[str, Any]) -> Request:
    """Everything the body says."""
    request, called = Request(), dict[str, str]()
    for message in body["messages"]:
        role = message["role"]
        if role in ("system", "developer"):
            request.system += [text for kind, text in _parts(role, message["content"]) if kind == role]
        elif role == "tool":
            request.said.append(("result", called.get(message["tool_call_id"]), value(_text(message["content"]))))
        else:
            request.said += _parts(role, message.get("content"))
        for call in message.get("tool_calls") or []:
            called[call["id"]] = call["function"]["name"]
            request.said.append(("call", call["function"]["name"], value(call["function"]["arguments"] or "{}")))
    for tool in body.get("tools") or []:
        if "function" in tool:
            function = tool["function"]
            request.tools.append(Tool(function["name"], function.get("description") or "", function.get("parameters")))
    request.settings = {name: given for name, given in body.items() if name not in ("messages", "tools") and given is not None}
    if "stop" in request.settings:
        request.settings["stop"] = [body["stop"]] if isinstance(body["stop"], str) else body["stop"]
    limit = body.get("max_completion_tokens") or body.get("max_tokens")
    if limit:
        request.settings["max_tokens"] = request.settings["max_completion_tokens"] = limit
    return request
