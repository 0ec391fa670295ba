"""Faults of answers that are no chat: media and files stream through, what is no media is told."""

from __future__ import annotations

from typing import Any

import pytest

from tests.exchange.wire import json_answer, serving
from tests.upstream.scripted import Step, chunked, hang, request, reset

SPEECH: dict[str, Any] = {"model": "m", "input": "Hi", "voice": "alloy"}
AUDIO = b"HTTP/1.1 200 OK\r\ncontent-type: audio/mpeg\r\ntransfer-encoding: chunked\r\n\r\n"
PAGE = b"HTTP/1.1 200 OK\r\ncontent-type: text/html; charset=utf-8\r\n\r\n<html>Log in</html>"

NO_MEDIA: dict[str, tuple[bytes, int, str | None]] = {
    "an error": (json_answer({"error": {"message": "Slow down.", "code": 429}}), 429, "429"),
    "an error without status": (json_answer({"error": {"message": "No."}}), 502, None),
    "a document": (json_answer({"audio": "…"}), 502, "upstream_invalid"),
    "a page": (PAGE, 502, "upstream_invalid"),
}


@pytest.mark.parametrize(("answer", "status", "code"), NO_MEDIA.values(), ids=NO_MEDIA)
async def test_what_is_no_media_is_an_error(answer: bytes, status: int, code: str | None) -> None:
    async with serving([request, answer]) as served:
        reply = await served.ask(SPEECH, "/v1/audio/speech")
        assert (reply.status, reply.error["code"]) == (status, code)


BREAKS: dict[str, list[Step]] = {"closed": [], "reset": [reset], "malformed": [b"zz\r\n", hang], "silent": [hang]}


@pytest.mark.parametrize("rest", BREAKS.values(), ids=BREAKS)
async def test_media_that_break_off_are_cut(rest: list[Step]) -> None:
    """Nothing is added to them: a client sees that the body has no end."""
    script = [request, AUDIO + chunked(b"abc", end=False), *rest]
    async with serving(script, providers={"p0": {"timeouts": {"idle": 0.1}}}) as served:
        reply = await served.ask(SPEECH, "/v1/audio/speech")
        assert (reply.status, reply.whole, reply.closed) == (200, False, True)
        assert b"abc".startswith(reply.body)


async def test_a_file_of_json_is_a_file() -> None:
    document = {"error": {"message": "a line that a user wrote"}}
    async with serving(
        [request, json_answer(document)], provider_prefix=True, routes=[{"operations": ["file_content"], "to": ["p0"]}]
    ) as served:
        reply = await served.ask(b"", "/v1/files/file-1/content", method="GET")
        assert (reply.status, reply.json()) == (200, document)
