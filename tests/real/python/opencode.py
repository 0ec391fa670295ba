"""opencode: chat completions, by the AI SDK's openai-compatible."""

from __future__ import annotations

import json

import scenario as s
from terminal import Ran, Terminal, plays

terminal = Terminal()


def ask(model: str, prompt: str, *, key: str = s.KEY) -> Ran:
    provider = {
        "npm": "@ai-sdk/openai-compatible",
        "name": "Samewire",
        "options": {"baseURL": f"{s.URL}/v1", "apiKey": key},
        "models": {model: {"name": model}},
    }
    terminal.write(".config/opencode/opencode.json", json.dumps({"provider": {"samewire": provider}}))
    return terminal.run("opencode", "run", "-m", f"samewire/{model}", prompt, OPENCODE_DISABLE_AUTOUPDATE="1")


plays(ask, lambda file: {"name": "read", "input": {"filePath": str(terminal.work / file)}}, fails=False)
s.run()
