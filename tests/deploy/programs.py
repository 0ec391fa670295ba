"""The real programs that these tests start."""

from __future__ import annotations

import os
import shutil

import pytest

ELSEWHERE = os.pathsep.join(["/usr/local/sbin", "/usr/sbin", "/sbin"])  # not on everybody's path


def program(name: str, package: str) -> str:
    """Where it is. Where it is not, the test is skipped, and fails in CI: nothing there may go untested."""
    found = shutil.which(name) or shutil.which(name, path=ELSEWHERE)
    if found is not None:
        return found
    reason = f"{name} is not installed (Debian: apt-get install {package})"
    if os.environ.get("CI", "").lower() in ("", "0", "false"):
        pytest.skip(reason)
    pytest.fail(reason)
