"""A request in the words of the Responses API (https://platform.openai.com/docs/api-reference/responses/create), read on its own."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

from tests.corpus.asking.facts import Item, Request, Tool, value

#: Parameters that a chat has under another name, or in another form.
SETTINGS = {"max_output_tokens": "max_completion_tokens"}
_NOT_SETTINGS = {"input", "instructions", "tools", "text", "reasoning", "include", "model", "stream", "store", "tool_choice"}


def flat(name: str, namespace: str | None) -> str:
    """A tool's name in chat."""
    return name if namespace in (None, name) else f"{namespace}__{name}"


def _parts(role: str, content: Any) -> Iterator[Item]:
    for part in [{"type": "input_text", "text": content}] if isinstance(content, str) else content or []:
        match part["type"]:
            case "input_text" | "output_text" | "text" if part["text"]:
                yield role, part["text"]
            case "refusal":
                yield role, part["refusal"]
            case "input_image":
                yield "media", part.get("image_url") or part["file_id"]
            case "input_file":
                yield "media", part.get("file_data") or part.get("file_url") or part["file_id"]


def _call(item: dict[str, Any]) -> tuple[str, Any]:
    match item["type"]:
        case "function_call":
            return flat(item["name"], item.get("namespace")), value(item["arguments"] or "{}")
        case "custom_tool_call":
            return flat(item["name"], item.get("namespace")), {"input": item["input"]}
    name = item["type"].removesuffix("_call")
    return name, item.get("action") or item.get("operation") or item.get("arguments")


def _result(item: dict[str, Any]) -> Iterator[Any]:
    output = item.get("output")
    if output is None:
        yield value(json.dumps(item["tools"], separators=(",", ":"), ensure_ascii=False)) if "tools" in item else item.get("status", "")
    elif isinstance(output, str):
        yield value(output)
    else:
        yield from (part["text"] for part in output if part["type"] == "input_text")


def _tools(body: dict[str, Any]) -> Iterator[Tool]:
    items = body["input"] if isinstance(body["input"], list) else []
    for tool in [*(body.get("tools") or []), *(tool for item in items if "tools" in item for tool in item["tools"])]:
        if tool["type"] == "function":
            yield Tool(tool["name"], tool.get("description") or "", tool.get("parameters"))
        elif tool["type"] == "custom":
            yield Tool(tool["name"], tool.get("description") or "", {"properties": {"input": {}}})
        for inner in tool["tools"] if tool["type"] == "namespace" else ():
            yield Tool(flat(inner["name"], tool["name"]), inner.get("description") or "", inner.get("parameters"))


def read(body: dict[str, Any]) -> Request:
    """Everything the body says that a chat can say."""
    request, called = Request(), dict[str, str]()
    if body.get("instructions"):
        request.system.append(body["instructions"])
    items = [{"role": "user", "content": body["input"]}] if isinstance(body["input"], str) else body["input"]
    for item in items:
        kind = item.get("type", "message")
        if kind == "message" and item["role"] in ("system", "developer"):
            request.system += [part[1] for part in _parts("system", item["content"])]
        elif kind == "message":
            request.said += _parts(item["role"], item["content"])
        elif kind in ("function_call", "custom_tool_call", "tool_search_call", "local_shell_call", "shell_call", "apply_patch_call"):
            name, arguments = _call(item)
            called[item["call_id"]] = name
            request.said.append(("call", name, arguments))
        elif kind.endswith("_output") and item.get("call_id"):
            request.said += [("result", called.get(item["call_id"]), given) for given in _result(item)]
            if isinstance(item.get("output"), list):
                request.said += [part for part in _parts("user", item["output"]) if part[0] == "media"]
    request.tools = list(_tools(body))
    request.settings = {SETTINGS.get(name, name): given for name, given in body.items() if name not in _NOT_SETTINGS and given is not None}
    return request
