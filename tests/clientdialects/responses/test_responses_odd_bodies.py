"""Whatever a client sends, it becomes a chat or is refused: no body breaks the rules."""

from __future__ import annotations

import json
from contextlib import suppress
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from proxy.config.client_dialects import load_client_dialects
from proxy.config.dialects import compile_file
from proxy.config.files import DIALECTS
from proxy.mapping.context import Context
from proxy.mapping.mappings import Rejected
from tests.clientdialects.responses.rules import canonical, recorded

OPENAI = compile_file(DIALECTS / "openai.yaml")
RECORDED = [body for _, body in recorded()]
ODD = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-3, 3)
    | st.sampled_from(["", "a", "auto", "function", "message", "samewire.", "samewire.a.b|c"]),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(["type", "name", "text", "id", "content"]), inner, max_size=3)
    ),
    max_leaves=5,
)


def places(value: Any) -> list[tuple[Any, Any]]:
    """Every member and item of a document: (what holds it, its name or number)."""
    inner = list(value.items()) if isinstance(value, dict) else list(enumerate(value)) if isinstance(value, list) else []
    return [(value, key) for key, _ in inner] + [place for _, item in inner for place in places(item)]


@st.composite
def bodies(draw: st.DrawFn) -> dict[str, Any]:
    """A recorded request of which some members are something else."""
    body: dict[str, Any] = json.loads(json.dumps(draw(st.sampled_from(RECORDED))))
    for _ in range(draw(st.integers(1, 3))):
        holder, key = draw(st.sampled_from(places(body)))
        holder[key] = draw(ODD)
    return body


@settings(max_examples=400, deadline=None)
@given(bodies(), st.sampled_from(["llama-4", "gpt-5"]))
def test_a_request_becomes_a_chat_or_is_refused(body: dict[str, Any], model: str) -> None:
    with suppress(Rejected):
        chat, dropped = canonical(body, OPENAI, model)
        assert isinstance(json.dumps(chat), str)
        assert all(isinstance(name, str) for name in dropped)


@settings(max_examples=200, deadline=None)
@given(bodies())
def test_a_body_of_another_shape_is_rewritten_whatever_it_holds(body: dict[str, Any]) -> None:
    chat = canonical_of_chat(body)
    for rule in load_client_dialects().operations["chat"].accepts:
        if not rule.like:
            rewritten, _ = rule.rewrite(json.loads(json.dumps(chat)), Context(model="m"))
            assert isinstance(json.dumps(rewritten), str)


def canonical_of_chat(body: dict[str, Any]) -> dict[str, Any]:
    """A chat's body with a Responses request's members in it."""
    return {
        "messages": body.get("input"),
        "tools": body.get("tools"),
        "tool_choice": body.get("tool_choice"),
        "system": body.get("instructions"),
    }
