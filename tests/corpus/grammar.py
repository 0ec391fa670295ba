"""Judge two: a state machine of the grammar of OpenAI's chat stream, stricter than any client.

    stream  = chunk+ [usage chunk, only if asked for] "[DONE]"          then the body's clean end
            | chunk* error                                              then the connection is cut: no last chunk, no [DONE]
    choice  = role-delta content-delta* finish-delta

What it reads is the served bytes as they are: the strict framing `data: …\\n\\n` is part of the promise.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import Any

from tests.corpus.frames import DONE
from tests.corpus.schemas import faults

_CONTENT = ("content", "refusal", "reasoning_content", "reasoning")


def adds_up(usage: dict[str, Any]) -> bool:
    """OpenAI's total is its prompt and its completion; what a vendor counts beside them belongs inside one of them."""
    return bool(usage["total_tokens"] == usage["prompt_tokens"] + usage["completion_tokens"])


@dataclass(slots=True)
class _Choice:
    finished: bool = False
    calls: list[set[str]] = field(default_factory=list)


@dataclass(slots=True)
class Grammar:
    """Takes a stream event by event and remembers every breach. `near` is passed to the schema judge."""

    usage_asked: bool
    near: bool = False
    breaches: list[str] = field(default_factory=list)
    identity: dict[str, Any] | None = None
    choices: dict[int, _Choice] = field(default_factory=dict)
    usage_seen: bool = False
    error: dict[str, Any] | None = None
    done: bool = False

    def _say(self, breach: str) -> None:
        if breach not in self.breaches:
            self.breaches.append(breach)

    def event(self, data: str) -> None:
        """One event's data."""
        if self.done or self.error:
            self._say(f"something after the end: {data[:80]}")
        elif data == DONE:
            self.done = True
        else:
            self._document(json.loads(data))

    def _document(self, document: dict[str, Any]) -> None:
        if "error" in document:
            self.error = document["error"]
            self.breaches += faults("error", document)
            return
        self.breaches += [fault for fault in faults("chunk", document, self.near) if fault not in self.breaches]
        identity = {name: document.get(name) for name in ("id", "created", "model", "object")}
        self.identity = self.identity or identity
        for name, value in identity.items():
            if value != self.identity[name]:
                self._say(f"{name} changed in the middle")
        if self.usage_seen:
            self._say("a chunk after the usage chunk")
        if document.get("usage"):
            self._usage(document)
        elif not document.get("choices"):
            self._say("a chunk with neither choices nor usage")
        for piece in document.get("choices") or []:
            self._piece(piece)

    def _usage(self, document: dict[str, Any]) -> None:
        self.usage_seen = True
        if not (self.near or adds_up(document["usage"])):
            self._say("usage does not add up")
        if not self.usage_asked and not (self.near and document.get("choices")):  # some hosts always say it with their last choice
            self._say("usage that nobody asked for")
        if document.get("choices"):
            self._say("usage in a chunk with choices")

    def _piece(self, piece: dict[str, Any]) -> None:
        index, delta = piece["index"], piece["delta"]
        choice = self.choices.get(index)
        if choice is None:
            choice = self.choices[index] = _Choice()
            if delta.get("role") != "assistant":
                self._say("the first delta of a choice has no role")
        elif delta.get("role"):
            self._say("the role comes twice")
        if choice.finished and (piece.get("finish_reason") or any(delta.values())):
            self._say("something of a choice after its finish_reason")
        for name in _CONTENT:
            if delta.get(name) is not None and not isinstance(delta[name], str):
                self._say(f"delta.{name} is no text")
        for call in delta.get("tool_calls") or []:
            self._call(choice, call)
        choice.finished = choice.finished or bool(piece.get("finish_reason"))

    def _call(self, choice: _Choice, call: dict[str, Any]) -> None:
        index, function = call.get("index"), call.get("function") or {}
        if index == len(choice.calls):
            choice.calls.append(set())
            if not call.get("id") or not function.get("name") or call.get("type") != "function":
                self._say("the first delta of a tool call lacks its id, name or type")
        elif not isinstance(index, int) or not 0 <= index < len(choice.calls):
            self._say(f"tool call index {index} after {len(choice.calls)} calls")
            return
        here = {f"its {name}" for name in ("id", "type") if call.get(name)} | ({"its name"} if function.get("name") else set())
        for repeated in sorted(here & choice.calls[index]):
            self._say(f"a tool call says {repeated} twice")
        choice.calls[index] |= here

    def close(self, complete: bool, usage_expected: bool) -> list[str]:
        """The stream's end. `complete`: the HTTP body ended with its last chunk. Returns all breaches."""
        if self.error:
            if complete:
                self._say("after an error the connection must be cut, without the last chunk")
        elif not self.done:
            self._say("neither [DONE] nor an error")
        else:
            if not complete:
                self._say("[DONE], but the HTTP body was cut")
            if not all(choice.finished for choice in self.choices.values()):
                self._say("a choice without finish_reason before [DONE]")
            if self.usage_asked and usage_expected and not self.usage_seen:
                self._say("no usage chunk although it was asked for")
        return self.breaches


def judge(body: bytes, *, usage_asked: bool, complete: bool, usage_expected: bool = True, near: bool = False) -> list[str]:
    """All breaches of the grammar in a served stream; empty when it is right."""
    grammar = Grammar(usage_asked, near)
    text = body.decode()
    *events, rest = text.split("\n\n")
    if rest:
        grammar.breaches.append(f"an event without its end: {rest[:80]}")
    for event in events:
        lines = [line for line in event.split("\n") if not line.startswith(":")]
        if not lines:
            continue  # a comment of its own
        if len(lines) != 1 or not lines[0].startswith("data: "):
            grammar.breaches.append(f"not one data line: {event[:80]}")
            continue
        grammar.event(lines[0].removeprefix("data: "))
    return grammar.close(complete, usage_expected)
