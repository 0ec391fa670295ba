"""Independent readings of recorded answers: wire family → facts. Shares nothing with the package under test."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from tests.corpus.facts import Facts
from tests.corpus.readings import anthropic, gemini, ollama, openai


@dataclass(frozen=True, slots=True)
class Reading:
    """How one wire is read: a whole answer or error by (status, JSON body), a stream by its whole text."""

    answer: Callable[[int, Any], Facts]
    stream: Callable[[str], Facts]


OPENAI = Reading(openai.answer, openai.stream)
#: by the `api` of a recording
READINGS: dict[str, Reading] = {
    "messages": Reading(anthropic.answer, anthropic.stream),
    "rawPredict": Reading(anthropic.answer, anthropic.stream),
    "streamRawPredict": Reading(anthropic.answer, anthropic.stream),
    "generateContent": Reading(gemini.answer, gemini.stream),
    "streamGenerateContent": Reading(gemini.answer, gemini.stream),
    "ollama.chat": Reading(ollama.answer, ollama.stream),
    "chat": OPENAI,
}
