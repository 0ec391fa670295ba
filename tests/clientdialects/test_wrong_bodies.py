"""What is no request is refused in one sentence that names the place: nothing of a wrong type vanishes on its way to a chat."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest

from proxy.mapping.context import Context
from proxy.mapping.taken import Rejected
from tests.clientdialects.cases import clients

SAID = {"role": "user", "content": "Hi"}
PARTS = {"role": "user", "parts": [{"text": "Hi"}]}
GOOD: dict[str, dict[str, Any]] = {
    "messages": {"max_tokens": 9, "messages": [SAID]},
    "responses": {"input": "Hi"},
    "generate_content": {"contents": [PARTS]},
    "ollama_chat": {"messages": [SAID]},
    "ollama_generate": {"prompt": "Hi"},
    "completions": {"prompt": "Hi"},
}
#: (operation, what is changed in its good body; `...` is taken out, the parameter that is at fault, code, what is said of it)
WRONG: list[tuple[str, dict[str, Any], str, str, str]] = [
    ("messages", {"messages": ...}, "messages", "missing_parameter", "is missing"),
    ("messages", {"messages": []}, "messages", "missing_parameter", "is empty"),
    ("messages", {"messages": "x"}, "messages", "invalid_type", "must be a list"),
    ("messages", {"messages": {}}, "messages", "invalid_type", "must be a list"),
    ("messages", {"messages": [SAID, "x"]}, "messages[1]", "invalid_type", "must be an object"),
    ("messages", {"messages": [None]}, "messages[0]", "invalid_type", "must be an object"),
    ("messages", {"messages": [{"content": "x"}]}, "messages[0].role", "missing_parameter", "is missing"),
    ("messages", {"messages": [{"role": "tool", "content": "x"}]}, "messages[0].role", "invalid_value", "user, assistant, system"),
    ("messages", {"messages": [{"role": ["user"], "content": "x"}]}, "messages[0].role", "invalid_value", "must be one of"),
    ("messages", {"messages": [{"role": "user", "content": 5}]}, "messages[0].content", "invalid_type", "a string or a list"),
    ("messages", {"messages": [{"role": "user", "content": ["x"]}]}, "messages[0].content[0]", "invalid_type", "must be an object"),
    ("messages", {"system": 5}, "system", "invalid_type", "a string or a list"),
    ("messages", {"tools": {}}, "tools", "invalid_type", "must be a list"),
    ("messages", {"tools": ["x"]}, "tools[0]", "invalid_type", "must be an object"),
    ("messages", {"max_tokens": "x"}, "max_tokens", "invalid_type", "must be a number"),
    ("messages", {"temperature": True}, "temperature", "invalid_type", "must be a number"),
    ("messages", {"stop_sequences": "x"}, "stop_sequences", "invalid_type", "must be a list"),
    ("messages", {"thinking": "on"}, "thinking", "invalid_type", "must be an object"),
    ("messages", {"tool_choice": "auto"}, "tool_choice", "invalid_type", "must be an object"),
    ("responses", {"input": ...}, "input", "unsupported_parameter", "missing"),
    ("responses", {"input": 5}, "input", "invalid_type", "a string or a list"),
    ("responses", {"input": ["x"]}, "input[0]", "invalid_type", "must be an object"),
    ("responses", {"input": [{"role": "robot", "content": "x"}]}, "input", "unsupported_parameter", "role"),
    ("responses", {"input": [SAID | {"content": 5}]}, "input[0].content", "invalid_type", "a string or a list"),
    ("responses", {"tools": "x"}, "tools", "invalid_type", "must be a list"),
    ("responses", {"tools": [{}]}, "tools[0].type", "missing_parameter", "is missing"),
    ("responses", {"max_output_tokens": "x"}, "max_output_tokens", "invalid_type", "must be a number"),
    ("responses", {"temperature": []}, "temperature", "invalid_type", "must be a number"),
    ("responses", {"reasoning": "high"}, "reasoning", "invalid_type", "must be an object"),
    ("responses", {"text": "json"}, "text", "invalid_type", "must be an object"),
    ("responses", {"instructions": 5}, "instructions", "invalid_type", "a string"),
    ("generate_content", {"contents": ...}, "contents", "missing_parameter", "is missing"),
    ("generate_content", {"contents": []}, "contents", "missing_parameter", "is empty"),
    ("generate_content", {"contents": 5}, "contents", "invalid_type", "a list or an object"),
    ("generate_content", {"contents": ["x"]}, "contents[0]", "invalid_type", "must be an object"),
    (
        "generate_content",
        {"contents": [PARTS | {"role": "robot"}]},
        "contents[0].role",
        "invalid_value",
        "must be one of",
    ),
    ("generate_content", {"contents": [{"parts": ["x"]}]}, "contents[0].parts[0]", "invalid_type", "must be an object"),
    ("generate_content", {"contents": {"parts": ["x"]}}, "contents.parts[0]", "invalid_type", "must be an object"),
    ("generate_content", {"contents": [{"parts": [{"text": 5}]}]}, "contents[0].parts[0].text", "invalid_type", "must be a string"),
    ("generate_content", {"system_instruction": "x"}, "system_instruction", "invalid_type", "must be an object"),
    ("generate_content", {"tools": "x"}, "tools", "invalid_type", "a list"),
    ("generate_content", {"generationConfig": []}, "generationConfig", "invalid_type", "must be an object"),
    ("generate_content", {"generation_config": {"top_p": "x"}}, "generation_config.top_p", "invalid_type", "must be a number"),
    ("ollama_chat", {"messages": ...}, "messages", "missing_parameter", "is missing"),
    ("ollama_chat", {"messages": "x"}, "messages", "invalid_type", "must be a list"),
    ("ollama_chat", {"messages": ["x"]}, "messages[0]", "invalid_type", "must be an object"),
    ("ollama_chat", {"messages": [{"role": "robot", "content": "x"}]}, "messages[0].role", "invalid_value", "must be one of"),
    ("ollama_chat", {"messages": [{"role": "user", "content": 5}]}, "messages[0].content", "invalid_type", "must be a string"),
    ("ollama_chat", {"tools": "x"}, "tools", "invalid_type", "must be a list"),
    ("ollama_chat", {"options": []}, "options", "invalid_type", "must be an object"),
    ("ollama_chat", {"options": {"temperature": "x"}}, "options.temperature", "invalid_type", "must be a number"),
    ("ollama_generate", {"prompt": 5}, "prompt", "invalid_type", "must be a string"),
    ("ollama_generate", {"images": "x"}, "images", "invalid_type", "must be a list"),
]


def changed(operation: str, change: dict[str, Any]) -> dict[str, Any]:
    body = GOOD[operation] | {"model": "m"} | change
    return {name: value for name, value in body.items() if value is not ...}


def chat(operation: str, body: dict[str, Any], traits: dict[str, Any] | None = None) -> tuple[dict[str, Any], tuple[str, ...]]:
    document = json.loads(json.dumps(body))
    return clients().mappings[operation].request(dict(document), Context(model="m", public="m", req=document, traits=traits or {}))


@pytest.mark.parametrize("operation", GOOD)
def test_the_good_bodies_are_taken(operation: str) -> None:
    made, dropped = chat(operation, changed(operation, {}))
    assert (made["messages"], dropped) == ([SAID], ())


@pytest.mark.parametrize(("operation", "change", "param", "code", "said"), WRONG, ids=str)
def test_what_is_no_request_is_refused(operation: str, change: dict[str, Any], param: str, code: str, said: str) -> None:
    with pytest.raises(Rejected) as refusal:
        chat(operation, changed(operation, change))
    assert (refusal.value.param, refusal.value.code) == (param, code)
    assert said in refusal.value.message


def nulls() -> Iterator[tuple[str, str]]:
    for operation, change, param, _, _ in WRONG:
        if param in change and param not in GOOD[operation]:
            yield operation, param


@pytest.mark.parametrize(("operation", "param"), sorted(set(nulls())))
def test_null_is_nothing(operation: str, param: str) -> None:
    made, dropped = chat(operation, changed(operation, {param: None}))
    assert (made["messages"], dropped) == ([SAID], ())
