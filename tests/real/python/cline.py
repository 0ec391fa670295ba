"""Cline's command line: chat completions, by the AI SDK's openai-compatible."""

from __future__ import annotations

import scenario as s
from terminal import Ran, Terminal, plays

terminal = Terminal()


def ask(model: str, prompt: str, *, key: str = s.KEY) -> Ran:
    told = terminal.run("cline", "auth", "openai-compatible", "-k", key, "-m", model, "-b", f"{s.URL}/v1")
    if told.code:
        return told
    return terminal.run("cline", "--json", "--retries", "1", prompt)


plays(ask, lambda file: {"name": "read_files", "input": {"files": [{"path": str(terminal.work / file)}]}}, fails=False)
s.run()
