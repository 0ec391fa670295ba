"""One JSON line for each request, and the server's own messages as JSON.

A request's line costs its encoding and an append; a thread writes what has gathered, so a slow disk or a full pipe never stops the event
loop. A line that cannot be written is lost and counted, never an error of the request. Lines hold no bodies and no secrets: of a
client's key, the first eight hex digits of its digest.
"""

from __future__ import annotations

import asyncio
import fcntl
import logging
import os
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path

import msgspec

from proxy.record import Record, Usage

#: Seconds after which lines are written, and bytes after which they are written at once.
INTERVAL = 1.0
FULL = 2**16

#: Bytes that may wait while a write hangs; lines beyond are lost.
BACKLOG = 2**23

#: Characters kept of a name that a client or an upstream chose, and names kept of a list.
_NAME = 200
_NAMES = 20

_logger = logging.getLogger(__name__)
_encode = msgspec.json.Encoder().encode
_from_unix = datetime.fromtimestamp


class Line(msgspec.Struct, omit_defaults=True, gc=False):
    """A request's line. What is unknown, empty or false is left out. Durations count from the request's arrival, in milliseconds."""

    ts: datetime
    level: str
    msg: str
    request_id: str
    operation: str
    status: int
    duration_ms: float
    overhead_ms: float
    route: str = ""
    model: str = ""
    target: str = ""
    response_model: str = ""
    stream: bool = False
    first_byte_ms: float = 0.0
    first_token_ms: float = 0.0
    tokens: Usage | None = None
    tokens_estimated: bool = False
    sent_bytes: int = 0
    attempts: int = 0
    failures: list[str] = []
    error_type: str = ""
    error_kind: str = ""
    error_detail: str = ""
    blame: str = ""
    client_gone: bool = False
    dropped: tuple[str, ...] = ()
    client: str = ""
    key: str = ""
    trace_id: str = ""


def line(record: Record) -> bytes:
    """The record as a line of JSON, without its end."""
    start = record.start
    level = "info"
    if record.blame or record.status >= 400:
        level = "error" if record.blame == "gateway" else "warning"
    # In the order of Line's fields: names would cost a third more.
    return _encode(
        Line(
            _from_unix(record.time, UTC),
            level,
            "request",
            record.request_id,
            record.operation,
            record.status,
            int((record.end - start) * 1e6 + 0.5) / 1e3,
            int(record.overhead * 1e6 + 0.5) / 1e3,
            record.route,
            record.public_model[:_NAME],
            record.target,
            record.response_model[:_NAME],
            record.stream,
            int((record.first_byte - start) * 1e6 + 0.5) / 1e3 if record.first_byte else 0.0,
            int((record.first_token - start) * 1e6 + 0.5) / 1e3 if record.first_token else 0.0,
            record.usage,
            record.estimated,
            record.sent_bytes,
            record.attempts,
            [f"{failed.name} {failed.reason}" for failed in record.failures] if record.failures else [],
            record.error_type[:_NAME],
            record.error_kind,
            record.error_detail[:_NAME],
            record.blame,
            record.client_gone,
            tuple(name[:_NAME] for name in record.dropped[:_NAMES]) if record.dropped else (),
            record.client,
            record.key,
            record.trace_id,
        )
    )


class RequestLog:
    """Lines of requests, gathered and written to a file, or to a descriptor that is open (1 for stdout).

    A file is appended to; `reopen` takes it up again by its name after a rotation. `lost` counts lines that could not be written.
    All methods belong to the event loop's thread. Raises OSError when the file cannot be opened.
    """

    def __init__(self, target: Path | int, lock: int | None = None) -> None:
        self.lost = 0
        self._lock = lock
        self._path = target if isinstance(target, Path) else None
        self._descriptor = _open(target) if isinstance(target, Path) else target
        self._reopen = False
        self._failing = False
        self._lines: list[bytes] = []
        self._size = 0
        self._timer: asyncio.TimerHandle | None = None
        self._writing: asyncio.Task[None] | None = None

    def write(self, record: Record) -> None:
        """Adds a request that has ended."""
        if self._size > BACKLOG:
            self.lost += 1
            return
        try:
            text = line(record)
        except ValueError:  # half a surrogate pair in a name
            self.lost += 1
            return
        self._lines.append(text)
        self._size += len(text)
        if self._size > FULL:
            self._flush()
        elif self._timer is None:
            self._timer = asyncio.get_running_loop().call_later(INTERVAL, self._flush)

    def reopen(self) -> None:
        """Takes up the file by its name again at the next write (for SIGUSR1)."""
        self._reopen = self._path is not None

    async def close(self) -> None:
        """Writes what is left and closes the file."""
        if self._writing is not None:
            await self._writing
        if self._timer is not None:
            self._timer.cancel()
        if self._lines:
            await self._drain()
        if self._path is not None:
            os.close(self._descriptor)

    def _flush(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        if self._writing is None:
            self._writing = asyncio.create_task(self._drain())

    async def _drain(self) -> None:
        """Has a thread write the lines; those that come meanwhile get their own turn."""
        data = b"\n".join([*self._lines, b""])
        self._lines = []
        self._size = 0
        loop = asyncio.get_running_loop()
        self.lost += await loop.run_in_executor(None, self._put, data)
        self._writing = None
        if self._lines:
            self._timer = self._timer or loop.call_later(INTERVAL, self._flush)

    def _put(self, data: bytes) -> int:
        """Writes, in a thread. Returns how many lines were lost."""
        left = memoryview(data)
        try:
            if self._reopen and self._path is not None:
                self._reopen = False
                fresh = _open(self._path)
                os.close(self._descriptor)
                self._descriptor = fresh
            with _locked(self._lock):
                while left:
                    left = left[os.write(self._descriptor, left) :]
        except OSError as error:
            if not self._failing:
                _logger.error("requests are not logged: %s", error)
            self._failing = True
            return bytes(left).count(b"\n")
        self._failing = False
        return 0


@contextmanager
def _locked(descriptor: int | None) -> Iterator[None]:
    """One process at a time: a pipe takes a few KiB at once, and another's lines might come between."""
    if descriptor is None:
        yield
        return
    fcntl.lockf(descriptor, fcntl.LOCK_EX)
    try:
        yield
    finally:
        fcntl.lockf(descriptor, fcntl.LOCK_UN)


def _open(path: Path) -> int:
    return os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC, 0o640)


class JsonFormatter(logging.Formatter):
    """The server's own messages, one JSON object a line."""

    def format(self, record: logging.LogRecord) -> str:
        entry = {
            "ts": _from_unix(record.created, UTC),
            "level": record.levelname.lower(),
            "msg": _text(record.getMessage()),
            "logger": record.name,
        }
        if record.exc_info:
            entry["exception"] = _text(self.formatException(record.exc_info))
        return _encode(entry).decode()


def _text(text: str) -> str:
    """What JSON can hold: header values come with lone surrogates."""
    return text.encode("utf-8", "backslashreplace").decode()


def messages_to_stderr(level: str) -> None:
    """Sends the messages of all loggers from `level` (debug, info, warning, error) on to stderr."""
    handler = logging.StreamHandler()
    handler.setFormatter(JsonFormatter())
    logging.basicConfig(level=level.upper(), handlers=[handler], force=True)
