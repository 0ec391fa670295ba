"""Model name patterns: `*` stands for any run of characters, also none; everything else is itself, case and all."""

from __future__ import annotations

import re
from functools import lru_cache

import msgspec


class Glob(msgspec.Struct, frozen=True):
    """One pattern, compiled when something is held against it first."""

    text: str

    @property
    def stars(self) -> int:
        """How many `*` it has; with none it is one name."""
        return self.text.count("*")

    def match(self, name: str) -> tuple[str, ...] | None:
        """What each `*` stands for in `name`; None when it does not fit."""
        found = _compiled(self.text).fullmatch(name)
        return None if found is None else found.groups()

    def covers(self, other: Glob) -> bool:
        """Whether every name that fits `other` fits this one too.

        Only a `*` here can take a `*` there, so the other's text is matched as if its stars were letters of their own.
        """
        return _compiled(self.text).fullmatch(other.text) is not None

    @staticmethod
    def fill(template: str, parts: tuple[str, ...]) -> str:
        """`template` with its first `*` replaced by the first part, and so on."""
        pieces = template.split("*")
        return pieces[0] + "".join(part + piece for part, piece in zip(parts, pieces[1:], strict=False))


@lru_cache(maxsize=4096)
def _compiled(text: str) -> re.Pattern[str]:
    return re.compile("(.*)".join(re.escape(piece) for piece in text.split("*")), re.DOTALL)
