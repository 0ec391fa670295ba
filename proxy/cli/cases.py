"""Samples of a dialect: one folder, one case; what is given, what must come of it.

    request.json                  a client's request       → upstream.json           the upstream's
    answer.json, .sse, .ndjson    an upstream's answer     → response.json, .sse     the client's

`case.yaml` beside them says what is around it; all of it may be left out:

    operation, model     what is asked (default: the folder's name), of which model of the upstream's
    stream               it is a request for a stream;  include_usage: the client asked for the usage chunk
    status               the upstream's HTTP status (200)
    rejects              the request is refused: {param, message}
    dropped              the parameters that are reported as not carried
    fails, truncated     the answer is an error with that status; the stream ends too early
    retry_after, usage   the header that goes with an error; the usage that metrics see
    source               where it comes from

In an expectation `<uuid>` stands for 24 hex digits. The time is always 1700000000.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec
import yaml

from proxy.cli.replay import Replay, replay_whole
from proxy.codecs import DECODERS
from proxy.dialect import Dialect, DialectOperation, holds_foreign
from proxy.errors import UpstreamError
from proxy.mapping.context import Context
from proxy.mapping.mappings import RequestMapping, read_usual
from proxy.mapping.taken import Rejected

NOW = 1_700_000_000
KEYS = {
    *("operation", "model", "stream", "include_usage", "source"),
    *("status", "rejects", "dropped", "fails", "truncated", "retry_after", "usage"),
}
FILES = {"case.yaml", "request.json", "upstream.json", "answer.json", "answer.sse", "answer.ndjson", "response.json", "response.sse"}

_decode = msgspec.json.decode
_raws = msgspec.json.Decoder(dict[str, msgspec.Raw]).decode
_UUID = re.compile(rb"(?<![0-9A-Za-z])[0-9a-f]{24}(?![0-9A-Za-z])")


class CaseError(ValueError):
    """A case that cannot be run as it stands."""


@dataclass(frozen=True, slots=True)
class Case:
    """One folder, read. `head` is its case.yaml."""

    folder: Path
    dialect: Dialect
    head: dict[str, Any]

    @classmethod
    def read(cls, folder: Path, dialect: Dialect) -> Case:
        """Raises CaseError for files or keys that mean nothing."""
        head = _head(folder / "case.yaml")
        strange = sorted({path.name for path in folder.iterdir()} - FILES) + sorted(head.keys() - KEYS)
        if strange:
            raise CaseError(f"a case does not know {', '.join(strange)}")
        return cls(folder, dialect, head)

    @property
    def operation(self) -> DialectOperation:
        """Raises CaseError when the dialect does not have it."""
        name = self.head.get("operation", self.folder.parent.name)
        if name not in self.dialect.operations:
            raise CaseError(f"the dialect has no operation {name}; it has {', '.join(self.dialect.operations)}")
        return self.dialect.operations[name]

    @property
    def parts(self) -> frozenset[str]:
        """What of its operation it shows: request, response, stream, errors."""
        answer = self._answer()
        failed = answer is not None and ("fails" in self.head or self.head.get("status", 200) >= 400)
        shown = {
            "request": self._file("request.json") is not None,
            "errors": failed,
            "response": answer is not None and answer[0] == "json" and not failed,
            "stream": answer is not None and answer[0] != "json",
        }
        return frozenset(name for name, shows in shown.items() if shows)

    def problems(self) -> list[str]:
        """Everything that came out otherwise than expected; nothing, when all is well. Raises CaseError."""
        if not self.parts:
            raise CaseError("a case needs request.json or an answer")
        found = list(self._request()) if "request" in self.parts else []
        answer = self._answer()
        if answer is not None:
            found += self._whole(answer[1]) if answer[0] == "json" else self._stream(*answer)
        return found

    # ── requests ──

    def _request(self) -> Iterator[str]:
        expected = self.head.get("rejects")
        try:
            body, dropped = self._sent()
        except Rejected as refusal:
            yield from differences(expected or "a body", {"param": refusal.param, "message": refusal.message}, "refused")
            return
        if expected is not None:
            yield f"refused: expected {expected}, but the request was taken"
            return
        yield from differences(self._expected("upstream.json"), _decode(msgspec.json.encode(body)), "upstream")
        yield from differences(sorted(self.head.get("dropped", [])), sorted(dropped), "dropped")

    def _sent(self) -> tuple[dict[str, Any], tuple[str, ...]]:
        context = self._context()
        text = self._expected_bytes("request.json")
        body: dict[str, Any] = {**_decode(text), "model": context.model}
        operation = self.operation
        if operation.foreign is not None and holds_foreign(text):
            body, _ = operation.foreign(body, context)
        if operation.request is not None:
            return self._mapped(operation.request, operation.usual, body)
        if operation.members is not None:
            body |= operation.members({name: body[name] for name in operation.members.reads if name in body}, context)
        return body, ()

    def _mapped(
        self, mapping: RequestMapping, for_usual: RequestMapping | None, body: dict[str, Any]
    ) -> tuple[dict[str, Any], tuple[str, ...]]:
        """Whether its messages are taken to be of the usual form or not, the same must be made of it."""
        usual = None
        if for_usual is not None and (document := read_usual(_raws(msgspec.json.encode(body)))) is not None:
            with suppress(Rejected):
                usual = for_usual(document, self._context())
        made = mapping(body, self._context())
        if usual is not None and neutral(msgspec.json.encode(usual)) != neutral(msgspec.json.encode(made)):
            raise CaseError("read in full it is another request")
        return made

    # ── answers ──

    def _whole(self, body: bytes) -> Iterator[str]:
        """Whether the answer is decoded by type or in full, the same must be made of it."""
        operation = self.operation
        found = replay_whole(body, operation.response, operation.peek, self.dialect.errors, self._context())
        yield from self._outcome(found.error, found.usage)
        document = found.error.envelope() if found.error else found.document
        yield from differences(self._expected("response.json"), _plain(msgspec.json.encode(document)), "response")
        typed = operation.response.read(body, self._context()) if operation.response is not None else None
        refused = self.head.get("status", 200) >= 300  # nobody reads its body as an answer
        if typed is not None and not refused and _plain(msgspec.json.encode(typed)) != _plain(msgspec.json.encode(found.document)):
            yield "response: decoded in full it is another one"

    def _stream(self, form: str, body: bytes) -> Iterator[str]:
        """However the bytes are cut, and whether events are decoded by type or in full, the same must be written."""
        expected = _events(self._expected_bytes("response.sse"))
        replay, written = self._replay(form, [body])
        yield from differences(expected, _events(written), "response")
        yield from self._outcome(replay.error, replay.stream.usage)
        truncated = replay.error is None and not replay.stream.complete()
        yield from differences(bool(self.head.get("truncated", False)), truncated, "truncated")
        if _events(self._replay(form, [body[at : at + 1] for at in range(len(body))])[1]) != _events(written):
            yield "response: read byte by byte it is another one"
        if neutral(self._replay(form, [body], in_full=True)[1]) != neutral(written):
            yield "response: with its events decoded in full it is another one"

    def _replay(self, form: str, pieces: list[bytes], *, in_full: bool = False) -> tuple[Replay, bytes]:
        mapping = self.operation.stream
        if mapping is None or mapping.decode != form:
            raise CaseError(f"the operation's streams are {mapping.decode if mapping else 'not described'}, not {form}")
        replay = Replay(mapping, self._context(), usage_wanted=bool(self.head.get("include_usage")))
        if in_full:
            replay.stream.decoder = None
        decoder = DECODERS[form]()
        events = [event for piece in pieces for event in decoder.feed(piece)] + decoder.close()
        written = b""
        for name, data in events:
            written += replay.event(name, data)
            if replay.over:
                break
        return replay, written + replay.end()

    def _outcome(self, error: UpstreamError | None, usage: dict[str, Any] | None) -> Iterator[str]:
        yield from differences(self.head.get("fails"), error.status if error else None, "fails")
        if error:
            yield from differences(self.head.get("retry_after"), error.headers.get("retry-after"), "retry_after")
        if "usage" in self.head:
            yield from differences(self.head["usage"], usage, "usage")

    # ── files ──

    def _context(self) -> Context:
        model = self.head.get("model", "model")
        request = self._file("request.json")
        return Context(
            model=model,
            public="public",
            traits=self.dialect.traits(model),
            now=NOW,
            stream=bool(self.head.get("stream")),
            status=self.head.get("status", 200),
            req=_decode(request) if request is not None else {"model": "public"},
        )

    def _answer(self) -> tuple[str, bytes] | None:
        """Its form (json, or a codec's name) and its bytes."""
        for form in ("json", *DECODERS):
            body = self._file(f"answer.{form}")
            if body is not None:
                return form, body
        return None

    def _file(self, name: str) -> bytes | None:
        file = self.folder / name
        return file.read_bytes() if file.exists() else None

    def _expected_bytes(self, name: str) -> bytes:
        body = self._file(name)
        if body is None:
            raise CaseError(f"{name} is missing")
        return body

    def _expected(self, name: str) -> Any:
        return _decode(self._expected_bytes(name))


def _head(file: Path) -> dict[str, Any]:
    if not file.exists():
        return {}
    try:
        head = yaml.safe_load(file.read_text("utf-8"))
    except yaml.YAMLError:
        head = None
    if not isinstance(head, dict):
        raise CaseError("case.yaml is no YAML map")
    return head


def differences(expected: Any, found: Any, path: str) -> Iterator[str]:
    """Where two JSON values differ, one sentence for each place."""
    if isinstance(expected, dict) and isinstance(found, dict):
        for key in [*expected, *(key for key in found if key not in expected)]:
            yield from differences(expected.get(key, "nothing"), found.get(key, "nothing"), f"{path}.{key}")
    elif isinstance(expected, list) and isinstance(found, list) and len(expected) == len(found):
        for position, (one, other) in enumerate(zip(expected, found, strict=True)):
            yield from differences(one, other, f"{path}[{position}]")
    elif expected != found or isinstance(expected, bool) is not isinstance(found, bool):
        yield f"{path}: expected {_short(expected)}, found {_short(found)}"


def _short(value: Any) -> str:
    text = value if value == "nothing" else msgspec.json.encode(value).decode()
    return text if len(text) <= 200 else text[:199] + "…"


def neutral(body: bytes) -> bytes:
    """With a mark in place of each id that is made up."""
    return _UUID.sub(b"<uuid>", body)


def _plain(body: bytes) -> Any:
    return _decode(neutral(body))


def _events(text: bytes) -> list[Any]:
    """The data of each event, decoded."""
    decoder = DECODERS["sse"]()
    return [data.decode() if data == b"[DONE]" else _plain(data) for _, data in [*decoder.feed(text), *decoder.close()]]
