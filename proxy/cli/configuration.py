"""Which configuration a command reads, and how its faults are shown."""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Sequence
from pathlib import Path

from proxy.cli.output import coloured
from proxy.config import load, render
from proxy.config.files import find_default
from proxy.config.model import Config
from proxy.errors import ConfigError, Diagnostic


def find(arguments: argparse.Namespace) -> Path:
    """`--config`, else what is taken when none is named."""
    return Path(arguments.config) if arguments.config else find_default(os.environ)


def load_or_report(arguments: argparse.Namespace) -> Config | None:
    """The configuration, its warnings shown on stderr; None after showing why there is none."""
    try:
        config = load(find(arguments), os.environ)
    except ConfigError as error:
        report(error.diagnostics)
        return None
    report(config.diagnostics)
    return config


def report(diagnostics: Sequence[Diagnostic]) -> None:
    """Shows diagnostics on stderr."""
    if diagnostics:
        print(render(diagnostics, color=coloured(sys.stderr)), file=sys.stderr, flush=True)


def counted(number: int, noun: str) -> str:
    """`1 route`, `2 routes`."""
    return f"{number} {noun}{'' if number == 1 else 's'}"
