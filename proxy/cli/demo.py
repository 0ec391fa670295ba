"""`samewire demo`."""

from __future__ import annotations

import argparse
import asyncio
import sys

from proxy.cli.output import print_json, say, table
from proxy.cli.signals import told_to_stop
from proxy.demo import flavours, start_demos


def run(arguments: argparse.Namespace) -> int:
    """Starts demo upstreams, prints their addresses, and replays until it is told to stop."""
    unknown = [name for name in arguments.flavour if name not in flavours()]
    if unknown:
        say(f"no such flavour: {', '.join(unknown)}; there are {', '.join(flavours())}", "red")
        return 2
    try:
        asyncio.run(_serve(arguments.flavour or flavours(), arguments))
    except OSError as error:
        say(f"cannot listen: {error.strerror}", "red")
        return 1
    return 0


async def _serve(names: list[str], arguments: argparse.Namespace) -> None:
    async with await start_demos(names, pace=arguments.pace, port=arguments.port) as demos:
        told = told_to_stop()
        if arguments.json:
            print_json(demos.addresses)
        else:
            print(table(("FLAVOUR", "ADDRESS"), list(demos.addresses.items()), sys.stdout))
            say("A model whose name ends in -cut breaks off in the middle. Stop with Ctrl-C.", "dim")
        sys.stdout.flush()
        await told.wait()
