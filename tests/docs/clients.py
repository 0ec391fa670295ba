"""docs/clients/README.md: what each client was seen to do, from tests/real/results.json."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from tests.docs.compatibility import ROOT
from tests.real import results
from tests.real.clients import CAPABILITIES, Client, clients
from tests.real.stage import UPSTREAMS

PAGE = ROOT / "docs" / "clients" / "README.md"
#: Client dialects, as the tables call them.
DIALECTS = {
    "chat": "chat completions",
    "responses": "Responses",
    "messages": "Messages",
    "generate": "generateContent",
    "ollama": "Ollama's API",
}
INTRODUCTION = """\
# Clients

<!-- Written by `python -m tests.docs` from tests/real/results.json: do not edit. A test holds it to that. -->

Each of these was installed as its users install it, pointed at a running `samewire`, and made to do what the columns say, once for each
kind of upstream ({upstreams}). `python -m tests.real --all` does it again; the light ones are run by every test run.
The vendors are pretended: they speak their own wire language and answer with what the request really held.

| | |
|---|---|
| models | the model list, as the client has it |
| chat, stream | an answer, whole and in pieces |
| tool, tools | one tool call; two at once, most of them streamed |
| round trip | the results of two tools go back, and the answer tells them |
| structured | an answer held to a JSON Schema, parsed by the client |
| vision | a picture arrives |
| embeddings | two texts become two vectors |
| reasoning | the reasoning text is where the client shows it |
| reasoning kept | what a vendor wants back of its reasoning after a tool call came back to it |
| 401, 404, 429 | a wrong key, an unknown model, a vendor's limit with its `retry-after`: the client raises what it has for it |
| broken stream | the vendor breaks off in the middle: the client reports a failure, not an answer |
"""


def page() -> str:
    """The whole text."""
    noted = {name: entry for name, entry in results.read().items() if name in clients()}
    return "".join([INTRODUCTION.format(upstreams=", ".join(UPSTREAMS)), *by_client(noted), *by_dialect(noted), *reasons(noted)])


def by_client(noted: Mapping[str, Any]) -> Iterator[str]:
    """The table client × capability."""
    yield "\n## Client and capability\n\n"
    yield "**yes**: with every kind of upstream that has it. **–**: the client does not offer it, or nobody tried. Else what failed.\n\n"
    yield f"| client | speaks | {' | '.join(CAPABILITIES)} | its page |\n{'|---' * (len(CAPABILITIES) + 3)}|\n"
    for client in in_order(noted):
        entry = noted[client.name]
        cells = (cell({upstream: row[capability] for upstream, row in entry["outcomes"].items()}) for capability in CAPABILITIES)
        runs = "runs" if entry["page"] == "ok" else "**no**"
        told = [f"[{client.title}]({client.page}) {entry['version']}", DIALECTS[client.dialect], *cells, runs]
        yield f"| {' | '.join(told)} |\n"


def cell(outcomes: Mapping[str, str]) -> str:
    """What a capability came to, over all upstreams."""
    failed = [upstream for upstream, outcome in outcomes.items() if outcome.startswith("failed")]
    if failed:
        return (
            "**no**"
            if len(failed) == sum(not outcome.startswith("not offered") for outcome in outcomes.values())
            else f"not {', '.join(failed)}"
        )
    fine = [upstream for upstream, outcome in outcomes.items() if outcome == "ok"]
    untried = any("not tried with" in outcome for outcome in outcomes.values())
    return f"with {', '.join(fine)}" if fine and untried else "yes" if fine else "–"


def by_dialect(noted: Mapping[str, Any]) -> Iterator[str]:
    """The table client dialect × upstream dialect."""
    yield "\n## Client dialect and upstream dialect\n\nHow many of the things that its clients offer and the vendor has were done.\n\n"
    yield f"| | {' | '.join(UPSTREAMS)} |\n{'|---' * (len(UPSTREAMS) + 1)}|\n"
    for dialect, name in DIALECTS.items():
        rows = [noted[client.name]["outcomes"] for client in in_order(noted) if client.dialect == dialect]
        if rows:
            cells = (share([outcome for row in rows for outcome in row[upstream].values()]) for upstream in UPSTREAMS)
            yield f"| {name} | {' | '.join(cells)} |\n"


def share(outcomes: list[str]) -> str:
    """How many are fine of those that are offered."""
    tried = [outcome for outcome in outcomes if not outcome.startswith("not offered")]
    fine = tried.count("ok")
    return f"all {fine}" if fine == len(tried) else f"**{fine} of {len(tried)}**"


def reasons(noted: Mapping[str, Any]) -> Iterator[str]:
    """What failed, and what is not offered, with the reasons."""
    failed, lacking = [], []
    for client in in_order(noted):
        page = noted[client.name]["page"]
        if page != "ok":
            failed.append(f"- {client.title}, [its page]({client.page}): {page.removeprefix('failed: ')}\n")
        told: dict[str, dict[str, list[str]]] = {}
        for upstream, row in noted[client.name]["outcomes"].items():
            for capability, outcome in row.items():
                if outcome != "ok":
                    told.setdefault(outcome, {}).setdefault(capability, []).append(upstream)
        for outcome, where in told.items():
            kind, _, why = outcome.partition(": ")
            line = f"- {client.title}, {', '.join(named(*item) for item in where.items())}: {why}\n"
            (failed if kind == "failed" else lacking).append(line)
    if failed:
        yield from ["\n## What failed\n\n", *failed]
    if lacking:
        yield from ["\n## What is not offered\n\n", *lacking]
    yield from [
        "\n## When\n\n",
        *(f"- {client.title} {noted[client.name]['version']}: {noted[client.name]['date']}\n" for client in in_order(noted)),
    ]


def named(capability: str, upstreams: list[str]) -> str:
    """A capability, and with which upstreams, where not with all."""
    return capability if len(upstreams) == len(UPSTREAMS) else f"{capability} ({', '.join(upstreams)})"


def in_order(noted: Mapping[str, Any]) -> list[Client]:
    """The clients that have been run, in the order of clients.yaml."""
    return [client for client in clients().values() if client.name in noted]
