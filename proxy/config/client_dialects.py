"""The files of the client dialects, all of which come with Samewire: read at the start, their rules compiled when they are needed."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from proxy.client_dialect import ClientDialect, ClientMapping, Mappings, Operation, read_client_dialect
from proxy.config.files import CLIENT_DIALECTS
from proxy.config.yaml import parse


@dataclass(frozen=True)
class ClientDialects:
    """All of them, OpenAI's first: what two could mean is meant by the first."""

    dialects: tuple[ClientDialect, ...]

    @cached_property
    def operations(self) -> Mapping[str, Operation]:
        """Every operation by its name."""
        return {operation.name: operation for dialect in self.dialects for operation in dialect.operations}

    @cached_property
    def mappings(self) -> Mappings:
        """How those operations are served by a chat that have no upstream of their own."""
        parts: dict[str, Callable[[], ClientMapping]] = {}
        for dialect in self.dialects:
            parts |= dialect.mappings
        return Mappings(parts)


def load_client_dialects() -> ClientDialects:
    """Reads our own files; a fault in them is a fault of ours, and no user's."""
    paths = sorted(CLIENT_DIALECTS.iterdir(), key=lambda path: (path.stem != "openai", path.stem))
    return ClientDialects(tuple(read_client_dialect(read_spec(path)) for path in paths))


def read_spec(path: Path) -> dict[str, Any]:
    """One dialect as it is written: a file, or a folder. Raises ValueError for what is no YAML.

    Of a folder `dialect.yaml` comes first. A file beside it that has a `path` is the operation of its name; any other adds to the whole.
    """
    if path.is_file():
        return _read(path)
    spec = _read(path / "dialect.yaml")
    for file in sorted(path.glob("*.yaml")):
        if file.name != "dialect.yaml":
            part = _read(file)
            _add(spec, {"operations": {file.stem: part}} if "path" in part else part)
    return spec


def _add(whole: dict[str, Any], part: Mapping[str, Any]) -> None:
    for key, value in part.items():
        if isinstance(whole.get(key), dict) and isinstance(value, dict):
            _add(whole[key], value)
        else:
            whole[key] = value


def _read(file: Path) -> dict[str, Any]:
    document = parse(file.read_text("utf-8"), file.name)
    if document.faults:
        raise ValueError(f"{file}: {document.faults[0].message}")
    found: dict[str, Any] = document.value
    return found
