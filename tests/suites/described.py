"""schemathesis against the gateway: requests made after OpenAI's own description, and answers held to it.

    pip install -e .[suites]
    python -m tests.suites.described [cases for each operation]

Whatever it sends, an answer must be no fault of the server's, have a status and a content type that are described, and a form that is.
`openai_paths.json` is taken from OpenAI's OpenAPI document (https://github.com/openai/openai-openapi, MIT), without texts and examples:
`python -m tests.suites.described openapi.json` makes it anew. Added is that every operation may answer with an error; left out is the
form of answers that come from upstreams (tests/corpus holds those to it) and `stream`, because the upstream here answers whole.
"""

from __future__ import annotations

import asyncio
import json
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from tests.clients.test_json_texts import ANSWERS
from tests.exchange.wire import json_answer, serving
from tests.upstream.scripted import Peer, Step, request

FILE = Path(__file__).with_name("openai_paths.json")
PATHS = ("/chat/completions", "/completions", "/responses", "/embeddings", "/moderations", "/images/generations", "/audio/speech")
PAGES = ("/models", "/models/{model}")
CHECKS = "not_a_server_error,status_code_conformance,content_type_conformance,response_schema_conformance"
PROSE = frozenset(
    ("description", "example", "examples", "summary", "externalDocs", "deprecated", "tags", "security", "callbacks", "servers", "headers")
)
SOUND = b"HTTP/1.1 200 OK\r\ncontent-type: audio/mpeg\r\ncontent-length: 4\r\n\r\n\xff\xf3\x00\x00"
ERROR = {"description": "", "content": {"application/json": {"schema": {"$ref": "#/components/schemas/ErrorResponse"}}}}


def trimmed(part: Any, *, named: bool = False) -> Any:
    """Without prose. `named`: the keys are names of members, and stay."""
    if isinstance(part, list):
        return [trimmed(item) for item in part]
    if not isinstance(part, dict):
        return part
    kept = part if named else {key: value for key, value in part.items() if key not in PROSE and not key.startswith("x-")}
    return {key: trimmed(value, named=key == "properties" and not named) for key, value in kept.items() if not (named and key == "stream")}


def references(part: Any) -> Iterator[str]:
    """The schemas that a part refers to."""
    if isinstance(part, dict):
        if "$ref" in part:
            yield part["$ref"].rpartition("/")[2]
        part = list(part.values())
    for item in part if isinstance(part, list) else ():
        yield from references(item)


def extract(document: dict[str, Any]) -> dict[str, Any]:
    """The description of the paths that are served with JSON."""
    paths: dict[str, Any] = {}
    for path in (*PATHS, *PAGES):
        method = "get" if path in PAGES else "post"
        operation = trimmed(document["paths"][path][method])
        success = {"description": ""} | ({"content": operation["responses"]["200"]["content"]} if path in PAGES else {})
        paths[path] = {method: operation | {"responses": {"200": success, "default": ERROR}}}
    wanted, found = [*references(paths), "ErrorResponse"], {}
    while wanted:
        name = wanted.pop()
        if name not in found:
            found[name] = trimmed(document["components"]["schemas"][name])
            wanted += references(found[name])
    info = {"title": "OpenAI's API, the paths that are served", "version": document["info"]["version"]}
    return {"openapi": document["openapi"], "info": info, "paths": paths, "components": {"schemas": dict(sorted(found.items()))}}


def upstream(document: bytes) -> Step:
    """Answers every request on its connection: with this document, or with sound where that is asked for."""

    async def answers(peer: Peer) -> None:
        while True:
            await request(peer)
            speech = b"/audio/speech" in peer.requests.pop().partition(b"\r\n")[0]
            await peer.write(SOUND if speech else json_answer(document))

    return answers


async def run(dialect: str, cases: int) -> int:
    """Serves every model by an upstream of this dialect, and lets schemathesis ask. Its exit status."""
    changes = {"providers": {"p0": {"dialect": dialect}}, "routes": [{"model": "*", "to": "p0/up"}]}
    async with serving([upstream(ANSWERS[dialect])], **changes) as served:
        host, port = served.address
        command = ["run", str(FILE), "--url", f"http://{host}:{port}/v1", "--checks", CHECKS, "--phases", "fuzzing", "-n", str(cases)]
        more = ("--suppress-health-check", "all", "--generation-deterministic")
        process = await asyncio.create_subprocess_exec(sys.executable, "-m", "schemathesis.cli", *command, *more)
        return await process.wait()


if __name__ == "__main__":
    given = sys.argv[1] if len(sys.argv) > 1 else "30"
    if given.endswith(".json"):
        description = extract(json.loads(Path(given).read_text("utf-8")))
        FILE.write_text(json.dumps(description, separators=(",", ":"), ensure_ascii=False) + "\n", "utf-8")
    else:
        sys.exit(max(asyncio.run(run(dialect, int(given))) for dialect in ANSWERS))
