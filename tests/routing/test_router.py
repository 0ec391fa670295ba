"""Names and operations to targets: tables of what a configuration says and where a request goes."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml

from proxy.config import load
from proxy.config.model import Config
from proxy.errors import ClientError
from proxy.routing import Choice, Router

ROUTES: list[dict[str, Any]] = [
    {"model": "fast", "to": "a/a-mini"},
    {"model": "best", "to": ["a/a-big", "b/b-big"]},
    {"model": "org/name", "to": "a/x"},
    {"model": "gpt-4*", "to": "b"},
    {"model": "gpt-*", "to": "a"},
    {"model": "re-*", "to": "a/new-*"},
    {"model": "embed", "operations": ["embeddings"], "to": "a/e"},
    {"model": "embed", "to": "a/chatty"},
    {"model": "off", "to": "keyless/m"},
    {"model": "half", "to": ["keyless/m", "b/m"]},
    {"model": "chat-only", "to": "narrow/m"},
    {"model": "mixed", "to": ["narrow/m", "a/m"]},
    {"operations": ["file_*"], "to": "b"},
]


def config(tmp_path: Path, routes: list[dict[str, Any]] = ROUTES, **more: Any) -> Config:
    providers = {name: {"base_url": f"http://127.0.0.1/{name}", "key": "k"} for name in ("a", "b")}
    providers["keyless"] = {"base_url": "http://127.0.0.1/k", "key": "${NO_SUCH_KEY}"}
    providers["narrow"] = {"base_url": "http://127.0.0.1/n", "dialect": "deepseek"}
    path = tmp_path / "routes.yaml"
    path.write_text(yaml.safe_dump({"version": 1, "providers": providers, "routes": routes, **more}))
    return load(path, {})


def router(tmp_path: Path, **more: Any) -> Router[Choice]:
    return Router(config(tmp_path, **more).routes, lambda choice: choice)


def named(choices: tuple[Choice, ...]) -> list[str]:
    return [f"{choice.target.provider.name}/{choice.model or ''}" for choice in choices]


RESOLVED = [
    ("chat", "fast", ["a/a-mini"]),
    ("chat", "best", ["a/a-big", "b/b-big"]),
    ("chat", "org/name", ["a/x"]),
    ("chat", "gpt-3", ["a/gpt-3"]),
    ("chat", "gpt-4o", ["b/gpt-4o"]),  # the first pattern in the file
    ("chat", "re-1", ["a/new-1"]),
    ("embeddings", "embed", ["a/e"]),
    ("chat", "embed", ["a/chatty"]),
    ("chat", "half", ["b/m"]),
    ("chat", "mixed", ["narrow/m", "a/m"]),
    ("embeddings", "mixed", ["a/m"]),
    ("file_list", None, ["b/"]),
    ("file_upload", None, ["b/"]),
    ("moderations", None, ["a/a-mini"]),
    ("chat", "b/anything/at:all", ["b/anything/at:all"]),
]


@pytest.mark.parametrize(("operation", "model", "targets"), RESOLVED)
def test_resolved(operation: str, model: str | None, targets: list[str], tmp_path: Path) -> None:
    found = router(tmp_path, provider_prefix=True)
    resolution = found.resolve(operation, model)
    assert named(resolution.plans) == targets
    assert resolution.public == model
    assert found.resolve(operation, model) is resolution


REFUSED = [
    ("chat", "fasst", 404, "model_not_found", "Did you mean `fast`?"),
    ("chat", "", 404, "model_not_found", "does not exist"),
    ("chat", "a/x", 404, "model_not_found", "does not exist"),
    ("chat", "FAST", 404, "model_not_found", "does not exist"),
    ("chat", "x" * 5000, 404, "model_not_found", "…"),
    ("chat", "off", 404, "model_not_found", "NO_SUCH_KEY is not set"),
    ("embeddings", "chat-only", 400, "unsupported_operation", "does not do embeddings"),
    ("image_edits", "off", 404, "model_not_found", "NO_SUCH_KEY is not set"),
]


@pytest.mark.parametrize(("operation", "model", "status", "code", "said"), REFUSED)
def test_refused(operation: str, model: str, status: int, code: str, said: str, tmp_path: Path) -> None:
    with pytest.raises(ClientError) as caught:
        router(tmp_path).resolve(operation, model)
    assert (caught.value.status, caught.value.code, caught.value.param) == (status, code, "model")
    assert said in caught.value.message
    assert len(caught.value.message) < 400


def test_no_provider_for_an_operation_without_a_model(tmp_path: Path) -> None:
    with pytest.raises(ClientError) as caught:
        router(tmp_path, routes=[{"model": "x", "to": "narrow/m"}]).resolve("file_list", None)
    assert (caught.value.status, caught.value.code) == (404, "unsupported_operation")


def test_models_are_those_written_out_that_can_be_used(tmp_path: Path) -> None:
    found = router(tmp_path)
    assert [name for name, _ in found.models()] == ["fast", "best", "org/name", "embed", "half", "chat-only", "mixed"]
    assert found.route_of("gpt-9").ready[0].provider.name == "a"
    for name in ("off", "nobody"):
        with pytest.raises(ClientError):
            found.route_of(name)


def test_each_key_is_a_way(tmp_path: Path) -> None:
    providers = {"a": {"base_url": "http://127.0.0.1/a", "keys": ["one", "two"]}, "b": {"base_url": "http://127.0.0.1/b"}}
    found = Router(config(tmp_path, [{"model": "m", "to": ["a/x", "b/y"]}, {"model": "n", "to": "b/y"}], providers=providers).routes, str)
    resolution = Router(config(tmp_path, [{"model": "m", "to": ["a/x", "b/y"]}], providers=providers).routes, ways).resolve("chat", "m")
    assert resolution.groups == (("a/x 0", "a/x 1"), ("b/y 0",))
    assert (resolution.only, found.resolve("chat", "n").only is None) == (None, False)


def ways(choice: Choice) -> str:
    return f"{choice.name} {choice.key}"


def test_names_that_clients_make_up_do_not_fill_the_memory(tmp_path: Path) -> None:
    found = router(tmp_path)
    for number in range(10_000):
        found.resolve("chat", f"gpt-{number}")
    assert len(found._cache) <= 4096
