"""Whatever the upstream sends, the client reads or leaves, and however time passes in between: every exchange ends lawfully.

Lawfully: an answer is called whole only after the upstream has proven that it is, and then all of it is there; any other end is a status
with an envelope, or an error event and a cut connection; when the client has left, the upstream is let go at once. In the end nothing is
in flight and no task is left.
"""

from __future__ import annotations

import asyncio
import atexit
import json
import socket
import tempfile
from pathlib import Path

import yaml
from hypothesis import HealthCheck, event, settings, strategies
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from proxy.app import RunningServer, start
from proxy.config import load
from proxy.config.model import Config
from tests.corpus.grammar import judge
from tests.corpus.readings import OPENAI
from tests.pump.clock import MovableLoop
from tests.pump.wire import Answer, Peer, answer, request

DIALECTS = ("openai", "anthropic", "gemini", "ollama")
#: One listener for all examples: its port is part of the configuration, which is read once.
LISTENER = socket.create_server(("127.0.0.1", 0), backlog=64)
LISTENER.setblocking(False)
atexit.register(LISTENER.close)
TEXTS = ("Hi", 'Grüße, 世界! \\ " \n', "x" * 3000, "lorem ipsum " * 40_000)
#: For what ends an exchange, lest all of them end at once.
SELDOM = strategies.sampled_from([False] * 5 + [True])
TIMEOUTS = {"first_event": 30, "idle": 20, "write": 10}


def configuration() -> Config:
    port = LISTENER.getsockname()[1]
    provider = {"base_url": f"http://127.0.0.1:{port}", "key": "k", "timeouts": TIMEOUTS}
    document = {
        "version": 1,
        "server": {"port": 0, "heartbeat": 7, "log": {"level": "error", "requests": "off"}},
        "providers": {name: provider | {"dialect": name} for name in DIALECTS},
        "provider_prefix": True,
    }
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "routes.yaml"
        path.write_text(yaml.safe_dump(document), "utf-8")
        return load(path, {})


CONFIG = configuration()


class Pump(RuleBasedStateMachine):
    """One client, one gateway, one upstream."""

    loop: MovableLoop
    server: RunningServer
    client: Peer
    answer: Answer

    def __init__(self) -> None:
        super().__init__()
        self.upstream: Peer | None = None
        self.asked = b""  # of the request, not sent yet
        self.sent = 0  # bytes of the answer
        self.spoilt = False  # something was sent that is not the answer
        self.brief = False  # the body ended before the answer did: a whole message, if no whole answer
        self.left = False
        self.unread = 0.0  # seconds since the client last read
        self.stalled = False  # it once read nothing for so long that it may be cut off

    # ── what happens ──

    @initialize(
        dialect=strategies.sampled_from(DIALECTS),
        text=strategies.sampled_from(TEXTS),
        streamed=strategies.booleans(),
        small=strategies.booleans(),
        cut=SELDOM,
        hangs=strategies.booleans(),
        pieces=strategies.integers(0, 6),
    )
    def begin(self, *, dialect: str, text: str, streamed: bool, small: bool, cut: bool, hangs: bool, pieces: int) -> None:
        self.hangs = hangs  # in the end the upstream just says no more, instead of closing
        self.loop = MovableLoop()
        asyncio.set_event_loop(self.loop)
        self.server = self.loop.run_until_complete(start(CONFIG))
        self.own = asyncio.all_tasks(self.loop)  # the server's
        self.streamed = streamed
        self.answer = answer(dialect, text, streamed=streamed)
        self.asked = request(dialect, streamed=streamed)
        sock = socket.socket()
        if small:
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        sock.connect(self.server.addresses[0])
        self.client = Peer(sock)
        self.the_client_sends(60 if cut else len(self.asked))
        if pieces and self.speaks:
            self.the_upstream_sends_whole_pieces(pieces)

    @precondition(lambda self: self.asked and not self.left)
    @rule(count=strategies.integers(1, 400))
    def the_client_sends(self, count: int) -> None:
        self.asked = self.asked[self.client.send(self.asked[:count]) :]
        self.settle()

    @precondition(lambda self: not self.left)
    @rule()
    def the_client_reads(self) -> None:
        self.take()
        self.settle()

    @precondition(lambda self: not self.left)
    @rule(really=SELDOM, reset=strategies.booleans())
    def the_client_leaves(self, really: bool, reset: bool) -> None:
        if not really:
            return
        self.client.close(reset=reset)
        self.left = True
        self.settle()
        if self.upstream is not None:
            self.upstream.read()
            over = self.brief or self.sent >= self.answer.proof
            assert self.upstream.ended or not self.upstream.open or over, "the upstream is kept"

    @precondition(lambda self: self.speaks)
    @rule(count=strategies.integers(1, 300))
    def the_upstream_sends_some_bytes(self, count: int) -> None:
        self.send(self.answer.wire[self.sent : self.sent + count])

    @precondition(lambda self: self.speaks)
    @rule(pieces=strategies.integers(1, 9))
    def the_upstream_sends_whole_pieces(self, pieces: int) -> None:
        edges = [edge for edge in self.answer.edges if edge > self.sent]
        if edges:
            self.send(self.answer.wire[self.sent : edges[min(pieces, len(edges)) - 1]])

    @precondition(lambda self: self.speaks and self.sent in self.answer.edges[:-2])
    @rule(really=strategies.booleans())
    def the_upstream_ends_its_body_too_early(self, really: bool) -> None:
        assert self.upstream is not None
        if really:
            self.upstream.send(b"0\r\n\r\n")
            self.brief = True
            self.settle()

    @precondition(lambda self: self.speaks and self.sent < len(self.answer.wire))
    @rule(
        really=SELDOM,
        junk=strategies.sampled_from([b"\r\n", b"zz\r\n", b"\xff\xfe", b'5\r\n{"a":\r\n', b"data: {]\n\n", b"HTTP/1.1 200 OK\r\n"]),
    )
    def the_upstream_sends_junk(self, really: bool, junk: bytes) -> None:
        assert self.upstream is not None
        if not really:
            return
        self.spoilt = True
        self.upstream.send(junk)
        self.settle()

    @precondition(lambda self: self.upstream is not None and self.upstream.open)
    @rule(really=SELDOM, reset=strategies.booleans())
    def the_upstream_closes(self, really: bool, reset: bool) -> None:
        assert self.upstream is not None
        if not really:
            return
        self.upstream.close(reset=reset)
        self.settle()

    @rule(seconds=strategies.sampled_from([0.1, 0.2, 0.5, 1, 2, 3, 8, 11, 25, 100]))
    def time_passes(self, seconds: float) -> None:
        self.unread += seconds
        self.loop.move(seconds)
        self.settle()

    # ── what holds ──

    @invariant()
    def nothing_is_said_behind_our_back(self) -> None:
        assert getattr(self, "loop", None) is None or self.loop.troubles == []

    def teardown(self) -> None:
        if not hasattr(self, "loop"):
            return
        event("the client left" if self.left else "the client stayed")
        event(
            "not asked yet"
            if self.asked
            else "asked nobody"
            if self.upstream is None
            else "asked"
            if not self.sent
            else "answering"
            if self.sent < self.answer.proof
            else "answered"
        )
        try:
            if self.upstream is not None and self.upstream.open and not self.hangs:
                self.upstream.close()
            self.settle()
            if not self.left:
                self.read_to_the_end()
                self.judge()
            self.client.close()
            self.settle()
            assert asyncio.all_tasks(self.loop) == self.own, "somebody still waits"
        finally:
            self.loop.run_until_complete(self.server.close(0.0))
            self.loop.settle()
            left = asyncio.all_tasks(self.loop)
            self.loop.close()
            while (late := accepted()) is not None:
                late.close()
            if self.upstream is not None:
                self.upstream.close()
        assert not left

    # ── between ──

    @property
    def speaks(self) -> bool:
        """The upstream has been asked, and still has a connection to answer on."""
        return self.upstream is not None and self.upstream.open and b"\r\n\r\n" in self.upstream.received

    def send(self, data: bytes) -> None:
        assert self.upstream is not None
        self.sent += self.upstream.send(data)
        self.settle()

    def settle(self) -> None:
        for _ in range(3):
            self.loop.settle()
            if self.upstream is None:
                self.upstream = accepted()
            if self.upstream is not None and self.upstream.open:
                self.upstream.read()

    def take(self) -> None:
        self.client.read()
        self.stalled = self.stalled or self.unread >= TIMEOUTS["write"]
        self.unread = 0.0

    def read_to_the_end(self) -> None:
        """As a client does that is ready to wait."""
        for _ in range(400):
            before = len(self.client.received)
            self.take()
            if self.client.ended:
                return
            if len(self.client.received) == before:
                if self.asked or self.whole:
                    return
                self.loop.move(5)
            self.settle()
        raise AssertionError(f"no end: {self.client.received[-300:]!r}")

    @property
    def whole(self) -> bool:
        """The answer has its proper end."""
        head, _, body = self.client.received.partition(b"\r\n\r\n")
        if b"transfer-encoding: chunked" in head.lower():
            return body.endswith(b"\r\n0\r\n\r\n")
        length = next((int(line.partition(b":")[2]) for line in head.split(b"\r\n") if line.lower().startswith(b"content-length")), None)
        return length is not None and len(body) >= length

    def judge(self) -> None:
        """The end that the client saw. Nothing at all is one: its request was not whole, or it read nothing for too long."""
        head, found, rest = self.client.received.partition(b"\r\n\r\n")
        if not found:
            assert self.client.ended or self.asked, "no answer, and no end"
            return
        status = int(head.split(b" ", 2)[1])
        body = unchunked(rest) if b"chunked" in head.lower() else rest
        if status != 200:
            assert json.loads(body)["error"]["message"]
            return
        if not self.streamed:
            if self.whole:
                assert self.sent >= self.answer.proof or self.spoilt
                said = json.loads(body)["choices"][0]["message"]["content"]
                assert said == self.answer.text or self.spoilt
            return
        if b"data: [DONE]" in body:
            assert self.whole
            assert self.sent >= self.answer.proof or self.spoilt, "an end that the upstream has not told"
        if self.stalled and not self.whole:
            return  # it was cut off: what it has may end anywhere
        facts = OPENAI.stream(body.decode())
        assert self.whole or facts.error is not None, "an end that nobody explains"
        assert judge(body, usage_asked=False, complete=self.whole) == []
        said = facts.choices[0].text if facts.choices else ""
        assert (said == self.answer.text) if self.whole else self.answer.text.startswith(said)


def accepted() -> Peer | None:
    try:
        return Peer(LISTENER.accept()[0])
    except BlockingIOError:
        return None


def unchunked(data: bytes) -> bytes:
    """The body's bytes, as far as they came."""
    body = b""
    while data:
        size, found, data = data.partition(b"\r\n")
        if not found or not int(size, 16):
            break
        body, data = body + data[: int(size, 16)], data[int(size, 16) + 2 :]
    return body


Pump.TestCase.settings = settings(max_examples=200, stateful_step_count=12, suppress_health_check=list(HealthCheck))
TestPump = Pump.TestCase
