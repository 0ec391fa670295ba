"""Aider: chat completions, by litellm. It edits by words, not by tools."""

from __future__ import annotations

import scenario as s
from terminal import Ran, Terminal, plays

terminal = Terminal()
QUIET = (
    "--yes-always",
    "--no-git",
    "--no-show-model-warnings",
    "--no-check-update",
    "--analytics-disable",
    "--no-show-release-notes",
    "--no-pretty",
)


def ask(model: str, prompt: str, *, key: str = s.KEY) -> Ran:
    options = ("--model", f"openai/{model}", *QUIET, "--message", prompt)
    return terminal.run("aider", *options, OPENAI_API_BASE=f"{s.URL}/v1", OPENAI_API_KEY=key)


plays(ask, None, fails=False)
s.run()
