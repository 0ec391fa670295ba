"""The files of the client dialects, as they are read at the start and in full."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from proxy.config.client_dialects import load_client_dialects, outline, read_spec
from proxy.config.files import CLIENT_DIALECTS

PATHS = sorted(CLIENT_DIALECTS.iterdir())


def without_rules(spec: dict[str, Any]) -> dict[str, Any]:
    """What an outline must tell."""
    operations = {name: {key: key == "chat" or value for key, value in entry.items()} for name, entry in spec.get("operations", {}).items()}
    return {key: value for key, value in spec.items() if key not in ("defs", "schemas", "tables", "traits")} | {"operations": operations}


@pytest.mark.parametrize("path", PATHS, ids=lambda path: path.stem)
def test_an_outline_is_all_but_the_rules(path: Path) -> None:
    assert read_spec(path, outline) == without_rules(read_spec(path))


@pytest.mark.parametrize("file", sorted(CLIENT_DIALECTS.rglob("*.yaml")), ids=lambda file: f"{file.parent.stem}-{file.stem}")
def test_an_outline_is_short(file: Path) -> None:
    """What is read at each start."""
    assert len(outline(file.read_text("utf-8"))) < 6000


def test_openai_comes_first() -> None:
    assert load_client_dialects().dialects[0].name == "openai"
