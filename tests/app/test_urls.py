"""Every way a client writes an address, and what it is told when it is none."""

from __future__ import annotations

from dataclasses import dataclass

import pytest
from multidict import CIMultiDict

from proxy.app.urls import Endpoint, Urls
from proxy.config.client_dialects import load_client_dialects
from proxy.errors import ClientError

DIALECT = load_client_dialects().dialects[0]
URLS = Urls(
    DIALECT.roots[0],
    [Endpoint(operation.method, operation.path, operation.name) for operation in DIALECT.operations]
    + [Endpoint("GET", "/", "banner"), Endpoint("GET", "/models", "models"), Endpoint("GET", "/models/{model}", "model")]
    + [Endpoint("GET", "/healthz", "healthz")],
)

FOUND = [
    ("POST /v1/chat/completions", "chat", ""),
    ("POST /chat/completions", "chat", ""),
    ("POST /v1/v1/chat/completions", "chat", ""),
    ("POST //v1//chat//completions", "chat", ""),
    ("POST //chat/completions", "chat", ""),
    ("POST /v1/chat/completions/", "chat", ""),
    ("POST /v1/chat/completions?api-version=1", "chat", ""),
    ("POST /v1/images/edits", "image_edits", ""),
    ("GET /v1/files", "file_list", ""),
    ("POST /v1/files", "file_upload", ""),
    ("GET /files/file-abc123", "file_retrieve", "file-abc123"),
    ("DELETE /v1/files/file-abc123", "file_delete", "file-abc123"),
    ("GET /v1/files/file-abc123/content", "file_content", "file-abc123"),
    ("GET /v1/realtime?model=x", "realtime", ""),
    ("GET /v1/models", "models", ""),
    ("HEAD /v1/models", "models", ""),
    ("GET /v1/models/", "models", ""),
    ("GET /v1/models/gpt-4o", "model", "gpt-4o"),
    ("GET /models/org/model-7b:free", "model", "org/model-7b:free"),
    ("GET /v1/models/org%2Fmodel", "model", "org%2Fmodel"),
    ("GET /healthz", "healthz", ""),
    ("GET /", "banner", ""),
    ("GET /v1", "banner", ""),
    ("GET /v1/", "banner", ""),
]


@pytest.mark.parametrize(("request_line", "serves", "name"), FOUND, ids=[row[0] for row in FOUND])
def test_found(request_line: str, serves: str, name: str) -> None:
    place = URLS.find(*request_line.split(" "))
    assert (place.serves, place.name) == (serves, name)


def test_query_is_kept() -> None:
    assert URLS.find("GET", "/v1/files?purpose=batch&limit=2").query == "purpose=batch&limit=2"


MISSED = [
    ("POST /v1/chat/completion", 404, "/v1/chat/completions"),
    ("POST /openai/v1/chat/completions", 404, "/v1/chat/completions"),
    ("POST /v1/embedding", 404, "/v1/embeddings"),
    ("GET /wp-login.php", 404, "below /v1"),
    ("GET /v1/files/..", 404, ""),
    ("GET /v1/files/../admin", 404, ""),
    ("GET /v1/files/%2e%2e/content", 404, ""),
    ("POST /v1/chat/completions/%2e%2e/%2e%2e/admin", 404, ""),
    ("POST /v1/chat/completions%00", 404, ""),
    ("GET /" + "a" * 5000, 404, "…"),
    ("POST", 404, ""),
    ("GET /v1/chat/completions", 405, "POST"),
    ("PUT /v1/files", 405, "POST, GET"),
    ("POST /v1/models/x", 405, "GET"),
]


@pytest.mark.parametrize(("request_line", "status", "said"), MISSED, ids=[row[0][:60] for row in MISSED])
def test_missed(request_line: str, status: int, said: str) -> None:
    method, _, target = request_line.partition(" ")
    with pytest.raises(ClientError) as caught:
        URLS.find(method, target)
    assert caught.value.status == status
    assert said in caught.value.message
    assert len(caught.value.message) < 500
    if status == 405:
        assert caught.value.headers["allow"] == said


def test_methods_for_options() -> None:
    assert set(URLS.methods("/v1/files")) == {"GET", "POST"}
    with pytest.raises(ClientError):
        URLS.methods("/nowhere")


@dataclass(frozen=True)
class Path:
    """What a table of several dialects serves at a path."""

    roots: tuple[str, ...]
    method: str
    path: str
    header: str = ""


SEVERAL = Urls(
    "/v1",
    [
        Endpoint(each.method, each.path, f"{each.roots[0]} {each.path}{each.header}", each.roots, each.header)
        for each in (
            Path(("/v1",), "POST", "/chat/completions"),
            Path(("/v1",), "GET", "/models"),
            Path(("/v1",), "GET", "/models/{model}"),
            Path(("/v1",), "GET", "/models", "anthropic-version"),
            Path(("/v1beta", "/v1"), "POST", "/models/{model}:generateContent"),
            Path(("/v1beta", "/v1"), "GET", "/models"),
            Path(("/v1beta", "/v1"), "GET", "/models/{model}"),
            Path(("/api",), "POST", "/chat"),
        )
    ],
)

AMONG_SEVERAL = [
    ("POST /v1beta/models/gemini-3:generateContent", "/v1beta /models/{model}:generateContent", "gemini-3"),
    ("POST /v1/models/gemini-3:generateContent", "/v1beta /models/{model}:generateContent", "gemini-3"),
    ("POST /models/gemini-3:generateContent", "/v1beta /models/{model}:generateContent", "gemini-3"),
    ("POST /v1/v1beta/models/org/model:7b:generateContent?alt=sse", "/v1beta /models/{model}:generateContent", "org/model:7b"),
    ("GET /v1beta/models", "/v1beta /models", ""),
    ("GET /v1beta/models/gemini-3", "/v1beta /models/{model}", "gemini-3"),
    ("GET /v1/models", "/v1 /models", ""),
    ("GET /models", "/v1 /models", ""),
    ("GET /v1/models/gemini-3", "/v1 /models/{model}", "gemini-3"),
    ("POST /api/chat", "/api /chat", ""),
    ("POST /api/chat/", "/api /chat", ""),
    ("POST /api/v1/chat/completions", "/v1 /chat/completions", ""),
    ("POST /v1/api/chat", "/api /chat", ""),
]


@pytest.mark.parametrize(("request_line", "serves", "name"), AMONG_SEVERAL, ids=[row[0] for row in AMONG_SEVERAL])
def test_found_among_several_dialects(request_line: str, serves: str, name: str) -> None:
    place = SEVERAL.find(*request_line.split(" "))
    assert (place.serves, place.name) == (serves, name)


def test_a_header_tells_whose_page_is_meant() -> None:
    place = SEVERAL.find("GET", "/v1/models")
    assert place.among({}) == "/v1 /models"
    assert place.among(CIMultiDict({"Anthropic-Version": "2023-06-01"})) == "/v1 /modelsanthropic-version"


def test_methods_of_a_path_of_several() -> None:
    assert set(SEVERAL.methods("/v1beta/models/x:generateContent")) == {"POST", "GET"}
    with pytest.raises(ClientError) as caught:
        SEVERAL.find("PUT", "/v1beta/models/x:generateContent")
    assert caught.value.headers["allow"] == "POST, GET"
