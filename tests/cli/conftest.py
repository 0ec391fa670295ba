"""A configuration with one of everything."""

from __future__ import annotations

from pathlib import Path

import pytest

ROUTES = """\
version: 1
providers:
  keyed: {base_url: "https://api.example.com/v1", key: "${EXAMPLE_KEY}"}
  unkeyed: {base_url: "https://api.example.org/v1", key: "${NEVER_SET_KEY}"}
  messages: {base_url: "https://messages.example.com", dialect: anthropic, key: "${EXAMPLE_KEY}"}
  demo: {demo: ollama, dialect: ollama}
routes:
  - {model: exact, operations: [embeddings], to: keyed/vectors}
  - {model: exact, to: keyed/upstream-name}
  - {model: "ex*", to: keyed}
  - {model: talk, to: messages/claude-opus-4-8}
  - {model: split, to: [{provider: keyed, model: a, weight: 9}, {provider: demo, model: b, weight: 1}]}
  - {model: off, to: unkeyed/gpt, credential: provider}
  - {model: lent, to: unkeyed/gpt, credential: client, unsupported: reject}
"""
SECRET = "sk-0123456789-secret"


@pytest.fixture
def routes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("EXAMPLE_KEY", SECRET)
    for name in ("SAMEWIRE_CONFIG", "NEVER_SET_KEY"):
        monkeypatch.delenv(name, raising=False)
    file = tmp_path / "routes.yaml"
    file.write_text(ROUTES, "utf-8")
    return file
