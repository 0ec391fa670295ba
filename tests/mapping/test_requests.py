"""Requests: bodies built and rewritten, what is refused, and what is reported as dropped."""

import pytest
from compiling import dialect

from proxy.mapping.context import Context
from proxy.mapping.mappings import Rejected

BODY = {
    "vars": {
        "limit": ".max_completion_tokens // .max_tokens // $traits.max_tokens",
        "one": {"$if": ".parallel_tool_calls == false", "$then": True},
    },
    "reject": [{"if": ".n > 1", "say": "one choice only", "param": "n"}],
    "report": [{"if": ".response_format.type == 'json_schema'", "param": "response_format"}],
    "ignore": ["user"],
    "body": {
        "model": "$model",
        "max_tokens": "$limit",
        "temperature": {"$if": "$traits.sampling", "$then": ".temperature | at_most(1)"},
        "top_p": ".top_p",
        "tier": {"$match": ".service_tier", "auto": "auto", "default": "standard"},
        "thinking": {"$if": ".reasoning_effort == 'none'", "$then": {"type": "disabled"}},
        "choice": {
            "$match": ".tool_choice",
            "auto": {"type": "auto", "single": "$one"},
            "required": {"type": {"$if": "$traits.forced", "$then": "any"}},
        },
        "format": ".response_format.type",
        "messages": {
            "$each": ".messages",
            "$do": {"$match": ".role", "user": {"text": ".content"}, "$else": {"$reject": "this role is not known", "$param": "messages"}},
        },
        "tools": {"$each": ".tools", "$do": {"name": ".function.name"}},
    },
}
USER = {"role": "user", "content": "hi"}
DROPS = [
    ({"temperature": 0.5}, {"sampling": True}, ()),
    ({"temperature": 0.5}, {"sampling": False}, ("temperature",)),
    ({"temperature": 1}, {"sampling": False}, ()),  # OpenAI's default says nothing
    ({"max_tokens": 5}, {}, ()),
    ({"max_completion_tokens": 5, "top_p": 0.1}, {}, ()),
    ({"service_tier": "default"}, {}, ()),
    ({"service_tier": "flex"}, {}, ("service_tier",)),
    ({"reasoning_effort": "none"}, {}, ()),
    ({"reasoning_effort": "high"}, {}, ("reasoning_effort",)),
    ({"parallel_tool_calls": False, "tool_choice": "auto"}, {}, ()),
    ({"parallel_tool_calls": False}, {}, ("parallel_tool_calls",)),
    ({"tool_choice": "required"}, {"forced": True}, ()),
    ({"tool_choice": "required"}, {"forced": False}, ("tool_choice",)),
    ({"seed": 3, "user": "u", "logit_bias": {"1": 2}}, {}, ("seed", "logit_bias")),
    ({"seed": None, "n": 1, "stream_options": {"include_usage": True}}, {}, ()),
    ({"response_format": {"type": "json_schema"}}, {}, ("response_format",)),
    ({"response_format": {"type": "json_object"}}, {}, ()),
    ({"tools": [{"function": {"name": "f"}}]}, {}, ()),
    ({"tools": [{"type": "odd"}]}, {}, ("tools",)),
]


@pytest.mark.parametrize(("parameters", "traits", "dropped"), DROPS, ids=[str(row[:2]) for row in DROPS])
def test_dropped(parameters, traits, dropped):
    mapping = dialect(request=BODY).operations["chat"].request
    _, found = mapping({"model": "x", "messages": [USER], **parameters}, Context(model="m", traits={"max_tokens": 9, **traits}))
    assert found == dropped


def test_a_body_is_built():
    mapping = dialect(request=BODY).operations["chat"].request
    body, _ = mapping({"model": "x", "messages": [USER], "temperature": 2}, Context(model="m", traits={"max_tokens": 9, "sampling": True}))
    assert body == {"model": "m", "max_tokens": 9, "temperature": 1, "messages": [{"text": "hi"}]}


@pytest.mark.parametrize(
    ("body", "message", "param"),
    [
        ({"messages": [USER], "n": 2}, "one choice only", "n"),
        ({"messages": [{"role": "elf"}]}, "this role is not known", "messages"),
    ],
)
def test_refused(body, message, param):
    mapping = dialect(request=BODY).operations["chat"].request
    with pytest.raises(Rejected) as caught:
        mapping(body, Context(model="m"))
    assert (caught.value.message, caught.value.param) == (message, param)


RULES = [
    {
        "rename": {"max_completion_tokens": "max_tokens", "seed": "random_seed"},
        "set": {"tier": ".service_tier"},
        "drop": ["logit_bias", "service_tier"],
    },
    {"at": "messages[*]", "when": ".role == 'developer'", "set": {"role": "system"}},
    {"at": "messages[*].tool_calls[*]", "set": {"id": ".id | safe_id(9)"}, "keep": ["id", "function"]},
]


def test_a_body_is_rewritten_in_place():
    mapping = dialect(request={"rewrite": RULES}).operations["chat"].request
    call = {"id": "a:b", "index": 3, "type": "function", "function": {"name": "f"}}
    body = {
        "messages": [{"role": "developer"}, {"role": "assistant", "tool_calls": [call]}, "odd"],
        "max_tokens": 1,
        "max_completion_tokens": 2,
        "seed": 5,
        "logit_bias": {"1": 1},
        "service_tier": "flex",
        "extra": {"kept": None},
    }
    new, dropped = mapping(body, Context(model="m"))
    assert new == {
        "messages": [{"role": "system"}, {"role": "assistant", "tool_calls": [{"id": "KbuTQcUF6", "function": {"name": "f"}}]}, "odd"],
        "max_tokens": 2,
        "random_seed": 5,
        "tier": "flex",
        "extra": {"kept": None},
    }
    assert dropped == ("logit_bias",)


def test_members_are_set_beside_what_passes_through():
    members = {
        "temperature": ".temperature // 0.7",
        "max_tokens": ".max_tokens | at_most(100)",
        "stream_options": {"$if": ".stream", "$then": {"$merge": [".stream_options", {"include_usage": True}]}},
    }
    mapping = dialect(request={"members": members}).operations["chat"].members
    assert mapping.reads == {"temperature", "max_tokens", "stream", "stream_options"}
    assert mapping({}, Context(model="m")) == {"temperature": 0.7}
    assert mapping({"temperature": 1, "max_tokens": 500}, Context(model="m")) == {"max_tokens": 100}
    assert mapping({"temperature": 1, "stream": True, "stream_options": {"x": 1}}, Context(model="m")) == {
        "stream_options": {"x": 1, "include_usage": True}
    }
    assert mapping({"temperature": 1, "stream": True, "stream_options": {"include_usage": True}}, Context(model="m")) == {}


def test_a_request_that_passes_through_can_be_refused():
    spec = {"reject": [{"if": ".n > 1", "say": "one choice only", "param": "n"}], "members": {"seed": 7}}
    operation = dialect(request=spec).operations["chat"]
    assert operation.request({"n": 1, "extra": {"kept": None}}, Context(model="m")) == ({"n": 1, "extra": {"kept": None}, "seed": 7}, ())
    with pytest.raises(Rejected):
        operation.request({"n": 2}, Context(model="m"))
