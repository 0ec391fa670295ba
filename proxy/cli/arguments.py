"""What may stand behind `samewire`. argparse alone: `--help` answers at once."""

from __future__ import annotations

import argparse
from collections.abc import Sequence

from proxy import __version__

#: Command ─▶ (module in this package, what it does).
COMMANDS = {
    "serve": ("serve", "start the gateway (the default command)"),
    "check": ("check", "read the configuration and report every fault in it"),
    "explain": ("explain", "show which route a request takes, what each rule does, and what goes upstream"),
    "routes": ("routes", "list providers and routes"),
    "schema": ("schema", "print the JSON Schema of routes.yaml or of a dialect"),
    "test": ("samples", "run the given/expected samples beside a dialect"),
    "demo": ("demo", "start the built-in demo upstreams alone"),
    "version": ("version", "print the version"),
}

_CONFIG = "routes.yaml to use (default: $SAMEWIRE_CONFIG, ./routes.yaml, the one that comes with the package)"


def parse(argv: Sequence[str]) -> argparse.Namespace:
    """The arguments, with `module` naming the command's module; without a command they are those of `serve`."""
    options_only = not argv or (argv[0].startswith("-") and argv[0] not in ("-h", "--help", "--version"))
    return _parser().parse_args(["serve", *argv] if options_only else argv)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="samewire",
        description="One OpenAI-compatible address in front of every AI vendor.",
        epilog="`samewire` alone is `samewire serve`. Exit codes: 0 done, 1 a fault was found, 2 wrong usage.",
    )
    parser.add_argument("--version", action="version", version=f"samewire {__version__}")
    commands = parser.add_subparsers(title="commands", metavar="<command>", required=True)
    added = {}
    for name, (module, does) in COMMANDS.items():
        added[name] = commands.add_parser(name, help=does, description=f"{does[0].upper()}{does[1:]}.")
        added[name].set_defaults(module=module)
    for name in ("serve", "check", "explain", "routes"):
        added[name].add_argument("-c", "--config", metavar="FILE", help=_CONFIG)
    for name in ("check", "explain", "routes", "test", "demo", "version"):
        added[name].add_argument("--json", action="store_true", help="print JSON for machines")
    _serve(added["serve"])
    _explain(added["explain"])
    added["schema"].add_argument("which", nargs="?", choices=("routes", "dialect", "client"), default="routes", help="default: routes")
    added["test"].add_argument("folder", nargs="+", metavar="FOLDER", help="a dialect's folder, or one with samples in it")
    added["demo"].add_argument("flavour", nargs="*", metavar="FLAVOUR", help="which to start (default: all)")
    added["demo"].add_argument("--pace", type=float, default=1.0, metavar="X", help="factor on the recorded waits; 0: none (default: 1)")
    added["demo"].add_argument("--port", type=_port, default=0, metavar="PORT", help="first one's port, the others' follow; 0: free ones")
    return parser


def _port(text: str) -> int:
    port = int(text)
    if not 0 <= port <= 65535:
        raise ValueError(text)
    return port


def _serve(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--host", metavar="HOST", help="address to listen on ($SAMEWIRE_HOST)")
    parser.add_argument("--port", type=int, metavar="PORT", help="port to listen on; 0: a free one ($SAMEWIRE_PORT)")
    parser.add_argument("--socket", metavar="PATH", help="Unix socket to listen on instead ($SAMEWIRE_SOCKET)")
    parser.add_argument("--workers", metavar="N", help="processes that share the work; auto: one for each processor ($SAMEWIRE_WORKERS)")


def _explain(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("request", nargs="?", metavar="REQUEST.json", help="a request body as a client sends it; `-` reads it from stdin")
    parser.add_argument("--model", metavar="NAME", help="instead of a file: a chat request for this model")
    parser.add_argument("--message", metavar="TEXT", default="Hello!", help="with --model: what the user says")
    parser.add_argument("--stream", action="store_true", help="with --model: ask for a stream")
    parser.add_argument("--operation", metavar="NAME", default="chat", help="chat (default), embeddings, …")
    parser.add_argument("--answer", metavar="FILE", help="explain an upstream's answer (.json) or stream (.sse, .ndjson) too")
    parser.add_argument("--status", type=int, metavar="N", default=200, help="with --answer: the upstream's HTTP status (default: 200)")
