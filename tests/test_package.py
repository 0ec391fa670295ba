"""What a user installs: the wheel holds all that is read at run time, and runs in an empty folder."""

from __future__ import annotations

import os
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest
from hatchling.builders.wheel import WheelBuilder

ROOT = Path(__file__).parent.parent


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return Path(next(iter(WheelBuilder(str(ROOT)).build(directory=str(tmp_path_factory.mktemp("dist"))))))


def contents(wheel: Path) -> set[str]:
    with zipfile.ZipFile(wheel) as archive:
        return {name for name in archive.namelist() if ".dist-info/" not in name}


def test_the_wheel_holds_the_package_and_its_data_and_nothing_else(wheel: Path) -> None:
    files = (path.relative_to(ROOT) for path in (ROOT / "proxy").rglob("*") if path.is_file())
    package = {file.as_posix() for file in files if not any(part.startswith((".", "__pycache__")) for part in file.parts)}
    schemas = {f"proxy/data/schemas/{path.name}" for path in (ROOT / "schemas").iterdir()}
    assert contents(wheel) == package | schemas | {"proxy/data/routes.yaml"}


def test_the_wheel_names_its_command_and_licence(wheel: Path) -> None:
    with zipfile.ZipFile(wheel) as archive:
        read = {Path(name).name: archive.read(name).decode() for name in archive.namelist() if ".dist-info/" in name}
    assert "samewire = proxy.__main__:main" in read["entry_points.txt"]
    assert "Apache License" in read["LICENSE"]
    assert "License-Expression: Apache-2.0" in read["METADATA"]


@pytest.fixture(scope="module")
def installed(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("installed")
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(folder)
    return folder


@pytest.mark.parametrize(
    "command", [["check"], ["routes"], ["schema"], ["schema", "dialect"], ["version"], ["explain", "--model", "demo-claude"]]
)
def test_the_installed_package_finds_its_data_in_an_empty_folder(installed: Path, tmp_path: Path, command: list[str]) -> None:
    environ = {name: value for name, value in os.environ.items() if not name.endswith("_API_KEY")} | {"PYTHONPATH": str(installed)}
    done = subprocess.run(
        [sys.executable, "-m", "proxy", *command], cwd=tmp_path, env=environ, capture_output=True, text=True, timeout=280, check=False
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout
    assert str(ROOT) not in done.stdout + done.stderr
