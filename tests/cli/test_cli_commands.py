"""The commands that read a configuration and answer."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from proxy.cli import run
from proxy.config.files import shipped
from tests.cli.conftest import ROUTES, SECRET

# ── check ──


def test_check_says_that_all_is_well(routes: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["check"]) == 0
    out, err = capsys.readouterr()
    assert out == "routes.yaml: ok: 4 providers (1 demo, 1 no key, 2 ready), 7 routes\n"
    assert err == ""


def test_check_reports_every_fault_on_stderr(routes: Path, capsys: pytest.CaptureFixture[str]) -> None:
    routes.write_text(ROUTES.replace("demo: ollama", "demo: olama").replace("to: messages/", "to: mesages/"), "utf-8")
    assert run(["check"]) == 1
    out, err = capsys.readouterr()
    assert out == ""
    assert [line for line in err.splitlines() if line.startswith("routes.yaml:6:") and "error[" in line]
    assert [line for line in err.splitlines() if line.startswith("routes.yaml:11:") and "error[" in line]
    assert err.splitlines()[-1] == "routes.yaml: 2 errors"


def test_check_tells_machines(routes: Path, capsys: pytest.CaptureFixture[str]) -> None:
    routes.write_text(ROUTES.replace("demo: ollama", "demo: olama"), "utf-8")
    assert run(["check", "--json"]) == 1
    told = json.loads(capsys.readouterr().out)
    assert told["ok"] is False
    assert [(found["file"], found["line"], found["severity"]) for found in told["diagnostics"]] == [("routes.yaml", 6, "error")]
    routes.write_text(ROUTES, "utf-8")
    assert run(["check", "--json"]) == 0
    assert json.loads(capsys.readouterr().out) == {"file": "routes.yaml", "ok": True, "diagnostics": []}


def test_a_warning_is_shown_and_is_no_error(routes: Path, capsys: pytest.CaptureFixture[str]) -> None:
    routes.write_text(ROUTES.replace('"${NEVER_SET_KEY}"', SECRET), "utf-8")
    assert run(["check"]) == 0
    out, err = capsys.readouterr()
    assert out.rstrip().endswith("; 1 warning")
    assert "warning[inline-secret]" in err
    assert SECRET not in err


@pytest.mark.parametrize("command", [["check"], ["routes"], ["explain", "--model", "exact"]])
def test_a_configuration_that_is_not_there(routes: Path, capsys: pytest.CaptureFixture[str], command: list[str]) -> None:
    assert run([*command, "-c", "nowhere.yaml"]) == 1
    assert "nowhere.yaml:1:1: error[missing-file]" in capsys.readouterr().err


def test_the_environment_names_the_configuration(routes: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    routes.rename(routes.with_name("other.yaml"))
    monkeypatch.setenv("SAMEWIRE_CONFIG", "other.yaml")
    assert run(["check"]) == 0
    assert capsys.readouterr().out.startswith("other.yaml: ok")


# ── routes, schema, version ──


def test_routes_are_listed(routes: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["routes"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].split() == ["MODEL", "OPERATIONS", "TARGETS", "NOTES"]
    assert lines[1].split() == ["exact", "embeddings", "keyed:vectors"]
    assert "keyed:a ×9 | demo:b ×1" in lines[5]
    assert "no key: set NEVER_SET_KEY" in lines[6]
    assert "client's key" in lines[7]
    assert [line.split()[:2] for line in lines[10:]] == [["keyed", "ready"], ["messages", "ready"], ["demo", "demo"], ["unkeyed", "no"]]


def test_routes_for_machines(routes: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["routes", "--json"]) == 0
    told = json.loads(capsys.readouterr().out)
    assert [route["model"] for route in told["routes"]] == ["exact", "exact", "ex*", "talk", "split", "off", "lent"]
    assert told["routes"][0] == {
        "model": "exact",
        "operations": ["embeddings"],
        "order": "ordered",
        "targets": [{"provider": "keyed", "model": "vectors", "weight": 1, "after": []}],
        "ready": True,
        "line": 8,
    }
    assert [provider["state"] for provider in told["providers"]] == ["ready", "no key: set NEVER_SET_KEY", "ready", "demo"]
    ready = told["providers"][0]
    assert "chat" in ready["operations"]
    assert "messages" in ready["translated"]
    assert not set(ready["operations"]) & set(ready["translated"])


@pytest.mark.parametrize(
    "argv", [["routes"], ["routes", "--json"], ["explain", "--model", "exact"], ["explain", "--model", "exact", "--json"]]
)
def test_a_key_in_a_url_is_not_shown(routes: Path, capsys: pytest.CaptureFixture[str], argv: list[str]) -> None:
    routes.write_text(ROUTES.replace("api.example.com/v1", "api.example.com/v1?api-version=2&api-key=${EXAMPLE_KEY}"), "utf-8")
    assert run(argv) == 0
    out, _ = capsys.readouterr()
    assert "api-version=2&api-key=***" in out
    assert SECRET not in out


@pytest.mark.parametrize("which", ["routes", "dialect"])
def test_schema_prints_what_editors_take(which: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["schema", which]) == 0
    assert capsys.readouterr().out == (shipped("schemas") / f"{which}.schema.json").read_text("utf-8")


def test_version(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["version"]) == 0
    assert capsys.readouterr().out.startswith("samewire 0.")
    assert run(["version", "--json"]) == 0
    assert json.loads(capsys.readouterr().out).keys() == {"samewire", "python"}


# ── starting fast ──


@pytest.mark.parametrize(
    ("argv", "unwanted"),
    [
        (["--help"], {"aiohttp", "asyncio", "yaml", "jsonschema", "msgspec"}),
        (["check", "--help"], {"aiohttp", "asyncio", "yaml", "jsonschema", "msgspec"}),
        (["version"], {"aiohttp", "asyncio", "yaml", "jsonschema", "msgspec"}),
        (["check"], {"aiohttp", "uvloop", "prometheus_client", "httptools"}),
        (["routes"], {"aiohttp", "uvloop", "prometheus_client", "httptools"}),
        (["schema"], {"aiohttp", "uvloop", "prometheus_client", "httptools"}),
    ],
)
def test_no_server_is_loaded_to_answer(routes: Path, argv: list[str], unwanted: set[str]) -> None:
    script = (
        "import sys\nfrom proxy.cli import run\ntry:\n    code = run(sys.argv[1:])\nexcept SystemExit as left:\n    code = left.code\n"
        "print('MODULES', *sys.modules)\nsys.exit(code)"
    )
    root = Path(__file__).parent.parent.parent
    done = subprocess.run(
        [sys.executable, "-c", script, *argv], env={"PYTHONPATH": str(root)}, capture_output=True, text=True, timeout=280, check=False
    )
    assert done.returncode == 0, done.stderr
    loaded = set(done.stdout.rpartition("MODULES")[2].split())
    assert "proxy.cli" in loaded
    assert loaded & unwanted == set()
