"""Loading the configuration again while requests run: wholly, or not at all."""

from __future__ import annotations

import asyncio
import gc
import logging
import sys
from collections.abc import Awaitable, Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from proxy.config.model import Config, Server
from proxy.errors import ConfigError, Diagnostic

logger = logging.getLogger(__name__)

#: Seconds between two looks at the files.
LOOK = 0.5
#: Seconds that a thread which loads keeps the interpreter before the event loop may have it; Python's own 5 ms would show in streams.
_SWITCH = 0.0005
_intervals: list[float] = []  # what each thread that does found; the first found the usual one, and the last to end restores that

#: Reads the configuration, off the event loop. Raises ConfigError.
Load = Callable[[], Awaitable[Config]]
#: Puts a configuration in force; returns the settings that only a restart changes. Raises OSError, with everything as it was.
Apply = Callable[[Config], Awaitable[tuple[str, ...]]]


@dataclass(frozen=True, slots=True)
class Reloaded:
    """What came of it. `failure`: why the old configuration stays, "" when it does not; `restart`: settings that wait for a restart."""

    diagnostics: tuple[Diagnostic, ...] = ()
    failure: str = ""
    restart: tuple[str, ...] = ()

    def tell(self) -> None:
        """Writes it to the log."""
        for found in self.diagnostics:
            level = logging.ERROR if found.severity == "error" else logging.WARNING
            logger.log(level, "%s:%d:%d: %s[%s]: %s", found.file, found.line, found.column, found.severity, found.code, found.message)
        if self.failure:
            logger.error("the old configuration stays: %s", self.failure)
            return
        logger.info("the configuration was loaded anew")
        if self.restart:
            logger.warning("a restart is needed for a change of %s", ", ".join(self.restart))


class Reloader:
    """Loads again when asked, one at a time. `ok`: whether the last time went well; `files`: those that it was made of."""

    def __init__(self, config: Config, load: Load, apply: Apply) -> None:
        self.ok = True
        self.files = frozenset(config.files)
        self._seen = stamps(self.files)
        self._load = load
        self._apply = apply
        self._lock = asyncio.Lock()
        self._asked = asyncio.Event()

    async def reload(self) -> Reloaded:
        """Raises nothing but CancelledError: what went wrong is in the answer, and in the log."""
        async with self._lock:
            outcome = await self._reload()
        self.ok = not outcome.failure
        outcome.tell()
        return outcome

    def ask(self) -> None:
        """For a signal: several that come during one reload are one more."""
        self._asked.set()

    async def serve(self, watch: Callable[[], bool]) -> None:
        """Reloads whenever asked, and while `watch` says so, when a file has changed and then stayed as it is for one look."""
        last = self._seen
        while True:
            try:
                async with asyncio.timeout(LOOK if watch() else None):
                    await self._asked.wait()
            except TimeoutError:
                now = stamps(self.files)  # some microseconds; the parent of workers may not have threads
                before, last = last, now
                if now == self._seen or now != before:
                    continue
            self._asked.clear()
            before = stamps(self.files)
            await self.reload()
            # What changed while it was being read is to be seen as changed.
            now = stamps(self.files)
            self._seen = last = now | {file: stamp for file, stamp in before.items() if file in now}

    async def _reload(self) -> Reloaded:
        try:
            with gently():
                config = await self._load()
            restart = await self._apply(config)
        except ConfigError as error:
            # The file that is wrong may be none of those that were read before; it is watched, so that its repair is seen.
            self.files |= {Path(found.file) for found in error.diagnostics}
            count = sum(found.severity == "error" for found in error.diagnostics)
            return Reloaded(tuple(error.diagnostics), "there are faults in it" if count > 1 else "there is a fault in it")
        except OSError as error:
            return Reloaded(failure=str(error))
        except Exception:
            logger.exception("the configuration could not be loaded")
            return Reloaded(failure="loading failed in our own hands")
        self.files = frozenset(config.files)
        del config
        gc.collect()  # what was compiled for the former one refers to itself, and the collector looks seldom
        return Reloaded(restart=restart)


def stamps(files: Iterable[Path]) -> dict[Path, tuple[int, int, int] | None]:
    """What shows that a file has changed: its time, size and number; None for one that is not there."""
    found: dict[Path, tuple[int, int, int] | None] = {}
    for file in files:
        try:
            status = file.stat()
        except OSError:
            found[file] = None
        else:
            found[file] = status.st_mtime_ns, status.st_size, status.st_ino
    return found


def needing_restart(old: Server, new: Server) -> tuple[str, ...]:
    """The settings whose change a running process cannot follow."""
    return tuple(f"server.{name}" for name in ("event_loop", "workers") if getattr(old, name) != getattr(new, name))


@contextmanager
def gently() -> Iterator[None]:
    """The event loop gets the interpreter back soon while a thread computes. Several may at once."""
    _intervals.append(sys.getswitchinterval())
    sys.setswitchinterval(_SWITCH)
    try:
        yield
    finally:
        sys.setswitchinterval(_intervals.pop())
