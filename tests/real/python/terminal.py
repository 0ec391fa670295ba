"""What the scenario files of command-line tools have in common: a home folder of their own, a folder to work in, one run for each play."""

from __future__ import annotations

import atexit
import base64
import json
import os
import shutil
import signal
import subprocess
import tempfile
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import scenario as s

CLIENT = Path(os.environ["SAMEWIRE_CLIENT"])
NOTES = {"first.txt": "the first note says 4711", "second.txt": "the second note says 4712"}
DEADLINE = 60.0


@dataclass(frozen=True, slots=True)
class Ran:
    """How a run ended, and all it said."""

    code: int
    said: str


class Terminal:
    """A home folder and in it `work`, with two notes and a picture."""

    def __init__(self) -> None:
        self.home = Path(tempfile.mkdtemp(prefix="samewire-client-", dir=Path.home() / ".cache"))
        self.work = self.home / "work"
        self.work.mkdir()
        for name, text in NOTES.items():
            (self.work / name).write_text(text + "\n", "utf-8")
        atexit.register(self.end)
        (self.work / "picture.png").write_bytes(base64.b64decode(s.WORDS["picture"]))

    def write(self, path: str, text: str) -> None:
        """A file below the home folder."""
        file = self.home / path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text, "utf-8")

    def end(self) -> None:
        """Ends what a tool has left running (it has this home folder in its environment), and takes the folder away."""
        mark = f"HOME={self.home}\0".encode()
        for entry in Path("/proc").glob("[0-9]*/environ"):
            with suppress(OSError):
                if mark in entry.read_bytes() + b"\0":
                    os.kill(int(entry.parent.name), signal.SIGKILL)
        shutil.rmtree(self.home, ignore_errors=True)

    def run(self, *argv: str, **environ: str) -> Ran:
        """Runs a program of the client's, and whatever it leaves behind is ended with it."""
        node = os.environ.get("SAMEWIRE_NODE", "")
        path = f"{CLIENT}/node_modules/.bin:{CLIENT}/bin:{node}:{os.environ['PATH']}"
        process = subprocess.Popen(
            argv,
            cwd=self.work,
            env={"PATH": path, "HOME": str(self.home), "LANG": "C.UTF-8", "TERM": "dumb", **environ},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
        try:
            said, _ = process.communicate(timeout=DEADLINE)
        except subprocess.TimeoutExpired:  # some ask again and again: what they have said by then must do
            os.killpg(process.pid, signal.SIGKILL)
            said, _ = process.communicate()
        finally:
            with suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
        return Ran(process.returncode, said.decode(errors="replace"))


Ask = Callable[..., Ran]


def plays(ask: Ask, read: Callable[[Path], Mapping[str, object]] | None, *, fails: bool = True) -> None:
    """The plays of every such tool. `ask(model, prompt, key=…)` runs it once; `read(file)` is the call of its own tool that reads a file
    (None: it has no tools). `fails`: it ends with a code when it fails; else its words must do.
    """

    @s.play("stream")
    def stream(model: str) -> None:
        s.holds(ask(model, "play: chat").said, s.WORDS["text"])

    if read is not None:
        _tool_plays(ask, read)

    def failed(ran: Ran, *words: str) -> None:
        assert not fails or ran.code != 0, f"it ended well: {ran.said[-200:]}"
        said = " ".join(ran.said.split())  # some break lines at any place
        assert any(word in said for word in words), f"{said[-250:]!r} lacks {words}"

    @s.play("401")
    def unauthorized(model: str) -> None:
        failed(ask(model, "Say hello to me", key=s.WRONG_KEY), "Incorrect API key", "401")

    @s.play("404")
    def unknown_model(model: str) -> None:
        failed(ask(s.NO_MODEL, "Say hello to me"), "does not exist", "issue with the selected model", "404")

    @s.play("429")
    def rate_limited(model: str) -> None:
        failed(ask(model, "play: error 429"), "vendor's own 429", "429", "ate limit")

    @s.play("broken stream")
    def broken(model: str) -> None:
        failed(ask(model, "play: cut"), *BROKEN)


#: What tools say when a stream breaks off.
BROKEN = ("closed the connection", "disconnected", "terminated", "incomplete", "onnection", "rror")


def _tool_plays(ask: Ask, read: Callable[[Path], Mapping[str, object]]) -> None:
    def called(model: str, *names: str) -> Ran:
        calls = [read(Path(name)) for name in names]
        return ask(model, f"play: call {json.dumps({'name': calls[0]['name'], 'inputs': [call['input'] for call in calls]})}")

    @s.play("tool")
    def tool(model: str) -> None:
        s.holds(called(model, "first.txt").said, "4711")

    @s.play("tools")
    def tools(model: str) -> None:
        s.holds(called(model, "first.txt", "second.txt").said, "4711", "4712")

    @s.play("round trip")
    def round_trip(model: str) -> None:
        s.holds(called(model, "second.txt").said, "The tools say: ", "4712")
