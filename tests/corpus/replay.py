"""One recorded exchange through the running gateway: the upstream replays its bytes, both judges look at what comes out."""

from __future__ import annotations

import json
import random
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from functools import cache
from itertools import pairwise
from typing import Any

from proxy.config import shipped
from proxy.config.yaml import parse
from tests.corpus.exchanges import Exchange
from tests.corpus.facts import Facts, compare
from tests.corpus.grammar import adds_up, judge
from tests.corpus.readings import OPENAI
from tests.corpus.schemas import faults
from tests.stage.client import Served, call
from tests.stage.gateway import Gateway, routes
from tests.stage.upstream import End, Script, Upstream

#: The provider (in `routes.yaml` of the test) that a recording is replayed from, by its api; else the one of its
#: vendor, or openai.
PROVIDERS = {
    "messages": "anthropic",
    "rawPredict": "anthropic",
    "streamRawPredict": "anthropic",
    "generateContent": "gemini",
    "streamGenerateContent": "gemini",
    "ollama.chat": "ollama",
}
#: Providers whose answers are translated or repaired: they must satisfy the judges in all things. What other hosts send is handed
#: through; there a breach that is already in the recording is the host's own.
STRICT = {"anthropic", "gemini", "ollama", "mistral", "deepseek"}
#: Headers of a recording that describe its transport, not its answer.
_TRANSPORT = {"content-length", "transfer-encoding", "content-encoding", "connection", "date", "server"}
BYTE_BY_BYTE = 6000  # bytes; longer bodies are cut into small random pieces


@cache
def hosts() -> dict[str, Any]:
    """The hosts near OpenAI that the default routes.yaml lists, with their repairs."""
    listed = parse(shipped("routes.yaml").read_text(encoding="utf-8"), "routes.yaml").value["providers"]
    return {name: entry for name, entry in listed.items() if "base_url" in entry and entry.get("dialect") not in STRICT}


def provider_of(exchange: Exchange) -> str:
    """The provider a recording is replayed from."""
    vendor = {"alibaba": "dashscope"}.get(exchange.vendor, exchange.vendor)
    return PROVIDERS.get(exchange.api, vendor if vendor in hosts() or vendor in ("deepseek", "mistral") else "openai")


def whole(body: bytes) -> list[bytes]:
    """All in one piece."""
    return [body]


def crumbs(body: bytes) -> list[bytes]:
    """Byte by byte, or in small random pieces (always the same ones)."""
    if len(body) <= BYTE_BY_BYTE:
        return [body[at : at + 1] for at in range(len(body))]
    dice, pieces, at = random.Random(len(body)), [], 0
    while at < len(body):
        size = dice.choice((1, 2, 3, 7, 40, 400))
        pieces.append(body[at : at + size])
        at += size
    return pieces


def between(body: bytes) -> list[bytes]:
    """Cut where it is awkward: inside every line end, and a few bytes into every event."""
    cuts = {0, len(body)}
    for at, byte in enumerate(body):
        if byte == 10:
            cuts |= {at, at + 1, at + 9}
    places = sorted(cut for cut in cuts if cut <= len(body))
    return [body[start:end] for start, end in pairwise(places)]


Cut = Callable[[bytes], list[bytes]]


@dataclass(frozen=True, slots=True)
class Stage:
    """A running gateway whose providers all lead to one upstream."""

    address: tuple[str, int]
    upstream: Upstream


@asynccontextmanager
async def stage() -> AsyncIterator[Stage]:
    """A scripted upstream and the gateway before it."""
    async with Upstream() as upstream:
        here = {"base_url": f"http://127.0.0.1:{upstream.port}", "key": "a-key-of-theirs"}
        document = routes(upstream.port, providers={name: entry | here for name, entry in hosts().items()})
        async with Gateway(document) as gateway:
            yield Stage(gateway.address, upstream)


def script(exchange: Exchange, pieces: list[bytes], end: End = "whole") -> Script:
    """The recorded answer, in these pieces."""
    headers = {name: value for name, value in exchange.headers.items() if name not in _TRANSPORT and value.isascii()}
    kind = "application/json"
    if exchange.streamed and exchange.status == 200:
        kind = "application/x-ndjson" if exchange.api == "ollama.chat" else "text/event-stream"
    return Script(
        pieces, exchange.status, {"content-type": kind} | headers | ({"content-type": kind} if kind != "application/json" else {}), end
    )


async def ask(stage: Stage, exchange: Exchange, replayed: Script, usage_asked: bool) -> Served:
    """The smallest request whose answer the recording can be."""
    body: dict[str, object] = {
        "model": f"{provider_of(exchange)}/{exchange.record['model'] or 'some-model'}",
        "messages": [{"role": "user", "content": "Hi"}],
    }
    if exchange.streamed:
        body |= {"stream": True} | ({"stream_options": {"include_usage": True}} if usage_asked else {})
    stage.upstream.answer(replayed)
    return await call(stage.address, body)


def excused(exchange: Exchange) -> set[str]:
    """The breaches that a handed-through recording brings along."""
    if provider_of(exchange) in STRICT or exchange.status != 200:
        return set()
    if exchange.streamed:
        recorded = exchange.body().replace(b"\r\n", b"\n")
        return set(judge(recorded, usage_asked=True, complete=True, near=True)) - {"neither [DONE] nor an error"}
    return set(faults("answer", json.loads(exchange.body()), near=True))


def breaches(exchange: Exchange, expected: Facts, served: Served, usage_asked: bool) -> Iterator[str]:
    """Everything that is wrong with what was served, form first."""
    strict = provider_of(exchange) in STRICT
    if "x-request-id" not in served.headers:
        yield "no x-request-id"
    if served.headers["content-type"].startswith("text/event-stream"):
        yield from judge(
            served.body,
            usage_asked=usage_asked,
            complete=served.complete,
            usage_expected=expected.usage is not None,
            near=not strict,
        )
        answered = OPENAI.stream(served.body.decode())
        if not usage_asked:
            answered.usage = expected.usage  # whether there may be one is the grammar's matter
        yield from compare(expected, answered)
        return
    document = served.json()
    if not served.complete:
        yield "the body was cut"
    if served.status == 200 and document.get("usage") and strict and not adds_up(document["usage"]):
        yield "usage does not add up"
    yield from faults("answer" if served.status == 200 else "error", document, near=not strict)
    yield from compare(expected, OPENAI.answer(served.status, document))


async def replay(stage: Stage, exchange: Exchange, cut: Cut = whole, usage_asked: bool = True) -> list[str]:
    """All that went wrong; empty when the recording came out right."""
    served = await ask(stage, exchange, script(exchange, cut(exchange.body())), usage_asked)
    pardoned = excused(exchange)
    return [breach for breach in breaches(exchange, exchange.facts(), served, usage_asked) if breach not in pardoned]
