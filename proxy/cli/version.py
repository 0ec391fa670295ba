"""`samewire version`."""

from __future__ import annotations

import argparse
import platform

from proxy import __version__
from proxy.cli.output import print_json


def run(arguments: argparse.Namespace) -> int:
    """Prints the version of Samewire, and of Python."""
    if arguments.json:
        print_json({"samewire": __version__, "python": platform.python_version()})
    else:
        print(f"samewire {__version__} (Python {platform.python_version()})")
    return 0
