"""A configuration from a few lines."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from proxy.config import load
from proxy.config.model import Config

Loaded = Callable[..., Config]


@pytest.fixture
def loaded(tmp_path: Path) -> Loaded:
    """Loads a configuration from its text; `version: 1` and the provider `up` are added where they are missing."""

    def build(text: str, **environ: str) -> Config:
        file = tmp_path / "routes.yaml"
        if "providers:" not in text:
            text += "\nproviders: {up: {base_url: https://example.com/v1}}"
        file.write_text(f"version: 1\n{text}\n", encoding="utf-8")
        return load(file, environ)

    return build
