"""Tables, colours and arguments."""

from __future__ import annotations

import io

import pytest

from proxy.cli.arguments import COMMANDS, parse
from proxy.cli.output import coloured, paint, table


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def test_columns_stand_below_their_heads() -> None:
    shown = table(("NAME", "STATE"), [("a", "ready"), ("longer", "no key")], io.StringIO())
    assert shown.splitlines() == ["NAME    STATE", "a       ready", "longer  no key"]


def test_colour_does_not_shift_columns(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("NO_COLOR", raising=False)
    monkeypatch.setenv("TERM", "xterm")
    lines = table(("NAME", "STATE", "X"), [("a", "ready", "x")], Terminal(), {"ready": "green"}).splitlines()
    assert lines[1] == "a     \x1b[32mready\x1b[0m  x"


@pytest.mark.parametrize(
    ("stream", "environ", "colour"),
    [
        (Terminal(), {}, True),
        (Terminal(), {"NO_COLOR": "1"}, False),
        (Terminal(), {"NO_COLOR": ""}, True),
        (Terminal(), {"TERM": "dumb"}, False),
        (io.StringIO(), {}, False),
    ],
)
def test_only_a_person_who_wants_it_gets_colour(
    monkeypatch: pytest.MonkeyPatch, stream: io.StringIO, environ: dict[str, str], colour: bool
) -> None:
    monkeypatch.delenv("NO_COLOR", raising=False)
    monkeypatch.setenv("TERM", "xterm")
    for name, value in environ.items():
        monkeypatch.setenv(name, value)
    assert coloured(stream) is colour
    assert (paint("word", "red", stream) == "word") is not colour


@pytest.mark.parametrize("argv", [[], ["--port", "0"], ["-c", "x.yaml"], ["serve", "--socket", "/tmp/s"]])
def test_serve_is_the_default_command(argv: list[str]) -> None:
    assert parse(argv).module == "serve"


@pytest.mark.parametrize("command", COMMANDS)
def test_each_command_has_help(command: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as left:
        parse([command, "--help"])
    assert left.value.code == 0
    assert f"samewire {command}" in capsys.readouterr().out


@pytest.mark.parametrize("argv", [["chekc"], ["--prot", "1"], ["demo", "--pace", "fast"], ["test"], ["schema", "cars"]])
def test_wrong_usage_leaves_with_2(argv: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as left:
        parse(argv)
    assert left.value.code == 2
    assert "usage: samewire" in capsys.readouterr().err
