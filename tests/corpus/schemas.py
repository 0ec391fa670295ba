"""Judge one: OpenAI's own description of its answers, chunks and errors.

`openai_schemas.json` is taken from OpenAI's OpenAPI document (https://github.com/openai/openai-openapi, MIT), texts and examples left out:
`python -m tests.corpus.schemas openapi.json` makes it anew.
"""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any, Literal

from jsonschema import Draft202012Validator

Kind = Literal["answer", "chunk", "error"]
FILE = Path(__file__).with_name("openai_schemas.json")
ROOTS: dict[Kind, str] = {
    "answer": "CreateChatCompletionResponse",
    "chunk": "CreateChatCompletionStreamResponse",
    "error": "ErrorResponse",
}
#: What we let pass although the description does not say it: (pattern of the fault, reason).
ALLOWANCES: tuple[tuple[str, str], ...] = ((r"at system_fingerprint: None ", "OpenAI itself sends null (226 of 356 recorded chunks)"),)
#: The same for upstreams that speak OpenAI's chat and are handed through.
NEAR_ALLOWANCES: tuple[tuple[str, str], ...] = (
    (r"'logprobs' is a required property", "OpenAI itself leaves it out (33 of 130 recorded answers)"),
    (r"'refusal' is a required property", "OpenAI itself leaves it out (16 of 130 recorded answers)"),
    (r"logprobs: \{'(reasoning_)?content': .*'bytes'", "logprobs without `refusal`, or with those of reasoning beside (DeepSeek)"),
)
PROSE = {"description", "example", "examples", "title", "default", "deprecated", "summary", "discriminator", "format"}
#: Members whose text the schemas look at; any other text counts by being text only.
WORDS = {"object", "role", "type", "finish_reason", "service_tier"}


def _trim(schema: Any) -> Any:
    """A schema without prose; members called like prose (a citation's `title`) stay."""
    if isinstance(schema, list):
        return [_trim(item) for item in schema]
    if not isinstance(schema, dict):
        return schema
    kept = {key: value for key, value in schema.items() if key not in PROSE and not key.startswith("x-")}
    return {key: {n: _trim(s) for n, s in value.items()} if key == "properties" else _trim(value) for key, value in kept.items()}


def _references(schema: Any) -> Iterator[str]:
    if isinstance(schema, dict):
        if "$ref" in schema:
            yield schema["$ref"].rpartition("/")[2]
        schema = list(schema.values())
    for item in schema if isinstance(schema, list) else ():
        yield from _references(item)


def extract(document: dict[str, Any]) -> dict[str, Any]:
    """The schemas under ROOTS and all they refer to, trimmed, as `$defs`."""
    wanted, found = list(ROOTS.values()), {}
    while wanted:
        name = wanted.pop()
        if name not in found:
            found[name] = _trim(document["components"]["schemas"][name])
            wanted += _references(found[name])
    text = json.dumps(found).replace("#/components/schemas/", "#/$defs/")
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "$comment": "From https://github.com/openai/openai-openapi (MIT), without texts and examples; `nullable` written as type null.",
        "$defs": dict(sorted(json.loads(text).items())),
    }


@cache
def _validator(kind: Kind) -> Draft202012Validator:
    return Draft202012Validator(json.loads(FILE.read_text(encoding="utf-8")) | {"$ref": f"#/$defs/{ROOTS[kind]}"})


def _skeleton(value: Any, name: str = "") -> Any:
    """The value with all it says taken out but what the schemas look at: equal skeletons are equally valid."""
    match value:
        case dict():
            return {key: _skeleton(item, key) for key, item in value.items()}
        case list():
            kept = []
            for item in value:
                bare = _skeleton(item)
                if bare not in kept:
                    kept.append(bare)
            return kept
        case str():
            return value if name in WORDS else ""
        case bool() | None:
            return value
        case int():
            return 0
    return 0.5


@cache
def _faults(kind: Kind, skeleton: str) -> tuple[str, ...]:
    found = []
    for fault in _validator(kind).iter_errors(json.loads(skeleton)):
        place = ".".join("*" if isinstance(step, int) else step for step in fault.absolute_path)
        found.append(f"{kind} at {place or 'its root'}: {fault.message}")
    return tuple(found)


def faults(kind: Kind, document: Any, near: bool = False) -> list[str]:
    """What of a served document OpenAI's description does not allow; empty when it is valid.

    `near`: it came from an upstream that speaks OpenAI's chat itself.
    """
    allowed = ALLOWANCES + NEAR_ALLOWANCES if near else ALLOWANCES
    found = _faults(kind, json.dumps(_skeleton(document)))
    return [fault[:240] for fault in found if not any(re.search(pattern, fault) for pattern, _ in allowed)]


if __name__ == "__main__":
    described = extract(json.loads(Path(sys.argv[1]).read_text(encoding="utf-8")))
    FILE.write_text(json.dumps(described, separators=(",", ":")) + "\n", encoding="utf-8")
