"""Recorded requests of which some members are something else: each becomes a chat and then an upstream's request, or is refused."""

from __future__ import annotations

import json
from contextlib import suppress
from functools import cache
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from proxy.config.dialects import Shelf
from proxy.dialect import Dialect
from proxy.mapping.context import Context
from proxy.mapping.taken import Rejected
from tests.clientdialects.cases import clients
from tests.clientdialects.responses.test_responses_odd_bodies import ODD, places


@cache
def upstream(name: str) -> Dialect:
    spec = Shelf().spec(name)
    assert spec is not None
    return spec.compile({"chat"})


@cache
def recorded(operation: str) -> list[str]:
    lines = (Path(__file__).parent / operation / "requests.jsonl").read_text("utf-8").splitlines()
    bodies = [json.dumps(json.loads(line)["body"]) for line in lines]
    return [body for body in bodies if len(body) < 6000]


@pytest.mark.parametrize("name", ["openai", "anthropic", "gemini"])
@pytest.mark.parametrize("operation", ["messages", "generate_content", "ollama_chat"])
@settings(max_examples=60, deadline=None)
@given(data=st.data())
def test_a_request_is_served_or_refused(operation: str, name: str, data: st.DataObject) -> None:
    body: dict[str, Any] = json.loads(data.draw(st.sampled_from(recorded(operation))))
    for _ in range(data.draw(st.integers(1, 3))):
        holder, key = data.draw(st.sampled_from(places(body)))
        holder[key] = data.draw(ODD)
        if not places(body):
            break
    mapping, dialect = clients().mappings[operation], upstream(name)
    traits = dialect.traits("m") | mapping.traits("m")
    with suppress(Rejected):
        chat, dropped = mapping.request(dict(body), Context(model="m", public="m", req=body, traits=traits))
        assert all(isinstance(name, str) for name in dropped)
        chat["model"] = "m"
        request = dialect.operations["chat"].request
        if request is not None:
            chat, _ = request(chat, Context(model="m", public="m", req=dict(chat), traits=dialect.traits("m")))
        assert isinstance(json.dumps(chat), str)
