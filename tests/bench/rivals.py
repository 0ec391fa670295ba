"""LiteLLM and Portkey: what `--setup` installs, pinned, into a cache of their own; nothing else needs or touches it."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import ClassVar

from tests.bench import payloads
from tests.bench.contenders import Contender
from tests.bench.ends import Ends, Upstream
from tests.bench.processes import free_port

LITELLM = {"litellm[proxy]": "1.106.2", "opentelemetry-sdk": "1.45.2"}
PORTKEY = {"@portkey-ai/gateway": "1.15.2"}
#: Newer versions answer 500 to every passed-through stream ("TypeError: immutable", seen with 1.14.4, 1.19.1 and 1.19.19 on Node 20).
PORTKEY_OVERRIDES = {"@hono/node-server": "1.13.0"}


def cache() -> Path:
    """$SAMEWIRE_BENCH_CACHE, else a folder in the user's cache."""
    home = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    return Path(os.environ.get("SAMEWIRE_BENCH_CACHE") or home / "samewire-bench")


def setup() -> None:
    """Installs both; Portkey needs npm. Raises CalledProcessError."""
    folder = cache()
    venv = folder / "litellm"
    subprocess.run([sys.executable, "-m", "venv", "--clear", str(venv)], check=True)
    subprocess.run([venv / "bin" / "pip", "install", "-q", *(f"{name}=={pinned}" for name, pinned in LITELLM.items())], check=True)
    print(f"LiteLLM {LITELLM['litellm[proxy]']} is in {venv}", file=sys.stderr)
    npm = shutil.which("npm")
    if not npm:
        print("npm is not installed: Portkey is left out", file=sys.stderr)
        return
    modules = folder / "portkey"
    modules.mkdir(parents=True, exist_ok=True)
    package = {"private": True, "dependencies": PORTKEY, "overrides": PORTKEY_OVERRIDES}
    (modules / "package.json").write_text(json.dumps(package, indent=1))
    subprocess.run([npm, "install", "--no-audit", "--no-fund", "--ignore-scripts", "--silent"], cwd=modules, check=True)
    print(f"Portkey {PORTKEY['@portkey-ai/gateway']} is in {modules}", file=sys.stderr)


class LiteLlm(Contender):
    """One worker; models that its price list knows, no database, no key to check, nothing printed."""

    name = "LiteLLM"
    note = "one worker, opentelemetry-sdk installed (without it a request costs twice as much), no key check, database or request log"
    translates = True
    slow = True
    ready_in = 180.0
    environ: ClassVar[dict[str, str]] = {
        "LITELLM_LOG": "ERROR",
        "LITELLM_MODE": "PRODUCTION",
        "LITELLM_LOCAL_MODEL_COST_MAP": "True",
        "NO_DOCS": "True",
        "DISABLE_ADMIN_UI": "True",
        "LITELLM_TELEMETRY": "False",
    }

    @classmethod
    def lacks(cls) -> str:
        return "" if (cache() / "litellm" / "bin" / "litellm").exists() else "not installed (python -m tests.bench.run --setup)"

    @classmethod
    def version(cls) -> str:
        return LITELLM["litellm[proxy]"]

    def command(self) -> list[str]:
        self._port = free_port()
        prefixes = {"openai": "openai", "blocks": "anthropic", "parts": "gemini"}
        models = [
            {
                "model_name": upstream.name,
                "litellm_params": {
                    "model": f"{prefixes[upstream.source]}/{payloads.MODELS[upstream.source]}",
                    "api_base": f"http://127.0.0.1:{upstream.port}" + ("/v1" if upstream.source == "openai" else ""),
                    "api_key": "sk-upstream",
                },
            }
            for upstream in self.ends.upstreams.values()
        ]
        config = {
            "model_list": models,
            "litellm_settings": {"set_verbose": False, "num_retries": 0, "telemetry": False, "turn_off_message_logging": True},
            "router_settings": {"num_retries": 0, "disable_cooldowns": True},
            "general_settings": {
                "dangerously_permit_weak_or_unset_master_key": True,
                "disable_spend_logs": True,
                "disable_error_logs": True,
            },
        }
        file = self.folder / "config.yaml"
        file.write_text(json.dumps(config))
        program = cache() / "litellm" / "bin" / "litellm"
        return [str(program), "--config", str(file), "--host", "127.0.0.1", "--port", str(self._port), "--num_workers", "1"]

    def port(self, upstream: Upstream) -> int:
        return self._port


class Portkey(Contender):
    """Its gateway as npm has it; told with headers where to go."""

    name = "Portkey"
    note = "as published, with @hono/node-server 1.13.0 (newer ones fail every stream), no key check, no request log"
    translates = True
    slow = True
    environ: ClassVar[dict[str, str]] = {"NODE_ENV": "production", "TRUSTED_CUSTOM_HOSTS": "127.0.0.1,localhost"}

    @classmethod
    def lacks(cls) -> str:
        if not shutil.which("node"):
            return "node is not installed"
        return "" if _portkey().exists() else "not installed (python -m tests.bench.run --setup)"

    @classmethod
    def version(cls) -> str:
        return PORTKEY["@portkey-ai/gateway"]

    def __init__(self, ends: Ends) -> None:
        super().__init__(ends)
        self._port = free_port()

    def command(self) -> list[str]:
        return [shutil.which("node") or "node", str(_portkey()), f"--port={self._port}", "--headless"]

    def port(self, upstream: Upstream) -> int:
        return self._port

    def headers(self, upstream: Upstream) -> dict[str, str]:
        providers = {"openai": ("openai", "/v1"), "blocks": ("anthropic", "/v1"), "parts": ("google", "/v1beta")}
        provider, path = providers[upstream.source]
        return {"x-portkey-provider": provider, "x-portkey-custom-host": f"http://127.0.0.1:{upstream.port}{path}"}


def _portkey() -> Path:
    return cache() / "portkey" / "node_modules" / "@portkey-ai" / "gateway" / "build" / "start-server.js"
