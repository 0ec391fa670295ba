"""Golden cases: what each dialect makes of a request, an answer, a stream, an error. One folder is one case, `<dialect>/<case>/`.

They run as `samewire test` runs a user's samples; `proxy/cli/cases.py` tells their form.
"""

from __future__ import annotations

from functools import cache
from pathlib import Path

import pytest

from proxy.cli.cases import Case
from proxy.config.dialects import Shelf
from proxy.dialect import Dialect

FOLDER = Path(__file__).parent
FOLDERS = sorted(path.parent for path in FOLDER.glob("*/*/case.yaml"))


@cache
def dialect(name: str) -> Dialect:
    """One of Samewire's dialects, compiled."""
    shelf = Shelf()
    spec = shelf.spec(name)
    assert spec is not None, shelf.diagnostics
    return spec.compile()


@cache
def read(folder: Path) -> Case:
    return Case.read(folder, dialect(folder.parent.name))


@pytest.mark.parametrize("folder", FOLDERS, ids=lambda folder: f"{folder.parent.name}/{folder.name}")
def test_case(folder: Path) -> None:
    """What is in the folder, and only that, comes out."""
    case = read(folder)
    assert case.head["source"]
    assert case.problems() == []


@pytest.mark.parametrize("name", Shelf().names())
def test_every_address_can_be_written(name: str) -> None:
    for operation in dialect(name).operations.values():
        for address in (operation.path, operation.stream_path):
            assert address.fill({"model": "some/model-1", "id": "x"}).startswith("/")


# -- completeness ------------------------------------------------------------------------------------------------------------


def needed() -> list[tuple[str, str, str]]:
    """Each dialect, operation and part that has rules of its own (what is passed through as it came needs no sample)."""
    found = []
    for name in Shelf().names():
        for operation in dialect(name).operations.values():
            stream = operation.stream is not None and not operation.stream.passthrough
            parts = {"request": operation.request is not None, "response": operation.response is not None, "stream": stream}
            found += [(name, operation.name, part) for part, has in parts.items() if has]
        found.append((name, "chat", "errors"))
    return found


@pytest.mark.parametrize(("name", "operation", "part"), needed())
def test_every_mapping_has_a_case(name: str, operation: str, part: str) -> None:
    shown = [case for case in map(read, FOLDERS) if case.folder.parent.name == name and case.operation.name == operation]
    assert any(part in case.parts for case in shown), f"{name} has no case for the {part} of {operation}"
