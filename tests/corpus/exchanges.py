"""Recorded exchanges: where they lie, and which of them are chat the gateway can be asked to repeat."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.corpus.facts import Facts
from tests.corpus.readings import READINGS

#: One of these is in every whole chat answer.
_ANSWERS = {"choices", "content", "candidates", "message", "promptFeedback"}
RECORDINGS = Path(__file__).with_name("recordings")


@dataclass(frozen=True, slots=True)
class Exchange:
    """One recorded request and answer. `record` is the file as it lies there (its form: recordings/NOTICE.md)."""

    path: str
    record: dict[str, Any]

    @property
    def vendor(self) -> str:
        return str(self.record["vendor"])

    @property
    def api(self) -> str:
        return str(self.record["api"])

    @property
    def status(self) -> int:
        return int(self.record["response"]["status"])

    @property
    def streamed(self) -> bool:
        """Whether the client asked for a stream. An error answer to it is whole, all the same."""
        return "stream" in self.record["features"]

    @property
    def headers(self) -> dict[str, str]:
        return {name.lower(): value for name, value in (self.record["response"]["headers"] or {}).items()}

    def body(self) -> bytes:
        """The answer's body as a host sends it to us. Google's list form of a stream is what one gets without `alt=sse`,
        which the gateway always asks for: its items are framed as the events they would have been."""
        answer = self.record["response"]
        if "body_text" in answer:
            return str(answer["body_text"]).encode()
        if self.api == "streamGenerateContent" and isinstance(answer["body"], list) and self.status == 200:
            return b"".join(b"data: %s\r\n\r\n" % json.dumps(item).encode() for item in answer["body"])
        return json.dumps(answer["body"]).encode()

    def facts(self) -> Facts:
        """The independent reading of the recorded answer."""
        reading = READINGS[self.api]
        if self.streamed and self.status == 200:
            return reading.stream(self.body().decode())
        return reading.answer(self.status, json.loads(self.body()))


def _unfit(record: dict[str, Any]) -> str:
    """Why a recording cannot be repeated through a chat route; empty when it can."""
    answer, request = record["response"], record["request"] or {}
    body = answer.get("body")
    if request.get("method") == "GET":
        return "a listing, not a chat"
    if "enum-encoding=int" in str(request.get("url")):
        return "asked with numbers for enums, which the gateway never does"
    if "partialArgs" in answer.get("body_text", ""):
        return "asked with streamFunctionCallArguments, which the gateway never does"
    if "body_text" not in answer and not isinstance(body, dict | list):
        return "the answer was not recorded"
    if isinstance(body, dict) and answer["status"] == 200 and not body.keys() & _ANSWERS:
        return "not a chat answer"
    if record["api"] == "ollama.chat" and isinstance(body, dict) and "choices" in body:
        return "an OpenAI-shaped answer filed under Ollama's own"
    if record["api"] == "rawPredict" and "body_text" in answer:
        return "whole messages framed as events by its recorder"
    return ""


def collection(root: Path, left_out: Counter[str] | None = None) -> Iterator[Exchange]:
    """All chat exchanges of a collection: a folder with `index.jsonl`, or the selection kept here (JSON lines).

    `left_out` counts, by reason, those that cannot be repeated through the gateway.
    """
    index = root / "index.jsonl"
    if index.exists():
        lines = [json.loads(line) for line in index.read_text(encoding="utf-8").splitlines()]
        paths = [line["path"] for line in lines if line["api"] in READINGS]
        records = ((path, json.loads((root / path).read_text(encoding="utf-8"))) for path in paths)
    else:
        rows = (json.loads(line) for file in sorted(root.glob("*.jsonl")) for line in file.read_text(encoding="utf-8").split("\n") if line)
        records = ((f"{row['case']}.json", row) for row in rows)
    for path, record in records:
        reason = _unfit(record)
        if not reason:
            yield Exchange(path, record)
        elif left_out is not None:
            left_out[reason] += 1
