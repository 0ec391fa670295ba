"""A pretended vendor: understands what it is asked in its wire language, and does what the prompt says. It answers with what the
request really held (an image, a schema, a tool's result), so that a client which gets the right answer has proven the way up, too.
"""

from __future__ import annotations

import json

from proxy.demo.sample import sample
from tests.real.hearing import Heard, hear
from tests.real.said import PLAYS, SEALED, SIGNATURE, Said
from tests.real.speaking import embeddings, refusal, speak
from tests.stage.upstream import Asked, Script, whole

#: What comes back of a thought that led to a tool call, where a vendor wants it back.
KEPT = {"anthropic": SIGNATURE, "gemini": SIGNATURE, "deepseek": PLAYS["thought"]}


def vendor(asked: Asked) -> Script:
    """The answer to a request. The first name in the path is the vendor's."""
    _, name, *rest = asked.path.split("/")
    path = "/".join(rest)
    document = asked.json() if asked.body else {}
    if path.endswith("count_tokens"):
        return whole({"input_tokens": 10})
    if "mbed" in path:
        return embeddings(name, document)
    heard = hear(_wire(path), path, document)
    if heard.play == "error":
        return refusal(name, heard.argument)
    said = _say(heard)
    thought = SEALED if heard.wire == "responses" else KEPT.get(name, "")
    if heard.play == "thinking_tool" and heard.results and heard.holds(thought):
        said.text += f" {PLAYS['remembered']}"
    return speak(name, heard, said)


def _wire(path: str) -> str:
    ends = {"chat/completions": "chat", "responses": "responses", "messages": "messages", "api/chat": "ollama", "api/generate": "ollama"}
    return next((wire for end, wire in ends.items() if path.partition("?")[0].endswith(end)), "gemini")


def _say(heard: Heard) -> Said:
    if heard.results is not None:
        return Said(f"The tools say: {' and '.join(heard.results)}.")
    match heard.play:
        case "tool" | "tools" | "thinking_tool":
            names = [name for name in ("weather", "time") if name in heard.tools][: 2 if heard.play == "tools" else 1]
            return Said("", PLAYS["thought"] if heard.play == "thinking_tool" else "", [(name, {"city": "Seoul"}) for name in names])
        case "call":
            return _call(heard)
        case "reasoning":
            return Said("4", PLAYS["thought"])
        case "structured":
            return _structured(heard)
        case "vision":
            return Said(PLAYS["seen"] if heard.holds(PLAYS["picture"]) else "I see nothing.")
        case "cut":
            return Said(" ".join([PLAYS["text"]] * 8), cut=True)
        case _:
            return _chat(heard)


def _chat(heard: Heard) -> Said:
    """Words, or a call where one is forced."""
    if heard.forced:
        return Said(calls=[(name, sample(schema)) for name, schema in heard.tools.items()][:1])
    return Said(PLAYS["text"])


def _call(heard: Heard) -> Said:
    """The tool that the prompt names; what else is asked in passing (a title for the conversation) has no tools, and gets words."""
    if heard.argument["name"] in heard.tools:
        return Said(calls=[(heard.argument["name"], given) for given in heard.argument["inputs"]])
    return Said(f"I have no tool {heard.argument['name']} among {', '.join(heard.tools) or 'none'}.")


def _structured(heard: Heard) -> Said:
    """As text where the request wants JSON, else as the arguments of a tool that wants them."""
    wanting = [name for name, schema in heard.tools.items() if "people" in json.dumps(schema)]
    if wanting and (heard.forced or not heard.schema):
        return Said(calls=[(wanting[-1], PLAYS["city"])])
    asked = (heard.schema and heard.holds("people")) or "json" in json.dumps(heard.document).lower()
    return Said(json.dumps(PLAYS["city"]) if asked else PLAYS["text"])
