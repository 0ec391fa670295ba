"""What the gateway says by itself to clients of each dialect: lists of models, and refusals before it is known what is asked."""

from __future__ import annotations

import json
from typing import Any

import pytest

from tests.exchange.wire import serving

VERSION = {"anthropic-version": "2023-06-01"}
NOWHERE = "POST /v1/messages/nowhere"


def kind(error: dict[str, Any]) -> str:
    """Whose envelope it is."""
    if error.get("type") == "error":
        return "messages"
    if isinstance(error.get("error"), str):
        return "ollama"
    return "generate-content" if isinstance(error["error"].get("code"), int) else "openai"


#: (request line, headers, status, whose envelope) without a key.
REFUSED = [
    ("POST /v1/messages", {}, 401, "messages"),
    ("POST /messages", {}, 401, "messages"),
    (NOWHERE, {}, 404, "messages"),
    ("PUT /v1/messages", {}, 405, "messages"),
    ("GET /v1/nowhere", VERSION, 404, "messages"),
    ("GET /v1/nowhere", {}, 404, "openai"),
    ("POST /v1/chat/completions", {}, 401, "openai"),
    ("GET /v1/models", {}, 401, "openai"),
    ("GET /v1/models", VERSION, 401, "messages"),
    ("GET /v1beta/models", {}, 401, "generate-content"),
    ("POST /v1beta/models/x:generateContent", {}, 401, "generate-content"),
    ("POST /v1/models/x:streamGenerateContent?alt=sse", {}, 401, "generate-content"),
    ("POST /v1beta/nowhere", {}, 404, "generate-content"),
    ("POST /api/chat", {}, 401, "ollama"),
    ("GET /api/nowhere", {}, 404, "ollama"),
    ("GET /api/tags", {}, 401, "ollama"),
]


@pytest.mark.parametrize(("line", "headers", "status", "whose"), REFUSED, ids=[f"{row[0]} {row[2]} {row[3]}" for row in REFUSED])
async def test_a_refusal_is_in_the_words_of_the_dialect(line: str, headers: dict[str, str], status: int, whose: str) -> None:
    method, path = line.split(" ")
    async with serving(server={"keys": [{"name": "me", "sha256": "0" * 64}]}) as served:
        reply = await served.ask({}, path, headers, method)
        assert (reply.status, kind(reply.json())) == (status, whose)


async def test_models_as_messages_clients_read_them() -> None:
    async with serving() as served:
        reply = await served.ask(b"", "/v1/models", VERSION, "GET")
        (model,) = reply.json()["data"]
        assert (model["type"], model["id"]) == ("model", "m")
        assert json.loads((await served.ask(b"", "/v1/models", None, "GET")).body)["object"] == "list"
        one = await served.ask(b"", "/v1/models/m", VERSION, "GET")
        assert one.json()["type"] == "model"
        missing = await served.ask(b"", "/v1/models/x", VERSION, "GET")
        assert (missing.status, kind(missing.json())) == (404, "messages")


async def test_models_as_others_read_them() -> None:
    async with serving() as served:
        listed = (await served.ask(b"", "/v1beta/models", None, "GET")).json()["models"]
        assert [model["name"] for model in listed] == ["models/m"]
        assert (await served.ask(b"", "/v1beta/models/m", None, "GET")).json()["name"] == "models/m"
        tags = (await served.ask(b"", "/api/tags", None, "GET")).json()["models"]
        assert [model["model"] for model in tags] == ["m"]
        for asked in ({"model": "m"}, {"name": "m"}):
            assert "capabilities" in (await served.ask(asked, "/api/show")).json()


@pytest.mark.parametrize(("body", "status"), [({"model": "x"}, 404), ({}, 400), (b"[1]", 400), (b"{", 400)])
async def test_a_page_about_a_model_that_is_not_there(body: Any, status: int) -> None:
    async with serving() as served:
        reply = await served.ask(body, "/api/show")
        assert (reply.status, kind(reply.json())) == (status, "ollama")
