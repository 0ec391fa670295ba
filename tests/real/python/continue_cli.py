"""Continue's cn: chat completions."""

from __future__ import annotations

import scenario as s
from terminal import Ran, Terminal, plays

terminal = Terminal()


def ask(model: str, prompt: str, *, key: str = s.KEY) -> Ran:
    terminal.write(
        "config.yaml",
        f"""
name: Samewire
version: 1.0.0
schema: v1
models:
  - {{name: m, provider: openai, model: {model}, apiBase: "{s.URL}/v1", apiKey: {key}, roles: [chat], capabilities: [tool_use]}}
""",
    )
    return terminal.run("cn", "-p", prompt, "--config", str(terminal.home / "config.yaml"), CONTINUE_TELEMETRY_ENABLED="0")


plays(ask, lambda file: {"name": "Read", "input": {"filepath": str(terminal.work / file)}}, fails=False)
s.run()
