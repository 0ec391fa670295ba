"""What the upstream does to a request. The request says it itself: its model is named `<fault>-<size>`."""

from __future__ import annotations

import asyncio
import json
import random
import re
from collections.abc import Callable, Iterator
from functools import partial

from tests.stage import wires
from tests.stage.upstream import Asked, Script, whole

#: The dialects that take part, each with how a whole answer is written.
ANSWERS: dict[str, Callable[[str], Script]] = {
    "openai": lambda text: wires.openai_answer({"content": text}),
    "anthropic": lambda text: wires.claude_answer({"type": "text", "text": text}),
    "gemini": lambda text: whole(wires.gemini({"text": text})),
    "ollama": lambda text: Script([wires.ollama({"content": text}, done=True)]),
}

#: Faults that no answer survives, and how likely each is beside the others.
DEADLY = {"reset": 2, "cut": 3, "hang": 1, "silence": 1, "garbage": 2, "page": 1, "refusal": 3, "limit": 2, "empty": 1}
#: What a good gateway lets nobody notice.
HARMLESS = {"none": 30, "drip": 2, "slow": 3, "large": 1, "close": 2}

_MODEL = re.compile(r"(?P<fault>[a-z]+)-(?P<size>\d+)")
_PIECE = 0.01  # seconds between the pieces of a slow answer


class FaultyUpstream:
    """An async context: a server on loopback that speaks all dialects, one port for each, badly when it is told to."""

    def __init__(self) -> None:
        self.ports: dict[str, int] = {}
        self.open: dict[asyncio.StreamWriter, bool] = {}  # whether an answer is under way
        self._servers: list[asyncio.Server] = []

    async def __aenter__(self) -> FaultyUpstream:
        for dialect in ANSWERS:
            server = await asyncio.start_server(partial(self._serve, dialect), "127.0.0.1", 0)
            self._servers.append(server)
            self.ports[dialect] = server.sockets[0].getsockname()[1]
        return self

    async def __aexit__(self, *_: object) -> None:
        for server in self._servers:
            server.close()
        self.hang_up()
        await asyncio.sleep(0)

    def hang_up(self, *, idle: bool = False) -> None:
        """Closes every connection, or only those that wait for a request, as an upstream does that is restarted with care."""
        for writer, busy in list(self.open.items()):
            if not (idle and busy):
                writer.transport.abort()

    async def _serve(self, dialect: str, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.open[writer] = True  # a request is coming: nobody may take a connection away that has never been idle
        try:
            while (asked := await _read(reader)) is not None:
                self.open[writer] = True
                if not await _play(dialect, asked, reader, writer):
                    break
                self.open[writer] = False
        except (OSError, asyncio.IncompleteReadError):
            pass  # the gateway has closed the connection: its client left, or a deadline ran out
        finally:
            del self.open[writer]
            writer.transport.abort()


async def _read(reader: asyncio.StreamReader) -> Asked | None:
    try:
        head = await reader.readuntil(b"\r\n\r\n")
    except asyncio.IncompleteReadError:
        return None
    first, *lines = head.decode("latin-1").split("\r\n")
    method, path, _ = first.split(" ")
    headers = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in lines)}
    return Asked(method, path, headers, await reader.readexactly(int(headers["content-length"])))


async def _play(dialect: str, asked: Asked, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> bool:
    """Answers one request; whether the connection can be used again."""
    body = json.loads(asked.body)
    found = _MODEL.search(body.get("model") or asked.path)
    assert found is not None, asked
    fault, size = found["fault"], int(found["size"])
    streamed = bool(body.get("stream")) or "stream" in asked.path
    if fault == "reset":
        return False
    if fault == "silence":
        await reader.read(1)
        return False
    script = _script(dialect, fault, size, streamed=streamed)
    pieces = list(_pieces(fault, list(script.pieces)))
    framing = "connection: close" if fault == "close" else "transfer-encoding: chunked"
    lines = [f"HTTP/1.1 {script.status} Soaked", *(f"{name}: {value}" for name, value in script.headers.items()), framing]
    writer.write("\r\n".join([*lines, "", ""]).encode("latin-1"))
    for piece in pieces:
        writer.write(piece if fault == "close" else b"%x\r\n%b\r\n" % (len(piece), piece))
        await writer.drain()
        if fault == "slow":
            await asyncio.sleep(_PIECE)
    if fault == "hang":
        await reader.read(1)
    if fault in ("cut", "hang", "close"):
        if writer.can_write_eof():
            writer.write_eof()
        return False
    writer.write(b"0\r\n\r\n")
    return True


def _script(dialect: str, fault: str, size: int, *, streamed: bool) -> Script:
    text = "".join(random.choices('abcdefgh é"\\\n', k=size))
    match fault:
        case "empty":
            return Script([])
        case "page":
            return Script([b"<html><body>It works!</body></html>"], headers={"content-type": "text/html"})
        case "refusal":
            return whole({"error": {"message": "It is broken.", "type": "server_error"}}, random.choice((400, 500, 503)))
        case "limit":
            return whole({"error": {"message": "Slow down."}}, 429, **{"retry-after": "1"})
    return wires.say(dialect, text, pieces=max(2, size // 40)) if streamed else ANSWERS[dialect](text)


def _pieces(fault: str, pieces: list[bytes]) -> Iterator[bytes]:
    """The answer's bytes, in the pieces and with the damage that the fault wants."""
    match fault:
        case "cut" | "hang":
            data = b"".join(pieces)
            yield data[: len(data) // 2]
        case "garbage":
            yield pieces[0]
            yield b'data: {"choices": [}\n\n{"oops\n' if len(pieces) > 1 else b"]"
        case "drip":
            for byte in b"".join(pieces)[:200]:
                yield bytes([byte])
            yield b"".join(pieces)[200:]
        case _:
            yield from pieces
