"""`samewire serve`: the gateway in the foreground."""

from __future__ import annotations

import argparse
import asyncio
import gc
import importlib
import importlib.util
import os
import resource
import sys
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import replace

from proxy.app import RunningServer, start
from proxy.app.reload import gently
from proxy.cli.banner import banner
from proxy.cli.configuration import find, load_or_report
from proxy.cli.output import say
from proxy.cli.signals import told_to_stop
from proxy.config import load
from proxy.config.model import Config, Server
from proxy.demo import start_demos
from proxy.log import messages_to_stderr
from proxy.metrics import load_exposition
from proxy.workers import Ends, Inheritance, Supervisor, work, worker_count

#: Allocations before the collector looks: an exchange makes no cycles, so there is little to find.
GC_THRESHOLD = (50_000, 20, 100)

#: Seconds before a thread compiles what has not been asked for yet.
_HEAD_START = 0.3


def run(arguments: argparse.Namespace) -> int:
    """Serves until SIGTERM or SIGINT, then lets running answers end. 1 when the configuration or the address cannot be used."""
    # What was imported lives until the end: the collector need not look at it again. A configuration does not: it can be loaded anew.
    gc.freeze()
    gc.set_threshold(*GC_THRESHOLD)
    arguments.config = str(find(arguments))  # from now on this one, also when it is not there for a moment
    config = load_or_report(arguments)
    if config is None:
        return 1
    try:
        config = replace(config, server=overridden(config.server, arguments, os.environ))
    except ValueError as error:
        say(str(error), "red")
        return 2
    messages_to_stderr(config.server.log.level)
    _take_all_descriptors()
    if worker_count(config) > 1:
        return asyncio.run(_supervise(config, arguments))
    with asyncio.Runner(loop_factory=_loop_factory(config.server)) as runner:
        return runner.run(_serve(config, arguments))


def overridden(server: Server, arguments: argparse.Namespace, environ: Mapping[str, str]) -> Server:
    """The server's settings with what the command line, or else the environment, says instead. Raises ValueError."""
    host = arguments.host or environ.get("SAMEWIRE_HOST")
    port = environ.get("SAMEWIRE_PORT") if arguments.port is None else str(arguments.port)
    socket = arguments.socket or environ.get("SAMEWIRE_SOCKET")
    workers = arguments.workers or environ.get("SAMEWIRE_WORKERS")
    if host:
        server = replace(server, hosts=(host,))
    if port:
        if not port.isdecimal() or int(port) > 65535:
            raise ValueError(f"a port is a number from 0 to 65535, not {port!r}")
        server = replace(server, port=int(port))
    if socket:
        server = replace(server, socket=socket, hosts=(host,) if host else ())
    if workers:
        if workers != "auto" and not (workers.isdecimal() and 0 < int(workers) <= 256):
            raise ValueError(f"workers are a number from 1 to 256, or auto, not {workers!r}")
        server = replace(server, workers="auto" if workers == "auto" else int(workers))
    return server


def _loop_factory(server: Server) -> Callable[[], asyncio.AbstractEventLoop] | None:
    """uvloop's loop where the configuration lets it and it can be had; None: Python's own."""
    if server.event_loop == "asyncio" or (server.event_loop == "auto" and importlib.util.find_spec("uvloop") is None):
        return None
    factory: Callable[[], asyncio.AbstractEventLoop] = importlib.import_module("uvloop").new_event_loop
    return factory


async def _serve(config: Config, arguments: argparse.Namespace) -> int:
    """One process that does all."""
    async with await start_demos(_demos(config)) as demos:

        async def load() -> Config:
            fresh = await asyncio.to_thread(_load, arguments)
            await demos.start(_demos(fresh))
            return fresh.with_demos(demos.ports)

        try:
            server = await start(config.with_demos(demos.ports), load)
        except OSError as error:
            say(str(error), "red")
            return 1
        compiling = asyncio.create_task(_compile(config))
        await _until_told(server)
        compiling.cancel()
    return 0


async def _compile(config: Config) -> None:
    """So that the first request of each kind need not wait for it. Later than those that come at once: they compile what they need."""
    await asyncio.sleep(_HEAD_START)
    with gently():
        await asyncio.to_thread(_prepare, config)


def _prepare(config: Config) -> None:
    config.compile()
    load_exposition()


async def _supervise(config: Config, arguments: argparse.Namespace) -> int:
    """The parent of several. It starts no thread, and nobody but the operator waits while it loads."""
    async with await start_demos(_demos(config)) as demos:

        async def load() -> Config:
            fresh = _load(arguments)
            await demos.start(_demos(fresh))
            return fresh.with_demos(demos.ports)

        async def load_again(ports: Mapping[str, int]) -> Config:
            return (await asyncio.to_thread(_load, arguments)).with_demos(ports)

        def run(config: Config, inheritance: Inheritance, ends: Ends) -> int:
            inheritance.enter(ends)
            with asyncio.Runner(loop_factory=_loop_factory(config.server)) as runner:
                return runner.run(work(config, inheritance, ends, load_again))

        _prepare(config)  # once for all workers
        supervisor = Supervisor(config.with_demos(demos.ports), load, run)
        try:
            await supervisor.start()
        except OSError as error:
            say(str(error), "red")
            await supervisor.close(0.0)
            return 1
        await _until_told(supervisor)
    return 0


async def _until_told(server: RunningServer | Supervisor) -> None:
    told = told_to_stop(server)
    print(banner(server.config, server.addresses, server.admin_addresses, sys.stderr), file=sys.stderr, flush=True)
    await told.wait()
    say(f"stopping: running answers have {server.config.server.drain:g} s")
    await server.close()


def _load(arguments: argparse.Namespace) -> Config:
    """Raises ConfigError."""
    config = load(find(arguments), os.environ)
    config.compile()
    return replace(config, server=overridden(config.server, arguments, os.environ))


def _demos(config: Config) -> list[str]:
    return sorted({provider.demo for provider in config.providers.values() if provider.demo})


def _take_all_descriptors() -> None:
    """As many as the system lets this process have: the usual 1024 are for programs that still call select()."""
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    with suppress(OSError, ValueError):  # some systems name a bound that they do not keep
        resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
