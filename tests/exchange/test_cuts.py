"""The law of the end, at every byte: a stream cut anywhere never looks whole, and whole ones are the same in any pieces."""

from __future__ import annotations

import asyncio
import json
from dataclasses import dataclass, field
from types import SimpleNamespace
from typing import Any, cast

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy.codecs import DECODERS, SseDecoder
from proxy.config.dialects import DIALECTS, compile_file
from proxy.errors import ExchangeError, UpstreamError
from proxy.exchange.answer import Answer
from proxy.exchange.lanes import Lane, Passed, Translated
from proxy.exchange.pace import Pace
from proxy.exchange.relay import EventRelay
from proxy.mapping.chunks import DONE, ChunkWriter
from proxy.mapping.context import Context
from tests.exchange.wire import FINISH, USAGE_EVENT, delta
from tests.stage.wires import chunk, claude_events, gemini, ollama

TEXT = "Hé😀"


def named(documents: list[dict[str, Any]]) -> bytes:
    return b"".join(b"event: %b\ndata: %b\n\n" % (document["type"].encode(), json.dumps(document).encode()) for document in documents)


def nameless(documents: list[dict[str, Any]]) -> bytes:
    return b"".join(b"data: %b\n\n" % json.dumps(document, ensure_ascii=False).encode() for document in documents)


#: A whole stream of each dialect, and the bytes after which nothing more is needed (0: its end must be seen).
STREAMS: dict[str, tuple[bytes, bool]] = {
    "openai": (delta("Hel") + delta("lo") + FINISH + USAGE_EVENT + DONE, False),
    "anthropic": (named(claude_events({"type": "text", "text": TEXT}, step=2)), False),
    "gemini": (nameless([gemini({"text": "H"}, finish=None), gemini({"text": "i"})]), True),
    "deepseek": (nameless([chunk({"role": "assistant", "content": TEXT}), chunk({}, "stop")]) + DONE, False),
    "ollama": (ollama({"content": "H"}) + ollama({"content": "i"}) + ollama({}, done=True), False),
}


@dataclass
class Wire:
    """The client's connection: keeps what is written."""

    written: bytearray = field(default_factory=bytearray)
    flow: None = None
    writing_paused: bool = False

    @property
    def transport(self) -> Any:
        return SimpleNamespace(write=self.written.extend, get_write_buffer_size=lambda: 0)


class Fed:
    """A relay that is given its pieces by hand."""

    def __init__(self, dialect: str) -> None:
        mapping = OPERATIONS[dialect]
        context = Context(model="up", public="m", shown="m", now=1, stream=True)
        writer = ChunkWriter("m", 1)
        writer.id = "chatcmpl-1"
        stream = mapping.open(context, writer)
        lane: Lane = Passed(stream, usage_wanted=False, shown=b'"m"') if mapping.passthrough else Translated(stream, writer)
        self.wire = Wire()
        request = SimpleNamespace(http11=True, keep_alive=True, method="POST", content=SimpleNamespace(is_eof=lambda: True))
        self.answer = Answer(cast(Any, request), cast(Any, self.wire), b"")
        call = SimpleNamespace(abort=lambda: None, pause=lambda: None, resume=lambda: None)
        self.relay = EventRelay(cast(Any, call), self.answer, Pace(None, None, None), lane, b"")
        self.relay.prepare(DECODERS[mapping.decode](2**20), 2**20, single=True)

    def feed(self, *pieces: bytes) -> Fed:
        for piece in pieces:
            if piece:
                self.relay.data(piece)
        return self

    @property
    def body(self) -> bytes:
        """The chunked body, without its framing."""
        rest, found = bytes(self.wire.written).partition(b"\r\n\r\n")[2], b""
        while rest:
            size, _, rest = rest.partition(b"\r\n")
            found, rest = found + rest[: int(size, 16)], rest[int(size, 16) + 2 :]
        return found

    @property
    def whole(self) -> bool:
        return self.wire.written.endswith(b"0\r\n\r\n")

    def error(self) -> ExchangeError | None:
        if not self.relay.done.done():
            return None
        return cast("ExchangeError | None", self.relay.done.exception())


def _operations() -> dict[str, Any]:
    found = {}
    for name in STREAMS:
        path = DIALECTS / name
        stream = compile_file(path if path.is_dir() else DIALECTS / f"{name}.yaml").operations["chat"].stream
        found[name] = stream
    return found


OPERATIONS = _operations()


def entire(dialect: str) -> bytes:
    fed = Fed(dialect).feed(STREAMS[dialect][0])
    fed.relay.end()
    assert fed.whole
    assert fed.error() is None
    return fed.body


@pytest.mark.parametrize("dialect", STREAMS)
@pytest.mark.parametrize("ending", ["closed cleanly", "cut"])
async def test_a_cut_stream_never_looks_whole(dialect: str, ending: str) -> None:
    stream, ends_at_eof = STREAMS[dialect]
    full = entire(dialect)
    assert full.endswith(DONE)
    for at in range(len(stream)):
        fed = Fed(dialect).feed(stream[:at])
        ended = fed.whole
        if ending == "cut":
            fed.relay.fail(UpstreamError("cut", kind="truncated"))
        else:
            fed.relay.end()
        if fed.whole:
            # Only what proves the end may stand after the cut: blank lines, the end marker, the usage chunk where the finish is known.
            assert fed.body == full
            assert ended or ending == "closed cleanly"
            left = stream[at:].replace(b"data: [DONE]", b"").replace(USAGE_EVENT, b"").strip()
            assert not left or (ends_at_eof and left in b"\n\n")
        else:
            assert fed.error() is not None
            assert full.startswith(fed.body)
            assert DONE not in fed.body


@pytest.mark.parametrize("dialect", STREAMS)
async def test_every_cut_in_two_gives_the_same_bytes(dialect: str) -> None:
    stream = STREAMS[dialect][0]
    full = entire(dialect)
    for at in range(len(stream) + 1):
        fed = Fed(dialect).feed(stream[:at], stream[at:])
        fed.relay.end()
        assert (fed.body, fed.whole) == (full, True)


@pytest.mark.parametrize("dialect", STREAMS)
@given(sizes=st.lists(st.integers(1, 50), max_size=100))
def test_any_pieces_give_the_same_bytes(dialect: str, sizes: list[int]) -> None:
    async def check() -> None:
        stream = STREAMS[dialect][0]
        fed = Fed(dialect)
        at = 0
        for size in sizes:
            fed.feed(stream[at : at + size])
            at += size
        fed.feed(stream[at:])
        fed.relay.end()
        assert (fed.body, fed.whole) == (entire(dialect), True)

    asyncio.run(check())


@given(st.lists(st.tuples(st.sampled_from(["", "a", "b c"]), st.sampled_from([b"{}", b'{"model":"x"}', b"1\n2", b""])), min_size=1))
def test_events_that_pass_by_are_read_as_they_came(events: list[tuple[str, bytes]]) -> None:
    """Of one name or several, in one write, with data of one line or more."""
    lane = Passed(OPERATIONS["openai"].open(Context(model="m")), usage_wanted=True, shown=None)
    lane._shown.extend(events)
    assert SseDecoder().feed(lane.take()) == events
