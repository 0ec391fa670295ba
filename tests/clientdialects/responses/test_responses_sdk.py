"""OpenAI's own client against the gateway, whose upstreams know no Responses: it reads all, and is told of failures."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from typing import Any

import pytest
from openai import APIError, AsyncOpenAI, BadRequestError
from pydantic import BaseModel

from tests.clientdialects.responses.rules import recorded
from tests.corpus.replay import Stage
from tests.stage.client import call
from tests.stage.gateway import Gateway, routes
from tests.stage.upstream import End, Script, Upstream, whole

CLAUDE = "anthropic/claude-sonnet-4-5"
CONTENT: list[dict[str, Any]] = [
    {"type": "thinking", "thinking": "Look it up.", "signature": "c2lnbmVk"},
    {"type": "redacted_thinking", "data": "aGlkZGVu"},
    {"type": "text", "text": "One moment."},
    {"type": "tool_use", "id": "toolu_1", "name": "crm__find", "input": {"name": "Ada"}},
    {"type": "tool_use", "id": "toolu_2", "name": "patch", "input": {"input": "*** Begin"}},
]
MESSAGE = {
    "id": "msg_1",
    "type": "message",
    "role": "assistant",
    "model": "claude",
    "content": CONTENT,
    "stop_reason": "tool_use",
    "usage": {"input_tokens": 10, "output_tokens": 5},
}
TOOLS: Any = [
    {
        "type": "namespace",
        "name": "crm",
        "description": "Customers.",
        "tools": [{"type": "function", "name": "find", "parameters": {"type": "object"}}],
    },
    {"type": "custom", "name": "patch", "description": "Patches."},
]
ASKED: Any = {"input": "Find Ada.", "tools": TOOLS, "store": False, "include": ["reasoning.encrypted_content"], "instructions": "Be brief."}


def event(kind: str, **more: Any) -> bytes:
    return b"event: %b\ndata: %b\n\n" % (kind.encode(), json.dumps({"type": kind, **more}).encode())


def stream(content: list[dict[str, Any]] = CONTENT, stop: str = "tool_use") -> list[bytes]:
    """The message, as Anthropic streams it."""
    pieces = [event("message_start", message=MESSAGE | {"content": [], "stop_reason": None})]
    for index, block in enumerate(content):
        begun, deltas = block, list[dict[str, Any]]()
        match block["type"]:
            case "thinking":
                begun = block | {"thinking": "", "signature": ""}
                deltas = [{"type": "thinking_delta", "thinking": piece} for piece in block["thinking"].split(" ", 1)[0:1]]
                deltas += [{"type": "thinking_delta", "thinking": block["thinking"].removeprefix(block["thinking"].split(" ", 1)[0])}]
                deltas += [{"type": "signature_delta", "signature": block["signature"]}]
            case "text":
                begun, deltas = block | {"text": ""}, [{"type": "text_delta", "text": letter} for letter in block["text"]]
            case "tool_use":
                begun = block | {"input": {}}
                deltas = [{"type": "input_json_delta", "partial_json": letter} for letter in json.dumps(block["input"])]
        pieces.append(event("content_block_start", index=index, content_block=begun))
        pieces += [event("content_block_delta", index=index, delta=delta) for delta in deltas]
        pieces.append(event("content_block_stop", index=index))
    pieces.append(event("message_delta", delta={"stop_reason": stop}, usage={"output_tokens": 5}))
    return [*pieces, event("message_stop")]


def streamed(pieces: list[bytes], end: End = "whole") -> Script:
    return Script(pieces, headers={"content-type": "text/event-stream"}, end=end)


@pytest.fixture
async def stage() -> AsyncIterator[Stage]:
    async with Upstream() as upstream, Gateway(routes(upstream.port)) as gateway:
        yield Stage(gateway.address, upstream)


@pytest.fixture
async def client(stage: Stage) -> AsyncIterator[AsyncOpenAI]:
    async with AsyncOpenAI(base_url="http://{}:{}/v1".format(*stage.address), api_key="k", max_retries=0) as client:
        yield client


def told(output: Any) -> Any:
    """An output without the ids that are new each time."""
    return [{name: value for name, value in item.to_dict().items() if name not in ("id", "parsed_arguments")} for item in output]


EXPECTED = [
    {
        "type": "reasoning",
        "summary": [{"type": "summary_text", "text": "Look it up."}],
        "encrypted_content": "samewire.anthropic-claude-v1.c2lnbmVk",
    },
    {"type": "reasoning", "summary": [], "encrypted_content": "samewire.anthropic-claude-v1.aGlkZGVu|"},
    {
        "type": "message",
        "status": "completed",
        "role": "assistant",
        "content": [{"type": "output_text", "text": "One moment.", "annotations": [], "logprobs": []}],
    },
    {
        "type": "function_call",
        "call_id": "toolu_1",
        "name": "find",
        "namespace": "crm",
        "arguments": '{"name":"Ada"}',
        "status": "completed",
    },
    {"type": "custom_tool_call", "call_id": "toolu_2", "name": "patch", "input": "*** Begin", "status": "completed"},
]


async def test_a_whole_answer(stage: Stage, client: AsyncOpenAI) -> None:
    stage.upstream.answer(whole(MESSAGE))
    response = await client.responses.create(model=CLAUDE, **ASKED)
    assert told(response.output) == EXPECTED
    assert (response.status, response.output_text, response.instructions) == ("completed", "One moment.", "Be brief.")
    assert response.usage is not None and (response.usage.input_tokens, response.usage.output_tokens) == (10, 5)
    assert [tool.to_dict() for tool in response.tools] == TOOLS


async def test_a_stream_comes_to_the_same(stage: Stage, client: AsyncOpenAI) -> None:
    stage.upstream.answer(streamed(stream()))
    seen = []
    async with client.responses.stream(model=CLAUDE, **ASKED) as events:
        async for one in events:
            seen.append(one.type)
        response = await events.get_final_response()
    served = [item | ({"arguments": item["arguments"].replace(": ", ":")} if "arguments" in item else {}) for item in told(response.output)]
    for item in served:
        for part in item.get("content", ()):
            part.pop("parsed", None)
    assert served == EXPECTED
    assert seen.count("response.output_text.delta") == len("One moment.")
    assert (seen[0], seen[1], seen[-1]) == ("response.created", "response.in_progress", "response.completed")


async def test_what_was_answered_goes_back_as_it_was(stage: Stage, client: AsyncOpenAI) -> None:
    stage.upstream.answer(whole(MESSAGE))
    first = await client.responses.create(model=CLAUDE, **ASKED)
    results: Any = [
        {"type": "function_call_output", "call_id": "toolu_1", "output": "42"},
        {"type": "custom_tool_call_output", "call_id": "toolu_2", "output": "done"},
    ]
    history = [{"role": "user", "content": "Find Ada."}, *(item.to_dict() for item in first.output), *results]
    await client.responses.create(model=CLAUDE, **(ASKED | {"input": history}))
    question, answer, given = stage.upstream.last.json()["messages"]
    assert answer == {"role": "assistant", "content": CONTENT}
    assert [block["tool_use_id"] for block in given["content"]] == ["toolu_1", "toolu_2"]
    assert question["role"] == "user"


async def test_signatures_are_shown_to_those_who_ask(stage: Stage, client: AsyncOpenAI) -> None:
    stage.upstream.answer(whole(MESSAGE))
    response = await client.responses.create(model=CLAUDE, input="a")
    assert [item.to_dict().get("encrypted_content") for item in response.output if item.type == "reasoning"] == [None, None]


class Person(BaseModel):
    name: str


async def test_a_structured_answer(stage: Stage, client: AsyncOpenAI) -> None:
    stage.upstream.answer(whole(MESSAGE | {"content": [{"type": "text", "text": '{"name": "Ada"}'}], "stop_reason": "end_turn"}))
    response = await client.responses.parse(model=CLAUDE, input="Who?", text_format=Person)
    assert response.output_parsed == Person(name="Ada")
    assert stage.upstream.last.json()["output_config"]["format"]["schema"]["properties"].keys() == {"name"}


@pytest.mark.parametrize(("stop", "reason"), [("max_tokens", "max_output_tokens"), ("refusal", "content_filter")])
async def test_an_answer_that_is_not_all_there(stage: Stage, client: AsyncOpenAI, stop: str, reason: str) -> None:
    content = [{"type": "text", "text": "One"}]
    stage.upstream.answer(whole(MESSAGE | {"content": content, "stop_reason": stop}))
    response = await client.responses.create(model=CLAUDE, input="a")
    stage.upstream.answer(streamed(stream(content, stop)))
    async with client.responses.stream(model=CLAUDE, input="a") as events:
        last = [one async for one in events][-1]
    assert last.type == "response.incomplete"
    for one in (response, last.response):
        assert (one.status, one.incomplete_details and one.incomplete_details.reason) == ("incomplete", reason)
        assert told(one.output)[0]["status"] == "incomplete"


async def test_a_stream_that_breaks_off_is_a_failure(stage: Stage, client: AsyncOpenAI) -> None:
    stage.upstream.answer(streamed(stream()[:6], "cut"))
    with pytest.raises(APIError):
        async for _ in await client.responses.create(model=CLAUDE, stream=True, **ASKED):
            pass


async def test_a_failure_is_told_twice_and_nothing_after_it(stage: Stage) -> None:
    failing = [*stream()[:6], event("error", error={"type": "overloaded_error", "message": "Overloaded"})]
    stage.upstream.answer(streamed(failing))
    served = await call(stage.address, {"model": CLAUDE, "stream": True, **ASKED}, "/v1/responses")
    error, failed = [json.loads(text.split("data: ", 1)[1]) for text in served.body.decode().split("\n\n")[-3:-1]]
    assert (error["type"], error["message"], error["error"]["message"]) == ("error", "Overloaded", "Overloaded")
    assert (failed["type"], failed["response"]["status"]) == ("response.failed", "failed")
    assert failed["response"]["error"] == {"code": "server_error", "message": "Overloaded"}
    assert not served.complete and b"response.completed" not in served.body


async def test_tokens_are_estimated_where_nobody_counts_them(stage: Stage, client: AsyncOpenAI) -> None:
    short = await client.responses.input_tokens.count(model="ollama/m", input="a")
    long = await client.responses.input_tokens.count(model="ollama/m", input="many more words " * 100)
    assert (short.object, short.input_tokens < 50 < long.input_tokens) == ("response.input_tokens", True)
    assert not stage.upstream.asked


async def test_what_an_upstream_loses_is_told_by_its_own_name(stage: Stage) -> None:
    stage.upstream.answer(whole(MESSAGE))
    asked = {"model": CLAUDE, "input": "a", "text": {"verbosity": "low"}, "tools": [{"type": "web_search", "search_context_size": "high"}]}
    served = await call(stage.address, asked, "/v1/responses")
    assert set(served.headers["x-samewire-dropped"].split(", ")) == {"tools.web_search.search_context_size", "text.verbosity"}


async def test_a_refusal_names_its_parameter(client: AsyncOpenAI) -> None:
    with pytest.raises(BadRequestError, match="keeps no responses") as refused:
        await client.responses.create(model=CLAUDE, input="a", previous_response_id="resp_1")
    assert (refused.value.param, refused.value.code) == ("previous_response_id", "unsupported_parameter")


async def test_recorded_requests_pass_to_who_speaks_responses(stage: Stage) -> None:
    for case, body in recorded():
        stage.upstream.answer(whole({"id": "resp_1", "object": "response", "model": "m", "status": "completed", "output": []}))
        served = await call(stage.address, body | {"model": "openai/m", "stream": False}, "/v1/responses")
        assert served.status == 200, case
        assert stage.upstream.last.json() == body | {"model": "m", "stream": False}, case
