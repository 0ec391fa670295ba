"""The configurations of docs/recipes.md about failures: each loads as it is, and `explain` says of its policy what `policies/` has.

`policies/<name>.txt`: for each route its model, and the lines under "Policy". After a change of wording,
`python -m tests.cli.test_cli_policy` writes them anew (read the diff).
"""

from __future__ import annotations

import json
import re
from functools import cache
from pathlib import Path

import pytest

from proxy.cli import run
from proxy.cli.explanation import explain_request
from proxy.cli.policy import policy_lines
from proxy.config import load
from proxy.config.client_dialects import load_client_dialects
from proxy.config.policy import REASONS

RECIPES = Path(__file__).parents[2] / "docs" / "recipes.md"
FOLDER = Path(__file__).parent / "policies"
BLOCK = re.compile(r"^```yaml\n(# policy: (\S+)\n.*?)^```$", re.MULTILINE | re.DOTALL)


@cache
def blocks() -> dict[str, str]:
    """Policy → its configuration, as the page has it."""
    return {name: text for text, name in BLOCK.findall(RECIPES.read_text("utf-8"))}


def explained(name: str, folder: Path) -> str:
    file = folder / "routes.yaml"
    file.write_text(blocks()[name], "utf-8")
    config = load(file, {}, check=True)
    assert not [found for found in config.diagnostics if found.code != "inline-secret"]
    chat = load_client_dialects().operations["chat"]
    text = ""
    for route in config.routes:
        model = route.name.replace("*", "5")
        report = explain_request(config, chat, json.dumps({"model": model, "messages": []}).encode()).report
        text += "\n".join([route.name, *policy_lines(report["policy"]), ""])
    return text


@pytest.mark.parametrize("name", blocks())
def test_policies(name: str, tmp_path: Path) -> None:
    assert explained(name, tmp_path) == (FOLDER / f"{name}.txt").read_text("utf-8")


def test_every_policy_has_a_text_and_every_text_a_policy() -> None:
    assert {file.stem for file in FOLDER.glob("*.txt")} == blocks().keys()


def test_routes_are_listed_with_their_order_and_conditions(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    listed = ""
    for name in ("chain", "replicas"):
        (tmp_path / "routes.yaml").write_text(blocks()[name], "utf-8")
        assert run(["routes", "-c", str(tmp_path / "routes.yaml")]) == 0
        listed += " ".join(capsys.readouterr().out.split())
    assert "house:qwen3, gemini:gemini-3-pro (after context_length)" in listed
    assert "one:qwen3 | two:qwen3 least loaded" in listed
    assert "one:qwen3 | two:qwen3 ×2 sticky" in listed


def test_every_reason_is_explained() -> None:
    text = "".join(file.read_text("utf-8") for file in FOLDER.glob("*.txt"))
    assert all(re.search(rf"\b{reason}\b", text) for reason in REASONS)
    page = RECIPES.read_text("utf-8")
    assert all(f"`{reason}`" in page for reason in REASONS)


if __name__ == "__main__":
    import tempfile

    for policy in blocks():
        with tempfile.TemporaryDirectory() as place:
            (FOLDER / f"{policy}.txt").write_text(explained(policy, Path(place)), "utf-8")
