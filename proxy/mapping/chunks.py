"""Canonical deltas → OpenAI's chat completion chunks, as SSE bytes.

The writer owns what every client of that stream relies on: role first; one id, created and model throughout; tool calls with
indexes from 0, each id and name once, `{}` for a call without arguments; one finish reason per choice, after its content,
`tool_calls` when calls were made (a call that was cut by the length limit stays as it is); the usage chunk only if asked for;
`[DONE]` once. (OpenAI's API description, CreateChatCompletionStreamResponse.)
"""

from __future__ import annotations

import random
from abc import ABC, abstractmethod
from collections.abc import Callable
from typing import Any, Protocol

import msgspec

encode = msgspec.json.Encoder().encode
encode_lines = msgspec.json.Encoder().encode_lines
DONE = b"data: [DONE]\n\n"
_random = random.SystemRandom()


def new_id() -> str:
    """24 hex digits."""
    return f"{_random.getrandbits(96):024x}"


def more_arguments(index: Any, text: Any) -> dict[str, Any]:
    """The delta that has but a piece of a tool call's arguments."""
    return {"tool_calls": [{"index": index, "function": {"arguments": text}}]}


class Choice:
    """One choice under way."""

    __slots__ = ("calls", "finish", "prefix")

    def __init__(self, prefix: bytes) -> None:
        self.prefix = prefix
        self.finish: str | None = None
        self.calls: Calls | None = None


class Calls:
    """The tool calls of one choice: the upstream's indexes and ids → ours, from 0; which of them have had arguments."""

    __slots__ = ("argued", "ids", "last", "places")

    def __init__(self) -> None:
        self.places: dict[Any, int] = {}
        self.ids: list[str] = []
        self.argued: list[bool] = []
        self.last = 0

    def place(self, index: Any, call_id: Any) -> tuple[int, bool]:
        """Our index, and whether it is new. A new id under a used index is a new call (some hosts say 0 for all)."""
        known = self.places.get(index) if index is not None else None
        if known is None and index is None and self.ids and not call_id:
            return self.last, False
        if known is not None and (not call_id or self.ids[known] == call_id):
            self.last = known
            return known, False
        if call_id and call_id in self.ids:
            self.last = self.places[index] = self.ids.index(call_id)
            return self.last, False
        self.last = self.places[index] = len(self.ids)
        self.ids.append(call_id or "call_" + new_id())
        self.argued.append(False)
        return self.last, True

    def more(self, index: Any) -> bool:
        """Whether a known call has this index and ours is the same, as nearly always: then it gets arguments now."""
        if type(index) is not int or self.places.get(index) != index:
            return False
        self.last = index
        self.argued[index] = True
        return True

    def goes_on(self, piece: dict[str, Any]) -> bool:
        """Whether a piece is more arguments of a known call and nothing else."""
        try:
            index, function = piece["index"], piece["function"]
            more = len(piece) == 2 and len(function) == 1 and function["arguments"]
        except (LookupError, TypeError):
            return False
        return bool(more) and self.more(index)


class Tokens(ABC):
    """What every writer has. Canonical usage of a stream is what the last event told that told any; many vendors tell it in every event,
    and it is wanted once.

    later: what computes it of which event and context, for the events since it was last computed.
    """

    __slots__ = ("known", "later")

    def __init__(self) -> None:
        self.known: dict[str, Any] | None = None
        self.later: list[tuple[Callable[[Any, Any], dict[str, Any] | None], Any, Any]] = []

    @abstractmethod
    def emit(self, delta: dict[str, Any] | None, index: int | None = None, logprobs: Any = None) -> None:
        """One piece of a choice, in OpenAI's delta form."""

    def arguments(self, index: Any, text: Any) -> None:
        """More arguments of a tool call of the only choice, and nothing else: most of what calls are made of."""
        self.emit(more_arguments(index, text))

    def settle(self) -> None:
        """Compute what waits, so that no event is kept for it any longer."""
        while self.later:
            compute, document, context = self.later.pop()
            if usage := compute(document, context):
                self.usage = usage

    @property
    def usage(self) -> dict[str, Any] | None:
        self.settle()
        return self.known

    @usage.setter
    def usage(self, value: dict[str, Any]) -> None:
        self.known = value
        self.later.clear()


class ChunkWriter(Tokens):
    """Collects the bytes of one stream. `usage_wanted`: the client asked for the usage chunk.

    `reasoning`: the names under which reasoning text is shown, `reasoning_content` and/or `reasoning`.
    """

    __slots__ = (
        "choices",
        "created",
        "deltas",
        "extra",
        "figures",
        "finished",
        "id",
        "model",
        "out",
        "reasoning",
        "renamed",
        "rest",
        "suffix",
        "usage_wanted",
        "writing",
    )

    def __init__(
        self, model: str, created: int, *, usage_wanted: bool = False, reasoning: tuple[str, ...] = ("reasoning_content",)
    ) -> None:
        super().__init__()
        self.model: str | None = model or None
        self.created = created
        self.usage_wanted = usage_wanted
        self.reasoning = reasoning
        self.id: str | None = None
        self.figures: dict[str, Any] = {}
        self.choices: dict[int, Choice] = {}
        self.finished = False  # every choice that was begun has its finish reason
        self.extra: dict[str, Any] = {}
        self.out: list[bytes] = []
        self.deltas: list[dict[str, Any]] = []  # of one choice, not written yet
        self.writing: Choice | None = None
        self.renamed = reasoning != ("reasoning_content",)
        self.suffix = b'}],"usage":null}\n\n' if usage_wanted else b"}]}\n\n"
        self.rest = b',"logprobs":null,"finish_reason":null' + self.suffix

    # -- what the rules say ------------------------------------------------------------------------------------------

    def head(self, figures: dict[str, Any] | None) -> None:
        """The answer's own id, model, created, …: the first of each wins; what has been written stays as it was."""
        if self.choices or not figures:
            return
        for name, value in figures.items():
            if name == "id":
                self.id = self.id or str(value)
            elif name == "model":
                self.model = self.model or str(value)
            elif name == "created":
                self.created = int(value)
            else:
                self.figures.setdefault(name, value)

    def emit(self, delta: dict[str, Any] | None, index: int | None = None, logprobs: Any = None) -> None:
        """One piece of a choice, in OpenAI's delta form."""
        if not delta:
            return
        index = index or 0
        choice = self.choices[index] if index in self.choices else self.open(index)
        if "tool_calls" in delta and not self.number(choice, delta):
            return
        if self.renamed and "reasoning_content" in delta:
            text = delta.pop("reasoning_content")
            delta.update(dict.fromkeys(self.reasoning, text))
        if logprobs is None and not self.extra:
            if choice is not self.writing:
                self.write()
                self.writing = choice
            self.deltas.append(delta)
        else:
            self.write()
            self.out.append(choice.prefix + encode(delta) + b',"logprobs":' + encode(logprobs) + b',"finish_reason":null' + self.tail())

    def arguments(self, index: Any, text: Any) -> None:
        """What `emit` does, and quicker."""
        delta = more_arguments(index, text)
        choice = self.choices.get(0)
        if text and choice is not None and choice is self.writing and choice.calls is not None and choice.calls.more(index):
            self.deltas.append(delta)
        else:
            self.emit(delta)

    def finish(self, reason: str | None, index: int | None = None) -> None:
        """The finish reason of a choice, kept for the end. Without a reason the choice is only known to exist."""
        choice = self.choices.get(index or 0) or self.open(index or 0)
        if reason:
            choice.finish = reason
            self.finished = all(choice.finish for choice in self.choices.values())

    # -- the invariants --------------------------------------------------------------------------------------------

    def open(self, index: int) -> Choice:
        """Begin a choice: its role goes first."""
        prefix = b"data: " + encode(self.figures_of_chunk())[:-1] + b',"choices":[{"index":%d,"delta":' % index
        choice = self.choices[index] = Choice(prefix)
        self.finished = False
        self.write()
        first = b'{"role":"assistant","content":""},"logprobs":null,"finish_reason":null'
        self.out.append(prefix + first + self.tail())
        return choice

    def figures_of_chunk(self) -> dict[str, Any]:
        """What each chunk of the stream says of it."""
        return {
            "id": self.identity(),
            "object": "chat.completion.chunk",
            "created": self.created,
            "model": self.model or "",
            **self.figures,
        }

    def identity(self) -> str:
        if self.id is None:
            self.id = "chatcmpl-" + new_id()
        return self.id

    def tail(self) -> bytes:
        """The end of a chunk; members that the upstream adds to its chunks are shown once."""
        if not self.extra:
            return self.suffix
        extra, self.extra = encode(self.extra), {}
        return b"}]," + extra[1:-1] + self.suffix[2:] if len(extra) > 2 else self.suffix

    def number(self, choice: Choice, delta: dict[str, Any]) -> bool:
        """Bring the tool calls of a delta into order; False when nothing is left to say."""
        calls = choice.calls
        if calls is None:
            calls = choice.calls = Calls()
        given = delta["tool_calls"]
        if len(given) == 1 and calls.goes_on(given[0]):
            return True
        pieces = []
        for piece in given:
            function = piece.get("function") or {}
            arguments = function.get("arguments") or ""
            place, new = calls.place(piece.get("index"), piece.get("id"))
            calls.argued[place] = calls.argued[place] or bool(arguments)
            if new:
                shown = {"name": function.get("name") or "", "arguments": arguments}
                more = {key: value for key, value in piece.items() if key not in ("index", "id", "type", "function")}
                pieces.append({"index": place, "id": calls.ids[place], "type": "function", "function": shown, **more})
            elif arguments:
                pieces.append({"index": place, "function": {"arguments": arguments}})
        delta["tool_calls"] = pieces
        if not pieces:
            del delta["tool_calls"]
        return bool(delta)

    # -- the end ---------------------------------------------------------------------------------------------------

    def write(self) -> None:
        """Write the deltas that wait, all in one go: as lines of JSON, which hold no line end, with what parts two chunks between them."""
        if self.deltas and self.writing is not None:
            prefix = self.writing.prefix
            lines = encode_lines(self.deltas)[:-1].replace(b"\n", self.rest + prefix)
            self.out.append(prefix + lines + self.rest)
            self.deltas.clear()

    def take(self) -> bytes:
        """What has been written since the last take."""
        self.write()
        out = b"".join(self.out)
        self.out.clear()
        return out

    def end(self) -> None:
        """The stream ended well: finish chunks, usage chunk if asked for, end marker."""
        self.write()
        for choice in self.choices.values():
            for place, argued in enumerate(choice.calls.argued if choice.calls else ()):
                if not argued and choice.finish != "length":
                    delta = encode(more_arguments(place, "{}"))
                    self.out.append(choice.prefix + delta + b',"logprobs":null,"finish_reason":null' + self.tail())
            reason = "tool_calls" if choice.calls and choice.finish == "stop" else choice.finish
            self.out.append(choice.prefix + b'{},"logprobs":null,"finish_reason":' + encode(reason) + self.tail())
        if self.usage_wanted and self.usage is not None:
            self.out.append(b"data: " + encode({**self.figures_of_chunk(), "choices": [], "usage": self.usage}) + b"\n\n")
        self.out.append(DONE)


_KNOWN = frozenset(("id", "object", "created", "model", "choices", "usage", "service_tier", "system_fingerprint", "error"))


class Taker(Protocol):
    """Who takes the pieces of a chunk."""

    extra: dict[str, Any]
    usage: Any

    def head(self, figures: dict[str, Any] | None) -> None: ...
    def emit(self, delta: dict[str, Any] | None, index: int | None = None, logprobs: Any = None) -> None: ...
    def finish(self, reason: str | None, index: int | None = None) -> None: ...


def write_chunk(writer: Taker, chunk: dict[str, Any]) -> None:
    """An OpenAI-shaped chunk of an upstream, brought into order by the writer."""
    writer.head({name: chunk[name] for name in ("id", "model", "created", "service_tier", "system_fingerprint") if chunk.get(name)})
    extra = {name: value for name, value in chunk.items() if name not in _KNOWN and value is not None}
    if extra:
        writer.extra.update(extra)
    for choice in chunk.get("choices") or ():
        index = choice.get("index") or 0
        delta = choice.get("delta") or {}
        shown = {name: value for name, value in delta.items() if value is not None and value != [] and name != "role"}
        if shown.get("content") == "":
            del shown["content"]
        writer.emit(shown, index, choice.get("logprobs"))
        writer.finish(choice.get("finish_reason"), index)
    if (usage := chunk.get("usage")) and isinstance(usage, dict):
        writer.usage = usage
