"""Operations: what a client may ask for, as the client dialect's file lists them."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import yaml

BodyKind = Literal["json", "multipart", "none", "websocket"]
ModelPlace = Literal["required", "optional", "query", "nowhere"]
AnswerKind = Literal["json", "bytes", "media", "either"]

CLIENT_DIALECTS = Path(__file__).parent.parent / "dialects" / "client"


@dataclass(frozen=True, slots=True)
class Operation:
    """One thing a client may ask for. The words are those of `dialects/client/openai.yaml`."""

    name: str
    path: str
    method: str = "POST"
    body: BodyKind = "json"
    model: ModelPlace = "nowhere"
    stream: bool = False
    answer: AnswerKind = "json"
    tokens: bool = False
    large: bool = False


@dataclass(frozen=True, slots=True)
class ClientDialect:
    """A wire language that faces clients: where its operations lie. `root` may be left out of a URL, or said twice."""

    name: str
    root: str
    operations: tuple[Operation, ...]


def load_client_dialect(name: str) -> ClientDialect:
    """Reads one of our own files; a fault in it is a fault of ours, and no user's."""
    spec: dict[str, Any] = yaml.safe_load((CLIENT_DIALECTS / f"{name}.yaml").read_text("utf-8"))
    operations = tuple(Operation(name=key, **entry) for key, entry in spec["operations"].items())
    return ClientDialect(name=spec["dialect"], root=spec["root"], operations=operations)
