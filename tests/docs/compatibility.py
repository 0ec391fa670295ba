"""What becomes of each thing that a request can ask for, in each dialect: the compiled mappings are asked.

Nothing is taken on trust: a member counts as carried only when the upstream's body is another than without it, and holds what it said.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from copy import deepcopy
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any, Literal

import yaml

from proxy.config import load
from proxy.config.model import Provider
from proxy.dialect import Dialect
from proxy.mapping.context import Context
from proxy.mapping.mappings import Rejected

ROOT = Path(__file__).parent.parent.parent
Outcome = Literal["carried", "in part", "reported", "refused", "lost"]
PROBES = yaml.safe_load(Path(__file__).with_name("probes.yaml").read_text("utf-8"))
#: Members of every request.
ALWAYS = {name: PROBES.pop(name) for name in ("model", "messages")}
#: The names of all members that OpenAI describes.
REQUEST = frozenset(PROBES.pop("request"))


@dataclass(frozen=True, slots=True)
class Probe:
    """One row: a request with `asked` in it is held against the same one without. The words are explained in probes.yaml."""

    group: str
    asks: str
    asked: Mapping[str, Any]
    without: Mapping[str, Any]
    finds: tuple[Any, ...]
    param: str | None
    ours: bool

    @property
    def names(self) -> set[str | None]:
        """The members that a refusal or a report may name."""
        return {*self.asked, self.param}


def probes() -> Iterator[Probe]:
    """All of probes.yaml."""
    for group, rows in PROBES.items():
        for row in rows:
            asked = row["set"] if "set" in row else {"messages": [{"role": "user", "content": row["content"]}]}
            without = ALWAYS | row.get("with", {})
            yield Probe(group, row["asks"], asked, without, tuple(row.get("finds", ())), row.get("param"), row.get("ours", False))


@cache
def providers() -> Mapping[str, Provider]:
    """Those of the default configuration, every key set."""
    file = ROOT / "routes.yaml"
    return load(file, dict.fromkeys(re.findall(r"\$\{(\w+)\}", file.read_text("utf-8")), "key")).providers


def mapped(dialect: Dialect, model: str, request: Mapping[str, Any]) -> tuple[dict[str, Any], tuple[str, ...]]:
    """The upstream's body and the names of what is reported. Raises Rejected."""
    body = deepcopy(dict(request)) | {"model": model}
    mapping = dialect.operations["chat"].request
    if mapping is None:
        return body, ()
    return mapping(body, Context(model=model, traits=dialect.traits(model), stream=bool(body.get("stream")), req=deepcopy(body)))


def outcome(dialect: Dialect, model: str, probe: Probe) -> Outcome:
    """What becomes of the probe. A refusal or a report that names something else is an AssertionError."""
    try:
        body, dropped = mapped(dialect, model, {**probe.without, **probe.asked})
    except Rejected as rejected:
        assert rejected.param in probe.names, f"{probe.asks}: refused in the name of {rejected.param}"
        return "refused"
    without, dropped_anyway = mapped(dialect, model, probe.without)
    reported = {name for name in dropped if name.partition(".")[0] in probe.names}
    assert {*dropped} - {*dropped_anyway} <= reported, f"{probe.asks}: reported as {dropped}"
    if reported:
        return "in part" if body != without else "reported"
    kept = body != without and all(found(body, expected) for expected in probe.finds)
    return "carried" if kept or probe.ours else "lost"


def found(document: Any, expected: Any) -> bool:
    """Whether a document holds a text (inside of others, also as a key) or a number, or one of a list of them."""
    if isinstance(expected, list):
        return any(found(document, one) for one in expected)
    if isinstance(document, dict):
        return any(found(item, expected) for item in [*document, *document.values()])
    if isinstance(document, list):
        return any(found(item, expected) for item in document)
    if isinstance(expected, str):
        return isinstance(document, str) and expected in document
    return type(document) is type(expected) and bool(document == expected)
