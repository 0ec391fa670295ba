"""docs/compatibility.md, written from what the dialects do."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from itertools import groupby

from tests.docs.compatibility import ROOT, Probe, outcome, probes, providers

PAGE = ROOT / "docs" / "compatibility.md"
#: Provider in routes.yaml, model: of vendors whose models differ one of today's and one of long ago.
COLUMNS = (
    ("openai", "gpt-5"),
    ("minimax", "MiniMax-M3"),
    ("anthropic", "claude-opus-5-5"),
    ("anthropic", "claude-3-5-haiku"),
    ("gemini", "gemini-4-argon"),
    ("gemini", "gemini-2.0-flash"),
    ("deepseek", "deepseek-chat"),
    ("deepseek", "deepseek-r1"),
    ("mistral", "mistral-large"),
    ("mistral", "magistral-small"),
    ("ollama", "qwen3"),
)
#: Stands for any model of a host.
ANY_MODEL = "a-model"
INTRODUCTION = """\
# What is carried, and what is not

<!-- Written by `python -m tests.docs`: do not edit. A test holds it to what the dialects do. -->

For everything that a chat request can ask for, and each dialect:

- **carried**: it is in the upstream's request, in the vendor's own words and bounds;
- **in part**: as far as the vendor goes; the rest is named in `x-samewire-dropped`;
- **reported**: the vendor has no place for it, the request is served without, and it is named in `x-samewire-dropped`;
- **refused**: the answer would mean something else without it: 400, naming the parameter.

Where the route says `unsupported: reject`, what is only in part or reported is refused, too.
Values that OpenAI documents as the default say nothing and are never reported.
What a model then does with a parameter, or refuses itself, is the vendor's affair.
"""
HOSTS = """
## Other hosts

The other hosts of the default configuration speak OpenAI's language and get everything,
but for what their rules in [routes.yaml](../routes.yaml) take out (here for a model that none of their `traits` names):

| host | reported |
|---|---|
"""
Column = tuple[str, str]


def page() -> str:
    """The whole text."""
    asked = list(probes())
    merged = list(merge(COLUMNS, asked))
    tables = [table(group, list(rows), merged) for group, rows in groupby(asked, lambda probe: probe.group)]
    return INTRODUCTION + "".join(tables) + HOSTS + "".join(hosts(asked))


def cell(column: Column, probe: Probe) -> str:
    provider, model = column
    return outcome(providers()[provider].dialect, model, probe)


def merge(columns: Iterable[Column], asked: list[Probe]) -> Iterator[list[Column]]:
    """Columns that are alike in all rows, together."""
    alike: dict[tuple[str, ...], list[Column]] = {}
    for column in columns:
        alike.setdefault(tuple(cell(column, probe) for probe in asked), []).append(column)
    return iter(alike.values())


def table(group: str, rows: list[Probe], merged: list[list[Column]]) -> str:
    """One table of the page."""
    names = [", ".join(dict.fromkeys(providers()[provider].dialect.name for provider, _ in found)) for found in merged]
    heads = [f"{name}<br>{found[0][1]}" if names.count(name) > 1 else name for name, found in zip(names, merged, strict=True)]
    lines = [f"| | {' | '.join(heads)} |", "|---" * (len(heads) + 1) + "|"]
    for probe in rows:
        cells = (cell(found[0], probe) for found in merged)
        lines.append(f"| {probe.asks} | {' | '.join(text if text == 'carried' else f'**{text}**' for text in cells)} |")
    return "\n".join(["", f"## {group}", "", *lines, ""])


def hosts(asked: list[Probe]) -> Iterator[str]:
    """A line for each host that has no column and does not get everything."""
    shown = {provider for provider, _ in COLUMNS}
    for name, provider in providers().items():
        kept_back = [probe.asks for probe in asked if cell((name, ANY_MODEL), probe) != "carried"]
        if kept_back and name not in shown and not provider.demo:
            yield f"| {name} | {'; '.join(kept_back)} |\n"
