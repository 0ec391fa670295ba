"""What one exchange leaves behind for metrics and log.

The exchange fills one Record as it goes and hands it over once, at its end; nothing is counted or written before.
"""

from __future__ import annotations

from typing import Any, Literal

import msgspec

from proxy.errors import Blame

#: From here on a figure is no count of tokens; log lines could not even hold every one.
_UNBELIEVABLE = 2**53


class Usage(msgspec.Struct, frozen=True, omit_defaults=True, gc=False):
    """Token counts. `input` includes what the cache served and stored, `output` includes reasoning (as OpenAI counts)."""

    input: int = 0
    output: int = 0
    cached_input: int = 0
    cache_creation_input: int = 0
    reasoning: int = 0

    @classmethod
    def read(cls, usage: Any) -> Usage:
        """From OpenAI's `usage` object: Chat's names, or those of Responses and Realtime. What is no count is 0."""
        if not isinstance(usage, dict):
            return cls()
        read = usage.get("prompt_tokens_details") or usage.get("input_tokens_details") or usage.get("input_token_details")
        wrote = usage.get("completion_tokens_details") or usage.get("output_tokens_details") or usage.get("output_token_details")
        cached = stored = 0
        if isinstance(read, dict):
            cached, stored = _count(read.get("cached_tokens")), _count(read.get("cache_write_tokens"))
        return cls(
            _count(usage.get("prompt_tokens")) or _count(usage.get("input_tokens")),
            _count(usage.get("completion_tokens")) or _count(usage.get("output_tokens")),
            cached,
            stored,
            _count(wrote.get("reasoning_tokens")) if isinstance(wrote, dict) else 0,
        )

    def __add__(self, other: Usage) -> Usage:
        return Usage(
            self.input + other.input,
            self.output + other.output,
            self.cached_input + other.cached_input,
            self.cache_creation_input + other.cache_creation_input,
            self.reasoning + other.reasoning,
        )


def _count(value: object) -> int:
    """An upstream's figure, which may be anything."""
    return value if type(value) is int and 0 < value < _UNBELIEVABLE else 0


class Failed(msgspec.Struct, kw_only=True):
    """One attempt that failed, or that the gateway itself did not make (`kind` "")."""

    provider: str  # OpenTelemetry's gen_ai.provider.name
    name: str = ""  # the provider's, as routes.yaml says it
    kind: str = ""  # UpstreamError's kind
    reason: str = ""  # a word of proxy.config.policy.REASONS
    set_aside: bool = False  # for this something is left alone for a while
    risked: bool = False  # another was asked although this one may have worked on the request


class Record(msgspec.Struct, kw_only=True):
    """One exchange. Moments are of one monotonic clock in seconds, 0 for what did not happen; "" is unknown or none."""

    operation: str
    request_id: str
    time: float  # unix seconds, when the request came
    start: float
    first_byte: float = 0.0  # the upstream's first
    first_token: float = 0.0  # when a stream's first bytes went to the client
    end: float = 0.0
    overhead: float = 0.0  # seconds of our own in `end - start`: not waiting for upstream or client

    route: str = ""  # its pattern
    public_model: str = ""  # as the client asked
    provider: str = ""  # OpenTelemetry's gen_ai.provider.name
    target: str = ""  # provider/model of the last attempt, as routes.yaml names them
    response_model: str = ""  # as the upstream answered
    attempts: int = 0
    failures: list[Failed] = []  # of each attempt that failed

    status: int = 0  # what the client got; 499 when it left before
    error_type: str = ""  # the envelope's `type`
    error_kind: str = ""  # UpstreamError's kind
    error_detail: str = ""  # what the client is not told: host, the system's words
    blame: Blame | Literal[""] = ""
    client_gone: bool = False

    stream: bool = False
    sent_bytes: int = 0
    usage: Usage | None = None
    estimated: bool = False  # we counted `usage` ourselves, roughly
    dropped: tuple[str, ...] = ()  # parameters that the upstream has no place for

    client: str = ""  # its address; of one behind a trusted proxy, the address that the proxy saw
    key: str = ""  # first 8 hex digits of the client key's SHA-256
    trace_id: str = ""  # of the traceparent
