"""The files of the client dialects, all of which come with Samewire: read at the start, their rules compiled when they are needed."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cache, cached_property, partial
from pathlib import Path
from typing import Any

from proxy.client_dialect import ClientDialect, ClientMapping, Mappings, Operation, read_client_dialect
from proxy.config.files import CLIENT_DIALECTS
from proxy.config.yaml import parse

#: A block of rules: its key's line, and all that is indented more.
_RULES = re.compile(r"^( *)(chat|defs|schemas|tables|traits):[ ]*(?:[&*]\w+)?[ ]*(?:#.*)?\n(?:\1 .*\n|[ ]*\n)*", re.MULTILINE)


@dataclass(frozen=True)
class ClientDialects:
    """All of them, OpenAI's first: what two could mean is meant by the first."""

    dialects: tuple[ClientDialect, ...]

    @cached_property
    def operations(self) -> Mapping[str, Operation]:
        """Every operation by its name."""
        return {operation.name: operation for dialect in self.dialects for operation in dialect.operations}

    @cached_property
    def translated(self) -> Mapping[str, str]:
        """The operations that an upstream can serve by way of another: which."""
        return {name: operation.by for name, operation in self.operations.items() if operation.chat}

    @cached_property
    def mappings(self) -> Mappings:
        """How those operations are served by a chat that have no upstream of their own."""
        parts: dict[str, Callable[[], ClientMapping]] = {}
        for dialect in self.dialects:
            parts |= dialect.mappings
        return Mappings(parts)


@cache
def load_client_dialects() -> ClientDialects:
    """Reads the outlines of our own files, once; a fault in them is a fault of ours, and no user's."""
    paths = sorted(CLIENT_DIALECTS.iterdir(), key=lambda path: (path.stem != "openai", path.stem))
    return ClientDialects(tuple(read_client_dialect(read_spec(path, outline), partial(_whole, path)) for path in paths))


@cache
def _whole(path: Path) -> Mapping[str, Any]:
    return read_spec(path)


def outline(text: str) -> str:
    """A file's text without its rules, which are most of it and not wanted at the start: `chat: true` is left of an operation's."""
    return _RULES.sub(lambda found: f"{found[1]}chat: true\n" if found[2] == "chat" else "", text)


def read_spec(path: Path, part_of: Callable[[str], str] = str) -> dict[str, Any]:
    """One dialect as it is written: a file, or a folder. Raises ValueError for what is no YAML. `part_of`: what is read of a file's text.

    Of a folder `dialect.yaml` comes first. A file beside it that has a `path` is the operation of its name; any other adds to the whole.
    """
    if path.is_file():
        return _read(path, part_of)
    spec = _read(path / "dialect.yaml", part_of)
    for file in sorted(path.glob("*.yaml")):
        if file.name != "dialect.yaml":
            part = _read(file, part_of)
            _add(spec, {"operations": {file.stem: part}} if "path" in part else part)
    return spec


def _add(whole: dict[str, Any], part: Mapping[str, Any]) -> None:
    for key, value in part.items():
        if isinstance(whole.get(key), dict) and isinstance(value, dict):
            _add(whole[key], value)
        else:
            whole[key] = value


def _read(file: Path, part_of: Callable[[str], str]) -> dict[str, Any]:
    document = parse(part_of(file.read_text("utf-8")), file.name)
    if document.faults:
        raise ValueError(f"{file}: {document.faults[0].message}")
    found: dict[str, Any] = document.value or {}
    return found
