"""What a promise is: a fault, what the client and the operator see of it, and the test that injects it through real sockets.

A Section is a table of docs/faults.md. Its lines are Cases, which `test_promises.py` runs as they stand here, and Rows, whose test lives
elsewhere. What the page says of a Case is written from what its test asserts.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

from tests.faults.places import Place, scripted
from tests.faults.wires import Wire
from tests.upstream.scripted import Step

How = Literal["whole", "stream"]
Try = tuple[str, How]
#: One dialect that is passed through, two that are translated.
DIALECTS = ("openai", "anthropic", "gemini")
WHOLE: tuple[Try, ...] = tuple((dialect, "whole") for dialect in DIALECTS)
STREAMS: tuple[Try, ...] = tuple((dialect, "stream") for dialect in DIALECTS)
#: For what has nothing to do with what an answer says.
ANY: tuple[Try, ...] = (("openai", "whole"), ("openai", "stream"), ("anthropic", "stream"), ("gemini", "whole"))


@dataclass(frozen=True, slots=True)
class Status:
    """Nothing has reached the client: a status and an envelope. `message`: a pattern that is found in it."""

    status: int
    code: str | None
    type: str = "upstream_error"
    message: str = r"^[A-Z].*\.$"

    def words(self) -> str:
        return f"{self.status} `{self.code or self.type}`"


@dataclass(frozen=True, slots=True)
class Broken:
    """A stream that has begun: the text so far, one error event, the connection cut; no end marker, no finish."""

    code: str | None
    type: str = "upstream_error"
    text: str = "Hello"
    message: str = r"^[A-Z].*\.$"

    def words(self) -> str:
        return f"what came before it, an error event `{self.code or self.type}`, no end marker, the connection cut"


@dataclass(frozen=True, slots=True)
class Answered:
    """The answer is whole and says `text`; a stream has one end marker and nothing after it. `why`: words for the page."""

    text: str = "Hello"
    why: str = ""

    def words(self) -> str:
        return f"the whole answer{self.why and ', '}{self.why}"


@dataclass(frozen=True, slots=True)
class AsItCame:
    """The whole answer of an upstream whose answers are passed through: its bytes, but for the model's name."""

    def words(self) -> str:
        return "the answer as it came"


@dataclass(frozen=True, slots=True)
class Case:
    """One fault of an upstream.

    `script`: what the upstream does on each connection once it has read the request; made from the dialect's words where they matter.
    `kind`: UpstreamError's kind as log and metric show it, "" where nothing is wrong. `tries`: what it is tried with.
    `changes`: merged into the configuration of `stage.py`, whose deadlines and limits are small.
    `requests`: how often an upstream is asked. `elsewhere`: the route has a second target, which is well and answers in its stead.
    """

    id: str
    fault: str
    script: Sequence[Step] | Callable[[Wire], Sequence[Step]]
    sees: Status | Broken | Answered | AsItCame
    kind: str = ""
    tries: tuple[Try, ...] = ANY
    place: Place = scripted
    changes: Mapping[str, Any] = field(default_factory=dict)
    requests: int = 1
    elsewhere: bool = False

    def client(self) -> str:
        return self.sees.words()

    def operator(self) -> str:
        if not self.kind:
            return "a request that went well"
        if self.elsewhere:
            return f'`attempts: 2`; `samewire_upstream_errors_total{{kind="{self.kind}"}}`'
        return f'`error_kind: {self.kind}`; `samewire_upstream_errors_total{{kind="{self.kind}"}}`'


@dataclass(frozen=True, slots=True)
class Row:
    """A promise whose test lives elsewhere. `test`: its id (`file::name[parameters]`), without parameters if all belong to it."""

    fault: str
    sees: str
    notes: str
    test: str

    def client(self) -> str:
        return self.sees

    def operator(self) -> str:
        return self.notes


@dataclass(frozen=True, slots=True)
class Section:
    """One table. `name`: that of its file; `says`: a paragraph above the table."""

    name: str
    title: str
    says: str
    promises: tuple[Case | Row, ...]
