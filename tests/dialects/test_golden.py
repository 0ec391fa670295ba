"""Golden cases: what each dialect makes of a request, an answer, a stream, an error.

One folder is one case, `<dialect>/<case>/`: `request.json` (the client's) → `upstream.json`; `answer.json|sse|ndjson` (the upstream's) →
`response.json|sse`. Its `case.yaml` says what is around it:

    operation, model     what is asked, of which model of the upstream's
    stream               it is a stream, or a request for one;  include_usage: the client asked for the usage chunk
    status               the upstream's HTTP status (200)
    rejects              the request is refused: {param, message}
    dropped              the parameters that are reported as not carried
    fails, truncated     the answer is an error with that status; the stream ends too early
    retry_after, usage   the header that goes with an error; the usage that metrics see
    source               where it comes from

`<uuid>` in an expectation stands for 24 hex digits.
"""

from __future__ import annotations

import json
import re
from functools import cache
from pathlib import Path
from typing import Any

import msgspec
import pytest
import yaml

from proxy.codecs import DECODERS
from proxy.config.dialects import Shelf
from proxy.dialect import Dialect, DialectOperation
from proxy.errors import UpstreamError
from proxy.exchange.faults import reported
from proxy.exchange.lanes import Lane, Passed, Translated
from proxy.mapping.chunks import ChunkWriter
from proxy.mapping.context import Context
from proxy.mapping.mappings import Rejected
from proxy.mapping.stream import StreamFault

FOLDER = Path(__file__).parent
NOW = 1_700_000_000
KEYS = {"operation", "model", "stream", "include_usage", "source"}
KEYS |= {"status", "rejects", "dropped", "fails", "truncated", "retry_after", "usage"}
FILES = {"case.yaml", "request.json", "upstream.json", "answer.json", "answer.sse", "answer.ndjson", "response.json", "response.sse"}


@cache
def dialect(name: str) -> Dialect:
    """One of Samewire's dialects, compiled."""
    shelf = Shelf()
    spec = shelf.spec(name)
    assert spec is not None, shelf.diagnostics
    return spec.compile()


class Case:
    """One folder, read."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.head: dict[str, Any] = yaml.safe_load((folder / "case.yaml").read_text())
        self.dialect = dialect(folder.parent.name)
        self.operation: DialectOperation = self.dialect.operations[self.head["operation"]]
        self.stream = bool(self.head.get("stream"))

    def document(self, name: str) -> Any:
        path = self.folder / name
        return json.loads(path.read_text()) if path.exists() else None

    def answer(self) -> tuple[str, bytes] | None:
        """Its form (json, sse, ndjson) and its bytes."""
        for form in ("json", *DECODERS):
            path = self.folder / f"answer.{form}"
            if path.exists():
                return form, path.read_bytes()
        return None

    def context(self) -> Context:
        model = self.head["model"]
        request = self.document("request.json") or {"model": "public"}
        return Context(model=model, public="public", traits=self.dialect.traits(model), now=NOW, stream=self.stream, req=request)

    @property
    def parts(self) -> set[str]:
        """What of its operation it shows: request, response, stream, errors."""
        answer, failed = self.answer(), self.head.get("status", 200) >= 400
        return {
            *(["request"] if (self.folder / "request.json").exists() else []),
            *(["errors"] if answer and ("fails" in self.head or failed) else []),
            *(["response"] if answer and answer[0] == "json" and not failed else []),
            *(["stream"] if answer and answer[0] != "json" else []),
        }


FOLDERS = sorted(path.parent for path in FOLDER.glob("*/*/case.yaml"))


@pytest.fixture(params=FOLDERS, ids=lambda folder: f"{folder.parent.name}/{folder.name}")
def case(request: pytest.FixtureRequest) -> Case:
    return Case(request.param)


def test_case(case: Case) -> None:
    """What is in the folder, and only that, comes out."""
    assert case.parts, "a case needs a request or an answer"
    assert case.head.keys() <= KEYS
    assert {path.name for path in case.folder.iterdir()} <= FILES
    assert case.head["source"]
    if "request" in case.parts:
        check_request(case)
    answer = case.answer()
    if answer is not None:
        form, body = answer
        check_whole(case, body) if form == "json" else check_stream(case, form, body)


# -- requests --------------------------------------------------------------------------------------------------------------


def check_request(case: Case) -> None:
    if "rejects" in case.head:
        with pytest.raises(Rejected) as refusal:
            sent(case)
        assert {"param": refusal.value.param, "message": refusal.value.message} == case.head["rejects"]
        return
    body, dropped = sent(case)
    assert json.loads(msgspec.json.encode(body)) == case.document("upstream.json")
    assert sorted(dropped) == case.head.get("dropped", [])
    filled = {"model": case.head["model"], "id": "x"}
    assert case.operation.path.fill(filled).startswith("/")
    assert case.operation.stream_path.fill(filled).startswith("/")


def sent(case: Case) -> tuple[dict[str, Any], tuple[str, ...]]:
    """The upstream's body and the dropped parameters."""
    body = {**case.document("request.json"), "model": case.head["model"]}
    operation, context = case.operation, case.context()
    if operation.request is not None:
        return operation.request(body, context)
    if operation.members is not None:
        body |= operation.members({name: body[name] for name in operation.members.reads if name in body}, context)
    return body, ()


# -- whole answers and errors ------------------------------------------------------------------------------------------------


def check_whole(case: Case, body: bytes) -> None:
    operation, context, errors = case.operation, case.context(), case.dialect.errors
    context.status = case.head.get("status", 200)
    document = msgspec.json.decode(body)
    if context.status >= 400 or errors.failed(document, context):
        status = errors.statuses.get(context.status, context.status) if context.status >= 400 else 502
        error = reported(errors.read(document, context), status=status)
        check_error(case, error)
        assert error.envelope() == case.document("response.json")
        return
    assert "fails" not in case.head
    usage, _, failed = operation.peek(body, context)
    assert not failed
    answer = document
    if operation.response is not None:
        answer = operation.response(document, context)
        usage = answer.get("usage")
    assert plain(msgspec.json.encode(answer)) == case.document("response.json")
    if "usage" in case.head:
        assert usage == case.head["usage"]


def check_error(case: Case, error: UpstreamError) -> None:
    assert error.status == case.head["fails"]
    assert error.headers.get("retry-after") == case.head.get("retry_after")


# -- streams -----------------------------------------------------------------------------------------------------------------


def check_stream(case: Case, form: str, body: bytes) -> None:
    """However the bytes are cut, and whether events are decoded by type or in full, the same is written."""
    expected = events((case.folder / "response.sse").read_bytes())
    written = run_stream(case, form, [body])
    assert events(written) == expected
    assert events(run_stream(case, form, [body[at : at + 1] for at in range(len(body))])) == expected
    assert plain_bytes(run_stream(case, form, [body], in_full=True)) == plain_bytes(written)


def run_stream(case: Case, form: str, pieces: list[bytes], *, in_full: bool = False) -> bytes:
    mapping, context = case.operation.stream, case.context()
    assert mapping is not None and mapping.decode == form
    wanted = bool(case.head.get("include_usage"))
    writer = ChunkWriter("", NOW, usage_wanted=wanted)
    stream = mapping.open(context, writer)
    if in_full:
        stream.decode = None
    lane: Lane = Passed(stream, usage_wanted=wanted, shown=None) if mapping.passthrough else Translated(stream, writer)
    error = None
    try:
        feed(lane, form, pieces)
    except StreamFault as fault:
        error = reported(fault.report)
    out = lane.take()
    if error is not None:
        check_error(case, error)
        return out + b"data: " + msgspec.json.encode(error.envelope()) + b"\n\n"
    assert "fails" not in case.head
    assert stream.complete() is not case.head.get("truncated", False)
    if "usage" in case.head:
        assert stream.usage == case.head["usage"]
    return out + (lane.end() if stream.complete() else b"")


def feed(lane: Lane, form: str, pieces: list[bytes]) -> None:
    decoder = DECODERS[form]()
    found = [event for piece in pieces for event in decoder.feed(piece)]
    for name, data in [*found, *decoder.close()]:
        lane.event(name, data)
        if lane.stream.ended:
            return


def events(text: bytes) -> list[Any]:
    """The data of each event, decoded."""
    decoder = DECODERS["sse"]()
    return [data.decode() if data == b"[DONE]" else plain(data) for _, data in [*decoder.feed(text), *decoder.close()]]


def plain(body: bytes) -> Any:
    return json.loads(plain_bytes(body))


def plain_bytes(body: bytes) -> bytes:
    return re.sub(rb"(?<![0-9A-Za-z])[0-9a-f]{24}(?![0-9A-Za-z])", b"<uuid>", body)


# -- completeness ------------------------------------------------------------------------------------------------------------


def needed() -> list[tuple[str, str, str]]:
    """Each dialect, operation and part that has rules of its own (what is passed through as it came needs no sample)."""
    found = []
    for name in Shelf().names():
        for operation in dialect(name).operations.values():
            stream = operation.stream is not None and not operation.stream.passthrough
            parts = {"request": operation.request is not None, "response": operation.response is not None, "stream": stream}
            found += [(name, operation.name, part) for part, has in parts.items() if has]
        found.append((name, "chat", "errors"))
    return found


@pytest.mark.parametrize(("name", "operation", "part"), needed())
def test_every_mapping_has_a_case(name: str, operation: str, part: str) -> None:
    shown = [case for case in map(Case, FOLDERS) if case.folder.parent.name == name and case.operation.name == operation]
    assert any(part in case.parts for case in shown), f"{name} has no case for the {part} of {operation}"
