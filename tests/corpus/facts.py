"""What an answer says, whatever wire it came over: the common ground on which a recording and what we serve are compared.

Nothing here (or in `readings/`) imports the package under test.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any


@dataclass(slots=True)
class Call:
    """One tool call. `arguments` is the parsed JSON, or the raw text where it is not JSON; `signature` is Google's."""

    name: str
    arguments: Any
    id: str | None = None
    signature: str | None = None


@dataclass(slots=True)
class Choice:
    """One choice of an answer. `finish` is in OpenAI's words; `signatures` prove reasoning and must survive unchanged, in order."""

    text: str = ""
    reasoning: str = ""
    refusal: str = ""
    calls: list[Call] = field(default_factory=list)
    finish: str | None = None
    images: list[str] = field(default_factory=list)
    signatures: list[str] = field(default_factory=list)
    logprobs: list[tuple[str, float]] = field(default_factory=list)


@dataclass(slots=True)
class Usage:
    """Tokens as OpenAI counts them: `prompt` with cached and cache-written ones, `completion` with reasoning."""

    prompt: int | None = None
    completion: int | None = None
    total: int | None = None
    cached: int | None = None
    cache_write: int | None = None
    reasoning: int | None = None


@dataclass(slots=True)
class Error:
    """A failure the answer reports. `status` is None where the wire does not say one (inside a stream)."""

    message: str
    status: int | None = None


@dataclass(slots=True)
class Facts:
    """Everything compared. `usage` is None where the vendor gave none."""

    choices: dict[int, Choice] = field(default_factory=dict)
    usage: Usage | None = None
    error: Error | None = None


def _short(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= 90 else f"{text[:50]} … {text[-30:]} ({len(text)})"


def _differ(what: str, expected: Any, served: Any) -> list[str]:
    return [] if expected == served else [f"{what}: expected {_short(expected)}, served {_short(served)}"]


def _calls(where: str, expected: list[Call], served: list[Call]) -> list[str]:
    faults = _differ(f"{where} tool calls", [call.name for call in expected], [call.name for call in served])
    if faults:
        return faults
    for number, (want, got) in enumerate(zip(expected, served, strict=True)):
        here = f"{where} tool call {number}"
        faults += _differ(f"{here} arguments", want.arguments, got.arguments)
        if want.signature is not None:
            faults += _differ(f"{here} signature", want.signature, got.signature)
        # a signed call's id may carry the signature behind what the vendor called it
        kept = (got.id or "").startswith(want.id or "") if want.signature else want.id in (None, got.id)
        if not got.id or not kept:
            faults.append(f"{here} id: expected {_short(want.id)}, served {_short(got.id)}")
    if len({call.id for call in served}) != len(served):
        faults.append(f"{where} tool calls: ids are not unique: {_short([call.id for call in served])}")
    return faults


def _finish(where: str, expected: Choice, served: Choice) -> list[str]:
    if served.finish == "tool_calls" and expected.finish == "stop" and expected.calls:
        return []  # some vendors say stop after calls; OpenAI's word for it is tool_calls
    return _differ(f"{where} finish", expected.finish, served.finish)


def _usage(expected: Usage | None, served: Usage | None) -> list[str]:
    if expected is None or served is None:
        return _differ("usage", expected, served)
    faults = []
    for name in ("prompt", "completion", "total"):
        if getattr(expected, name) is not None:
            faults += _differ(f"usage {name}", getattr(expected, name), getattr(served, name))
    for name in ("cached", "cache_write", "reasoning"):
        faults += _differ(f"usage {name}", getattr(expected, name) or 0, getattr(served, name) or 0)
    return faults


def _error(expected: Error | None, served: Error | None) -> list[str]:
    if expected is None or served is None:
        return _differ("error", expected, served)
    faults = _differ("error message", expected.message, served.message)
    if expected.status is not None:
        faults += _differ("error status", expected.status, served.status)
    return faults


def compare(expected: Facts, served: Facts) -> list[str]:
    """Every fact of the recording that what we serve lacks or changes, and every one it invents; empty when it is all right."""
    faults = _error(expected.error, served.error)
    faults += _differ("choices", sorted(expected.choices), sorted(served.choices))
    if expected.error is None:
        faults += _usage(expected.usage, served.usage)
    for index in sorted(expected.choices.keys() & served.choices.keys()):
        want, got, where = expected.choices[index], served.choices[index], f"choice {index}"
        for name in ("text", "reasoning", "refusal", "images", "signatures", "logprobs"):
            faults += _differ(f"{where} {name}", getattr(want, name), getattr(got, name))
        faults += _calls(where, want.calls, got.calls)
        if expected.error is None or got.finish is not None:
            faults += _finish(where, want, got)
    return faults
