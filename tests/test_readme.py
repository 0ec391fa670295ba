"""The README says what is so: its files load, its links lead somewhere, its commands exist."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from proxy.cli.arguments import COMMANDS
from proxy.config import load

ROOT = Path(__file__).parent.parent
README = (ROOT / "README.md").read_text("utf-8")
KEYS = dict.fromkeys(("EXAMPLE_API_KEY", "OPENAI_API_KEY", "ANTHROPIC_API_KEY"), "secret")


def blocks(language: str) -> list[str]:
    return re.findall(rf"```{language}\n(.*?)```", README, re.DOTALL)


@pytest.mark.parametrize("text", blocks("yaml"))
def test_each_configuration_in_it_loads_without_a_fault(text: str, tmp_path: Path) -> None:
    file = tmp_path / "routes.yaml"
    file.write_text(text, "utf-8")
    config = load(file, KEYS)
    assert config.diagnostics == ()
    assert config.routes


def test_each_link_leads_to_a_file() -> None:
    links = [link for link in re.findall(r"\]\(([^)#]+)\)", README) if "://" not in link]
    assert links
    assert [link for link in links if not (ROOT / link).exists()] == []


def test_its_table_of_commands_is_whole() -> None:
    table = set(re.findall(r"^\| `samewire ?(\w*)", README, re.MULTILINE))
    assert table == ({*COMMANDS} - {"serve"}) | {""}


def test_each_command_it_names_exists() -> None:
    assert set(re.findall(r"`samewire (\w+)", README)) <= set(COMMANDS)
