"""Reasoning comes in whichever field a client kept it; the signatures of one vendor never reach another."""

import copy

import msgspec
import pytest
from test_golden import dialect

from proxy.mapping.context import Context

BLOCKS = [{"type": "thinking", "thinking": "because", "signature": "claude's mark"}]
DETAILS = [{"type": "reasoning.text", "text": "because", "signature": "claude's mark", "format": "anthropic-claude-v1"}]
CARRIERS = {
    "reasoning_content": {"reasoning_content": "because"},
    "reasoning": {"reasoning": "because"},
    "reasoning_details": {"reasoning_details": DETAILS},
    "thinking_blocks": {"thinking_blocks": BLOCKS},
    "provider_specific_fields": {"provider_specific_fields": {"thinking_blocks": BLOCKS}},
    "extra_content": {"extra_content": {"google": {"thought_signature": "gemini's mark"}}},
    "tool id": {"id": "call_1__thought__gemini's mark"},
    "content": {"content": [{"type": "thinking", "thinking": "because"}, {"type": "text", "text": "said"}]},
}
MODELS = [
    ("anthropic", "claude-opus-5"),
    ("gemini", "gemini-4-argon"),
    ("deepseek", "deepseek-chat"),
    ("mistral", "magistral-small"),
    ("ollama", "x"),
]
REPLAYING = ("deepseek", "mistral", "ollama")


def sent(vendor, model, carrier):
    more = copy.deepcopy(CARRIERS[carrier])
    call_id = more.pop("id", "call_1")
    call = {"id": call_id, "type": "function", "function": {"name": "f", "arguments": "{}"}}
    turn = {"role": "assistant", "content": "said", "tool_calls": [call], **more}
    messages = [{"role": "user", "content": "why?"}, turn, {"role": "tool", "tool_call_id": call_id, "content": "done"}]
    spoken = dialect(vendor)
    body, _ = spoken.operations["chat"].request({"model": "m", "messages": messages}, Context(model=model, traits=spoken.traits(model)))
    return msgspec.json.encode(body).decode()


@pytest.mark.parametrize("carrier", CARRIERS)
@pytest.mark.parametrize(("vendor", "model"), MODELS, ids=[vendor for vendor, _ in MODELS])
def test_a_signature_goes_back_to_its_vendor_alone(vendor, model, carrier):
    body = sent(vendor, model, carrier)
    marked = {"anthropic": "claude's mark", "gemini": "gemini's mark"}.get(vendor, "")
    assert [mark for mark in ("claude's mark", "gemini's mark") if mark in body] == [
        mark for mark in (marked,) if mark and mark in str(CARRIERS[carrier])
    ]
    assert "__thought__" not in body
    assert "said" in body


@pytest.mark.parametrize("carrier", ["reasoning_content", "reasoning", "reasoning_details", "thinking_blocks", "provider_specific_fields"])
@pytest.mark.parametrize(("vendor", "model"), [pair for pair in MODELS if pair[0] in REPLAYING])
def test_reasoning_comes_back_whatever_carried_it(vendor, model, carrier):
    assert sent(vendor, model, carrier).count("because") == 1
