"""Simon Willison's llm: chat completions."""

from __future__ import annotations

import json

import scenario as s
from terminal import Ran, Terminal, plays

terminal = Terminal()
TOOLS = "\n".join(f'def {name}(city: str) -> str:\n    "{what}"\n    return "{s.WORDS[name]}"\n' for name, what in s.DESCRIPTIONS.items())


def ask(model: str, prompt: str, *more: str, key: str = s.KEY) -> Ran:
    entry = {
        "model_id": "m",
        "model_name": model,
        "api_base": f"{s.URL}/v1",
        "api_key_name": "samewire",
        "supports_tools": True,
        "supports_schema": True,
        "vision": True,
    }
    terminal.write("llm/extra-openai-models.yaml", json.dumps([entry]))
    return terminal.run("llm", "-m", "m", "--key", key, *more, prompt, LLM_USER_PATH=str(terminal.home / "llm"))


plays(ask, None)


@s.play("chat")
def chat(model: str) -> None:
    s.holds(ask(model, "play: chat", "--no-stream").said, s.WORDS["text"])


@s.play("tool")
def tool(model: str) -> None:
    s.holds(ask(model, "play: tool", "--functions", TOOLS, "--td").said, "weather", s.WORDS["weather"])


@s.play("tools")
def tools(model: str) -> None:
    s.holds(ask(model, "play: tools", "--functions", TOOLS, "--td").said, "weather", "time")


@s.play("round trip")
def round_trip(model: str) -> None:
    s.holds(ask(model, "play: tools", "--functions", TOOLS).said, "The tools say: ", *s.BOTH_TOLD)


@s.play("structured")
def structured(model: str) -> None:
    s.same(json.loads(ask(model, "play: structured", "--schema", "city, people int").said), s.WORDS["city"])


@s.play("vision")
def vision(model: str) -> None:
    s.holds(ask(model, "play: vision", "-a", "picture.png").said, s.WORDS["seen"])


s.run()
