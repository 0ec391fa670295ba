"""A recorded upstream answer as a client dialect shows it, without a gateway in between: the rules of both, and nothing else."""

from __future__ import annotations

import json
from functools import cache
from typing import Any

import msgspec

from proxy.client_dialect import failure
from proxy.codecs import DECODERS, Event
from proxy.codecs.framing import Framing
from proxy.config.dialects import Shelf
from proxy.dialect import Dialect
from proxy.errors import UpstreamError
from proxy.mapping.completion import as_completion
from proxy.mapping.context import Context
from proxy.mapping.stream import StreamFault
from tests.clientdialects.cases import clients
from tests.corpus.exchanges import RECORDINGS, Exchange, collection
from tests.corpus.replay import provider_of

#: Dialects of their own; every other host is read as OpenAI's.
_OWN = {"anthropic", "gemini", "ollama", "mistral", "deepseek"}
_NOW = 1700000000
ANSWERED = [one for one in collection(RECORDINGS) if one.status == 200]


@cache
def upstream(exchange_vendor: str) -> Dialect:
    """The dialect that speaks to a provider."""
    spec = Shelf().spec(exchange_vendor if exchange_vendor in _OWN else "openai")
    assert spec is not None
    return spec.compile({"chat"})


def events(exchange: Exchange) -> list[Event]:
    """The events of a recorded stream."""
    chat = upstream(provider_of(exchange)).operations["chat"].stream
    assert chat is not None
    decoder = DECODERS[chat.decode]()
    return [*decoder.feed(exchange.body()), *decoder.close()]


def canonical(exchange: Exchange) -> dict[str, Any]:
    """A recorded whole answer as a chat completion."""
    chat = upstream(provider_of(exchange)).operations["chat"].response
    given = json.loads(exchange.body())
    document = given if chat is None else chat(given, Context(model="m", now=_NOW, req={}))
    return as_completion(document, Context(model="m", public="m", now=_NOW, req={}))


def shown(answer: dict[str, Any], operation: str) -> Any:
    """A whole answer in the dialect's words."""
    given = json.loads(json.dumps(answer))
    made = clients().mappings[operation].answer(given, Context(model="m", public="m", now=_NOW, req={}))
    return json.loads(msgspec.json.encode(made))


def streamed(exchange: Exchange, operation: str, framing: Framing, cut: int | None = None, step: int = 1000) -> tuple[bytes, bool]:
    """A recorded stream as the client reads it, and whether it ended well. `cut`: the upstream breaks off after so many events;
    `step`: how many events come together."""
    chat = upstream(provider_of(exchange)).operations["chat"].stream
    mapping = clients().mappings[operation].stream
    assert chat is not None and mapping is not None
    given = events(exchange)
    given = given if cut is None else given[:cut]
    writer = mapping.open(Context(model="m", public="m", now=_NOW, req={}, stream=True), framing=framing)
    stream = chat.open(Context(model="m", now=_NOW, req={}, stream=True), writer)
    written = b""
    error = UpstreamError("cut", kind="truncated")
    try:
        for at in range(0, len(given), step):
            stream.read(given[at : at + step])
            if stream.ended:
                break
            written += writer.take()
        if stream.complete() and cut is None:
            stream.end()
            return written + writer.take(), True
    except (StreamFault, ValueError) as fault:
        error = UpstreamError(str(fault), kind="stream")
    voice = clients().operations[operation].voice
    return written + writer.fail(failure(error), voice.envelope(error)), False
