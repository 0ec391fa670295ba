"""Codex CLI: responses."""

from __future__ import annotations

import json
from typing import Any

import scenario as s
from terminal import Ran, Terminal, plays

terminal = Terminal()
terminal.write(
    ".codex/config.toml",
    f"""
model_provider = "samewire"
[model_providers.samewire]
name = "Samewire"
base_url = "{s.URL}/v1"
env_key = "SAMEWIRE_API_KEY"
wire_api = "responses"
request_max_retries = 0
stream_max_retries = 0
""",
)


def ask(model: str, prompt: str, *more: str, key: str = s.KEY) -> Ran:
    options = ("--skip-git-repo-check", "--dangerously-bypass-approvals-and-sandbox", "--json", "-m", model, *more)
    return terminal.run("codex", "exec", *options, "--", prompt, SAMEWIRE_API_KEY=key)


def _said(ran: Ran) -> list[str]:
    events: list[Any] = [json.loads(line) for line in ran.said.splitlines() if line.startswith("{")]
    return [event["item"]["text"] for event in events if event.get("item", {}).get("type") == "agent_message"]


plays(ask, lambda file: {"name": "exec_command", "input": {"cmd": f"cat {file}"}})


@s.play("structured")
def structured(model: str) -> None:
    schema = {"type": "object", "properties": {"city": {"type": "string"}, "people": {"type": "integer"}}}
    schema |= {"required": ["city", "people"], "additionalProperties": False}
    terminal.write("work/city.json", json.dumps(schema))
    s.same(json.loads(_said(ask(model, "play: structured", "--output-schema", "city.json"))[-1]), s.WORDS["city"])


@s.play("vision")
def vision(model: str) -> None:
    s.same(_said(ask(model, "play: vision", "-i", "picture.png"))[-1], s.WORDS["seen"])


s.run()
