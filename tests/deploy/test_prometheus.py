"""deploy/prometheus.yml, its rules, and a real scrape, judged by Prometheus' own promtool."""

from __future__ import annotations

import asyncio
import re
import subprocess
from pathlib import Path

import aiohttp
import pytest
import yaml

from proxy.config.model import Server
from tests.deploy.processes import ROOT
from tests.deploy.programs import program
from tests.stage.client import DEADLINE
from tests.stage.fixtures import Play
from tests.stage.upstream import events, whole
from tests.stage.wires import chunk, openai_answer, say

DEPLOY = ROOT / "deploy"


def promtool(*arguments: str | Path, given: str | None = None) -> tuple[int, str]:
    """Exit code and all that it says."""
    done = subprocess.run(
        [program("promtool", "prometheus"), *map(str, arguments)], input=given, capture_output=True, text=True, timeout=280, check=False
    )
    return done.returncode, done.stdout + done.stderr


def test_the_configuration_is_valid() -> None:
    code, said = promtool("check", "config", DEPLOY / "prometheus.yml")
    assert code == 0, said
    assert "1 rule files found" in said


def test_it_asks_where_the_gateway_listens() -> None:
    (job,) = yaml.safe_load((DEPLOY / "prometheus.yml").read_text("utf-8"))["scrape_configs"]
    assert job["static_configs"][0]["targets"] == [f"{Server().hosts[0]}:{Server().port}"]


def test_the_alerts_say_what_they_should() -> None:
    code, said = promtool("test", "rules", Path(__file__).with_name("rules_test.yml"))
    assert code == 0, said


async def scrape(served: str) -> str:
    """/metrics over the gateway's Unix socket."""
    connector = aiohttp.UnixConnector(served.removeprefix("unix:"))
    async with (
        asyncio.timeout(DEADLINE),
        aiohttp.ClientSession(connector=connector) as session,
        session.get("http://localhost/metrics") as response,
    ):
        assert response.status == 200
        return await response.text()


@pytest.mark.asyncio(loop_scope="session")
async def test_a_real_scrape(front: Play, served: str) -> None:
    hello = {"content": "Hello"}
    assert (await front.ask("openai", openai_answer(hello))).status == 200
    assert (await front.ask('openai/"\\', openai_answer(hello))).status == 200
    assert (await front.ask("anthropic", say("anthropic", "Hello"), stream=True, seed=1)).complete
    assert not (await front.ask("gemini", say("gemini", "Hello", end="cut"), stream=True)).complete
    assert not (await front.ask("openai", events(chunk(hello), end="cut", done=False), stream=True)).complete
    assert (await front.ask("ollama", whole({"error": "overloaded"}, status=503))).status == 503
    assert (await front.ask("nobody")).status == 404

    text = await scrape(served)
    assert promtool("check", "metrics", given=text) == (0, "")
    series = set(re.findall(r"^(\w+)\{?", text, re.MULTILINE))
    rules = yaml.safe_load((DEPLOY / "samewire.rules.yml").read_text("utf-8"))["groups"][0]["rules"]
    used = {name for rule in rules for name in re.findall(r"\b(?:gen_ai_server|samewire)_\w+", rule["expr"])}
    assert used
    assert used - {"samewire_worker_restarts_total"} <= series  # that one there is where there are several workers
    for name in ("gen_ai_client_token_usage_sum", "samewire_upstream_errors_total", "samewire_dropped_parameters_total"):
        assert name in series
    assert {"503", "truncated"} <= set(re.findall(r'error_type="(\w+)"', text))
