"""Every selected recording through the running gateway: whole, in crumbs, cut at awkward places; with and without usage asked for."""

from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.corpus.conftest import Theatre
from tests.corpus.exchanges import RECORDINGS, Exchange, collection
from tests.corpus.replay import replay
from tests.corpus.run import run

EXCHANGES = list(collection(RECORDINGS))
#: What does not come out right, with its reason: at most one in a hundred.
EXCEPTIONS: dict[str, str] = {}


@pytest.mark.parametrize("vendor", sorted({exchange.vendor for exchange in EXCHANGES}))
def test_recordings_come_out_right(theatre: Theatre, vendor: str) -> None:
    chosen: list[Exchange] = [one for one in EXCHANGES if one.vendor == vendor and one.record["case"] not in EXCEPTIONS]
    tally = theatre.run(lambda stage: run(chosen, stage))
    assert not tally.failed, tally.table(10)
    assert tally.passed[vendor] == len(chosen)


@settings(max_examples=150)
@given(data=st.data())
def test_any_cut_of_any_recording_comes_out_right(theatre: Theatre, data: st.DataObject) -> None:
    exchange = data.draw(st.sampled_from(EXCHANGES), label="recording")
    body = exchange.body()
    cuts = data.draw(st.lists(st.integers(0, len(body)), max_size=20).map(sorted), label="cuts")
    pieces = [body[start:end] for start, end in pairwise([0, *cuts, len(body)]) if start < end]
    assert theatre.run(lambda stage: replay(stage, exchange, lambda _: pieces)) == []


def test_exceptions_are_few() -> None:
    assert len(EXCEPTIONS) * 100 <= len(EXCHANGES)
