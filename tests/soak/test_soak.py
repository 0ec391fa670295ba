"""The soak in its short form: everything it does, for less than a minute."""

from __future__ import annotations

from tests.soak.__main__ import report
from tests.soak.soak import soak

SECONDS = 45.0
RATE = 60.0  # requests a second: what a shared machine can carry beside the rest


async def test_every_request_is_accounted_for_and_nothing_grows() -> None:
    balance = await soak(SECONDS, RATE, seed=20260101)
    assert balance.faults == [], report(balance)
    assert balance.sent > SECONDS * RATE / 4, "too little load to tell anything"
    assert {"answered", "failed", "cancelled"} <= set(balance.kinds)
