"""Where the parts of the loader put what they find, while they go on."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field

from proxy.config.diagnostics import in_order, locate, suggest
from proxy.config.yaml import Document
from proxy.errors import Diagnostic, Fault, Severity, SpecPath


@dataclass(eq=False)
class Report:
    """What is wrong with a configuration: faults of its own file, and diagnostics of others."""

    document: Document
    found: list[Diagnostic] = field(default_factory=list)

    def add(self, path: SpecPath, code: str, message: str, hint: str = "", *, length: int = 1, severity: Severity = "error") -> None:
        """A fault at a place in the configuration."""
        self.found.append(locate(self.document, Fault(path, code, message, hint, 0, length, severity)))

    def warn(self, path: SpecPath, code: str, message: str, hint: str = "", *, length: int = 1) -> None:
        """The same as a warning."""
        self.add(path, code, message, hint, length=length, severity="warning")

    def unknown(self, path: SpecPath, what: str, name: str, known: Iterable[str]) -> None:
        """A name that nothing has."""
        self.add(path, f"unknown-{what}", f"there is no {what} '{name}'", suggest(name, known), length=len(name))

    @property
    def failed(self) -> bool:
        """Whether anything found is more than a warning."""
        return any(found.severity == "error" for found in self.found)

    def sorted(self) -> tuple[Diagnostic, ...]:
        """All of it, once each, in the order of the files."""
        return in_order(self.found)
