"""Transcripts of a client dialect: one folder, one case, `<dialect>/cases/<case>/`; what is given, what must come of it.

    request.json     a client's request             → chat.json                          the canonical one, but for model and stream
    answer.json      a canonical answer             → response.json                      the client's
    answer.sse       canonical chunks (OpenAI's)    → response.sse, .ndjson, .json       what the client reads (.json: an array)

`case.yaml` beside them says what is around it; only `source` must be there:

    operation, model     what is asked (default: the dialect's name), of which model of the upstream's
    traits               of the target
    stream, query        a stream is asked for; the query of the client's URL, which may choose the framing
    rejects              the request is refused: {param, message}
    dropped              the parameters that are reported as not carried
    failure              how the stream fails after its last chunk: {message, type, code, param, status}; without a stream, response.json
                         is the envelope of it, and `status` its status
    source               where it comes from

In an expectation `<uuid>` stands for 24 hex digits. The time is always 1700000000. The client's name for its model is `public`.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import msgspec
import yaml

from proxy.cli.cases import NOW, differences, neutral
from proxy.client_dialect import ClientMapping, Operation, failure
from proxy.codecs import DECODERS
from proxy.codecs.framing import Framing
from proxy.config.client_dialects import ClientDialects, load_client_dialects
from proxy.config.dialects import Shelf
from proxy.dialect import Dialect
from proxy.errors import UpstreamError
from proxy.mapping.completion import as_completion
from proxy.mapping.context import Context
from proxy.mapping.mappings import Rejected

KEYS = {"operation", "model", "traits", "stream", "query", "rejects", "dropped", "failure", "status", "source"}
FILES = {"case.yaml", "request.json", "chat.json", "answer.json", "answer.sse", "response.json", "response.sse", "response.ndjson"}
_SUFFIXES = {"sse": "sse", "ndjson": "ndjson", "array": "json"}


@cache
def clients() -> ClientDialects:
    """All client dialects."""
    return load_client_dialects()


@cache
def _openai() -> Dialect:
    spec = Shelf().spec("openai")
    assert spec is not None
    return spec.compile({"chat"})


@dataclass(frozen=True, slots=True)
class Case:
    """One folder, read. `head` is its case.yaml."""

    folder: Path
    head: dict[str, Any]

    @classmethod
    def read(cls, folder: Path) -> Case:
        """Raises AssertionError for files or keys that mean nothing."""
        head = yaml.safe_load((folder / "case.yaml").read_text("utf-8"))
        strange = sorted({path.name for path in folder.iterdir()} - FILES) + sorted(head.keys() - KEYS)
        assert not strange, f"a case does not know {', '.join(strange)}"
        assert head.get("source"), "a case says where it comes from"
        return cls(folder, head)

    @property
    def operation(self) -> Operation:
        return clients().operations[self.head.get("operation", self.folder.parent.parent.name)]

    @property
    def mapping(self) -> ClientMapping:
        return clients().mappings[self.operation.name]

    def problems(self) -> list[str]:
        """Everything that came out otherwise than expected; nothing, when all is well."""
        found: list[str] = []
        if self._has("request.json") and (self._has("chat.json") or "rejects" in self.head):
            found += self._request()
        if self._has("answer.json"):
            found += self._whole()
        elif self._has("answer.sse"):
            found += self._stream()
        elif "failure" in self.head:
            found += self._failure()
        return found

    def _request(self) -> Iterator[str]:
        given = self._json("request.json")
        try:
            body, dropped = self.mapping.request(dict(given), self._context())
        except Rejected as refusal:
            yield from differences(self.head.get("rejects"), {"param": refusal.param, "message": refusal.message}, "refused")
            return
        if "rejects" in self.head:
            yield "refused: the request was taken"
            return
        yield from differences(_own(self._json("chat.json")), _own(_plain(body)), "chat")
        yield from differences(sorted(self.head.get("dropped", [])), sorted(dropped), "dropped")

    def _whole(self) -> Iterator[str]:
        answer = as_completion(self._json("answer.json"), self._context())
        yield from differences(self._json("response.json"), _plain(self.mapping.answer(answer, self._context())), "response")

    def _stream(self) -> Iterator[str]:
        """However the chunks come together, the same must be written."""
        framing = self.operation.framing(self.head.get("query", ""))
        expected = self._bytes(f"response.{_SUFFIXES[framing.name]}")
        one, other = self._written(framing, together=True), self._written(framing, together=False)
        yield from differences(events(expected, framing), events(neutral(one), framing), "response")
        if neutral(one) != neutral(other):
            yield "response: with its chunks one by one it is another one"

    def _written(self, framing: Framing, *, together: bool) -> bytes:
        chat = _openai().operations["chat"].stream
        assert chat is not None
        assert self.mapping.stream is not None, "the operation does not stream"
        writer = self.mapping.stream.open(self._context(), framing=framing)
        stream = chat.open(Context(model="model", now=NOW), writer)
        decoder = DECODERS["sse"]()
        chunks = [*decoder.feed(self._bytes("answer.sse")), *decoder.close()]
        written = b""
        for read in [chunks] if together else [[chunk] for chunk in chunks]:
            stream.read(read)
            written += b"" if stream.ended else writer.take()
        if "failure" in self.head:
            error = self._error()
            return written + writer.fail(failure(error), self.operation.voice.envelope(error))
        assert stream.complete(), "the chunks are not whole: they end with [DONE], or the case says its `failure`"
        stream.end()
        return written + writer.take()

    def _failure(self) -> Iterator[str]:
        error = self._error()
        yield from differences(self._json("response.json"), _plain(self.operation.voice.envelope(error)), "response")
        yield from differences(self.head["status"], self.operation.voice.status(error), "status")

    # ── files ──

    def _error(self) -> UpstreamError:
        told: Mapping[str, Any] = self.head["failure"]
        known = {name: told[name] for name in ("status", "type", "code", "param") if name in told}
        return UpstreamError(told["message"], **known)

    def _context(self) -> Context:
        model = self.head.get("model", "model")
        return Context(
            model=model,
            public="public",
            shown="public",
            traits={**self.mapping.traits(model), **self.head.get("traits", {})},
            now=NOW,
            stream=bool(self.head.get("stream") or self._has("answer.sse")),
            req=self._json("request.json") if self._has("request.json") else {"model": "public"},
        )

    def _has(self, name: str) -> bool:
        return (self.folder / name).is_file()

    def _bytes(self, name: str) -> bytes:
        return (self.folder / name).read_bytes()

    def _json(self, name: str) -> Any:
        return json.loads(self._bytes(name))


def events(body: bytes, framing: Framing) -> list[Any]:
    """The events of a stream: their data, and their names where the framing tells them."""
    if framing.name == "array":
        found: list[Any] = json.loads(body)
        return found
    decoder = DECODERS[framing.name]()
    return [[name, _data(data)] for name, data in [*decoder.feed(body), *decoder.close()]]


def _data(data: bytes) -> Any:
    return data.decode() if data == b"[DONE]" else json.loads(data)


def _own(chat: dict[str, Any]) -> dict[str, Any]:
    """What of a chat request is the dialect's to say, and not the gateway's."""
    return {name: value for name, value in chat.items() if name not in ("model", "stream", "stream_options")}


def _plain(value: Any) -> Any:
    return json.loads(neutral(msgspec.json.encode(value)))
