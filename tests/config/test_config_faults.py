"""Faulty configurations and what is said of them, word for word.

`faults/<name>.yaml`, or `faults/<name>/routes.yaml` with the files it names. The lines that begin with `#|` are what `samewire check`
must print; all else is the configuration. After a change of wording, `python -m tests.config.test_config_faults` writes them anew
(read the diff).
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from functools import cache
from pathlib import Path

import pytest

from proxy.config import load, render
from proxy.config.codes import CODES
from proxy.errors import ConfigError, Diagnostic
from proxy.mapping.faults import CODES as MAPPING_CODES

FOLDER = Path(__file__).parent / "faults"
CASES = sorted([*FOLDER.glob("*.yaml"), *FOLDER.glob("*/routes.yaml")])
ENVIRONMENT = {"SET": "value", "EMPTY": "", "OPENAI_API_KEY": "sk-test", "NON_ASCII": "schlüssel", "TWO_LINES": "one\ntwo"}

#: Tested below: no file of a few lines shows them.
ELSEWHERE = {"yaml-size"}


def name(path: Path) -> str:
    return path.stem if path.parent == FOLDER else path.parent.name


def diagnose(path: Path, environ: Mapping[str, str] = ENVIRONMENT) -> tuple[Diagnostic, ...]:
    with pytest.raises(ConfigError) as raised:
        load(path, environ)
    return raised.value.diagnostics


def expected(path: Path) -> str:
    lines = path.read_text(encoding="utf-8").split("\n")
    return "".join(line[3:] + "\n" for line in lines if line.startswith("#|"))


@pytest.fixture(autouse=True)
def here(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(FOLDER)


@pytest.mark.parametrize("path", CASES, ids=name)
def test_all_faults_are_told(path: Path) -> None:
    diagnostics = diagnose(path.relative_to(FOLDER))
    assert render(diagnostics) == expected(path)
    for found in diagnostics:
        assert found.code in CODES or found.code in MAPPING_CODES
        assert Path(found.file).read_text(encoding="utf-8").split("\n")[found.line - 1] == found.source


@cache
def shown_codes() -> frozenset[str]:
    return frozenset(re.findall(r"(?:error|warning)\[([a-z-]+)\]", "".join(map(expected, CASES))))


@pytest.mark.parametrize("code", sorted(CODES.keys() - ELSEWHERE))
def test_every_code_has_an_example(code: str) -> None:
    assert code in shown_codes()


def test_a_file_that_is_not_there(tmp_path: Path) -> None:
    (found,) = diagnose(tmp_path / "nowhere.yaml")
    assert (found.code, found.line, found.column) == ("missing-file", 1, 1)
    assert "No such file" in found.message


def test_a_file_that_is_not_utf8(tmp_path: Path) -> None:
    file = tmp_path / "routes.yaml"
    file.write_bytes(b"version: 1 # caf\xe9\n")
    assert [found.message for found in diagnose(file)] == ["cannot read this file: it is not UTF-8 (byte 16)"]


def test_a_file_that_is_too_large(tmp_path: Path) -> None:
    file = tmp_path / "routes.yaml"
    file.write_text("version: 1\n" + "# nothing\n" * 500_000, encoding="utf-8")
    assert [found.code for found in diagnose(file)] == ["yaml-size"]


def test_an_empty_file(tmp_path: Path) -> None:
    file = tmp_path / "routes.yaml"
    file.write_text("# all commented out\n", encoding="utf-8")
    assert [found.message for found in diagnose(file)] == ["this must be a map, not empty"]


def bless(path: Path) -> None:
    """Writes what is printed into the file; its own lines move what it tells by their number."""
    lines = [line for line in path.read_text(encoding="utf-8").split("\n") if not line.startswith("#|")]
    told: list[str] = []
    for _ in range(2):
        path.write_text("\n".join([*told, *lines]), encoding="utf-8")
        try:
            load(path, ENVIRONMENT)
        except ConfigError as error:
            told = [f"#| {line}".rstrip() for line in render(error.diagnostics).split("\n")[:-1]]
    path.write_text("\n".join([*told, *lines]), encoding="utf-8")


if __name__ == "__main__":
    import os

    os.chdir(FOLDER)
    for case in CASES:
        bless(case.relative_to(FOLDER))
