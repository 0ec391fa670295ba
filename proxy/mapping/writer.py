"""Canonical pieces → the events of a client dialect, by its rules (`proxy.mapping.sections`).

The writer owns what every client of such a stream relies on: it begins once; one section of a choice is open at a time, and each is
closed; tool calls come one after another, each whole; an end only after a good end.

A piece's event is made once for a section, with a mark where its text goes, and cut there: each further piece costs but its text.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from proxy.mapping.chunks import Tokens, encode, encode_lines, new_id
from proxy.mapping.context import Context
from proxy.mapping.section import SILENT, ChoiceState, Facts, Framing, Section, Template

if TYPE_CHECKING:
    from proxy.mapping.sections import SectionsMapping

#: Members of a delta that are pieces. All others are facts about the section that is open.
_PIECES = frozenset(
    ("content", "reasoning", "reasoning_content", "reasoning_details", "refusal", "tool_calls", "annotations", "images", "audio", "role")
)
_OF_CALL = frozenset(("index", "id", "type", "function", "custom"))
#: Where logprobs of a section's text are.
_OF_TEXT = {"text": "content", "refusal": "refusal"}
#: Stands for a piece's text while its event is made; no text has it.
_MARK = new_id() + new_id()
_CUT = encode(_MARK)


class SectionWriter(Tokens):
    """Collects the bytes of one stream. Takes what `ChunkWriter` takes of an upstream's rules; `extra` is for that one alone.

    `facts` is what templates see of the stream. `count`: sections so far; `number`: events so far.
    """

    __slots__ = (
        "begun",
        "choices",
        "context",
        "count",
        "extra",
        "facts",
        "finished",
        "framing",
        "items",
        "mapping",
        "number",
        "out",
        "pending",
        "started",
        "writing",
    )

    def __init__(self, mapping: SectionsMapping, context: Context, framing: Framing) -> None:
        super().__init__()
        self.mapping = mapping
        self.context = context
        self.framing = framing
        self.facts: Facts = {"key": new_id()}
        if context.shown:
            self.facts["model"] = context.shown
        self.choices: dict[int, ChoiceState] = {}
        self.finished = False
        self.extra: Facts = {}
        self.items: list[Any] = []
        self.count = 0
        self.number = 0
        self.begun = False  # the stream's first events have been written
        self.started = False  # bytes have been taken
        self.out: list[bytes] = []
        self.pending: list[str] = []  # pieces of one section, not written yet
        self.writing: Section | None = None

    # -- what the rules say ------------------------------------------------------------------------------------------

    def head(self, figures: Facts | None) -> None:
        """The answer's own id, model, created, …: the first of each wins."""
        for name, value in (figures or {}).items():
            if value:
                self.facts.setdefault(name, value)

    def emit(self, delta: Facts | None, index: int | None = None, logprobs: Any = None) -> None:
        """One piece of a choice, in OpenAI's delta form."""
        if not delta:
            return
        choice = self.choices.get(index or 0) or self.choice(index or 0)
        section = choice.section
        if section is not None and section.name == "text" and len(delta) == 1 and logprobs is None and (text := delta.get("content")):
            self.piece(section, text)
            return
        reasoning = delta.get("reasoning_content") or delta.get("reasoning")
        if details := delta.get("reasoning_details"):
            self.details(choice, details, reasoning)
        elif reasoning:
            self.say(choice, "reasoning", reasoning)
        if text := delta.get("content"):
            self.say(choice, "text", text, logprobs)
        if calls := delta.get("tool_calls"):
            self.calls(choice, calls)
        if not delta.keys() <= _PLAIN:
            self.rarities(choice, delta, logprobs)

    def finish(self, reason: str | None, index: int | None = None) -> None:
        """The finish reason of a choice, kept for the end."""
        choice = self.choices.get(index or 0) or self.choice(index or 0)
        if reason:
            choice.finish = reason
            if not index:
                self.facts["finish"] = choice.reason
            self.finished = all(choice.finish for choice in self.choices.values())

    # -- pieces by their kind ------------------------------------------------------------------------------------------

    def say(self, choice: ChoiceState, name: str, text: str, logprobs: Any = None) -> None:
        """Text of one kind: a piece of the section that is open, or of a new one."""
        section = choice.section
        if section is None or section.name != name:
            section = self.section(choice, name, {})
        if section is not None:
            self.piece(section, text, logprobs)

    def details(self, choice: ChoiceState, details: list[Facts], beside: str | None) -> None:
        """Reasoning with signatures, or hidden. `beside`: its text as it stands beside the details, too; it counts once."""
        for detail in details:
            if detail.get("data") is not None:
                self.section(choice, "hidden", {name: value for name, value in detail.items() if name not in ("type", "index")})
                continue
            section = choice.section
            if section is None or section.name != "reasoning" or section.order != detail.get("index"):
                section = self.section(choice, "reasoning", {}, detail.get("index"))
            if section is None:
                continue
            facts = section.facts
            if signature := detail.get("signature"):
                facts["signature"] = facts.get("signature", "") + signature
            if form := detail.get("format"):
                facts["format"] = form
            if text := detail.get("text") or detail.get("summary") or beside:
                self.piece(section, text)
            beside = None
        if beside:
            self.say(choice, "reasoning", beside)

    def calls(self, choice: ChoiceState, pieces: list[Facts]) -> None:
        """Pieces of tool calls. Raises ValueError for one that comes when its call was over."""
        for piece in pieces:
            function = piece.get("function") or piece.get("custom") or {}
            place, new = choice.places.place(piece.get("index"), piece.get("id"))
            section = self.call(choice, place, piece, function) if new else choice.calls[place]
            text = function.get("arguments") or function.get("input")
            if not text:
                continue
            if section.closed:
                raise ValueError("a piece of a tool call that was over")
            if section is choice.section:
                self.piece(section, text)
            else:
                section.waiting.append(text)

    def call(self, choice: ChoiceState, place: int, piece: Facts, function: Facts) -> Section:
        """A tool call begins; it waits while another's arguments are not whole."""
        facts: Facts = {"id": choice.places.ids[place], "type": piece.get("type") or "function", "name": function.get("name") or ""}
        if not piece.keys() <= _OF_CALL:
            facts["extra"] = {name: value for name, value in piece.items() if name not in _OF_CALL}
        section = Section("call", self.mapping.kinds.get("call", SILENT), place, facts)
        choice.calls.append(section)
        if choice.queue or (choice.section is not None and not choice.section.whole):
            choice.queue.append(section)
        else:
            self.close(choice)
            self.open(choice, section)
        return section

    def rarities(self, choice: ChoiceState, delta: Facts, logprobs: Any) -> None:
        """Refusals, annotations, images, sound; and what else is told of the section that is open."""
        if refusal := delta.get("refusal"):
            self.facts["refusal"] = self.facts.get("refusal", "") + refusal
            self.say(choice, "refusal", refusal, logprobs)
        for annotation in delta.get("annotations") or ():
            self.annotate(choice, annotation)
        for image in delta.get("images") or ():
            self.section(choice, "image", {"image": image})
        if audio := delta.get("audio"):
            self.sound(choice, audio)
        if choice.section is not None and (
            more := {name: value for name, value in delta.items() if value is not None and name not in _PIECES}
        ):
            choice.section.facts.setdefault("extra", {}).update(more)

    def annotate(self, choice: ChoiceState, annotation: Facts) -> None:
        """What the text that is open rests on; the stream knows all of them."""
        self.facts.setdefault("annotations", []).append(annotation)
        section = choice.section
        if section is None or section.name != "text":
            return
        self.flush()
        known = section.facts.setdefault("annotations", [])
        section.facts["annotation"] = len(known)
        self.write(section.kind.annotation, section.facts, piece=annotation)
        known.append(annotation)

    def sound(self, choice: ChoiceState, audio: Facts) -> None:
        """A piece of sound: base64 data, a transcript beside it."""
        section = choice.section
        if section is None or section.name != "audio":
            section = self.section(choice, "audio", {"transcript": ""})
        if section is None:
            return
        section.facts["transcript"] += audio.get("transcript") or ""
        section.facts.update((name, value) for name, value in audio.items() if name not in ("data", "transcript"))
        if data := audio.get("data"):
            self.piece(section, data)

    # -- sections ------------------------------------------------------------------------------------------------------

    def choice(self, index: int) -> ChoiceState:
        """A choice begins."""
        choice = self.choices[index] = ChoiceState(index)
        self.finished = False
        return choice

    def section(self, choice: ChoiceState, name: str, facts: Facts, order: Any = None) -> Section | None:
        """A section begins; None where this dialect has no such thing."""
        kind = self.mapping.kinds.get(name)
        if kind is None:
            return None
        self.close(choice)
        section = Section(name, kind, order, facts)
        self.open(choice, section)
        return section

    def open(self, choice: ChoiceState, section: Section) -> None:
        """The turn of a section has come."""
        self.flush()
        self.begin()
        section.facts |= {"kind": section.name, "index": choice.index, "key": new_id(), "n": self.count}
        if section.kind is not SILENT:
            self.count += 1
        choice.section = section
        self.write(section.kind.open, section.facts)
        section.cut = self.cut(section)
        for text in section.waiting:
            self.piece(section, text)
        section.waiting.clear()

    def close(self, choice: ChoiceState) -> None:
        """The section that is open is over, and then the calls that waited for it."""
        while choice.section is not None:
            self.shut(choice.section, choice)
            choice.section = None
            if choice.queue:
                self.open(choice, choice.queue.pop(0))

    def shut(self, section: Section, choice: ChoiceState) -> None:
        self.flush()
        section.closed = True
        text = "".join(section.texts)
        section.texts.clear()
        if section.name == "call":
            section.facts["arguments"] = text or ("{}" if choice.finish != "length" else "")
        else:
            section.facts["text"] = text
        item = None
        if section.kind.item is not None:
            item = section.kind.item(section.facts, self.context, self.facts, self.items)
            if item is not None:
                self.items.append(item)
        self.write(section.kind.close, section.facts, item=item)

    def piece(self, section: Section, text: str, logprobs: Any = None) -> None:
        """More of the section that is open."""
        kind = section.kind
        if kind.keeps or section.name == "call":
            section.texts.append(text)
        if logprobs is not None:
            section.facts.setdefault("logprobs", []).extend(logprobs.get(_OF_TEXT.get(section.name)) or ())
        if kind.piece is None:
            return
        if section.cut is None or logprobs is not None:
            self.flush()
            self.write(kind.piece, section.facts, piece=text, logprobs=logprobs)
            return
        if section is not self.writing:
            self.flush()
            self.writing = section
        self.pending.append(text)

    def cut(self, section: Section) -> tuple[bytes, bytes, bytes] | None:
        """A piece's event, cut where its text goes; None where the template does more with it than to show it once."""
        if section.kind.piece is None or not section.kind.cuts:
            return None
        made = section.kind.piece(section.facts, self.context, self.facts, self.items, piece=_MARK)
        before, *rest = encode(made).split(_CUT)
        if not rest:  # a condition leaves it out
            return None
        opening, after = self.framing.around(made["type"] if self.mapping.named else "")
        if self.mapping.numbered:
            return opening + before, b'%b,"%b":' % (rest[0][:-1], self.mapping.numbered.encode()), b"}" + after
        return opening + before, rest[0] + after, b""

    # -- bytes ---------------------------------------------------------------------------------------------------------

    def begin(self) -> None:
        """Write what the stream begins with, once."""
        if self.begun:
            return
        self.begun = True
        self.facts.setdefault("model", self.context.model)
        self.facts.setdefault("created", self.context.now)
        self.facts["usage"] = self.usage
        if self.mapping.variables is not None:
            self.facts["variables"] = {}
            self.facts["variables"] = self.mapping.variables(self.facts, self.context, self.facts, self.items) or {}
        self.write(self.mapping.begin, self.facts)

    def write(self, template: Template | None, document: Facts, **more: Any) -> None:
        """The events of a template."""
        made = template and template(document, self.context, self.facts, self.items, **more)
        if made is None:
            return
        for event in made if isinstance(made, list) else (made,):
            data = encode(event)
            if self.mapping.numbered:
                data = b'%b,"%b":%d}' % (data[:-1], self.mapping.numbered.encode(), self.number)
                self.number += 1
            self.out.append(self.framing.event(data, event["type"] if self.mapping.named else ""))

    def flush(self) -> None:
        """Write the pieces that wait, all in one go: as lines of JSON, which hold no line end, with what parts two events between them."""
        if not self.pending or self.writing is None or self.writing.cut is None:
            return
        before, after, last = self.writing.cut
        if not self.mapping.numbered:
            self.out.append(before + encode_lines(self.pending)[:-1].replace(b"\n", after + before) + after)
        else:
            texts = encode_lines(self.pending)[:-1].split(b"\n")
            self.out += [b"%b%b%b%d%b" % (before, text, after, number, last) for number, text in enumerate(texts, self.number)]
            self.number += len(texts)
        self.pending.clear()

    def take(self) -> bytes:
        """What has been written since the last take."""
        self.flush()
        out = b"".join(self.out)
        self.out.clear()
        if out and not self.started:
            self.started = True
            return self.framing.begun(out)
        return out

    def end(self) -> None:
        """The stream ended well."""
        for choice in self.choices.values():
            self.close(choice)
        self.flush()
        self.begin()
        self.conclude()
        self.write(self.mapping.end, self.facts)
        if self.mapping.done:
            self.out.append(self.framing.event(self.mapping.done.encode()))
        self.out.append(self.framing.end(begun=self.started or bool(self.out)))

    def fail(self, failure: Mapping[str, Any], error: Any) -> bytes:
        """The stream failed: the last bytes that its client gets. `failure`: the canonical error, `error`: as the dialect shows it."""
        self.flush()
        if self.mapping.fail is not None:
            self.begin()
        self.conclude()
        self.write(self.mapping.fail, self.facts, failure=failure, error=error)
        return self.take()

    def conclude(self) -> None:
        """What is known of the stream now that it is over."""
        choices = [{"index": choice.index, "finish": choice.reason} for choice in self.choices.values()]
        self.facts |= {"usage": self.usage, "n": self.count, "choices": choices, "finish": choices[0]["finish"] if choices else None}


#: What nearly all deltas are made of.
_PLAIN = frozenset(("role", "content", "reasoning_content", "reasoning_details", "tool_calls"))
