"""`samewire schema`."""

from __future__ import annotations

import argparse
import sys

from proxy.config.files import shipped


def run(arguments: argparse.Namespace) -> int:
    """Prints a JSON Schema (draft 2020-12), as editors take it."""
    sys.stdout.write((shipped("schemas") / f"{arguments.which}.schema.json").read_text("utf-8"))
    return 0
