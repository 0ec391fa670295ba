"""The laws of the house that a machine can check. (mypy runs in .ci/run: it takes as long as the whole suite.)"""

from __future__ import annotations

import ast
import re
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from pathlib import Path

import pytest

import proxy
from proxy.mapping.catalogue import ENTRIES

ROOT = Path(__file__).parent.parent
DIALECTS = ROOT / "proxy" / "dialects"
MODULES = sorted((ROOT / "proxy").rglob("*.py"))
TESTS = sorted((ROOT / "tests").rglob("*.py"))
#: Words that say nothing about what is in a drawer.
BANNED = {"utils", "util", "helpers", "helper", "common", "base", "manager", "misc", "wrapper", "adapter"}
PYPROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))


def name(path: Path) -> str:
    return str(path.relative_to(ROOT))


def vendors() -> list[str]:
    """A vendor's name is that of an upstream dialect; OpenAI's is that of the shape all others are mapped to, think tags are nobody's."""
    found = {path.stem for path in (DIALECTS / "upstream").iterdir() if path.suffix == ".yaml" or path.is_dir()}
    return sorted(vendor for vendor in found if vendor != "openai" and not vendor.startswith("think"))


@pytest.mark.parametrize("path", [*MODULES, *TESTS], ids=name)
def test_a_file_has_at_most_400_lines(path: Path) -> None:
    assert len(path.read_text("utf-8").splitlines()) <= 400


@pytest.mark.parametrize("path", sorted(DIALECTS.rglob("*.yaml")), ids=name)
def test_a_dialect_file_has_at_most_250_lines(path: Path) -> None:
    assert len(path.read_text("utf-8").splitlines()) <= 250


def test_there_are_vendors_whose_names_could_be_found() -> None:
    assert {"anthropic", "gemini", "deepseek", "mistral", "ollama"} <= set(vendors())


@pytest.mark.parametrize("path", MODULES, ids=name)
def test_no_python_file_names_a_vendor(path: Path) -> None:
    named = re.compile(rf"(?<![a-z])({'|'.join(vendors())}|claude)(?![a-z])", re.IGNORECASE)
    lines = enumerate(path.read_text("utf-8").splitlines(), 1)
    assert [f"{name(path)}:{number}: {line}" for number, line in lines if named.search(line)] == []


@pytest.mark.parametrize("path", MODULES, ids=name)
def test_no_module_or_class_has_a_name_that_says_nothing(path: Path) -> None:
    classes = [node.name for node in ast.walk(ast.parse(path.read_text("utf-8"))) if isinstance(node, ast.ClassDef)]
    words = [re.findall(r"[A-Z]?[a-z]+", label) for label in classes if label != "BaseUrl"]  # a URL that is a base, not a base of classes
    named = set(path.relative_to(ROOT).with_suffix("").parts) | {word.lower() for label in words for word in label}
    assert named & BANNED == set()


def swallowing(tree: ast.AST) -> Iterator[int]:
    """Lines of handlers that take any exception and neither raise nor use it."""
    for node in ast.walk(tree):
        if not isinstance(node, ast.ExceptHandler):
            continue
        kinds = node.type.elts if isinstance(node.type, ast.Tuple) else [node.type]
        if not any(kind is None or (isinstance(kind, ast.Name) and kind.id in ("Exception", "BaseException")) for kind in kinds):
            continue
        inside = [inner for statement in node.body for inner in ast.walk(statement)]
        raises = any(isinstance(inner, ast.Raise) for inner in inside)
        uses = node.name is not None and any(isinstance(inner, ast.Name) and inner.id == node.name for inner in inside)
        logs = any(isinstance(inner, ast.Attribute) and inner.attr == "exception" for inner in inside)
        if not (raises or uses or logs):
            yield node.lineno


@pytest.mark.parametrize("path", MODULES, ids=name)
def test_nothing_swallows_every_exception(path: Path) -> None:
    assert list(swallowing(ast.parse(path.read_text("utf-8")))) == []


def test_a_swallowed_exception_would_be_found() -> None:
    handlers = [
        "except Exception:\n    pass",
        "except Exception as error:\n    g(error)",
        "except:\n    raise",
        "except (OSError, Exception):\n    g()",
    ]
    source = "".join(f"try:\n    f()\n{handler}\n" for handler in handlers)
    assert list(swallowing(ast.parse(source))) == [3, 15]


@pytest.mark.parametrize("path", MODULES, ids=name)
def test_the_laws_on_functions_and_imports_are_not_switched_off(path: Path) -> None:
    assert re.findall(r"# (?:noqa(?!:)|noqa: *(?:C901|PLR09\d\d|PLC0415)|ruff: *noqa|mypy: *ignore).*", path.read_text("utf-8")) == []


def test_the_caps_are_those_of_the_law() -> None:
    lint = PYPROJECT["tool"]["ruff"]["lint"]
    assert {"C90", "PL", "PLC0415"} <= set(lint["select"])
    assert lint["mccabe"]["max-complexity"] == 10
    assert (lint["pylint"]["max-statements"], lint["pylint"]["max-args"]) == (30, 6)
    assert not {"C901", "PLR0915", "PLR0913", "PLC0415"} & set(lint["ignore"])
    assert PYPROJECT["tool"]["mypy"]["strict"] is True


def test_the_catalogue_stays_small() -> None:
    assert len(ENTRIES) <= 45


@pytest.mark.parametrize(
    "command",
    [
        ["ruff", "check", "."],
        ["ruff", "format", "--check", "."],
        ["lint-imports"],
    ],
    ids=" ".join,
)
def test_the_linters_have_nothing_to_say(command: list[str]) -> None:
    program = Path(sys.executable).parent / command[0]
    done = subprocess.run([program, *command[1:]], cwd=ROOT, capture_output=True, text=True, timeout=280, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


def test_the_readme_opens_with_two_lines_to_copy() -> None:
    blocks = re.findall(r"```\w*\n(.*?)\n```", (ROOT / "README.md").read_text("utf-8"), re.DOTALL)[:2]
    venv = "python3 -m venv .venv && .venv/bin/pip install -q"
    assert blocks == [f"{venv} . && .venv/bin/samewire", f"{venv} '.[test]' && .venv/bin/python -m pytest"]


def test_ci_runs_the_readmes_test_command() -> None:
    """It takes the line out of the README instead of saying it again."""
    assert "README.md" in (ROOT / ".ci" / "run").read_text("utf-8")


def test_there_is_one_version() -> None:
    version = PYPROJECT["project"]["version"]
    assert proxy.__version__ == version
    assert f"\n## {version}" in (ROOT / "CHANGELOG.md").read_text("utf-8")


def test_the_top_level_holds_nothing_else() -> None:
    made = {"build", "dist", "samewire.egg-info"}
    given = {
        "pyproject.toml",
        "README.md",
        "routes.yaml",
        "schemas",
        "proxy",
        "tests",
        "deploy",
        "docs",
        "CHANGELOG.md",
        "LICENSE",
        "SECURITY.md",
    }
    assert {entry.name for entry in ROOT.iterdir() if not entry.name.startswith(".")} - made <= given
