"""What the scenario files of Python clients have in common. Needs nothing but Python: each client has an environment of its own.

A file names its plays with `@play("chat")` and ends in `run()`, which tries each against each upstream and prints a line of JSON for each:
`{"upstream", "capability", "outcome": "ok" | "failed", "why"}`.
"""

from __future__ import annotations

import json
import os
import sys
import traceback
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any, NoReturn

WORDS: dict[str, Any] = json.loads((Path(__file__).parent.parent / "plays.json").read_text("utf-8"))
URL = os.environ["SAMEWIRE_URL"]  # http://127.0.0.1:port, without /v1
KEY = os.environ["SAMEWIRE_KEY"]
WRONG_KEY = "sk-nobody"
NO_MODEL = "nobody-has-this"
TIMEOUT = 20.0
#: JSON Schema of both tools' parameters.
CITY_PARAMETERS = {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"], "additionalProperties": False}
DESCRIPTIONS = {"weather": "The weather in a city", "time": "The time in a city"}
PICTURE_URL = f"data:image/png;base64,{WORDS['picture']}"
WEATHER_TOLD, BOTH_TOLD = WORDS["weather"], (WORDS["weather"], WORDS["time"])

_plays: dict[str, Callable[[str], None]] = {}


def play(capability: str) -> Callable[[Callable[[str], None]], Callable[[str], None]]:
    """A function that tries a capability with a model, and raises when it fails."""

    def named(function: Callable[[str], None]) -> Callable[[str], None]:
        _plays[capability] = function
        return function

    return named


def same(got: Any, wanted: Any) -> None:
    """Raises AssertionError when they are not equal."""
    assert got == wanted, f"{got!r} instead of {wanted!r}"


def holds(got: Any, *wanted: str) -> None:
    """Raises AssertionError when a text is not in it."""
    missing = [text for text in wanted if text not in str(got)]
    assert not missing, f"{got!r} lacks {missing!r}"


def raises(kind: type[BaseException] | tuple[type[BaseException], ...], function: Callable[[], Any]) -> Any:
    """The exception that a call must raise."""
    try:
        got = function()
    except kind as error:
        return error
    raise AssertionError(f"nothing was raised; it gave {got!r}")


def breaks(kind: type[BaseException] | tuple[type[BaseException], ...], pieces: Callable[[], Iterable[Any]]) -> None:
    """A stream must begin, and then raise this instead of ending."""
    seen: list[Any] = []

    def reading() -> None:
        for piece in pieces():  # those count that come before it
            seen.append(piece)

    raises(kind, reading)
    assert seen, "it broke before it began"


def run() -> NoReturn:
    """Tries everything, and ends the program."""
    for upstream in os.environ["SAMEWIRE_UPSTREAMS"].split(","):
        for capability, function in _plays.items():
            if capability not in os.environ.get(f"SAMEWIRE_WITHOUT_{upstream.upper()}", "").split(","):
                told = {"upstream": upstream, "capability": capability, **_tried(function, f"on-{upstream}")}
                print(json.dumps(told), flush=True)
    sys.exit(0)


def _tried(function: Callable[[str], None], model: str) -> dict[str, str]:
    try:
        function(model)
    except Exception as error:  # whatever a client raises is its result
        if "SAMEWIRE_TRACE" in os.environ:
            traceback.print_exc()
        return {"outcome": "failed", "why": " ".join(f"{type(error).__name__}: {error}".split())[:300]}
    return {"outcome": "ok", "why": ""}
