"""The books: what was sent and how it ended, as the clients saw it, beside what the gateway's log and metrics say."""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Literal

Kind = Literal["answered", "failed", "cancelled", "lost"]

_COUNT = re.compile(r"gen_ai_server_request_duration_seconds_count\{(?P<labels>[^}]*)\} (?P<count>\d+)")
_VALUE = re.compile(r"^(?P<name>[a-z_]+)(?:\{[^}]*\})? (?P<value>[0-9.e+]+)$", re.MULTILINE)


@dataclass(frozen=True, slots=True)
class Outcome:
    """How a request ended for the client that sent it. `lost`: in no way that is allowed."""

    kind: Kind
    status: int = 0
    detail: str = ""


class Ledger:
    """Both sides of the books."""

    def __init__(self) -> None:
        self.outcomes: dict[int, Outcome] = {}
        self.table: Counter[tuple[str, str, Kind]] = Counter()  # manner, fault, outcome
        self.breaches: list[str] = []
        self._open: dict[int, tuple[str, str]] = {}

    def sent(self, number: int, manner: str, fault: str) -> None:
        self._open[number] = manner, fault

    def ended(self, number: int, outcome: Outcome) -> None:
        manner, fault = self._open.pop(number)
        self.outcomes[number] = outcome
        self.table[manner, fault, outcome.kind] += 1

    def breach(self, text: str) -> None:
        self.breaches.append(text)

    @property
    def kinds(self) -> Counter[str]:
        return Counter(outcome.kind for outcome in self.outcomes.values())

    def compare(self, log: Iterable[Mapping[str, Any]], metrics: str) -> list[str]:
        """What does not agree between the clients' side and the gateway's; nothing, if all is well."""
        lines: dict[int, Mapping[str, Any]] = {}
        found = [f"{number} was sent and never ended" for number in self._open]
        total = 0
        for line in log:
            total += 1
            name = str(line["request_id"])
            if not name.startswith("soak-"):
                found.append(f"nobody sent {name}")
            elif (number := int(name.removeprefix("soak-"))) in lines:
                found.append(f"{name} is logged twice")
            else:
                lines[number] = line
        found += [said for number, outcome in self.outcomes.items() if (said := _differs(number, outcome, lines.get(number)))]
        counted = sum(int(match["count"]) for match in _COUNT.finditer(metrics))
        if counted != total:
            found.append(f"the metrics count {counted} requests, the log {total}")
        gone = sum(1 for line in lines.values() if line.get("client_gone"))
        values = {match["name"]: float(match["value"]) for match in _VALUE.finditer(metrics)}
        told = sum(float(match["value"]) for match in _VALUE.finditer(metrics) if match["name"] == "samewire_client_disconnects_total")
        if told != gone:
            found.append(f"the metrics count {told:g} clients that left, the log {gone}")
        if values["samewire_requests_in_flight"] != 0:
            found.append(f"{values['samewire_requests_in_flight']:g} requests are still in flight")
        return found


def read_log(text: str) -> list[dict[str, Any]]:
    """The lines of a request log."""
    return [json.loads(line) for line in text.splitlines()]


def _differs(number: int, outcome: Outcome, line: Mapping[str, Any] | None) -> str:
    """One request: what the client saw beside what was logged."""
    if line is None:
        # One that left may have been gone before its request had been read.
        return "" if outcome.kind == "cancelled" else f"soak-{number} ({outcome}) is not in the log"
    logged = "cancelled" if line.get("client_gone") else "failed" if line.get("error_type") else "answered"
    if outcome.kind == "cancelled":
        return ""  # what it did not wait for may have ended well, or badly
    if logged != outcome.kind:
        return f"soak-{number} {outcome} was logged as {logged}: {line}"
    if outcome.status >= 400 and line["status"] != outcome.status:
        return f"soak-{number} {outcome} was logged with {line['status']}"
    return ""
