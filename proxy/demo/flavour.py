"""A demo flavour: recorded answers of one wire language, and which one fits a request. Pure; the form is told in recordings/README.md."""

from __future__ import annotations

import re
import secrets
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any

import msgspec
import yaml

from proxy.demo.sample import sample

RECORDINGS = Path(__file__).parent / "recordings"

#: What a condition or a placeholder may look at: `body`, `path` (named groups of the pattern), `tool`.
Scope = Mapping[str, Any]

_PLACEHOLDER = re.compile(rb"<<(\w+)(?: (\d+)/(\d+))?>>")


@dataclass(frozen=True, slots=True)
class Answer:
    """What to send: `pieces` in order, `first` and `between` being the seconds to wait. `cut`: break the connection after them.

    `length` is the Content-Length of a whole answer (more than the pieces have when it is cut), None for a stream.
    """

    status: int
    headers: Mapping[str, str]
    pieces: Sequence[bytes]
    length: int | None
    first: float = 0.0
    between: float = 0.0
    cut: bool = False


class Flavour:
    """One folder of recordings."""

    def __init__(self, folder: Path) -> None:
        self.name = folder.name
        self._data: dict[str, Any] = yaml.load((folder / "flavour.yaml").read_text("utf-8"), yaml.CSafeLoader)
        self._path = re.compile(self._data["path"])
        self._bodies = {file.name: file.read_bytes() for file in folder.iterdir() if file.name != "flavour.yaml"}

    def answer(self, path: str, body: bytes) -> Answer:
        """The answer to a POST of `body` to `path`; 404 for a path it does not know, 400 for a body that is not a JSON object."""
        match = self._path.match(path)
        if not match:
            return self._refusal(404, f"this demo does not serve {path}")
        try:
            document = msgspec.json.decode(body, type=dict[str, Any])
        except msgspec.DecodeError as error:
            return self._refusal(400, f"the body is not a JSON object: {error}")
        scope = {"body": document, "path": match.groupdict()}
        scope["tool"] = _tool(self._data["tools"], scope)
        return self._recorded(scope)

    def _recorded(self, scope: Scope) -> Answer:
        streamed = _holds(self._data["stream"], scope)
        form = self._data["stream" if streamed else "whole"]
        use = next(rule["use"] for rule in self._data["answers"] if _holds(rule, scope))
        body = self._filled(self._bodies[use + form["file"]], scope)
        cut = _holds(self._data["cut"], scope)
        pieces = _frames(body, form["frame"].encode()) if streamed else [body]
        if cut:
            pieces = pieces[: len(pieces) // 2] if streamed else [body[: len(body) // 2]]
        headers = {"Content-Type": form["type"], **self._data["headers"]}
        return Answer(200, headers, pieces, None if streamed else len(body), **self._data["pace"], cut=cut)

    def _filled(self, recording: bytes, scope: Scope) -> bytes:
        """The recording with its placeholders replaced by JSON values."""
        values = {name: _value(rule, scope) for name, rule in self._data["fill"].items()}

        def replace(match: re.Match[bytes]) -> bytes:
            value = values[match[1].decode()]
            if match[2]:
                text, number, count = msgspec.json.encode(value).decode(), int(match[2]), int(match[3])
                value = text[len(text) * (number - 1) // count : len(text) * number // count]
            return msgspec.json.encode(value)

        return _PLACEHOLDER.sub(replace, recording)

    def _refusal(self, status: int, message: str) -> Answer:
        body = self._data["error"].encode().replace(b"<<message>>", msgspec.json.encode(message))
        return Answer(status, {"Content-Type": self._data["whole"]["type"]}, [body], len(body))


def flavours() -> list[str]:
    """The names of all flavours, in order."""
    return sorted(folder.parent.name for folder in RECORDINGS.glob("*/flavour.yaml"))


def look(scope: Any, path: str) -> Any:
    """The value at a dotted path, None when there is none: `body.messages.-1.role`."""
    for step in path.split("."):
        if isinstance(scope, Mapping):
            scope = scope.get(step)
        elif isinstance(scope, list) and re.fullmatch(r"-?\d+", step) and -len(scope) <= int(step) < len(scope):
            scope = scope[int(step)]
        else:
            return None
    return scope


def _holds(condition: Mapping[str, Any], scope: Scope) -> bool:
    when, unless = condition.get("when", {}), condition.get("unless", {})
    return all(_fits(scope, *item) for item in when.items()) and not any(_fits(scope, *item) for item in unless.items())


def _fits(scope: Scope, path: str, patterns: str | list[str]) -> bool:
    value = look(scope, path)
    if value is None:
        return False
    text = value if isinstance(value, str) else msgspec.json.encode(value).decode()
    return any(fnmatchcase(text, pattern) for pattern in ([patterns] if isinstance(patterns, str) else patterns))


def _tool(rule: Mapping[str, Any], scope: Scope) -> dict[str, Any]:
    """Name and schema of the tool that the request insists on, else of its first; empty when it brings none."""
    tools = look(scope, rule["list"])
    if not isinstance(tools, list) or not tools:
        return {}
    chosen = look(scope, rule["chosen"])
    tool = next((tool for tool in tools if chosen and look(tool, rule["name"]) == chosen), tools[0])
    schemas = [rule["schema"]] if isinstance(rule["schema"], str) else rule["schema"]
    return {"name": look(tool, rule["name"]), "schema": next(filter(None, (look(tool, path) for path in schemas)), None)}


def _value(rule: Mapping[str, str], scope: Scope) -> Any:
    ((kind, argument),) = rule.items()
    if kind == "fresh":
        return argument + secrets.token_hex(12)
    if kind == "clock":
        return int(time.time())
    found = look(scope, argument)
    return found if kind == "from" else sample(found) or {}


def _frames(body: bytes, frame: bytes) -> list[bytes]:
    return [piece + frame for piece in body.split(frame) if piece]
