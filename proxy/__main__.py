"""`samewire` and `python -m proxy`."""

from __future__ import annotations

import sys

from proxy.cli import run


def main() -> None:
    """Runs the command line and leaves with its exit code: 0 done, 1 a fault in the configuration or in what was checked, 2 wrong usage."""
    sys.exit(run(sys.argv[1:]))


if __name__ == "__main__":
    main()
