"""docs/operations.md: its configurations can be loaded, what it names is there, its unit is the one in deploy/."""

from __future__ import annotations

import configparser
import re
import subprocess
from pathlib import Path

import pytest
import yaml

from proxy.app.reload import needing_restart
from proxy.config import load
from proxy.config.model import Server
from proxy.workers.supervisor import LONGEST, RETIREMENT, SHORT_LIFE
from tests.deploy.processes import ROOT
from tests.deploy.programs import program

PAGE = (ROOT / "docs" / "operations.md").read_text("utf-8")
UNIT = ROOT / "deploy" / "samewire.service"
BLOCKS = re.findall(r"^```yaml\n(.*?)^```", PAGE, re.DOTALL | re.MULTILINE)


def test_there_are_blocks() -> None:
    assert len(BLOCKS) == 3


@pytest.mark.parametrize("block", BLOCKS)
def test_its_configurations_load(block: str, tmp_path: Path) -> None:
    file = tmp_path / "routes.yaml"
    file.write_text(yaml.safe_dump({"version": 1, "providers": {"a": {"base_url": "http://127.0.0.1:1"}}}) + block, "utf-8")
    assert load(file, {}).server != Server()


def unit(text: str) -> configparser.ConfigParser:
    parser = configparser.ConfigParser(strict=False)
    parser.optionxform = str  # type: ignore[assignment,method-assign]
    parser.read_string(text)
    return parser


def test_its_unit_is_the_one_that_comes_with_it() -> None:
    (shown,) = re.findall(r"^```ini\n(.*?)^```", PAGE, re.DOTALL | re.MULTILINE)
    whole = unit(UNIT.read_text("utf-8"))
    for name, value in unit(shown)["Service"].items():
        assert whole["Service"][name] == value
    assert int(whole["Service"]["TimeoutStopSec"]) > Server().drain


def test_systemd_understands_the_unit(tmp_path: Path) -> None:
    """But for the program, which is not where the unit says."""
    text = UNIT.read_text("utf-8").replace("/opt/samewire/.venv/bin/samewire", "/bin/true")
    copy = tmp_path / "samewire.service"
    copy.write_text(text, "utf-8")
    done = subprocess.run(
        [program("systemd-analyze", "systemd"), "verify", "--man=no", str(copy)], capture_output=True, text=True, timeout=280, check=False
    )
    assert "samewire.service" not in done.stderr, done.stderr


def test_its_figures_are_those_of_the_code() -> None:
    settings = Server()
    assert f"`drain` seconds ({settings.drain:g})" in PAGE
    assert f"dies again within {SHORT_LIFE:g} s later and later, up to {LONGEST:g} s" in PAGE
    assert RETIREMENT == 3600
    assert "an hour at most" in PAGE
    assert needing_restart(settings, Server(event_loop="uvloop", workers=2)) == ("server.event_loop", "server.workers")
    assert "for `event_loop` and `workers` of a single process" in PAGE


def test_its_links_lead_somewhere() -> None:
    for target in re.findall(r"\]\((?!http)([^)#]+)", PAGE):
        assert (ROOT / "docs" / target).exists(), target
