"""The command line. Each command is a module with `run(arguments) -> exit code`, imported when it is asked for.

Help and `check` must not load a server.
"""

from __future__ import annotations

import importlib
import os
import sys
from collections.abc import Sequence

from proxy.cli.arguments import parse


def run(argv: Sequence[str]) -> int:
    """Runs one command. Exit code 0: done; 1: a fault that was reported; 2: wrong usage (argparse leaves with it by itself)."""
    arguments = parse(argv)
    try:
        code: int = importlib.import_module(f"proxy.cli.{arguments.module}").run(arguments)
        sys.stdout.flush()
    except KeyboardInterrupt:
        return 130
    except BrokenPipeError:
        # The reader of a pipe has enough; what is left in the buffer must not fail at exit once more.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    return code
