"""What is measured and needs no install: Samewire, a bare aiohttp proxy, nginx; and none at all (`Direct`)."""

from __future__ import annotations

import hashlib
import json
import shutil
import signal
import subprocess
import sys
import time
from importlib.metadata import version
from types import TracebackType
from typing import Any, ClassVar, Self

import proxy
from tests.bench import payloads
from tests.bench.ends import HERE, Ends, Upstream
from tests.bench.processes import MEASURED, BenchError, Process, free_port
from tests.bench.results import DIRECT

DIALECTS = {"openai": "openai", "blocks": "anthropic", "parts": "gemini", "items": "openai"}
#: The burst of chats by a provider that has nothing but chat.
CHAT_ONLY = "chat-only"


class Contender:
    """A program between the two ends, running while this is entered, and frozen but while it is asked."""

    name: ClassVar[str]
    note: ClassVar[str] = ""  # how it is set up, for the report
    translates: ClassVar[bool] = False  # also to other languages than OpenAI's
    slow: ClassVar[bool] = False  # asked by fewer clients at once, in fewer rounds
    ready_in: ClassVar[float] = 60.0  # seconds it may take to listen
    cores: ClassVar[str] = MEASURED
    environ: ClassVar[dict[str, str]] = {}

    def __init__(self, ends: Ends) -> None:
        self.ends = ends
        self.folder = ends.folder / f"{self.name}-{time.monotonic_ns()}".replace(" ", "-")
        self.folder.mkdir()
        self.process: Process | None = None

    @classmethod
    def lacks(cls) -> str:
        """Why it cannot run here; "": it can."""
        return ""

    @classmethod
    def version(cls) -> str:
        raise NotImplementedError

    def command(self) -> list[str]:
        """Writes what it reads into `self.folder`, and says how to start it."""
        raise NotImplementedError

    def port(self, upstream: Upstream) -> int:
        """Where to ask for that upstream."""
        raise NotImplementedError

    def headers(self, upstream: Upstream) -> dict[str, str]:
        """What it wants to be told with each request."""
        return {}

    def serves(self, upstream: Upstream, client: str = "chat") -> bool:
        """`client`: the language of who asks."""
        return client == "chat" and upstream.source in payloads.CHATS and (self.translates or upstream.source == "openai")

    def request(self, upstream: Upstream, stream: bool, image: int = 0) -> bytes:
        return payloads.request(upstream.name, stream, self.port(upstream), self.headers(upstream), image)

    def request_of(self, client: str, upstream: Upstream) -> bytes:
        """A request for a stream in another language of clients."""
        made, _ = payloads.CLIENTS[client]
        return made(CHAT_ONLY if upstream.name == "openai-burst" else upstream.name, self.port(upstream))

    def __enter__(self) -> Self:
        self.process = Process(self.command(), self.folder / "log", cores=self.cores, environ=self.environ, cwd=HERE.parents[1])
        try:
            for port in {self.port(upstream) for upstream in self.ends.upstreams.values() if self.serves(upstream)}:
                self.process.wait_for(port, self.ready_in)
            self.process.wait_until_idle(self.ready_in / 6)
        except BaseException:
            self.process.stop()
            raise
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        assert self.process is not None
        self.process.stop()

    def freeze(self) -> None:
        if self.process:
            self.process.send(signal.SIGSTOP)

    def thaw(self) -> None:
        """And lets it do what it has missed."""
        if self.process:
            self.process.send(signal.SIGCONT)
            time.sleep(0.02)

    def load(
        self, upstream: Upstream, stream: bool, connections: int, seconds: float, rate: float = 0, client: str = "chat"
    ) -> dict[str, Any]:
        """The load generator's findings, and `cpu_us`: the CPU time it took this contender, of each of its processes."""
        pieces = upstream.pieces if stream else payloads.WHOLE_PIECES
        if client == "chat":
            asked = self.request(upstream, stream)
        else:
            asked, pieces = self.request_of(client, upstream), pieces * payloads.CLIENTS[client][1]
        before = self.process.cpu_ns() if self.process else {}
        try:
            found = self.ends.load(self.port(upstream), asked, connections, seconds, pieces=pieces, rate=rate)
        except BenchError as error:
            raise BenchError(f"{self.name}, {upstream.name}: {error}") from None
        after = self.process.cpu_ns() if self.process else {}
        return {**found, "cpu_us": {pid: (spent - before.get(pid, 0)) / 1000 for pid, spent in after.items()}}


class Direct(Contender):
    """No one: the load generator asks the upstream itself. What all else is compared with where time is measured."""

    name = DIRECT

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        return

    def port(self, upstream: Upstream) -> int:
        return upstream.port


class Samewire(Contender):
    """The gateway with everything on: a key to check, routing, usage, metrics, the request log in a file."""

    name = "Samewire"
    note = "key check, routing, usage, metrics and request log (to a file) on"
    translates = True
    server: ClassVar[dict[str, Any]] = {}  # settings besides

    @classmethod
    def version(cls) -> str:
        return version_of_tree()

    def serves(self, upstream: Upstream, client: str = "chat") -> bool:
        return client != "chat" or upstream.source in payloads.CHATS

    def config(self) -> dict[str, Any]:
        self._port = free_port()
        chats = self.ends.upstreams["openai-burst"]
        return {
            "version": 1,
            "server": {
                "host": "127.0.0.1",
                "port": self._port,
                "keys": [{"name": "bench", "sha256": hashlib.sha256(payloads.KEY.encode()).hexdigest()}],
                "log": {"requests": "stdout"},
                **self.server,
            },
            "providers": {
                upstream.name: {
                    "base_url": f"http://127.0.0.1:{upstream.port}" + ("/v1" if DIALECTS[upstream.source] == "openai" else ""),
                    "dialect": DIALECTS[upstream.source],
                    "key": "sk-upstream",
                }
                for upstream in self.ends.upstreams.values()
            }
            | {
                CHAT_ONLY: {
                    "base_url": f"http://127.0.0.1:{chats.port}/v1",
                    "dialect": "openai",
                    "key": "sk-upstream",
                    "operations": ["chat"],
                }
            },
            "routes": [
                {"model": CHAT_ONLY, "to": f"{CHAT_ONLY}/{payloads.MODELS['openai']}"},
                *(
                    {"model": upstream.name, "to": f"{upstream.name}/{payloads.MODELS[upstream.source]}"}
                    for upstream in self.ends.upstreams.values()
                ),
            ],
        }

    def command(self) -> list[str]:
        path = self.folder / "routes.yaml"
        path.write_text(json.dumps(self.config()))
        return [sys.executable, "-m", "proxy", "serve", "--config", str(path)]

    def port(self, upstream: Upstream) -> int:
        return self._port


class BareApp(Contender):
    """bare_app.py."""

    name = "bare aiohttp"
    note = "a proxy as aiohttp's documentation would have one write it, without any feature (tests/bench/bare_app.py)"

    @classmethod
    def version(cls) -> str:
        return version("aiohttp")

    def command(self) -> list[str]:
        self._ports = {upstream.name: free_port() for upstream in self.ends.upstreams.values() if self.serves(upstream)}
        pairs = [str(port) for name, own in self._ports.items() for port in (self.ends.upstreams[name].port, own)]
        return [sys.executable, str(HERE / "bare_app.py"), *pairs]

    def port(self, upstream: Upstream) -> int:
        return self._ports[upstream.name]


class Nginx(Contender):
    """One process that forwards; no access log."""

    name = "nginx"
    note = "proxy_pass with keepalive, proxy_buffering off, no access log, one process"

    @classmethod
    def lacks(cls) -> str:
        return "" if _nginx() else "nginx is not installed (apt-get install nginx)"

    @classmethod
    def version(cls) -> str:
        said = subprocess.run([_nginx(), "-v"], capture_output=True, text=True, check=True).stderr
        return said.strip().rpartition("/")[2]

    def command(self) -> list[str]:
        self._ports = {upstream.name: free_port() for upstream in self.ends.upstreams.values() if self.serves(upstream)}
        servers = "".join(
            f"upstream {name} {{ server 127.0.0.1:{self.ends.upstreams[name].port}; keepalive 64; }}\n"
            f"server {{ listen 127.0.0.1:{port} backlog=4096; keepalive_requests 100000000; client_max_body_size 0;"
            f" location / {{ proxy_pass http://{name}; proxy_http_version 1.1;"
            f' proxy_set_header Connection ""; proxy_buffering off; }} }}\n'
            for name, port in self._ports.items()
        )
        paths = "".join(f"{kind}_temp_path {self.folder}/{kind};\n" for kind in ("client_body", "proxy", "fastcgi", "uwsgi", "scgi"))
        file = self.folder / "nginx.conf"
        file.write_text(
            f"daemon off; master_process off; worker_processes 1; pid {self.folder}/pid; error_log {self.folder}/errors;\n"
            f"events {{ worker_connections 4096; }}\nhttp {{ access_log off;\n{paths}{servers}}}\n"
        )
        return [_nginx(), "-c", str(file), "-p", str(self.folder)]

    def port(self, upstream: Upstream) -> int:
        return self._ports[upstream.name]


def _nginx() -> str:
    return shutil.which("nginx") or shutil.which("nginx", path="/usr/local/sbin:/usr/sbin:/sbin") or ""


def version_of_tree() -> str:
    """Samewire's version, and the commit where there is one."""
    said = subprocess.run(["git", "rev-parse", "--short", "HEAD"], cwd=HERE, capture_output=True, text=True, check=False).stdout.strip()
    return f"{proxy.__version__} ({said})" if said else proxy.__version__
