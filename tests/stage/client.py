"""A client that sees every byte: what status, which headers, which body, and whether the body came to its proper end."""

from __future__ import annotations

import asyncio
import json
from dataclasses import dataclass
from typing import Any

DEADLINE = 30.0  # seconds a whole call may take: far more than any test needs


@dataclass(frozen=True, slots=True)
class Served:
    """One answer. `complete` is False when the connection ended before the body did."""

    status: int
    headers: dict[str, str]
    body: bytes
    complete: bool

    def json(self) -> Any:
        """The body, decoded."""
        return json.loads(self.body)


class Connection:
    """One connection to the gateway, for tests that look at an answer while it comes. Use as an async context."""

    def __init__(self, address: tuple[str, int]) -> None:
        self.address = address

    async def __aenter__(self) -> Connection:
        self.reader, self.writer = await asyncio.open_connection(*self.address, limit=2**26)
        return self

    async def __aexit__(self, *_: object) -> None:
        self.leave()

    def leave(self) -> None:
        """Close at once, as a client that loses patience."""
        self.writer.transport.abort()

    def send(self, method: str, path: str, body: bytes = b"", headers: dict[str, str] | None = None) -> None:
        """Send one request."""
        lines = [f"{method} {path} HTTP/1.1", f"host: {self.address[0]}", f"content-length: {len(body)}"]
        lines += [f"{name}: {value}" for name, value in (headers or {}).items()]
        self.writer.write("\r\n".join([*lines, "", ""]).encode("latin-1") + body)

    async def head(self) -> tuple[int, dict[str, str]]:
        """Status and headers (names in lower case)."""
        first, *lines = (await self.reader.readuntil(b"\r\n\r\n")).decode("latin-1").removesuffix("\r\n\r\n").split("\r\n")
        return int(first.split(" ")[1]), {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in lines)}

    async def chunk(self) -> bytes:
        """One chunk of a chunked body; empty at its end. Raises IncompleteReadError when it is cut."""
        size = int((await self.reader.readuntil(b"\r\n")).strip(), 16)
        data = await self.reader.readexactly(size + 2)
        return data[:-2]

    async def body(self, headers: dict[str, str]) -> tuple[bytes, bool]:
        """The whole body, and whether it came to its proper end."""
        pieces = []
        try:
            if "chunked" in headers.get("transfer-encoding", ""):
                while piece := await self.chunk():
                    pieces.append(piece)
            else:
                pieces.append(await self.reader.readexactly(int(headers["content-length"])))
        except asyncio.IncompleteReadError as cut:
            return b"".join([*pieces, cut.partial if "content-length" in headers else b""]), False
        return b"".join(pieces), True


async def call(address: tuple[str, int], body: Any, path: str = "/v1/chat/completions", headers: dict[str, str] | None = None) -> Served:
    """POST a JSON document and read all that comes back."""
    async with asyncio.timeout(DEADLINE), Connection(address) as connection:
        data = body if isinstance(body, bytes) else json.dumps(body).encode()
        connection.send("POST", path, data, {"content-type": "application/json"} | (headers or {}))
        status, answered = await connection.head()
        return Served(status, answered, *await connection.body(answered))
