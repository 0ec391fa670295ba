"""The light clients do against the running server what results.json says of them."""

from __future__ import annotations

import os
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import pytest_asyncio

from tests.real import results
from tests.real.clients import CAPABILITIES, Client, clients, run
from tests.real.pages import run_page
from tests.real.stage import UPSTREAMS, Stage

LIGHT = [client for client in clients().values() if client.light]


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def stage(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Stage]:
    folder: Path = tmp_path_factory.mktemp("real")
    async with Stage(folder) as stage:
        yield stage


def needs_packages(client: Client) -> None:
    """In CI they are there."""
    if client.node and not (client.folder / "installed").exists():
        assert "CI" not in os.environ, "its packages are not installed: python -m tests.real --install"
        pytest.skip("its packages are not installed: python -m tests.real --install")


@pytest.mark.asyncio(loop_scope="module")
@pytest.mark.parametrize("client", LIGHT, ids=[client.name for client in LIGHT])
async def test_a_light_client(stage: Stage, client: Client) -> None:
    needs_packages(client)
    outcomes = await run(client, stage)
    noted = results.read()[client.name]["outcomes"]
    other = {
        (upstream, capability): outcome
        for upstream, row in outcomes.items()
        for capability, outcome in row.items()
        if outcome.partition(":")[0] != noted[upstream][capability].partition(":")[0]
    }
    assert other == {}, "python -m tests.real notes it anew, if it is right"


@pytest.mark.asyncio(loop_scope="module")
@pytest.mark.parametrize("page", sorted({client.page for client in LIGHT}))
async def test_the_page_of_a_light_client(stage: Stage, page: str) -> None:
    client = next(client for client in LIGHT if client.page == page)
    needs_packages(client)
    assert await run_page(client, stage) == "ok"


def test_every_client_has_been_run_and_every_result_is_whole() -> None:
    noted = results.read()
    assert noted.keys() == clients().keys()
    for entry in noted.values():
        assert entry.keys() == {"version", "date", "page", "outcomes"}
        assert entry["outcomes"].keys() == UPSTREAMS.keys()
        assert all(row.keys() == set(CAPABILITIES) for row in entry["outcomes"].values())
