"""Two plain sockets around the gateway: one plays the client, one the upstream."""

from __future__ import annotations

import contextlib
import json
import socket
import struct
from dataclasses import dataclass

from tests.stage import wires
from tests.stage.upstream import Script, whole

#: Everything between the last byte that leaves an answer open and the first after which it may be called whole, by dialect:
#: how many pieces, from the end, may be missing.
_SPARE = {"openai": 2, "anthropic": 0, "gemini": 0, "ollama": 0}


@dataclass(frozen=True, slots=True)
class Answer:
    """What the upstream has to say. `edges`: where its pieces end in `wire`. `proof`: bytes after which its end is proven."""

    text: str
    wire: bytes
    edges: tuple[int, ...]
    proof: int


def answer(dialect: str, text: str, *, streamed: bool) -> Answer:
    """An answer in a dialect's words, framed in chunks."""
    script = wires.say(dialect, text, pieces=5) if streamed else _whole(dialect, text)
    lines = ["HTTP/1.1 200 OK", *(f"{name}: {value}" for name, value in script.headers.items()), "transfer-encoding: chunked"]
    wire = "\r\n".join([*lines, "", ""]).encode()
    edges = [len(wire)]
    for piece in script.pieces:
        wire += b"%x\r\n%b\r\n" % (len(piece), piece)
        edges.append(len(wire))
    # The line end that closes a chunk is framing: its piece is whole before it.
    proof = edges[-1 - _SPARE[dialect]] - 2 if streamed else len(wire) + 5
    wire += b"0\r\n\r\n"
    return Answer(text, wire, (*edges, len(wire)), proof)


def _whole(dialect: str, text: str) -> Script:
    match dialect:
        case "anthropic":
            return wires.claude_answer({"type": "text", "text": text})
        case "gemini":
            return whole(wires.gemini({"text": text}))
        case "ollama":
            return Script([wires.ollama({"content": text}, done=True)])
    return wires.openai_answer({"content": text})


def request(dialect: str, *, streamed: bool) -> bytes:
    """The client's request."""
    body = {"model": f"{dialect}/m", "messages": [{"role": "user", "content": "Hi"}], "stream": streamed}
    data = json.dumps(body).encode()
    head = f"POST /v1/chat/completions HTTP/1.1\r\nhost: a\r\ncontent-type: application/json\r\ncontent-length: {len(data)}\r\n\r\n"
    return head.encode() + data


class Peer:
    """One socket that never blocks. `open` until we close it; `ended` when the gateway has: in order, or by a reset."""

    def __init__(self, sock: socket.socket) -> None:
        self._sock = sock
        sock.setblocking(False)
        self.received = b""
        self.open = True
        self.ended = False

    def send(self, data: bytes) -> int:
        """How much of it the kernel has taken."""
        try:
            return self._sock.send(data)
        except BlockingIOError:
            return 0
        except OSError:
            self.ended = True
            return 0

    def read(self) -> None:
        """Takes what is there."""
        while not self.ended:
            try:
                data = self._sock.recv(2**16)
            except BlockingIOError:
                return
            except OSError:
                data = b""
            self.received += data
            self.ended = not data

    def close(self, *, reset: bool = False) -> None:
        if reset:
            with contextlib.suppress(OSError):
                self._sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self._sock.close()
        self.open = False
