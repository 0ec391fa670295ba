"""The transcripts of the client dialects; `cases.py` tells their form."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.clientdialects.cases import Case, clients

FOLDERS = sorted(path.parent for path in Path(__file__).parent.glob("*/cases/*/case.yaml"))


@pytest.mark.parametrize("folder", FOLDERS, ids=lambda folder: f"{folder.parent.parent.name}/{folder.name}")
def test_case(folder: Path) -> None:
    """What is in the folder, and only that, comes out."""
    assert Case.read(folder).problems() == []


def test_operations_have_names_of_their_own() -> None:
    names = [operation.name for dialect in clients().dialects for operation in dialect.operations]
    assert len(names) == len(set(names))


def test_every_rule_compiles() -> None:
    clients().mappings.compile()
