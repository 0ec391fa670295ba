"""The recipes of docs/recipes.md for hosts: each block, as it stands there, is put under a provider, and makes of its cases what it should.

`idioms/<recipe>/<case>/` are golden cases; `proxy/cli/cases.py` tells their form.
"""

from __future__ import annotations

import re
from functools import cache
from pathlib import Path
from textwrap import indent

import pytest

from proxy.cli.cases import Case
from proxy.config import load
from proxy.dialect import Dialect

RECIPES = Path(__file__).parents[2] / "docs" / "recipes.md"
FOLDER = Path(__file__).parent / "idioms"
BLOCK = re.compile(r"^```yaml\n(# recipe: (\S+)\n.*?)^```$", re.MULTILINE | re.DOTALL)
CASES = sorted(path.parent for path in FOLDER.glob("*/*/case.yaml"))


@cache
def blocks() -> dict[str, str]:
    """Recipe → its YAML, as the page has it."""
    return {name: text for text, name in BLOCK.findall(RECIPES.read_text(encoding="utf-8"))}


@pytest.fixture(scope="module")
def spoken(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Dialect]:
    """Recipe → what its provider speaks."""
    file = tmp_path_factory.mktemp("recipes") / "routes.yaml"
    entries = [f"  {name}:\n    base_url: http://127.0.0.1:9/v1\n{indent(text, '    ')}" for name, text in blocks().items()]
    file.write_text("version: 1\nproviders:\n" + "".join(entries), encoding="utf-8")
    config = load(file, {}, check=True)
    assert not config.diagnostics
    return {name: provider.dialect for name, provider in config.providers.items()}


@pytest.mark.parametrize("folder", CASES, ids=lambda folder: f"{folder.parent.name}/{folder.name}")
def test_recipe(folder: Path, spoken: dict[str, Dialect]) -> None:
    assert Case.read(folder, spoken[folder.parent.name]).problems() == []


def test_every_recipe_has_a_case_and_every_case_a_recipe() -> None:
    assert {folder.parent.name for folder in CASES} == blocks().keys()
