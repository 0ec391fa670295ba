"""Model name patterns: `*` stands for any run of characters, also none; everything else is itself, case and all."""

from __future__ import annotations

import re
from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class Glob:
    """One pattern, compiled."""

    text: str
    _pattern: re.Pattern[str] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        pattern = "(.*)".join(re.escape(piece) for piece in self.text.split("*"))
        object.__setattr__(self, "_pattern", re.compile(pattern, re.DOTALL))

    @property
    def stars(self) -> int:
        """How many `*` it has; with none it is one name."""
        return self.text.count("*")

    def match(self, name: str) -> tuple[str, ...] | None:
        """What each `*` stands for in `name`; None when it does not fit."""
        found = self._pattern.fullmatch(name)
        return None if found is None else found.groups()

    def covers(self, other: Glob) -> bool:
        """Whether every name that fits `other` fits this one too.

        Only a `*` here can take a `*` there, so the other's text is matched as if its stars were letters of their own.
        """
        return self._pattern.fullmatch(other.text) is not None

    @staticmethod
    def fill(template: str, parts: tuple[str, ...]) -> str:
        """`template` with its first `*` replaced by the first part, and so on."""
        pieces = template.split("*")
        return pieces[0] + "".join(part + piece for part, piece in zip(parts, pieces[1:], strict=False))
