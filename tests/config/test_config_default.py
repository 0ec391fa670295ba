"""The routes.yaml that comes with Samewire: every host it promises, switched off without a key, with its repairs working."""

from __future__ import annotations

import json
import re
from functools import cache
from typing import Any

import pytest

from proxy.config import load, shipped
from proxy.config.model import Config, Provider
from proxy.mapping.chunks import ChunkWriter
from proxy.mapping.context import Context

FILE = shipped("routes.yaml")
TEXT = FILE.read_text(encoding="utf-8")

#: The promise, beside Anyscale (whose public endpoints are closed: an entry to uncomment).
KEYED = {
    *("openai", "anthropic", "gemini", "deepseek", "together", "groq", "mistral", "fireworks", "azure", "xai", "openrouter"),
    *("perplexity", "cerebras", "huggingface", "nvidia", "github", "moonshot", "dashscope", "zai", "siliconflow", "minimax", "gateway"),
}
LOCAL = {"ollama", "vllm", "sglang", "llamacpp"}
DEMOS = {"demo-claude", "demo-gemini", "demo-deepseek", "demo-ollama"}
KEYS = dict.fromkeys(re.findall(r"^    key: \$\{(\w+)\}$", TEXT, re.MULTILINE), "sk-test")


@cache
def config() -> Config:
    """Everything switched on."""
    return load(FILE, KEYS, check=True)


def test_without_any_key_it_loads_in_silence() -> None:
    bare = load(FILE, {})
    assert bare.diagnostics == ()
    states = {
        state: {name for name, provider in bare.providers.items() if provider.state == state} for state in ("ready", "no key", "demo")
    }
    assert states == {"ready": LOCAL, "no key": KEYED, "demo": DEMOS}
    assert {name for provider in bare.providers.values() for name in provider.missing} == KEYS.keys()


def test_with_all_keys_everything_is_there() -> None:
    assert config().diagnostics == ()
    assert {name for name, provider in config().providers.items() if provider.state == "ready"} == KEYED | LOCAL
    assert all("chat" in provider.dialect.operations for provider in config().providers.values())


def test_an_editor_finds_the_schema() -> None:
    assert TEXT.split("\n")[0] == "# yaml-language-server: $schema=schemas/routes.schema.json"
    assert "# anyscale:" in TEXT


def test_the_names_a_client_expects() -> None:
    found = {}
    for model in (
        "gpt-5",
        "o3-mini",
        "text-embedding-3-small",
        "claude-opus-5",
        "gemini-3.5-flash",
        "mistral-large-latest",
        "grok-4",
        "kimi-k2",
    ):
        route = next(route for route in config().routes if route.pattern and route.pattern.match(model) is not None)
        found[model] = route.targets[0].provider.name
    assert list(found.values()) == ["openai", "openai", "openai", "anthropic", "gemini", "mistral", "xai", "moonshot"]


@pytest.mark.parametrize("name", sorted(DEMOS))
def test_demos_break_off_when_asked_to(name: str) -> None:
    """`demo-x-cut` reaches the demo server as a model whose name ends in `-cut`."""
    route = next(route for route in config().routes if route.pattern and (route.pattern.match(f"{name}-cut") is not None))
    target = route.targets[0]
    assert target.provider.name == name
    assert str(target.model_for(f"{name}-cut", ("cut",))).endswith("-cut")


def provider(name: str) -> Provider:
    return config().providers[name]


def context(name: str, model: str, **more: Any) -> Context:
    return Context(model=model, traits=provider(name).dialect.traits(model), **more)


@pytest.mark.parametrize(
    ("name", "model", "body", "upstream", "dropped"),
    [
        ("together", "m", {"max_completion_tokens": 5, "stop": "x"}, {"max_tokens": 5, "stop": ["x"]}, ()),
        ("together", "m", {"logprobs": True, "top_logprobs": 3}, {"logprobs": 3, "top_logprobs": 3}, ()),
        ("together", "m", {"reasoning_effort": "max"}, {"reasoning_effort": "high"}, ()),
        ("groq", "m", {"logprobs": True, "reasoning_effort": "minimal"}, {"reasoning_effort": "low"}, ("logprobs",)),
        ("groq", "m", {"service_tier": "default"}, {"service_tier": "on_demand"}, ()),
        ("fireworks", "m", {"max_completion_tokens": 5}, {"max_tokens": 5}, ()),
        ("xai", "grok-4", {"stop": ["x"], "temperature": 1.5}, {"temperature": 1.5}, ("stop",)),
        ("xai", "grok-2-1212", {"stop": ["x"]}, {"stop": ["x"]}, ()),
        ("perplexity", "sonar", {"seed": 1, "top_p": 0.5}, {"top_p": 0.5}, ("seed",)),
        ("moonshot", "moonshot-v1-8k", {"temperature": 1.7, "tool_choice": "required"}, {"temperature": 1}, ("tool_choice",)),
        ("moonshot", "moonshot-v1-8k", {"temperature": 0.1, "n": 2}, {"temperature": 0.3, "n": 2}, ()),
        ("moonshot", "kimi-k2.5", {"temperature": 0.5}, {}, ("temperature",)),
        ("dashscope", "m", {"reasoning_effort": "none"}, {"enable_thinking": False}, ()),
        ("dashscope", "m", {"reasoning_effort": "high"}, {"enable_thinking": True}, ()),
        ("zai", "m", {"reasoning_effort": "high", "tool_choice": "required"}, {"thinking": {"type": "enabled"}}, ("tool_choice",)),
        ("zai", "m", {"tool_choice": "auto"}, {"tool_choice": "auto"}, ()),
    ],
)
def test_requests(name: str, model: str, body: dict[str, Any], upstream: dict[str, Any], dropped: tuple[str, ...]) -> None:
    request = provider(name).dialect.operations["chat"].request
    assert request is not None
    always = {"model": model, "messages": [{"role": "user", "content": "Hi"}]}
    assert request({**always, **body}, context(name, model)) == ({**always, **upstream}, dropped)


@pytest.mark.parametrize("name", ["groq", "openrouter", "cerebras", "vllm"])
def test_reasoning_goes_back_under_their_name(name: str) -> None:
    request = provider(name).dialect.operations["chat"].request
    assert request is not None
    body, _ = request({"model": "m", "messages": [{"role": "assistant", "content": "", "reasoning_content": "hm"}]}, context(name, "m"))
    assert body["messages"] == [{"role": "assistant", "content": "", "reasoning": "hm"}]


def test_a_lost_thought_is_a_blank() -> None:
    request = provider("moonshot").dialect.operations["chat"].request
    assert request is not None
    body, _ = request(
        {"model": "m", "messages": [{"role": "assistant", "tool_calls": [{"id": "a"}]}]}, context("moonshot", "kimi-k2-thinking")
    )
    assert body["messages"][0]["reasoning_content"] == " "


def streamed(name: str, *events: dict[str, Any]) -> tuple[list[dict[str, Any]], dict[str, Any] | None]:
    """The choices of the chunks that a client reads, and the usage."""
    mapping = provider(name).dialect.operations["chat"].stream
    assert mapping is not None
    asked = context(name, "m", stream=True)
    writer = ChunkWriter("m", 1)
    stream = mapping.open(asked, writer)
    for event in events:
        stream.event("", json.dumps(event).encode())
    stream.event("", b"[DONE]")
    stream.end()
    lines = [line[6:] for line in writer.take().decode().split("\n\n") if line.startswith("data: {")]
    return [choice for line in lines for choice in json.loads(line)["choices"]], stream.usage


def chunk(delta: dict[str, Any], finish: str | None = None, **more: Any) -> dict[str, Any]:
    return {"id": "a", "created": 1, "model": "m", "choices": [{"index": 0, "delta": delta, "finish_reason": finish}], **more}


@pytest.mark.parametrize("name", ["groq", "together", "openrouter", "cerebras", "vllm"])
def test_streamed_reasoning_has_our_name(name: str) -> None:
    choices, _ = streamed(name, chunk({"role": "assistant", "reasoning": "hm"}), chunk({"content": "x"}, "stop"))
    assert "".join(choice["delta"].get("reasoning_content", "") for choice in choices) == "hm"
    assert not any("reasoning" in choice["delta"] for choice in choices)


@pytest.mark.parametrize("name", ["perplexity", "minimax"])
def test_thoughts_between_tags_are_reasoning(name: str) -> None:
    choices, _ = streamed(name, chunk({"content": "<thi"}), chunk({"content": "nk>hm</think>x"}), chunk({}, "stop"))
    assert "".join(choice["delta"].get("reasoning_content") or "" for choice in choices) == "hm"
    assert "".join(choice["delta"].get("content") or "" for choice in choices) == "x"


USAGE = {"prompt_tokens": 1, "completion_tokens": 2, "total_tokens": 3}


@pytest.mark.parametrize(
    ("name", "last", "finish", "usage"),
    [
        ("together", chunk({}, "eos", usage=USAGE), "stop", USAGE),
        ("groq", chunk({}, "stop", x_groq={"usage": USAGE}), "stop", USAGE),
        ("xai", chunk({"tool_calls": [{"index": 0, "id": "a", "function": {"name": "f", "arguments": "{}"}}]}, ""), "tool_calls", None),
        ("xai", chunk({}, "stop", usage={**USAGE, "total_tokens": 7}), "stop", {**USAGE, "completion_tokens": 6, "total_tokens": 7}),
        ("zai", chunk({}, "sensitive"), "content_filter", None),
        (
            "moonshot",
            {**chunk({}), "choices": [{"index": 0, "delta": {}, "finish_reason": "stop", "usage": {**USAGE, "cached_tokens": 1}}]},
            "stop",
            {**USAGE, "cached_tokens": 1, "prompt_tokens_details": {"cached_tokens": 1}},
        ),
    ],
)
def test_streams_end_as_a_client_expects(name: str, last: dict[str, Any], finish: str, usage: dict[str, Any] | None) -> None:
    choices, counted = streamed(name, chunk({"role": "assistant", "content": "x"}), last)
    assert [choice["finish_reason"] for choice in choices if choice["finish_reason"]] == [finish]
    assert (counted or {}).items() >= (usage or {}).items()


@pytest.mark.parametrize(
    ("name", "answer", "finish"),
    [
        ("together", {"choices": [{"index": 0, "message": {"role": "assistant", "content": "x"}, "finish_reason": "eos"}]}, "stop"),
        ("xai", {"choices": [{"index": 0, "message": {"role": "assistant", "content": "x"}, "finish_reason": ""}]}, "stop"),
        (
            "zai",
            {"choices": [{"index": 0, "message": {"role": "assistant", "content": "x"}, "finish_reason": "sensitive"}]},
            "content_filter",
        ),
    ],
)
def test_whole_answers_end_as_a_client_expects(name: str, answer: dict[str, Any], finish: str) -> None:
    response = provider(name).dialect.operations["chat"].response
    assert response is not None
    assert response(answer, context(name, "m"))["choices"][0]["finish_reason"] == finish


@pytest.mark.parametrize(
    ("name", "answer", "message"),
    [
        ("zai", {"choices": [{"index": 0, "message": {}, "finish_reason": "network_error"}]}, "the upstream broke off"),
        ("zai", {"error": {"code": "1234", "message": "no"}}, "no"),
        ("minimax", {"base_resp": {"status_code": 1004, "status_msg": "login fail"}}, "login fail"),
    ],
)
def test_errors_that_come_with_status_200(name: str, answer: dict[str, Any], message: str) -> None:
    errors = provider(name).dialect.errors
    assert errors.failed(answer, context(name, "m"))
    assert errors.read(answer, context(name, "m"))["message"] == message
    assert not errors.failed({"choices": [{"index": 0, "message": {}, "finish_reason": "stop"}]}, context(name, "m"))
