"""One recorded exchange of any vendor, asked for as Messages, and what a reader of that dialect finds in the answer."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

from tests.clientdialects.messages.grammar import judge
from tests.corpus.exchanges import RECORDINGS, Exchange, collection
from tests.corpus.facts import Facts, Usage, compare
from tests.corpus.readings import READINGS
from tests.corpus.replay import Stage, provider_of
from tests.stage.client import Served, call
from tests.stage.upstream import Script

READING = READINGS["messages"]
EXCHANGES = list(collection(RECORDINGS))
HEADERS = {"anthropic-version": "2023-06-01"}
_MARK = "samewire."
#: Pieces of a marked text: the mark, the format; of what is hidden, what it belongs to; the signature.
_PIECES = 3


def request(exchange: Exchange, *, by_chat: bool = True) -> dict[str, Any]:
    """The smallest request whose answer the recording can be. `by_chat`: also Anthropic's own answers are translated, twice."""
    provider = provider_of(exchange)
    provider = "by-chat" if by_chat and provider == "anthropic" else provider
    body = {
        "model": f"{provider}/{exchange.record['model'] or 'a-model'}",
        "max_tokens": 9,
        "messages": [{"role": "user", "content": "Hi"}],
    }
    return body | ({"stream": True} if exchange.streamed else {})


async def ask(stage: Stage, exchange: Exchange, replayed: Script, *, by_chat: bool = True) -> Served:
    """The answer, as bytes."""
    stage.upstream.answer(replayed)
    return await call(stage.address, request(exchange, by_chat=by_chat), "/v1/messages", HEADERS)


def read(served: Served) -> Facts:
    """What the answer says, without our marks."""
    if served.headers["content-type"].startswith("text/event-stream"):
        return unmarked(READING.stream(served.body.decode()))
    return unmarked(READING.answer(served.status, served.json()))


def unmarked(facts: Facts) -> Facts:
    """Signatures as their vendors gave them."""
    for choice in facts.choices.values():
        choice.signatures = [found for text in choice.signatures if (found := _signature(text))]
        for one in choice.calls:
            if (one.id or "").startswith(_MARK):
                one.id, _, one.signature = (one.id or "").removeprefix(_MARK).partition("__thought__")
    return facts


def _signature(text: str) -> str:
    if not text.startswith(_MARK):
        return text
    pieces = text.split(".")
    return pieces[-1] if len(pieces) >= _PIECES else ""


def told(exchange: Exchange) -> Facts:
    """What a recording says, as far as Messages has a place for it: one choice, a usage always, a refusal as the reason of the end; no
    logprobs, images, functions of the oldest form, or signatures of Gemini's texts."""
    facts = exchange.facts()
    facts.choices = {index: choice for index, choice in facts.choices.items() if index == 0}
    if not facts.error:
        facts.usage = facts.usage or Usage(0, 0, 0)
    for choice in facts.choices.values():
        choice.logprobs, choice.images = [], []
        choice.calls = [one for one in choice.calls if one.id != "function_call"]
        choice.finish = {"function_call": "tool_calls"}.get(choice.finish or "", choice.finish)
        if choice.refusal:
            choice.finish = "content_filter"
        if provider_of(exchange) == "gemini":
            choice.signatures = []
    return facts


def breaches(exchange: Exchange, served: Served) -> Iterator[str]:
    """Everything that is wrong with what was served."""
    if served.headers["content-type"].startswith("text/event-stream"):
        yield from judge(served.body, complete=served.complete)
    elif served.status == 200:
        yield from _form(served.json())
    else:
        yield from _failure(served)
    yield from compare(told(exchange), read(served))


def _form(message: dict[str, Any]) -> Iterator[str]:
    if {name: message.get(name) for name in ("type", "role")} != {"type": "message", "role": "assistant"}:
        yield f"no message: {message}"
    for block in message["content"]:
        if block["type"] == "thinking" and not block["signature"]:
            yield "thinking without a signature"
        if block["type"] == "tool_use" and not isinstance(block["input"], dict):
            yield f"input that is no object: {block}"


def _failure(served: Served) -> Iterator[str]:
    document = served.json()
    if document.get("type") != "error" or not document["error"].get("type") or not document["error"].get("message"):
        yield f"no error of Anthropic's form: {json.dumps(document)[:200]}"
