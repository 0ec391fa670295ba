"""docs/clients/README.md is made from what the clients were seen to do."""

from __future__ import annotations

import pytest

from tests.docs.clients import PAGE, cell, page, share
from tests.real.clients import clients


def test_the_page_is_up_to_date() -> None:
    assert PAGE.read_text("utf-8") == page(), "python -m tests.docs writes it anew"


def test_every_client_has_its_page() -> None:
    assert {client.page for client in clients().values()} == {path.name for path in PAGE.parent.glob("*.md")} - {PAGE.name}


@pytest.mark.parametrize(
    ("outcomes", "said"),
    [
        (["ok", "ok"], "yes"),
        (["ok", "not offered: x"], "yes"),
        (["ok", "not offered: not tried with this upstream"], "with one"),
        (["not offered: x", "not offered: y"], "–"),
        (["ok", "failed: x"], "not two"),
        (["failed: x", "failed: y"], "**no**"),
        (["failed: x", "not offered: y"], "**no**"),
    ],
)
def test_a_cell(outcomes: list[str], said: str) -> None:
    assert cell(dict(zip(("one", "two"), outcomes, strict=True))) == said


def test_a_share() -> None:
    assert share(["ok", "not offered: x"]) == "all 1"
    assert share(["ok", "failed: x", "not offered: x"]) == "**1 of 2**"
