"""Claude Code: messages."""

from __future__ import annotations

import scenario as s
from terminal import Ran, Terminal, plays

terminal = Terminal()


def ask(model: str, prompt: str, *, key: str = s.KEY) -> Ran:
    return terminal.run(
        "claude", "-p", "--model", model, "--allowedTools", "Read", "--", prompt,
        ANTHROPIC_BASE_URL=s.URL, ANTHROPIC_API_KEY=key, CLAUDE_CODE_MAX_RETRIES="0", CLAUDE_CODE_DISABLE_NONESSENTIAL_TRAFFIC="1",
    )  # fmt: skip


plays(ask, lambda file: {"name": "Read", "input": {"file_path": str(terminal.work / file)}})
s.run()
