"""A vendor that Samewire does not know, added as a user would: one YAML file outside the package. The gateway is started on it as a
process of its own, recorded answers are replayed to it, and what it serves is judged by readings that share nothing with it."""

from __future__ import annotations

import asyncio
import json
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.corpus.facts import compare
from tests.corpus.grammar import adds_up, judge
from tests.corpus.readings import OPENAI
from tests.corpus.schemas import faults
from tests.stage.client import Served, call
from tests.stage.upstream import Script, Upstream
from tests.stranger import reading

HERE = Path(__file__).parent
ROOT = HERE.parents[1]
RECORDINGS = {file.stem: json.loads(file.read_text(encoding="utf-8")) for file in sorted((HERE / "recordings").glob("*.json"))}
CHATS = [name for name, record in RECORDINGS.items() if record["api"] == "cohere.chat"]
_BASE_URL = re.compile(r"base_url +http://([^:]+):(\d+)/v1")
DEADLINE = 20.0  # seconds the process has to say its address


class Play:
    """The recorded vendor and the gateway before it, on one event loop."""

    def __init__(self, runner: asyncio.Runner) -> None:
        self.runner = runner
        self.upstream = Upstream()
        self.address = ("", 0)

    def run(self, script: Script, body: dict[str, Any], path: str = "/v1/chat/completions") -> Served:
        """One request, answered by the vendor with `script`."""
        self.upstream.answer(script)
        return self.runner.run(call(self.address, body, path))


@pytest.fixture(scope="module")
def play() -> Iterator[Play]:
    with asyncio.Runner() as runner:
        found = Play(runner)
        runner.run(found.upstream.__aenter__())
        environ = {**os.environ, "NO_COLOR": "1", "COHERE_API_KEY": "sk-stranger", "COHERE_URL": f"http://127.0.0.1:{found.upstream.port}"}
        command = [sys.executable, "-m", "proxy", "serve", "-c", str(HERE / "routes.yaml"), "--port", "0"]
        with subprocess.Popen(command, cwd=ROOT, env=environ, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True) as gateway:
            try:
                assert gateway.stderr is not None
                said = runner.run(asyncio.wait_for(asyncio.to_thread(until_address, gateway.stderr), DEADLINE))
                found.address = (said[1], int(said[2]))
                yield found
            finally:
                gateway.terminate()
        runner.run(found.upstream.__aexit__())


def until_address(lines: Any) -> re.Match[str]:
    """Reads what the process says until it names its address."""
    said = ""
    for line in lines:
        said += line
        if address := _BASE_URL.search(line):
            return address
    raise AssertionError(f"the gateway did not start:\n{said}")


def script(record: dict[str, Any]) -> Script:
    """The recorded answer; a stream in one piece for each line."""
    answer = record["response"]
    if "body_text" in answer:
        return Script(
            [line.encode() for line in answer["body_text"].splitlines(keepends=True)], headers={"content-type": "text/event-stream"}
        )
    return Script([json.dumps(answer["body"]).encode()], answer["status"])


@pytest.mark.parametrize("name", CHATS)
@pytest.mark.parametrize("usage_asked", [True, False])
def test_recorded_chat(play: Play, name: str, usage_asked: bool) -> None:
    record = RECORDINGS[name]
    answer, streamed = record["response"], "body_text" in record["response"]
    body: dict[str, Any] = {"model": record["model"] or "command-r", "messages": [{"role": "user", "content": "Hi"}], "stream": streamed}
    if streamed and usage_asked:
        body["stream_options"] = {"include_usage": True}
    served = play.run(script(record), body)
    if not streamed:
        expected = reading.answer(answer["status"], answer["body"])
        document = served.json()
        assert not faults("answer" if served.status == 200 else "error", document)
        assert served.status != 200 or adds_up(document["usage"])
        assert not compare(expected, OPENAI.answer(served.status, document))
        return
    expected = reading.stream(answer["body_text"])
    assert not judge(served.body, usage_asked=usage_asked, complete=served.complete, usage_expected=expected.usage is not None)
    found = OPENAI.stream(served.body.decode())
    found.usage = found.usage if usage_asked else expected.usage
    assert not compare(expected, found)


def test_recorded_embeddings(play: Play) -> None:
    record = RECORDINGS["embeddings"]
    served = play.run(
        script(record), {"model": "embed-v4.0", "input": ["sunny day at the beach", "rainy day in the city"]}, "/v1/embeddings"
    )
    assert [item["embedding"] for item in served.json()["data"]] == record["response"]["body"]["embeddings"]["float"]
    assert served.json()["usage"] == {"prompt_tokens": 10, "total_tokens": 10}
    record = RECORDINGS["embeddings-error"]
    served = play.run(script(record), {"model": "embed-nonexistent", "input": "x"}, "/v1/embeddings")
    assert (served.status, served.json()["error"]["message"]) == (404, record["response"]["body"]["message"])


def test_what_the_vendor_is_asked(play: Play) -> None:
    """Its path, its key, its words; and the client is told what was left out."""
    body = {"model": "command-a-03-2025", "messages": [{"role": "developer", "content": "Be brief."}], "top_p": 0.5, "logit_bias": {"1": 1}}
    served = play.run(script(RECORDINGS["cut-short"]), body)
    asked = play.upstream.last
    assert (asked.method, asked.path, asked.headers["authorization"]) == ("POST", "/v2/chat", "Bearer sk-stranger")
    assert asked.json() == {
        "model": "command-a-03-2025",
        "stream": False,
        "messages": [{"role": "system", "content": "Be brief."}],
        "p": 0.5,
    }
    assert served.headers["x-samewire-dropped"] == "logit_bias"


def test_what_the_vendor_cannot_do(play: Play) -> None:
    served = play.run(script(RECORDINGS["cut-short"]), {"model": "command-a-03-2025", "messages": [], "n": 2})
    assert (served.status, served.json()["error"]["param"]) == (400, "n")
    assert not play.upstream.asked


def test_an_operation_the_dialect_does_not_have(play: Play) -> None:
    served = play.run(script(RECORDINGS["cut-short"]), {"model": "command-a-03-2025", "input": "x"}, "/v1/moderations")
    assert 400 <= served.status < 500
    assert not faults("error", served.json())
    assert not play.upstream.asked


def test_an_operation_that_becomes_a_chat(play: Play) -> None:
    """The stranger wrote nothing for clients that speak Responses; they are served all the same."""
    served = play.run(script(RECORDINGS["cut-short"]), {"model": "command-a-03-2025", "input": "x"}, "/v1/responses")
    assert (served.status, served.json()["object"], served.json()["status"]) == (200, "response", "incomplete")
    assert served.json()["output"][0]["content"][0]["text"]


def test_its_samples() -> None:
    """`samewire test`, as the stranger would run it."""
    command = [sys.executable, "-m", "proxy", "test", str(HERE / "cohere")]
    done = subprocess.run(command, cwd=ROOT, env={**os.environ, "NO_COLOR": "1"}, capture_output=True, text=True, timeout=280, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


def test_no_python_was_touched() -> None:
    """The vendor's name is in no file of the package, nor is its dialect shipped."""
    package = ROOT / "proxy"
    assert "cohere" not in {path.stem for path in (package / "dialects" / "upstream").iterdir()}
    assert not [path for path in package.rglob("*.py") if "cohere" in path.read_text(encoding="utf-8").lower()]
    assert yaml.safe_load((HERE / "routes.yaml").read_text(encoding="utf-8"))["dialects"] == {"cohere": "./cohere/dialect.yaml"}
