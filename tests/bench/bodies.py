"""`python -m tests.bench.bodies`: µs to translate a request's body of 100 messages with tools, from JSON text to JSON text; no sockets.

The members are taken apart first, as the gateway has to do with any body to route it. Beside it stands the least that must be done:
msgspec's decode and encode of the same body.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import msgspec

from proxy.codecs.members import Members
from proxy.config import load
from proxy.mapping.context import Context
from proxy.mapping.mappings import RequestMapping, read_usual
from tests.bench.transform import ROUTES, best

MESSAGES, TOOLS = 100, 8
MODELS = {"anthropic": "claude-sonnet-4-5", "gemini": "gemini-2.5-flash"}
TEXT = 'The quick brown fox jumps over the lazy dog, and "quotes" and\nnew lines are in the text as well. ' * 3


@dataclass(frozen=True)
class Figure:
    """One dialect: µs of the whole way, and of decode and encode alone; `size`: bytes of the client's body."""

    provider: str
    translated: float
    json: float
    size: int


def conversation() -> dict[str, Any]:
    """An agent's: a system prompt, then questions, tool calls, their results and answers in turn."""
    messages: list[dict[str, Any]] = [{"role": "system", "content": TEXT}]
    while len(messages) < MESSAGES:
        call = f"call_{len(messages)}"
        arguments = json.dumps({"path": f"/srv/file-{len(messages)}.txt", "lines": [1, 200], "why": TEXT[:60]})
        messages += [
            {"role": "user", "content": TEXT},
            {
                "role": "assistant",
                "content": None,
                "tool_calls": [{"id": call, "type": "function", "function": {"name": "read_file_1", "arguments": arguments}}],
            },
            {"role": "tool", "tool_call_id": call, "content": TEXT},
            {"role": "assistant", "content": TEXT},
        ]
    properties = {"path": {"type": "string", "description": TEXT[:60]}, "lines": {"type": "array", "items": {"type": "integer"}}}
    schema = {"type": "object", "properties": {**properties, "why": {"type": "string"}}, "required": ["path"]}
    tools = [
        {"type": "function", "function": {"name": f"read_file_{number}", "description": TEXT[:80], "parameters": schema}}
        for number in range(TOOLS)
    ]
    return {"model": "bench", "messages": messages[:MESSAGES], "tools": tools, "max_tokens": 1000, "temperature": 0.5, "stream": True}


def figures(loops: int = 30) -> Iterator[Figure]:
    config = load(ROUTES, {"ANTHROPIC_API_KEY": "x", "GEMINI_API_KEY": "x"})
    text = json.dumps(conversation(), separators=(",", ":")).encode()
    for provider, model in MODELS.items():
        dialect = config.providers[provider].dialect
        mapping = dialect.operations["chat"].usual
        assert mapping is not None
        yield _figure(provider, mapping, Context(model=model, traits=dialect.traits(model), stream=True), text, loops)


def _figure(provider: str, mapping: RequestMapping, context: Context, text: bytes, loops: int) -> Figure:
    decode: Callable[[bytes], dict[str, Any]] = msgspec.json.Decoder(dict[str, Any]).decode
    encode = msgspec.json.Encoder().encode

    def translate() -> bytes:
        document = read_usual(Members.parse(text).raws)
        assert document is not None
        return encode(mapping(document, context)[0])

    assert translate().count(b"quick brown fox") >= MESSAGES // 2
    return Figure(provider, best(translate, 10, loops), best(lambda: encode(decode(text)), 10, loops), len(text))


def main() -> None:
    print("| dialect | µs | JSON decode + encode of it | × |\n|---|---:|---:|---:|")
    for figure in figures():
        print(f"| {figure.provider} | {figure.translated:.0f} | {figure.json:.0f} | {figure.translated / figure.json:.2f} |")


if __name__ == "__main__":
    main()
