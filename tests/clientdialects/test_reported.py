"""What a chat has no place for is reported as dropped, wherever in a request it stands."""

from __future__ import annotations

from typing import Any

import pytest

from tests.clientdialects.test_wrong_bodies import SAID, changed, chat


def block(role: str, **block: Any) -> dict[str, Any]:
    """Messages: one more block beside a text."""
    return {"messages": [SAID, {"role": role, "content": [{"type": "text", "text": "Hi"}, block]}]}


def part(role: str, **part: Any) -> dict[str, Any]:
    """Gemini's contents: one more part beside a text."""
    return {"contents": [{"role": role, "parts": [{"text": "Hi"}, part]}]}


def config(**members: Any) -> dict[str, Any]:
    return {"generationConfig": members}


#: (operation, what is asked for, what is reported)
LOST: list[tuple[str, dict[str, Any], str]] = [
    ("messages", block("user", type="new"), "messages.content"),
    ("messages", block("user", type="tool_use", id="a", name="f", input={}), "messages.content"),
    ("messages", block("user", type="thinking", thinking="x", signature="s"), "messages.content"),
    ("messages", block("assistant", type="image", source={"type": "url", "url": "https://a.example/b.png"}), "messages.content"),
    ("messages", block("assistant", type="tool_result", tool_use_id="a", content="x"), "messages.content"),
    ("messages", block("user", type="tool_result", tool_use_id="a", content=[{"type": "new"}]), "messages.content.content"),
    ("messages", {"system": [{"type": "text", "text": "x"}, {"type": "new"}]}, "system"),
    ("messages", {"mcp_servers": [{"name": "x"}]}, "mcp_servers"),
    ("messages", {"container": "c"}, "container"),
    ("messages", {"metadata": {"other": 1}}, "metadata"),
    ("messages", {"new_in_beta": 1}, "new_in_beta"),
    ("responses", {"tools": [{"type": "function", "name": "f"}, {"type": "new"}]}, "tools"),
    ("responses", {"text": {"format": {"type": "new"}}}, "text.format"),
    ("responses", {"input": [SAID, {"type": "new"}]}, "input"),
    ("responses", {"input": [SAID, {"type": "ghost_snapshot"}]}, "input"),
    ("responses", {"max_tool_calls": 3}, "max_tool_calls"),
    ("responses", {"moderation": {"model": "x"}}, "moderation"),
    ("generate_content", config(responseMimeType="application/xml"), "generationConfig.responseMimeType"),
    ("generate_content", config(responseSchema={"type": "STRING"}), "generationConfig.responseSchema"),
    ("generate_content", config(thinkingConfig={"thinkingLevel": "new"}), "generationConfig.thinkingConfig"),
    ("generate_content", config(routingConfig={"autoMode": {}}), "generationConfig.routingConfig"),
    ("generate_content", config(audioTimestamp=True), "generationConfig.audioTimestamp"),
    ("generate_content", config(enableAffectiveDialog=True), "generationConfig"),
    ("generate_content", config(speechConfig={"languageCode": "de"}), "generationConfig.speechConfig"),
    ("generate_content", {"toolConfig": {"retrievalConfig": {"languageCode": "de"}}}, "toolConfig.retrievalConfig"),
    ("generate_content", {"labels": {"a": "b"}}, "labels"),
    ("generate_content", part("user", new=1), "contents.parts"),
    ("generate_content", part("user", functionCall={"name": "f"}), "contents.parts.functionCall"),
    ("generate_content", part("model", functionResponse={"name": "f", "response": {}}), "contents.parts.functionResponse"),
    ("generate_content", part("model", inlineData={"mimeType": "audio/wav", "data": "AA=="}), "contents.parts"),
    ("ollama_chat", {"format": "new"}, "format"),
    ("ollama_chat", {"think": "new"}, "think"),
    ("ollama_chat", {"truncate": True}, "truncate"),
    ("ollama_generate", {"format": "new"}, "format"),
]


@pytest.mark.parametrize(("operation", "change", "param"), LOST, ids=str)
@pytest.mark.parametrize("traits", [{}, {"extras": False}], ids=["extras", "strict"])
def test_what_is_lost_is_reported(operation: str, change: dict[str, Any], param: str, traits: dict[str, Any]) -> None:
    _, dropped = chat(operation, changed(operation, change), traits)
    assert param in dropped
