"""Names of ways: where the answers are that a provider keeps, told by their ids alone, the same on every replica."""

from __future__ import annotations

import hashlib
import re
from functools import cache

_TAGGED = re.compile(r"(.+)_sw([0-9a-f]{8})", re.DOTALL)


@cache
def tag(provider: str, key: int) -> str:
    """Eight hex digits for one of a provider's credentials: of the provider's name and the credential's place, and of no secret."""
    return hashlib.sha256(f"{provider}\0{key}".encode()).hexdigest()[:8]


def tagged(identifier: str, way: str) -> str:
    """The provider's id as it is shown: with the way that leads back to it."""
    return f"{identifier}_sw{way}"


def untagged(identifier: str) -> tuple[str, str]:
    """The provider's own id, and the way; '' where it is not told."""
    match = _TAGGED.fullmatch(identifier)
    return (match[1], match[2]) if match else (identifier, "")
