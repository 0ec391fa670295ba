"""`samewire` as a user starts it: a process, its words, the request it prints, its end."""

from __future__ import annotations

import http.client
import json
import os
import re
import shlex
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).parent.parent.parent
QUESTION = [{"role": "user", "content": "Hello!"}]
TOOLS = [
    {"type": "function", "function": {"name": "forecast", "parameters": {"type": "object", "properties": {"town": {"type": "string"}}}}}
]


class Served:
    """A running process and what it said until it was ready."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        self.process = process
        self.banner: list[str] = []
        assert process.stderr is not None
        for line in process.stderr:
            self.banner.append(line.rstrip("\n"))
            if line.startswith("  curl "):
                return
        raise AssertionError("\n".join(self.banner))

    @property
    def port(self) -> int:
        (url,) = (line.split()[1] for line in self.banner if line.strip().startswith("base_url"))
        return int(url.removeprefix("http://127.0.0.1:").removesuffix("/v1"))

    @contextmanager
    def answer(self, **body: Any) -> Iterator[http.client.HTTPResponse]:
        with closing(http.client.HTTPConnection("127.0.0.1", self.port, timeout=30)) as connection:
            text = json.dumps({"messages": QUESTION, **body})
            connection.request("POST", "/v1/chat/completions", text, {"content-type": "application/json"})
            with connection.getresponse() as response:
                yield response

    def ask(self, **body: Any) -> tuple[int, Any]:
        with self.answer(**body) as response:
            return response.status, json.loads(response.read())

    def stop(self, number: int = signal.SIGTERM) -> tuple[int, str]:
        """Exit code and the last words."""
        self.process.send_signal(number)
        _, err = self.process.communicate(timeout=30)
        return self.process.returncode, err


@contextmanager
def serving(folder: Path, *argv: str, **environ: str) -> Iterator[Served]:
    kept = {
        name: value for name, value in os.environ.items() if not name.endswith(("_API_KEY", "_TOKEN")) and not name.startswith("SAMEWIRE")
    }
    process = subprocess.Popen(
        [sys.executable, "-m", "proxy", *argv],
        cwd=folder,
        env=kept | {"PYTHONPATH": str(ROOT)} | environ,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    try:
        yield Served(process)
    finally:
        process.kill()
        process.communicate()


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    with serving(tmp_path_factory.mktemp("empty"), "--port", "0") as running:
        yield running


def test_the_table_says_what_can_be_used(served: Served) -> None:
    rows = {line.split()[0]: " ".join(line.split()[1:]) for line in served.banner if line.startswith("  ") and line.split()}
    assert rows["demo-claude"].startswith("demo demo-claude, ")
    assert rows["openai"].startswith("no key: set OPENAI_API_KEY ")
    assert rows["ollama"].startswith("ready ")
    assert "only this machine is served" in rows["api_key"]


def test_the_printed_request_works(served: Served) -> None:
    command = shlex.split(served.banner[-1])
    done = subprocess.run([*command, "--silent", "--show-error", "--fail"], capture_output=True, text=True, timeout=280, check=False)
    assert done.returncode == 0, done.stderr
    lines = [line for line in done.stdout.splitlines() if line]
    assert lines[-1] == "data: [DONE]"
    assert "".join(json.loads(line[6:])["choices"][0]["delta"].get("content", "") for line in lines[:-1])


@pytest.mark.parametrize("flavour", ["claude", "gemini", "deepseek", "ollama"])
def test_each_demo_fits_the_request(served: Served, flavour: str) -> None:
    model = f"demo-{flavour}"
    status, text = served.ask(model=model)
    assert status == 200
    assert text["choices"][0]["message"]["content"]
    assert text["model"] == model
    assert text["usage"]["total_tokens"] > 0

    status, thought = served.ask(model=model, reasoning_effort="low")
    assert status == 200
    assert thought["choices"][0]["message"]["reasoning_content"]
    assert thought["choices"][0]["message"]["content"]

    status, called = served.ask(model=model, tools=TOOLS)
    assert status == 200
    (call,) = called["choices"][0]["message"]["tool_calls"]
    assert (call["function"]["name"], json.loads(call["function"]["arguments"])) == ("forecast", {"town": "example"})
    assert called["choices"][0]["finish_reason"] == "tool_calls"


@pytest.mark.parametrize("flavour", ["claude", "gemini", "deepseek", "ollama"])
def test_a_demo_that_breaks_off_gives_an_honest_error(served: Served, flavour: str) -> None:
    status, error = served.ask(model=f"demo-{flavour}-cut")
    assert status == 502
    assert error["error"]["type"] == "upstream_error"

    with served.answer(model=f"demo-{flavour}-cut", stream=True) as response:
        assert response.status == 200
        with pytest.raises(http.client.IncompleteRead) as broken:
            response.read()
    events = [line for line in broken.value.partial.decode().splitlines() if line.startswith("data: ")]
    assert json.loads(events[0][6:])["object"] == "chat.completion.chunk"
    assert json.loads(events[-1][6:])["error"]["type"] == "upstream_error"


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_told_to_stop_it_lets_running_answers_end(tmp_path: Path, number: int) -> None:
    with serving(tmp_path, "--port", "0") as running, running.answer(model="demo-ollama", stream=True) as response:
        first = response.readline()
        code, words = running.stop(number)
        assert (first + response.read()).decode().endswith("data: [DONE]\n\n")
    assert code == 0
    assert words.strip() == "stopping: running answers have 30 s"  # and nothing of the demo servers' own


def test_it_listens_on_a_unix_socket(tmp_path: Path) -> None:
    with serving(tmp_path, "--socket", "s.sock") as running:
        assert any(line.split() == ["base_url", "unix:s.sock"] for line in running.banner if line)
        done = subprocess.run(
            [*shlex.split(running.banner[-1]), "-sSf"], cwd=tmp_path, capture_output=True, text=True, timeout=280, check=False
        )
        assert done.stdout.endswith("data: [DONE]\n\n"), done.stderr


def test_the_environment_says_where_to_listen(tmp_path: Path) -> None:
    with serving(tmp_path, SAMEWIRE_HOST="127.0.0.1", SAMEWIRE_PORT="0") as running:
        assert running.ask(model="demo-gemini")[0] == 200


def start(folder: Path, *argv: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "proxy", *argv],
        cwd=folder,
        env=os.environ | {"PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        timeout=280,
        check=False,
    )


def test_an_address_that_is_taken_is_one_clear_sentence(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = str(taken.getsockname()[1])
        done = start(tmp_path, "--port", port)
    assert done.returncode == 1
    assert done.stderr == f"cannot listen on 127.0.0.1:{port}: Address already in use\n"


def test_a_unix_socket_is_not_taken_from_a_running_server(tmp_path: Path) -> None:
    with socket.socket(socket.AF_UNIX) as taken:
        taken.bind(str(tmp_path / "s.sock"))
        taken.listen()
        done = start(tmp_path, "--socket", "s.sock")
    assert done.returncode == 1
    assert done.stderr == "cannot listen on s.sock: Address already in use\n"
    with serving(tmp_path, "--socket", "s.sock") as running:  # what a dead server left behind is no hindrance
        assert any(line.split() == ["base_url", "unix:s.sock"] for line in running.banner if line)


def test_a_folder_that_is_not_there(tmp_path: Path) -> None:
    done = start(tmp_path, "--socket", "nowhere/s.sock")
    assert (done.returncode, done.stderr) == (1, "cannot listen on nowhere/s.sock: No such file or directory\n")


@pytest.mark.parametrize("port", ["70000", "-1"])
def test_a_port_that_cannot_be(tmp_path: Path, port: str) -> None:
    done = start(tmp_path, f"--port={port}")
    assert done.returncode == 2
    assert "a port is a number from 0 to 65535" in done.stderr


def test_faults_of_the_configuration_keep_it_from_starting(tmp_path: Path) -> None:
    (tmp_path / "routes.yaml").write_text("version: 1\nproviders: {}\nroutes:\n  - {model: a, to: nobody}\n", "utf-8")
    done = start(tmp_path)
    assert done.returncode == 1
    assert "routes.yaml:4:20: error[unknown-provider]" in done.stderr


def test_the_readmes_python_works(served: Served) -> None:
    readme = (ROOT / "README.md").read_text("utf-8")
    (code,) = re.findall(r"```python\n(.*?)```", readme, re.DOTALL)
    assert "127.0.0.1:8787" in code
    code = code.replace("127.0.0.1:8787", f"127.0.0.1:{served.port}")
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=280, check=False)
    assert done.returncode == 0, done.stderr
    assert done.stdout.strip()


def test_the_demos_run_alone() -> None:
    command = [sys.executable, "-m", "proxy", "demo", "ollama", "--json", "--pace", "0"]
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        address = json.loads("".join(iter(process.stdout.readline, "}\n")) + "}")["ollama"]
        host, port = address.removeprefix("http://").split(":")
        with closing(http.client.HTTPConnection(host, int(port), timeout=30)) as connection:
            connection.request("POST", "/api/chat", json.dumps({"model": "m", "stream": False}))
            with connection.getresponse() as response:
                assert json.loads(response.read())["message"]["content"]
        process.send_signal(signal.SIGINT)
        _, err = process.communicate(timeout=30)
    assert process.returncode == 0
    assert err == ""


def test_a_demo_that_does_not_exist_is_told(tmp_path: Path) -> None:
    done = start(tmp_path, "demo", "chocolate")
    assert done.returncode == 2
    assert "no such flavour: chocolate; there are claude, " in done.stderr
