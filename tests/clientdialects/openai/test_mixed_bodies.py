"""Bodies of other APIs that are sent to /v1/chat/completions, and the oldest completions: understood, and answered as the path promises."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from typing import Any

import pytest
from openai import AsyncOpenAI

from tests.corpus.asking.accepted import anthropic_faults
from tests.corpus.frames import sse
from tests.corpus.replay import Stage
from tests.stage.client import call
from tests.stage.gateway import Gateway, routes
from tests.stage.upstream import Script, Upstream, whole

ANSWER = {
    "id": "c",
    "object": "chat.completion",
    "created": 1,
    "model": "m",
    "choices": [{"index": 0, "finish_reason": "stop", "message": {"role": "assistant", "content": "hi"}}],
    "usage": {"prompt_tokens": 1, "completion_tokens": 2, "total_tokens": 3},
}
CLAUDE = {
    "id": "msg_1",
    "type": "message",
    "role": "assistant",
    "model": "m",
    "content": [{"type": "text", "text": "hi"}],
    "stop_reason": "max_tokens",
    "usage": {"input_tokens": 1, "output_tokens": 2},
}
CLAUDE_STREAM = b"""event: message_start
data: {"type":"message_start","message":{"id":"msg_1","model":"m","content":[],"usage":{"input_tokens":1,"output_tokens":1}}}

event: content_block_start
data: {"type":"content_block_start","index":0,"content_block":{"type":"text","text":""}}

event: content_block_delta
data: {"type":"content_block_delta","index":0,"delta":{"type":"text_delta","text":"h"}}

event: content_block_delta
data: {"type":"content_block_delta","index":0,"delta":{"type":"text_delta","text":"i"}}

event: content_block_stop
data: {"type":"content_block_stop","index":0}

event: message_delta
data: {"type":"message_delta","delta":{"stop_reason":"end_turn"},"usage":{"output_tokens":2}}

"""
CLAUDE_END = b'event: message_stop\ndata: {"type":"message_stop"}\n\n'


@pytest.fixture
async def stage() -> AsyncIterator[Stage]:
    async with Upstream() as upstream, Gateway(routes(upstream.port)) as gateway:
        yield Stage(gateway.address, upstream)


F = {"type": "function", "function": {"name": "f", "description": "F", "parameters": {"type": "object"}}}
FLAT = {"type": "function", "name": "f", "description": "F", "parameters": {"type": "object"}}
CALL = {"id": "t1", "type": "function", "function": {"name": "f", "arguments": '{"a":1}'}}
USER = [{"role": "user", "content": "hi"}]
SHOWN = {"type": "image_url", "image_url": {"url": "data:image/png;base64,aGk="}}
BLOCKS: list[dict[str, Any]] = [
    {"role": "user", "content": [{"type": "text", "text": "a"}, {"type": "image", "source": {"type": "url", "url": "https://h/i.png"}}]},
    {
        "role": "assistant",
        "content": [
            {"type": "thinking", "thinking": "hm", "signature": "s"},
            {"type": "text", "text": "b"},
            {"type": "tool_use", "id": "t1", "name": "f", "input": {"a": 1}},
        ],
    },
    {
        "role": "user",
        "content": [
            {
                "type": "tool_result",
                "tool_use_id": "t1",
                "content": [
                    {"type": "text", "text": "r"},
                    {"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": "aGk="}},
                ],
            },
            {"type": "text", "text": "c"},
        ],
    },
]
#: What a client sends → what of it a host that speaks OpenAI's chat is sent.
CASES: dict[str, tuple[dict[str, Any], dict[str, Any]]] = {
    "input in place of messages": (
        {"input": [{"role": "user", "content": [{"type": "input_text", "text": "hi"}]}], "reasoning": {"effort": "low"}, "tools": [FLAT]},
        {"messages": USER, "reasoning_effort": "low", "tools": [F], "input": None},
    ),
    "flat tools": (
        {"messages": USER, "tools": [FLAT], "tool_choice": {"type": "function", "name": "f"}},
        {"messages": USER, "tools": [F], "tool_choice": {"type": "function", "function": {"name": "f"}}},
    ),
    "custom tools": (
        {"messages": USER, "tools": [{"type": "custom", "name": "p"}]},
        {
            "tools": [
                {
                    "type": "function",
                    "function": {
                        "name": "p",
                        "parameters": {
                            "type": "object",
                            "properties": {"input": {"type": "string", "description": "the whole input as plain text"}},
                            "required": ["input"],
                        },
                    },
                }
            ]
        },
    ),
    "Anthropic's tools": (
        {
            "messages": USER,
            "tools": [{"name": "f", "description": "F", "input_schema": {"type": "object"}}],
            "tool_choice": {"type": "any"},
        },
        {"tools": [F], "tool_choice": "required"},
    ),
    "Anthropic's blocks": (
        {"messages": BLOCKS, "tools": [F], "system": "be"},
        {
            "system": None,
            "tools": [F],
            "messages": [
                {"role": "system", "content": "be"},
                {
                    "role": "user",
                    "content": [{"type": "text", "text": "a"}, {"type": "image_url", "image_url": {"url": "https://h/i.png"}}],
                },
                {"role": "assistant", "content": [{"type": "text", "text": "b"}], "reasoning_content": "hm", "tool_calls": [CALL]},
                {"role": "tool", "tool_call_id": "t1", "content": "r"},
                {"role": "user", "content": [SHOWN, {"type": "text", "text": "c"}]},
            ],
        },
    ),
}


@pytest.mark.parametrize("name", CASES)
async def test_a_body_of_another_shape_is_a_chat(stage: Stage, name: str) -> None:
    asked, expected = CASES[name]
    stage.upstream.answer(whole(ANSWER))
    served = await call(stage.address, {"model": "openai/m"} | asked)
    assert (served.status, served.json()["choices"][0]["message"]["content"]) == (200, "hi")
    sent = stage.upstream.last.json()
    assert {member: sent.get(member) for member in expected} == expected
    assert sent["model"] == "m"


@pytest.mark.parametrize("name", CASES)
async def test_a_body_of_another_shape_goes_to_other_vendors_too(stage: Stage, name: str) -> None:
    stage.upstream.answer(whole(CLAUDE))
    served = await call(stage.address, {"model": "anthropic/claude-sonnet-4-5"} | CASES[name][0])
    assert (served.status, served.json()["object"]) == (200, "chat.completion")
    assert anthropic_faults(stage.upstream.last.json()) == []


@pytest.mark.parametrize(
    "body",
    [
        {"messages": USER, "tools": [F], "odd":  1},
        {"messages": [{"role": "user", "content": "what is \"tool_use\"?"}]},
        {"messages": USER, "tools": [{"type": "custom", "custom": {"name": "p"}}, F]},
    ],
)  # fmt: skip
async def test_a_chat_stays_as_it_is(stage: Stage, body: dict[str, Any]) -> None:
    stage.upstream.answer(whole(ANSWER))
    text = json.dumps({"model": "openai/m"} | body).encode()
    await call(stage.address, text)
    assert stage.upstream.last.body == text.replace(b"openai/m", b"m")


async def test_what_is_lost_of_another_shape_is_named(stage: Stage) -> None:
    stage.upstream.answer(whole(ANSWER))
    served = await call(stage.address, {"model": "openai/m", "input": "hi", "tools": [{"type": "mcp", "server_label": "x"}]})
    assert served.headers["x-samewire-dropped"] == "tools.mcp"


async def test_completions_are_served_by_a_chat(stage: Stage) -> None:
    stage.upstream.answer(whole(CLAUDE))
    async with AsyncOpenAI(base_url="http://{}:{}/v1".format(*stage.address), api_key="k", max_retries=0) as client:
        done = await client.completions.create(model="anthropic/claude-sonnet-4-5", prompt="say hi", max_tokens=5, temperature=0.5)
    assert (done.object, done.choices[0].text, done.choices[0].finish_reason) == ("text_completion", "hi", "length")
    assert done.usage is not None and done.usage.total_tokens == 3
    sent = stage.upstream.last.json()
    assert (sent["max_tokens"], sent["temperature"], sent["messages"][0]["content"]) == (5, 0.5, [{"type": "text", "text": "say hi"}])


async def test_completions_are_streamed_by_a_chat(stage: Stage) -> None:
    stage.upstream.answer(Script([CLAUDE_STREAM, CLAUDE_END], headers={"content-type": "text/event-stream"}))
    body = {"model": "anthropic/claude-sonnet-4-5", "prompt": ["say hi"], "stream": True, "stream_options": {"include_usage": True}}
    served = await call(stage.address, body, "/v1/completions")
    *chunks, last = [data for _, data in sse(served.body.decode())]
    read = [json.loads(chunk) for chunk in chunks]
    assert last == "[DONE]" and served.complete
    assert "".join(chunk["choices"][0]["text"] for chunk in read[:-1]) == "hi"
    assert [chunk["choices"][0]["finish_reason"] for chunk in read[:-1]] == [None, None, "stop"]
    assert (read[-1]["choices"], read[-1]["usage"]["total_tokens"]) == ([], 3)
    assert {chunk["id"] for chunk in read} == {read[0]["id"]}


async def test_completions_that_break_off_say_so(stage: Stage) -> None:
    stage.upstream.answer(Script([CLAUDE_STREAM], headers={"content-type": "text/event-stream"}, end="cut"))
    served = await call(stage.address, {"model": "anthropic/claude-sonnet-4-5", "prompt": "say hi", "stream": True}, "/v1/completions")
    *_, (_, last) = sse(served.body.decode())
    assert "message" in json.loads(last)["error"] and not served.complete


@pytest.mark.parametrize("more", [{"prompt": ["a", "b"]}, {"prompt": [1, 2]}, {"prompt": "a", "echo": True}, {"prompt": "a", "best_of": 2}])
async def test_what_no_chat_completes_is_refused(stage: Stage, more: dict[str, Any]) -> None:
    served = await call(stage.address, {"model": "anthropic/claude-sonnet-4-5"} | more, "/v1/completions")
    assert (served.status, served.json()["error"]["code"]) == (400, "unsupported_parameter")
