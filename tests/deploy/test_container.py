"""The container's files: every dependency pinned by hash, in the ranges that pyproject.toml names."""

from __future__ import annotations

import re
import tomllib

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from tests.deploy.processes import ROOT

PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))
NEEDS = {"requirements.lock": PROJECT["project"]["dependencies"], "build.lock": PROJECT["build-system"]["requires"]}


def locked(name: str) -> dict[str, tuple[str, int]]:
    """Version and number of hashes of each package."""
    text = (ROOT / "deploy" / name).read_text("utf-8").replace("\\\n", " ")
    lines = [line for line in text.splitlines() if line.strip() and not line.startswith("#")]
    found = {}
    for line in lines:
        match = re.match(r"([\w.-]+)==(\S+)", line)
        assert match is not None, line
        found[canonicalize_name(match[1])] = match[2], len(re.findall(r"--hash=sha256:[0-9a-f]{64}(?:\s|$)", line))
    return found


@pytest.mark.parametrize("name", NEEDS)
def test_everything_that_is_needed_is_pinned_by_hash(name: str) -> None:
    pins = locked(name)
    assert all(hashes for _, hashes in pins.values())
    for requirement in map(Requirement, NEEDS[name]):  # what these need, pip itself insists on (--require-hashes)
        version, _ = pins[canonicalize_name(requirement.name)]
        assert requirement.specifier.contains(version), f"{requirement}, but deploy/{name} has {version}"


def test_what_the_container_copies_is_there() -> None:
    text = (ROOT / "deploy" / "Dockerfile").read_text("utf-8")
    for line in re.findall(r"^COPY (?!--from)(.+)$", text, re.MULTILINE):
        for source in line.split()[:-1]:
            assert (ROOT / source).exists(), source
