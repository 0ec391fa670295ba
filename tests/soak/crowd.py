"""The clients: some read, some read slowly, some leave, some ask nonsense. Each tells the ledger what it sent and what became of it."""

from __future__ import annotations

import asyncio
import json
import random
from dataclasses import dataclass

from tests.soak.faults import ANSWERS, DEADLY, HARMLESS
from tests.soak.ledger import Ledger, Outcome
from tests.stage.client import Connection

#: How clients behave, and how likely each is.
MANNERS = {"read": 60, "slow": 4, "leave": 8, "leave-early": 6, "half": 3, "nonsense": 4, "stranger": 3, "unknown": 3, "pair": 3}
#: Seconds for any answer to have ended one way or the other; the configuration's deadlines are far shorter.
PATIENCE = 20.0
KEY = "soak-client-key"


@dataclass(slots=True)
class Plan:
    """One request."""

    number: int
    manner: str
    dialect: str
    fault: str
    size: int
    streamed: bool

    @property
    def must_succeed(self) -> bool:
        return self.fault in HARMLESS and self.manner in ("read", "slow", "pair")

    @property
    def must_fail(self) -> bool:
        return self.fault in DEADLY or self.manner in ("nonsense", "stranger", "unknown")

    @property
    def body(self) -> bytes:
        model = "nobody/knows" if self.manner == "unknown" else f"{self.dialect}/{self.fault}-{self.size}"
        asked = {"model": model, "messages": [{"role": "user", "content": "x" * (self.size % 997)}], "stream": self.streamed}
        return json.dumps(asked).encode()[: -1 if self.manner == "nonsense" else None]

    @property
    def headers(self) -> dict[str, str]:
        key = "wrong" if self.manner == "stranger" else KEY
        return {"content-type": "application/json", "authorization": f"Bearer {key}", "x-request-id": f"soak-{self.number}"}


def draw(chance: random.Random, number: int) -> Plan:
    """The next request."""
    faults = DEADLY | HARMLESS
    fault = chance.choices(list(faults), list(faults.values()))[0]
    size = 200_000 if fault == "large" else chance.randint(2, 2000)
    manner = chance.choices(list(MANNERS), list(MANNERS.values()))[0]
    return Plan(number, manner, chance.choice(list(ANSWERS)), fault, size, chance.random() < 0.6)


class Client:
    """One client: a request after the other, on one connection as long as it lasts."""

    def __init__(self, address: tuple[str, int], ledger: Ledger, chance: random.Random) -> None:
        self._address = address
        self._ledger = ledger
        self._chance = chance
        self._connection: Connection | None = None

    async def ask(self, plan: Plan) -> None:
        """Sends one request and notes how it ended."""
        self._ledger.sent(plan.number, plan.manner, plan.fault)
        try:
            async with asyncio.timeout(PATIENCE):
                connection = self._connection or await Connection(self._address).__aenter__()
                self._connection = None
                outcome = await self._carry_out(plan, connection)
        except TimeoutError:
            outcome = Outcome("lost", detail="no end in time")
        except (OSError, asyncio.IncompleteReadError) as error:
            outcome = Outcome("lost", detail=f"closed before the head: {error!r}")
        self._ledger.ended(plan.number, outcome)
        wrong = (plan.must_succeed and outcome.kind != "answered") or (plan.must_fail and outcome.kind == "answered")
        if wrong or outcome.kind == "lost":
            self._ledger.breach(f"{plan}: {outcome}")

    def leave(self) -> None:
        """Closes what is open."""
        if self._connection is not None:
            self._connection.leave()

    async def _carry_out(self, plan: Plan, connection: Connection) -> Outcome:
        body = plan.body
        if plan.manner == "half":
            connection.send("POST", "/v1/chat/completions", body, plan.headers | {"x-padding": "x" * 100})
            connection.leave()
            return Outcome("cancelled")
        connection.send("POST", "/v1/chat/completions", body, plan.headers)
        if plan.manner == "pair":  # both in one write, the second a page
            connection.send("GET", "/healthz", b"", {"x-request-id": f"page-{plan.number}"})
        if plan.manner == "leave-early":
            await asyncio.sleep(self._chance.random() * 0.05)
            connection.leave()
            return Outcome("cancelled")
        status, headers = await connection.head()
        if plan.manner == "leave":
            await connection.reader.read(64)
            connection.leave()
            return Outcome("cancelled")
        if plan.manner == "slow":
            await asyncio.sleep(self._chance.random() * 0.2)
        answer, complete = await connection.body(headers)
        if plan.manner == "pair" and complete:
            second, more = await connection.head()
            await connection.body(more)
            if second != 200:
                return Outcome("lost", detail=f"the second of two got {second}")
        if complete and headers.get("connection") != "close":
            self._connection = connection
        else:
            connection.leave()
        return judged(status, answer, complete, streamed=headers.get("content-type", "").startswith("text/event-stream"))


def judged(status: int, body: bytes, complete: bool, *, streamed: bool) -> Outcome:
    """How an answer ended: whole, or as a failure that says so; anything else is `lost`."""
    if status >= 400:
        told = json.loads(body).get("error") if complete else None
        lawful = isinstance(told, dict) and bool(told.get("message"))
        return Outcome("failed" if lawful else "lost", status, f"{body[-200:]!r}")
    if not streamed:
        whole = complete and bool(json.loads(body)["choices"])
        return Outcome("answered" if whole else "lost", status, f"{body[-200:]!r}")
    last = body.rstrip().rpartition(b"\n\n")[2]
    if complete and last == b"data: [DONE]":
        return Outcome("answered", status)
    broken = not complete and b"[DONE]" not in body and '"error"' in last.decode()
    return Outcome("failed" if broken else "lost", status, f"{body[-200:]!r}")
