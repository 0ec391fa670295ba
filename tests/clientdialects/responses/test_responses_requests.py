"""Responses requests, onto chats: the vendors' own SDK types accept what comes of them, and nothing is lost without being named."""

from __future__ import annotations

from typing import Any

import pytest
from openai.types.chat.completion_create_params import CompletionCreateParamsNonStreaming, CompletionCreateParamsStreaming

from proxy.config.dialects import compile_file
from proxy.config.files import DIALECTS
from proxy.mapping.context import Context
from proxy.mapping.mappings import Rejected
from tests.clientdialects.responses import asking
from tests.clientdialects.responses.rules import canonical, recorded
from tests.corpus.asking import anthropic, gemini, openai
from tests.corpus.asking.accepted import anthropic_faults, faults, gemini_faults
from tests.corpus.asking.facts import lost

#: Needs a conversation that is kept.
STATEFUL = ("previous_response_id", "conversation", "prompt", "background")
REQUESTS = [(case, body) for case, body in recorded() if not any(body.get(name) for name in STATEFUL)]
UPSTREAMS = {name: compile_file(DIALECTS / place) for name, place in
             (("openai", "openai.yaml"), ("anthropic", "anthropic"), ("gemini", "gemini"))}  # fmt: skip
MODELS = [("openai", "llama-4"), ("openai", "gpt-4o-search-preview"), ("anthropic", "claude-sonnet-4-5"),
          ("anthropic", "claude-opus-5-5"), ("gemini", "gemini-3-flash-preview")]  # fmt: skip
READ = {"openai": openai.read, "anthropic": anthropic.read, "gemini": gemini.read}


#: What other hosts take beside OpenAI's own: of a body, and of a message.
EXTENSIONS = {"provider", "top_k"}
OF_MESSAGES = {"reasoning_content", "reasoning_details"}


def chat_faults(body: dict[str, Any]) -> list[str]:
    """What OpenAI's SDK types refuse in a chat's body."""
    messages = [{name: value for name, value in message.items() if name not in OF_MESSAGES} for message in body["messages"]]
    body = {name: value for name, value in body.items() if name not in EXTENSIONS} | {"messages": messages}
    return faults(body, CompletionCreateParamsStreaming if body.get("stream") else CompletionCreateParamsNonStreaming, "")


JUDGES = {"openai": chat_faults, "anthropic": anthropic_faults, "gemini": gemini_faults}


def sent(vendor: str, model: str, body: dict[str, Any]) -> tuple[dict[str, Any], set[str]]:
    """The upstream's body, and what is reported as dropped."""
    dialect = UPSTREAMS[vendor]
    chat, dropped = canonical(body, dialect, model)
    mapping = dialect.operations["chat"].request
    if vendor == "openai" or mapping is None:
        return chat, set(dropped)
    context = Context(model=model, traits=dialect.traits(model), req=chat, stream=bool(body.get("stream")))
    new, more = mapping(chat, context)
    return new, {*dropped, *more}


@pytest.mark.parametrize(("vendor", "model"), MODELS)
@pytest.mark.parametrize(("case", "body"), REQUESTS, ids=[case for case, _ in REQUESTS])
def test_recorded_requests_arrive_whole(vendor: str, model: str, case: str, body: dict[str, Any]) -> None:
    new, dropped = sent(vendor, model, body)
    assert JUDGES[vendor](new) == []
    told = "('media', 'http" if "input.content.file_url" in dropped else "nothing"  # as a text
    assert [fault for fault in lost(asking.read(body), READ[vendor](new)) if told not in fault] == []
    carried = set(READ["openai"](canonical(body, UPSTREAMS["openai"], model)[0]).settings)
    assert asking.read(body).settings.keys() - carried - dropped - SILENT == set()


#: What is of no meaning where nothing is kept, or OpenAI's default, or repeated in the answer.
SILENT = {"truncation", "parallel_tool_calls", "stream_options", "client_metadata", "top_logprobs"}


def test_most_recordings_are_tried() -> None:
    assert len(REQUESTS) >= 50


def call(call_id: str, name: str = "f", arguments: str = "{}", **more: Any) -> dict[str, Any]:
    return {"type": "function_call", "call_id": call_id, "name": name, "arguments": arguments, **more}


def called(call_id: str, name: str = "f", arguments: str = "{}") -> dict[str, Any]:
    return {"id": call_id, "type": "function", "function": {"name": name, "arguments": arguments}}


IMAGE = "data:image/png;base64,aGk="
F = {"type": "function", "name": "f", "parameters": {"type": "object"}}
CHAT_F = {"type": "function", "function": {"name": "f", "parameters": {"type": "object"}}}
SHOWN = {"type": "image_url", "image_url": {"url": IMAGE}}

#: What is asked (input, or a whole body) → members of the chat.
CASES: dict[str, tuple[Any, dict[str, Any]]] = {
    "a text": ("hi", {"messages": [{"role": "user", "content": "hi"}]}),
    "instructions and what the developer says are one system message": (
        {
            "instructions": "a",
            "input": [
                {"role": "developer", "content": "b"},
                {"role": "system", "content": [{"type": "input_text", "text": "c"}]},
                {"role": "user", "content": "d"},
            ],
        },
        {"messages": [{"role": "system", "content": "a\n\nb\n\nc"}, {"role": "user", "content": "d"}]},
    ),
    "what the developer says later stays where it is": (
        [{"role": "user", "content": "a"}, {"role": "developer", "content": "b"}],
        {"messages": [{"role": "user", "content": "a"}, {"role": "system", "content": "b"}]},
    ),
    "parts": (
        [
            {
                "role": "user",
                "content": [
                    {"type": "input_text", "text": "a"},
                    {"type": "input_image", "image_url": IMAGE, "detail": "original"},
                    {"type": "input_file", "filename": "f.pdf", "file_url": "https://h/f.pdf"},
                    {"type": "input_image", "file_id": "file-1"},
                ],
            }
        ],
        {
            "messages": [
                {
                    "role": "user",
                    "content": [
                        {"type": "text", "text": "a"},
                        {"type": "image_url", "image_url": {"url": IMAGE, "detail": "high"}},
                        {"type": "text", "text": "f.pdf\nhttps://h/f.pdf"},
                        {"type": "file", "file": {"file_id": "file-1"}},
                    ],
                }
            ]
        },
    ),
    "an answer's items are one message": (
        [
            {"role": "user", "content": "a"},
            {"type": "reasoning", "id": "rs", "summary": [{"type": "summary_text", "text": "hm"}]},
            {"type": "message", "role": "assistant", "content": [{"type": "output_text", "text": "b", "annotations": []}]},
            call("1"),
            call("2", arguments='{"a":1}'),
            {"type": "function_call_output", "call_id": "2", "output": "two"},
            {
                "type": "function_call_output",
                "call_id": "1",
                "output": [{"type": "input_text", "text": "o"}, {"type": "input_text", "text": "ne"}],
            },
        ],
        {
            "messages": [
                {"role": "user", "content": "a"},
                {
                    "role": "assistant",
                    "content": "b",
                    "reasoning_content": "hm",
                    "tool_calls": [called("1"), called("2", arguments='{"a":1}')],
                },
                {"role": "tool", "tool_call_id": "2", "content": "two"},
                {"role": "tool", "tool_call_id": "1", "content": "o\nne"},
            ]
        },
    ),
    "images of tools follow all results": (
        [
            call("1"),
            call("2"),
            {"type": "function_call_output", "call_id": "1", "output": [{"type": "input_image", "image_url": IMAGE}]},
            {"type": "function_call_output", "call_id": "2", "output": "two"},
        ],
        {
            "messages": [
                {"role": "assistant", "tool_calls": [called("1"), called("2")]},
                {"role": "tool", "tool_call_id": "1", "content": "see the attachment"},
                {"role": "tool", "tool_call_id": "2", "content": "two"},
                {"role": "user", "content": [SHOWN]},
            ]
        },
    ),
    "reasoning alone is no message": (
        [{"type": "reasoning", "summary": [{"type": "summary_text", "text": "hm"}]}, {"role": "user", "content": "a"}],
        {"messages": [{"role": "user", "content": "a"}]},
    ),
    "a refusal": (
        [{"type": "message", "role": "assistant", "content": [{"type": "refusal", "refusal": "no"}]}],
        {"messages": [{"role": "assistant", "content": [{"type": "refusal", "refusal": "no"}]}]},
    ),
    "a custom tool": (
        {
            "input": [
                {"type": "custom_tool_call", "call_id": "1", "name": "patch", "input": 'say "a"'},
                {"type": "custom_tool_call_output", "call_id": "1", "output": "done"},
            ],
            "tools": [
                {
                    "type": "custom",
                    "name": "patch",
                    "description": "Patches.",
                    "format": {"type": "grammar", "syntax": "lark", "definition": "start: x"},
                }
            ],
        },
        {
            "messages": [
                {"role": "assistant", "tool_calls": [called("1", "patch", '{"input":"say \\"a\\""}')]},
                {"role": "tool", "tool_call_id": "1", "content": "done"},
            ],
            "tools": [
                {
                    "type": "function",
                    "function": {
                        "name": "patch",
                        "description": "Patches.\n\nThe input follows this lark grammar:\nstart: x",
                        "parameters": {
                            "type": "object",
                            "properties": {"input": {"type": "string", "description": "the whole input as plain text"}},
                            "required": ["input"],
                        },
                    },
                }
            ],
        },
    ),
    "a namespace": (
        {"input": [call("1", namespace="ns")], "tools": [{"type": "namespace", "name": "ns", "description": "", "tools": [F]}]},
        {
            "messages": [{"role": "assistant", "tool_calls": [called("1", "ns__f")]}],
            "tools": [{"type": "function", "function": {"name": "ns__f", "parameters": {"type": "object"}}}],
        },
    ),
    "tools that a search has loaded": (
        [
            call("1", namespace="f"),
            {"type": "tool_search_output", "call_id": "0", "tools": [F]},
            {"type": "additional_tools", "tools": [F]},
        ],
        {"tools": [CHAT_F]},
    ),
    "a shell's call": (
        [
            {"type": "local_shell_call", "call_id": "1", "action": {"type": "exec", "command": ["ls"], "env": {}}},
            {"type": "local_shell_call_output", "call_id": "1", "output": "a.txt"},
        ],
        {
            "messages": [
                {"role": "assistant", "tool_calls": [called("1", "local_shell", '{"type":"exec","command":["ls"],"env":{}}')]},
                {"role": "tool", "tool_call_id": "1", "content": "a.txt"},
            ]
        },
    ),
    "hosted tools are no tools of a chat": (
        {"input": "a", "tools": [{"type": "mcp"}, {"type": "file_search"}], "tool_choice": "required", "parallel_tool_calls": False},
        {"tools": None, "tool_choice": None, "parallel_tool_calls": None},
    ),
    "a tool that must be called": (
        {"input": "a", "tools": [F], "tool_choice": {"type": "function", "name": "f"}},
        {"tool_choice": {"type": "function", "function": {"name": "f"}}},
    ),
    "tools that are allowed": (
        {
            "input": "a",
            "tools": [F, {**F, "name": "g"}, {"type": "local_shell"}],
            "tool_choice": {"type": "allowed_tools", "mode": "required", "tools": [{"type": "function", "name": "f"}]},
        },
        {"tools": [CHAT_F], "tool_choice": "required"},
    ),
    "settings": (
        {
            "input": "a",
            "max_output_tokens": 5,
            "reasoning": {"effort": "low", "summary": "auto"},
            "text": {"verbosity": "low"},
            "include": ["message.output_text.logprobs"],
            "top_logprobs": 2,
            "metadata": {"a": "b"},
            "user": "u",
            "stream": True,
        },
        {
            "max_completion_tokens": 5,
            "reasoning_effort": "low",
            "verbosity": "low",
            "logprobs": True,
            "top_logprobs": 2,
            "metadata": {"a": "b"},
            "user": "u",
            "stream": True,
        },
    ),
    "a schema": (
        {"input": "a", "text": {"format": {"type": "json_schema", "name": "n", "strict": True, "schema": {"type": "object"}}}},
        {"response_format": {"type": "json_schema", "json_schema": {"name": "n", "strict": True, "schema": {"type": "object"}}}},
    ),
}


@pytest.mark.parametrize("name", CASES)
def test_what_is_asked_as_a_chat(name: str) -> None:
    asked, expected = CASES[name]
    body = asked if isinstance(asked, dict) else {"input": asked}
    chat, _ = canonical(body, UPSTREAMS["openai"], "llama-4")
    assert {member: chat.get(member) for member in expected} == expected


#: What cannot be done by a chat → what is reported.
LOST: dict[str, tuple[dict[str, Any], set[str]]] = {
    "hosted tools": (
        {
            "tools": [
                {"type": kind}
                for kind in ("mcp", "file_search", "code_interpreter", "image_generation", "computer_use_preview", "web_search")
            ]
        },
        {"tools.mcp", "tools.file_search", "tools.code_interpreter", "tools.image_generation", "tools.computer", "tools.web_search"},
    ),
    "what hosted tools have done": (
        {"input": [{"type": "web_search_call"}, {"type": "mcp_call"}, {"type": "computer_call"}, {"role": "user", "content": "a"}]},
        {"input.web_search_call", "input.mcp_call", "input.computer_call"},
    ),
    "a file's address, where files are uploads and data": (
        {"input": [{"role": "user", "content": [{"type": "input_file", "file_url": "https://h/f.pdf"}]}]},
        {"input.content.file_url"},
    ),
    "another vendor's hidden reasoning": (
        {"input": [{"type": "reasoning", "summary": [], "encrypted_content": "gAAAA"}]},
        {"input.reasoning.encrypted_content"},
    ),
    "a choice of what is not there": ({"tool_choice": {"type": "web_search_preview"}}, {"tool_choice"}),
    "what would be kept": ({"store": True, "truncation": "auto"}, {"store", "truncation"}),
    "what only hosted tools give": ({"include": ["web_search_call.action.sources"]}, {"include"}),
    "a parameter that nobody knows": ({"foo": 1}, {"foo"}),
    "nothing": (
        {
            "store": False,
            "tool_choice": "auto",
            "truncation": "disabled",
            "text": {"format": {"type": "text"}},
            "background": False,
            "include": ["reasoning.encrypted_content"],
            "reasoning": {"summary": "auto"},
            "client_metadata": {},
        },
        set(),
    ),
}


@pytest.mark.parametrize("name", LOST)
def test_what_is_lost_is_named(name: str) -> None:
    asked, expected = LOST[name]
    _, dropped = canonical({"input": "a"} | asked, UPSTREAMS["openai"], "llama-4")
    assert set(dropped) == expected


@pytest.mark.parametrize("name", STATEFUL)
def test_what_needs_a_memory_is_refused(name: str) -> None:
    with pytest.raises(Rejected) as refused:
        canonical({"input": "a", name: {"id": "x"}}, UPSTREAMS["openai"], "llama-4")
    assert refused.value.param == name


@pytest.mark.parametrize("item", [{"type": "item_reference", "id": "x"}, {"type": "compaction", "encrypted_content": "x"},
                                  {"role": "critic", "content": "x"}, {"role": "user", "content": [{"type": "video"}]}])  # fmt: skip
def test_an_item_without_which_the_rest_makes_no_sense_is_refused(item: dict[str, Any]) -> None:
    with pytest.raises(Rejected) as refused:
        canonical({"input": [item]}, UPSTREAMS["openai"], "llama-4")
    assert refused.value.param == "input"
