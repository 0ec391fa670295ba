"""Text between `<tag>` and `</tag>` moved into a field of its own, also when a stream cuts the tags anywhere."""

from __future__ import annotations

from typing import Literal


class Untag:
    """Splits one running text that may begin with a tagged section: `<tag>inside</tag>outside`.

    Only a tag that opens the text (after white space) counts: further on it is text that somebody wrote. White space behind the
    closing tag is dropped, as the hosts that write such tags mean it. What may be the beginning of a tag is held back.
    `begun`: the text starts inside the tag (the opening one was part of the prompt).
    """

    __slots__ = ("close", "held", "open", "state")

    def __init__(self, tag: str, begun: bool = False) -> None:
        self.open = f"<{tag}>"
        self.close = f"</{tag}>"
        self.held = ""
        self.state: Literal["before", "inside", "gap", "after"] = "inside" if begun else "before"

    def feed(self, text: str) -> tuple[str, str]:
        """One more piece → what of it lies (outside, inside) the tags."""
        rest, self.held = self.held + text, ""
        if self.state == "before":
            begun = rest.lstrip()
            if self.open.startswith(begun) and begun != self.open:
                self.held = rest
                return "", ""
            self.state = "inside" if begun.startswith(self.open) else "after"
            rest = begun[len(self.open) :] if self.state == "inside" else rest
        inside = ""
        if self.state == "inside":
            inside, closed, rest = rest.partition(self.close)
            if not closed:
                keep = partial(inside, self.close)
                self.held = inside[len(inside) - keep :]
                return "", inside[: len(inside) - keep]
            self.state = "gap"
        if self.state == "gap":
            rest = rest.lstrip()
            self.state = "after" if rest else "gap"
        return rest, inside

    def end(self) -> tuple[str, str]:
        """The end of the text: what was held back is (outside, inside) text after all."""
        held, self.held = self.held, ""
        return ("", held) if self.state == "inside" else (held, "")


def partial(text: str, mark: str) -> int:
    """How many characters at the end of the text are the beginning of `mark`."""
    for length in range(min(len(text), len(mark) - 1), 0, -1):
        if mark.startswith(text[-length:]):
            return length
    return 0


def untag_whole(text: str, tag: str, begun: bool = False) -> tuple[str, str]:
    """(outside, inside) of a whole text. One that is begun but never closed was no tagged text."""
    if begun and f"</{tag}>" not in text:
        return text, ""
    splitter = Untag(tag, begun)
    outside, inside = splitter.feed(text)
    more_outside, more_inside = splitter.end()
    return outside + more_outside, inside + more_inside


class Splitters:
    """The running splitters of one stream, by tag and choice, and the fields that each reads and writes."""

    __slots__ = ("running",)

    def __init__(self) -> None:
        self.running: dict[tuple[str, int], tuple[Untag, str, str]] = {}

    def take(self, tag: str, choice: int, fields: tuple[str, str], begun: bool = False) -> Untag:
        """The splitter of one choice's text; `fields`: where the text stands, and where what is inside goes."""
        entry = self.running.get((tag, choice))
        if entry is None:
            entry = self.running[tag, choice] = (Untag(tag, begun), *fields)
        return entry[0]

    def end(self) -> list[tuple[int, dict[str, str]]]:
        """The last pieces: (choice, delta) for each text that was held back."""
        pieces = []
        for (_, choice), (splitter, source, target) in self.running.items():
            outside, inside = splitter.end()
            if outside or inside:
                pieces.append((choice, {source: outside} if outside else {target: inside}))
        return pieces
