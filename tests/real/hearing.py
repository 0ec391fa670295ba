"""What a vendor understands of a request, in any of the wire languages: what the prompt tells it to do, and what came with it."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

#: A prompt says `play: NAME`, with JSON after it where the play wants it: `play: call {"name": …, "inputs": […]}`.
_PLAY = re.compile(r"play: (\w+)(?: (\{.*\}|\d+))?")
#: Where each wire language has the turns of a conversation.
_TURNS = {"responses": "input", "gemini": "contents"}


@dataclass(frozen=True, slots=True)
class Heard:
    """A request. `results` are the texts of the tool results that came after the prompt; None before there are any."""

    wire: str
    stream: bool
    play: str
    argument: Any
    tools: dict[str, Any]  # name ─▶ JSON Schema
    forced: bool  # a tool must be called
    schema: bool  # the answer must be JSON
    results: list[str] | None
    document: dict[str, Any]

    def holds(self, text: str) -> bool:
        """Whether the text is in it anywhere. Google's own SDK writes Base64 with `-_` in place of `+/`."""
        document = json.dumps(self.document)
        return text in document or (self.wire == "gemini" and text.replace("+", "-").replace("/", "_") in document)


def hear(wire: str, path: str, document: dict[str, Any]) -> Heard:
    """Understands a request of a wire language: chat, responses, messages, gemini, ollama."""
    turns = document["prompt"] if "prompt" in document else document.get(_TURNS.get(wire, "messages"), [])
    turns = [{"content": turns}] if isinstance(turns, str) else turns
    found = [(number, match) for number, turn in enumerate(turns) for text in _texts(turn) for match in _PLAY.finditer(text)]
    number, match = found[-1] if found else (len(turns), None)
    results = [result for turn in turns[number + 1 :] for result in _results(wire, turn)]
    stream = "stream" in path if wire == "gemini" else document.get("stream", wire == "ollama")
    return Heard(
        wire,
        stream,
        match[1] if match else "chat",
        _json(match[2]) if match and match[2] else None,
        dict(_tools(wire, document)),
        _forced(document),
        any(_schema(document)),
        results or None,
        document,
    )


def _json(text: str) -> Any:
    """The JSON value that the text begins with: more of the prompt may follow. One client puts prompts in quotes, with backslashes."""
    return json.JSONDecoder().raw_decode(text if '\\"' not in text else text.replace('\\"', '"'))[0]


def _texts(value: Any) -> Iterator[str]:
    """All strings, in order."""
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict | list):
        for item in value.values() if isinstance(value, dict) else value:
            yield from _texts(item)


def _results(wire: str, turn: dict[str, Any]) -> Iterator[str]:
    found: list[Any] = []
    match wire:
        case "chat" | "ollama":
            found = [turn["content"]] if turn.get("role") == "tool" else []
        case "responses":
            found = [turn["output"]] if str(turn.get("type")).endswith("_call_output") else []
        case "messages" if isinstance(turn["content"], list):
            found = [block.get("content") for block in turn["content"] if block["type"] == "tool_result"]
        case "gemini":
            found = [part["functionResponse"]["response"] for part in turn["parts"] if "functionResponse" in part]
    for result in found:
        yield result if isinstance(result, str) else json.dumps(result)


def _tools(wire: str, document: dict[str, Any]) -> Iterator[tuple[str, Any]]:
    for tool in document.get("tools") or ():
        if wire == "gemini":
            for one in tool.get("functionDeclarations", ()):
                yield one["name"], one.get("parametersJsonSchema") or one.get("parameters")
        else:
            one = tool.get("function", tool)
            yield one.get("name", one.get("type")), one.get("parameters") or one.get("input_schema")


def _forced(document: dict[str, Any]) -> bool:
    choice = document.get("tool_choice") or document.get("toolConfig", {}).get("functionCallingConfig", {}).get("mode")
    kind = choice.get("type") if isinstance(choice, dict) else choice
    return kind in ("required", "any", "ANY", "tool", "function")


def _schema(document: dict[str, Any]) -> Iterator[Any]:
    yield (document.get("response_format") or {}).get("type") in ("json_schema", "json_object")
    yield (document.get("text") or {}).get("format", {}).get("type") in ("json_schema", "json_object")
    yield (document.get("output_config") or {}).get("format") or document.get("output_format")
    yield (document.get("generationConfig") or {}).get("responseMimeType") == "application/json"
    yield document.get("format")
