"""A state machine of the grammar of Messages streams, stricter than any client.

stream = message_start (block | ping)* message_delta message_stop        then the body's clean end
       | (message_start (block | ping)*)? … error                        then the connection is cut, wherever it was
block  = content_block_start content_block_delta* content_block_stop     one at a time, indexes 0, 1, 2, …
a block's deltas: text: text, citations; tool_use: input_json that joins to an object; thinking: thinking, then one signature;
redacted_thinking: none
"""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import Any

from tests.corpus.frames import sse

#: The deltas of each kind of block.
DELTAS = {
    "text": {"text_delta", "citations_delta"},
    "tool_use": {"input_json_delta"},
    "thinking": {"thinking_delta", "signature_delta"},
    "redacted_thinking": set[str](),
}
_STOPS = {"end_turn", "max_tokens", "stop_sequence", "tool_use", "pause_turn", "refusal", "model_context_window_exceeded"}
_START = {
    "text": {"type": "text", "text": ""},
    "thinking": {"type": "thinking", "thinking": "", "signature": ""},
}


@dataclass(slots=True)
class Grammar:
    """Takes a stream event by event and remembers every breach."""

    breaches: list[str] = field(default_factory=list)
    state: str = "before"  # message, block, delta, stopped, failed
    block: dict[str, Any] = field(default_factory=dict)
    blocks: int = 0
    arguments: str = ""
    signed: bool = False

    def event(self, name: str, data: dict[str, Any]) -> None:
        if name != data.get("type"):
            self.breaches.append(f"event {name!r} is a {data.get('type')!r}")
        wanted = {
            "message_start": ("before", "message"),
            "content_block_start": ("message", "block"),
            "content_block_delta": ("block", "block"),
            "content_block_stop": ("block", "message"),
            "message_delta": ("message", "delta"),
            "message_stop": ("delta", "stopped"),
        }
        if name == "error":
            self._failure(data)
        elif name == "ping":
            self._must(self.state in ("message", "block", "delta"), f"ping in {self.state}")
        elif name in wanted:
            before, self.state, state = self.state, wanted[name][1], wanted[name][0]
            self._must(before == state, f"{name} in {before}")
            getattr(self, name)(data)
        else:
            self.breaches.append(f"an event {name!r}")

    def _must(self, good: bool, breach: str) -> None:
        if not good and breach not in self.breaches:
            self.breaches.append(breach)

    def _failure(self, data: dict[str, Any]) -> None:
        self._must(self.state not in ("stopped", "failed"), "an error after the end")
        self._must(bool(data["error"]["type"] and data["error"]["message"]), f"an error that says nothing: {data}")
        self.state = "failed"

    def message_start(self, data: dict[str, Any]) -> None:
        message = data["message"]
        self._must(
            (message["type"], message["role"], message["content"], message["stop_reason"]) == ("message", "assistant", [], None)
            and bool(message["id"] and message["model"]),
            f"message_start: {message}",
        )
        usage = message["usage"]
        self._must(isinstance(usage["input_tokens"], int) and isinstance(usage["output_tokens"], int), f"message_start: {usage}")

    def content_block_start(self, data: dict[str, Any]) -> None:
        self.block, self.arguments, self.signed = data["content_block"], "", False
        kind = self.block["type"]
        self._must(data["index"] == self.blocks, f"block {data['index']} after {self.blocks} blocks")
        self._must(kind in DELTAS, f"a block of type {kind}")
        self._must(self.block == _START.get(kind, self.block), f"a block begins with {self.block}")
        if kind == "tool_use":
            self._must(bool(self.block["id"] and self.block["name"]) and self.block["input"] == {}, f"a call begins with {self.block}")

    def content_block_delta(self, data: dict[str, Any]) -> None:
        delta = data["delta"]
        self._must(data["index"] == self.blocks, f"a delta of block {data['index']} in block {self.blocks}")
        self._must(delta["type"] in DELTAS.get(self.block.get("type", ""), ()), f"{delta['type']} in {self.block}")
        if delta["type"] == "input_json_delta":
            self.arguments += delta["partial_json"]
        self._must(not self.signed, "a delta after the signature")
        self.signed = delta["type"] == "signature_delta"

    def content_block_stop(self, data: dict[str, Any]) -> None:
        self._must(data["index"] == self.blocks, f"the end of block {data['index']} in block {self.blocks}")
        self._must(self.signed or self.block.get("type") != "thinking", "thinking without a signature")
        self.blocks += 1

    def message_delta(self, data: dict[str, Any]) -> None:
        self._must(data["delta"]["stop_reason"] in _STOPS, f"stop_reason {data['delta']['stop_reason']}")
        self._must(isinstance(data["usage"]["output_tokens"], int), f"message_delta: {data['usage']}")
        if self.block.get("type") == "tool_use" and data["delta"]["stop_reason"] != "max_tokens" and self.arguments:
            self._must(isinstance(_parsed(self.arguments), dict), f"arguments that are no object: {self.arguments!r:.80}")

    def message_stop(self, data: dict[str, Any]) -> None:
        self._must(data == {"type": "message_stop"}, f"message_stop: {data}")


def _parsed(text: str) -> Any:
    try:
        return json.loads(text)
    except ValueError:
        return None


def judge(body: bytes, *, complete: bool) -> list[str]:
    """Every breach in a served stream; `complete`: its body came to a clean end."""
    grammar = Grammar()
    for name, data in sse(body.decode()):
        grammar.event(name, json.loads(data))
    if grammar.state not in ("stopped", "failed"):
        grammar.breaches.append(f"the stream ends in {grammar.state}")
    if complete is not (grammar.state == "stopped"):
        grammar.breaches.append(f"the body is {'whole' if complete else 'cut'} and the stream {grammar.state}")
    return grammar.breaches
