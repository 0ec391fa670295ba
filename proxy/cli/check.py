"""`samewire check`."""

from __future__ import annotations

import argparse
import os
from collections import Counter
from collections.abc import Sequence

from proxy.cli.configuration import counted, find, report
from proxy.cli.output import print_json, say
from proxy.config import load
from proxy.config.diagnostics import as_json
from proxy.config.model import Config
from proxy.errors import ConfigError, Diagnostic


def run(arguments: argparse.Namespace) -> int:
    """Reads the configuration and all it names. 1 when it has an error; warnings are shown, and are none."""
    path = find(arguments)
    config: Config | None = None
    try:
        config = load(path, os.environ, check=True)
        diagnostics: Sequence[Diagnostic] = config.diagnostics
    except ConfigError as error:
        diagnostics = error.diagnostics
    if arguments.json:
        print_json({"file": str(path), "ok": config is not None, "diagnostics": [as_json(found) for found in diagnostics]})
        return 0 if config else 1
    report(diagnostics)
    severities = Counter(found.severity for found in diagnostics)
    found = ", ".join(counted(severities[severity], severity) for severity in ("error", "warning") if severities[severity])
    if config is None:
        say(f"{path}: {found}", "red")
        return 1
    print(f"{path}: ok: {_summary(config)}{f'; {found}' if found else ''}")
    return 0


def _summary(config: Config) -> str:
    states = Counter(provider.state for provider in config.providers.values())
    providers = ", ".join(f"{number} {state}" for state, number in sorted(states.items()))
    return f"{counted(len(config.providers), 'provider')} ({providers}), {counted(len(config.routes), 'route')}"
