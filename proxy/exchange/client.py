"""What a client asked for, as the head of its request tells it, and the connection it came on."""

from __future__ import annotations

import asyncio
from typing import Protocol, cast

from aiohttp.http import HttpVersion11, RawRequestMessage
from aiohttp.streams import StreamReader
from aiohttp.web import BaseRequest


class Flow(Protocol):
    """What is told when the client reads more slowly than we write."""

    def pause(self) -> None: ...
    def resume(self) -> None: ...


class Connection(Protocol):
    """What an exchange needs of the client's connection. `peer`: the other side's address, "" at a Unix socket.

    `admitted`: by whom, with which Authorization and as whom its last request was let in; most clients show the same key again.
    """

    transport: asyncio.Transport | None
    flow: Flow | None
    peer: str
    admitted: tuple[object, bytes, str] | None

    @property
    def writing_paused(self) -> bool: ...

    async def drain(self) -> None:
        """Returns when the client has taken enough; raises ConnectionError when it has gone."""
        ...

    def interrupt(self) -> None:
        """Cancels what is being served."""
        ...

    def hand_over(self, message: RawRequestMessage, content: StreamReader) -> BaseRequest:
        """The request as aiohttp's own parts want it, for an upgrade."""
        ...


class Content(Protocol):
    """A request's body, as it comes: what is read of aiohttp's StreamReader. `total_bytes`: so much has come."""

    total_bytes: int

    def is_eof(self) -> bool:
        """All has come."""
        ...

    def read_nowait(self) -> bytes: ...
    async def readany(self) -> bytes: ...


class ClientRequest:
    """One request. `target`: path and query; `http11`: the client speaks HTTP/1.1; `content`: the body, as far as it has come."""

    __slots__ = ("_message", "connection", "content", "headers", "http11", "keep_alive", "method")

    def __init__(self, connection: Connection, message: RawRequestMessage, content: Content) -> None:
        self._message = message
        self.connection = connection
        self.content = content
        self.headers = message.headers
        self.http11 = message.version is HttpVersion11 or message.version > HttpVersion11
        # An HTTP/1.0 client may ask to keep the connection; none that matters does, and closing is always right.
        self.keep_alive = self.http11 and not message.should_close
        self.method = message.method

    @property
    def target(self) -> str:
        path: str = self._message.path
        if path.startswith("/"):
            return path
        url = self._message.url
        return (url.relative() if url.absolute else url).raw_path_qs

    def for_aiohttp(self) -> BaseRequest:
        """The same for what aiohttp does itself: an upgrade to WebSocket."""
        return self.connection.hand_over(self._message, cast(StreamReader, self.content))  # what asks for an upgrade came through aiohttp
