"""A body that is no request of its dialect: one 400 in the dialect's own envelope, and no target is asked."""

from __future__ import annotations

from typing import Any

import pytest

from tests.exchange.wire import COMPLETION, json_answer, serving
from tests.upstream.scripted import request

TOLD: dict[str, tuple[str, dict[str, Any], tuple[str, ...], str]] = {
    "messages": ("/v1/messages", {"model": "m", "max_tokens": 1, "messages": "x"}, ("error", "message"), "`messages` must be a list."),
    "count_tokens": ("/v1/messages/count_tokens", {"model": "m", "messages": 5}, ("error", "message"), "`messages` must be a list."),
    "responses": ("/v1/responses", {"model": "m", "input": 5}, ("error", "message"), "`input` must be a string or a list."),
    "cursor": ("/v1/chat/completions", {"model": "m", "input": 5}, ("error", "message"), "`input` must be a string or a list."),
    "gemini": ("/v1beta/models/m:generateContent", {"contents": 5}, ("error", "message"), "`contents` must be a list or an object."),
    "ollama": ("/api/chat", {"model": "m", "messages": "x"}, ("error",), "`messages` must be a list."),
}


@pytest.mark.parametrize(("path", "body", "place", "sentence"), TOLD.values(), ids=TOLD)
async def test_it_is_told_and_nobody_is_asked(path: str, body: dict[str, Any], place: tuple[str, ...], sentence: str) -> None:
    """Not the next target either: to any of them it would be the same."""
    chat_only = {"p0": {"operations": ["chat"]}, "p1": {"operations": ["chat"]}}
    answer = [request, json_answer(COMPLETION)]
    async with serving(answer, others=[answer], providers=chat_only) as served:
        reply = await served.ask(body, path)
        told = reply.json()
        for name in place:
            told = told[name]
        assert (reply.status, told) == (400, sentence)
        assert served.upstream.requests == []
        assert "x-samewire-failures" not in reply.headers
