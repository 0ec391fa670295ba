"""In whose words a request is refused before it is known what it asks for: as far as its URL and headers tell."""

from __future__ import annotations

from collections.abc import Iterable

from multidict import CIMultiDictProxy

from proxy.client_dialect import PLAIN, ClientDialect, Voice


class Voices:
    """The voices of all dialects. A root that one dialect alone has tells it, so does a path's first word, and a page's header."""

    def __init__(self, dialects: Iterable[ClientDialect]) -> None:
        dialects = tuple(dialects)
        self._words: dict[str, Voice] = {}
        self._headers: dict[str, Voice] = {}
        owners: dict[str, list[Voice]] = {}
        for dialect in dialects:
            for root in dialect.roots:
                owners.setdefault(root.strip("/"), []).append(dialect.voice)
            for path in (operation.path for operation in dialect.operations):
                self._words.setdefault(_words(path)[0], dialect.voice)
            self._headers |= {page.header: dialect.voice for page in dialect.pages if page.header}
        self._roots = {root: voices[0] if len(voices) == 1 else None for root, voices in owners.items()}

    def of(self, target: str, headers: CIMultiDictProxy[str]) -> Voice:
        """The voice for a request that leads nowhere."""
        found = next((voice for header, voice in self._headers.items() if header in headers), None)
        for word in _words(target.partition("?")[0]):
            if word not in self._roots:
                return found or self._words.get(word) or PLAIN
            found = found or self._roots[word]
        return found or PLAIN


def _words(path: str) -> list[str]:
    return [word for word in path.split("/") if word] or [""]
