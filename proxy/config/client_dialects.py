"""The files of the client dialects, all of which come with Samewire: read at the start, their rules compiled when they are needed."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

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
    files = sorted(CLIENT_DIALECTS.glob("*.yaml"), key=lambda file: (file.stem != "openai", file.stem))
    return ClientDialects(tuple(map(load_client_dialect, files)))


def load_client_dialect(file: Path) -> ClientDialect:
    """One file. Raises ValueError for one that is no YAML."""
    document = parse(file.read_text("utf-8"), file.name)
    if document.faults:
        raise ValueError(f"{file.name}: {document.faults[0].message}")
    return read_client_dialect(document.value)
