"""What a parent and a worker say to each other: questions and answers over a socket pair, whose end is the other's death."""

from __future__ import annotations

import asyncio
import itertools
import logging
import socket
from collections.abc import Awaitable, Callable

import msgspec

logger = logging.getLogger(__name__)

_SIZE = 4  # bytes of the length before each message
_LIMIT = 2**28

#: Answers a question by its name.
Serve = Callable[[str, bytes], Awaitable[bytes]]


class Message(msgspec.Struct, array_like=True):
    """A question has a name, an answer has none; `number` pairs them."""

    number: int
    name: str
    body: bytes


_encode = msgspec.msgpack.Encoder().encode
_decode = msgspec.msgpack.Decoder(Message).decode


class Channel:
    """One end. `closed` is set when the other end is gone."""

    def __init__(self, serve: Serve) -> None:
        self.closed = asyncio.Event()
        self._serve = serve
        self._numbers = itertools.count()
        self._asked: dict[int, asyncio.Future[bytes]] = {}
        self._tasks: set[asyncio.Task[None]] = set()
        self._writer: asyncio.StreamWriter
        self._reading: asyncio.Task[None]

    async def open(self, end: socket.socket) -> None:
        """Starts to listen at this end."""
        reader, self._writer = await asyncio.open_connection(sock=end)
        self._reading = asyncio.create_task(self._read(reader))

    async def ask(self, name: str, body: bytes = b"") -> bytes:
        """Raises ConnectionError when the other side goes before it has answered."""
        if self.closed.is_set():
            raise ConnectionResetError("the other side of the channel is gone")
        number = next(self._numbers)
        answer: asyncio.Future[bytes] = asyncio.get_running_loop().create_future()
        self._asked[number] = answer
        try:
            self._send(Message(number, name, body))
            return await answer
        finally:
            del self._asked[number]

    async def close(self) -> None:
        """The other side sees it as our death."""
        self._reading.cancel()
        await asyncio.gather(self._reading, return_exceptions=True)

    async def _read(self, reader: asyncio.StreamReader) -> None:
        try:
            while True:
                size = int.from_bytes(await reader.readexactly(_SIZE))
                if size > _LIMIT:
                    break
                self._receive(_decode(await reader.readexactly(size)))
        except (asyncio.IncompleteReadError, ConnectionError):
            pass
        finally:
            self.closed.set()
            self._writer.close()
            for answer in self._asked.values():
                if not answer.done():
                    answer.set_exception(ConnectionResetError("the other side of the channel is gone"))

    def _receive(self, message: Message) -> None:
        if message.name:
            task = asyncio.create_task(self._answer(message))
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)
        elif (asked := self._asked.get(message.number)) is not None and not asked.done():
            asked.set_result(message.body)

    async def _answer(self, message: Message) -> None:
        try:
            body = await self._serve(message.name, message.body)
        except Exception:
            logger.exception("the question %s between parent and worker has no answer", message.name)
            body = b""
        if not self.closed.is_set():
            self._send(Message(message.number, "", body))

    def _send(self, message: Message) -> None:
        data = _encode(message)
        self._writer.write(len(data).to_bytes(_SIZE) + data)
