"""A good configuration and what becomes of it: one small file a test."""

from __future__ import annotations

import dataclasses
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from ipaddress import ip_network
from pathlib import Path

import pytest

from proxy import dialect
from proxy.config import find_default, shipped
from proxy.config.addresses import is_loopback, is_public, parse_base_url
from proxy.config.model import Admin, ClientKey, Config, Limits, Log, Provider, Timeouts, Tls
from proxy.dialect import DialectOperation
from proxy.mapping.context import Context

Loaded = Callable[..., Config]


def provider(config: Config, name: str = "up") -> Provider:
    return config.providers[name]


def test_a_small_file_has_all_defaults(loaded: Loaded) -> None:
    config = loaded("")
    server = config.server
    assert (server.hosts, server.port, server.socket, server.heartbeat, server.drain) == (("127.0.0.1",), 8787, None, None, 30.0)
    assert server.limits == Limits(
        body=32 * 2**20, headers=64 * 2**10, answer=32 * 2**20, answers=64 * 2**20, event=16 * 2**20, in_flight=1024
    )
    assert server.log == Log("info", "stdout")
    assert provider(config).timeouts == Timeouts(5, 300, 120, 60, None)
    assert provider(config).credential.kind == "none"
    assert (config.keys, config.routes, config.diagnostics) == ((), (), ())
    assert config.files[0] == config.path
    assert [file.name for file in config.files[1:]] == ["openai.yaml"]


@pytest.mark.parametrize(
    ("written", "admin"),
    [
        ("9787", Admin("127.0.0.1", 9787)),
        ("localhost:9787", Admin("localhost", 9787)),
        ('"[::1]:0"', Admin("::1", 0)),
        ("./admin.sock", Admin("", 0, "./admin.sock")),
        ("{listen: 9787}", Admin("127.0.0.1", 9787)),
        (
            f"{{listen: '0.0.0.0:9787', keys: [{{name: prometheus, sha256: {'ab' * 32}}}]}}",
            Admin("0.0.0.0", 9787, None, (ClientKey("prometheus", b"\xab" * 32),)),
        ),
    ],
)
def test_admin_addresses(loaded: Loaded, written: str, admin: Admin) -> None:
    assert loaded(f"server:\n  admin: {written}\n").server.admin == admin


def test_operations_settings(loaded: Loaded) -> None:
    plain = loaded("server: {}\n").server
    assert (plain.admin, plain.watch, plain.workers) == (None, False, 1)
    server = loaded("server: {watch: true, workers: auto, log: {requests: ./requests.log}}\n").server
    assert (server.watch, server.workers, server.log.requests) == (True, "auto", "./requests.log")


def test_server_settings(loaded: Loaded) -> None:
    config = loaded(
        """
server:
  host: ["::1", 127.0.0.1]
  port: ${PORT:-9000}
  socket: /run/x.sock
  trusted_proxies: [10.0.0.7/8, "::1"]
  keys: [{name: alice, sha256: 2C26B46B68FFC68FF99B453C1D30413413422D706483BFA0F98A5E886266E7AE}]
  cors: [https://chat.example.com, "*"]
  heartbeat: 15
  drain: 0
  event_loop: asyncio
  limits: {body: 1 GiB, headers: 100, answer: 5B, event: 2KiB, in_flight: 7}
  log: {level: debug, requests: off}
"""
    )
    server = config.server
    assert (server.hosts, server.port, server.socket) == (("::1", "127.0.0.1"), 9000, "/run/x.sock")
    assert server.trusted_proxies == (ip_network("10.0.0.0/8"), ip_network("::1/128"))
    assert (server.cors, server.heartbeat, server.drain, server.event_loop) == (("https://chat.example.com", "*"), 15, 0, "asyncio")
    assert server.limits == Limits(body=2**30, headers=100, answer=5, event=2048, in_flight=7)
    assert server.log == Log("debug", "off")
    (key,) = config.keys
    assert (key.name, key.sha256.hex()[:8]) == ("alice", "2c26b46b")


@pytest.mark.parametrize(
    ("section", "hosts"),
    [("socket: /x", ()), ("socket: /x\n  port: 80", ("127.0.0.1",)), ('socket: /x\n  host: "::1"', ("::1",)), ("port: 1", ("127.0.0.1",))],
)
def test_a_socket_alone_opens_no_port(loaded: Loaded, section: str, hosts: tuple[str, ...]) -> None:
    assert loaded(f"server:\n  {section}").server.hosts == hosts


def test_fields_left_empty_are_fields_left_out(loaded: Loaded) -> None:
    config = loaded(
        """
server:
  keys:
  #  - {name: alice, sha256: …}
  socket: ${SOCKET:-}
  limits: {body: }
routes:
dialects:
providers:
  up:
    base_url: https://example.com
    proxy: ${HTTPS_PROXY:-}
    headers:
    timeouts: {total: }
"""
    )
    assert config.server.socket is None
    assert config.server.limits == Limits()
    assert provider(config).proxy is None


def test_a_provider_in_full(loaded: Loaded, tmp_path: Path) -> None:
    (tmp_path / "ca.pem").write_text("-----BEGIN CERTIFICATE-----", encoding="utf-8")
    config = loaded(
        """
providers:
  up:
    base_url: https://example.com:8443//api//v1/?api-version=2
    key: ${KEY}
    auth: {header: API-Key}
    headers: {X-Team: "${TEAM}"}
    forward: [X-Session-Id]
    timeouts: {connect: 1, total: 60}
    proxy: http://user:${KEY}@proxy.example.com:3128
    tls: {ca: ca.pem}
    socket: /run/up.sock
    vendor: x_ai
""",
        KEY=" sk-1\n",
        TEAM="007",
    )
    up = provider(config)
    assert (up.scheme, up.host, up.port, up.path, up.query) == ("https", "example.com", 8443, "/api/v1", "api-version=2")
    assert up.base_url == "https://example.com:8443/api/v1?api-version=2"
    assert (up.credential.kind, up.credential.header, up.credential.prefix, up.credential.secret) == ("key", "api-key", "", "sk-1")
    assert "sk-1" not in repr(up.credential)
    assert (up.headers, up.forward) == ((("x-team", "007"),), ("x-session-id",))
    assert up.timeouts == Timeouts(connect=1, total=60)
    assert up.proxy == "http://user: sk-1\n@proxy.example.com:3128"
    assert up.tls == Tls(ca=str(tmp_path / "ca.pem"))
    assert (up.socket, up.vendor, up.state) == ("/run/up.sock", "x_ai", "ready")


def test_the_key_goes_where_the_dialect_says(loaded: Loaded) -> None:
    config = loaded(
        """
providers:
  a: {base_url: https://example.com, key: "${KEY}", dialect: gemini}
  b: {base_url: https://example.com, key: "${KEY}", dialect: openai}
""",
        KEY="x",
    )
    assert (config.providers["a"].credential.header, config.providers["a"].credential.prefix) == ("x-goog-api-key", "")
    assert (config.providers["b"].credential.header, config.providers["b"].credential.prefix) == ("authorization", "Bearer ")


def test_without_its_key_a_provider_is_switched_off(loaded: Loaded) -> None:
    text = """
providers:
  a: {base_url: https://example.com, key: "${A_KEY}"}
  b: {base_url: https://example.com}
routes:
  - {model: only, to: a}
  - {model: both, to: [a, b]}
  - {model: lent, to: a, credential: client}
"""
    config = loaded(text)
    assert (config.providers["a"].state, config.providers["a"].missing) == ("no key", ("A_KEY",))
    only, both, lent = config.routes
    assert (only.ready, only.missing) == ((), ("A_KEY",))
    assert [target.provider.name for target in both.ready] == ["b"]
    assert [target.provider.name for target in lent.ready] == ["a"]
    assert "chat" in config.providers["a"].dialect.operations  # lent to clients, so it must work
    config = loaded(text.replace("credential: client", "credential: provider"))
    assert not config.providers["a"].dialect.operations
    assert loaded(text, A_KEY="x").routes[0].ready


def test_metrics_name_the_vendor(loaded: Loaded) -> None:
    config = loaded(
        """
providers:
  groq: {base_url: https://example.com}
  mine: {base_url: https://example.com, dialect: gemini}
  other: {base_url: https://example.com, dialect: deepseek, vendor: other.vendor}
  third: {base_url: https://example.com, dialect: deepseek}
"""
    )
    assert {name: up.vendor for name, up in config.providers.items()} == {
        "groq": "groq",
        "mine": "gcp.gemini",
        "other": "other.vendor",
        "third": "deepseek",
    }


def test_demo_providers_get_their_ports_later(loaded: Loaded) -> None:
    config = loaded("providers: {d: {demo: claude, dialect: anthropic}}\nroutes: [{model: d, to: d/x}]")
    assert (config.providers["d"].state, config.providers["d"].port, list(config.providers["d"].dialect.operations)) == (
        "demo",
        0,
        ["chat"],
    )
    moved = config.with_demos({"claude": 4711, "other": 1})
    assert moved.providers["d"].base_url == "http://127.0.0.1:4711"
    assert moved.routes[0].targets[0].provider is moved.providers["d"]
    assert config.providers["d"].port == 0


@pytest.mark.parametrize(
    ("base", "path", "target"),
    [
        ("https://x/v1", "/chat/completions", "/v1/chat/completions"),
        ("https://x", "/v1/messages", "/v1/messages"),
        ("https://x/v1", "/v1/messages", "/v1/messages"),
        ("https://x/proxy/v1/", "/v1/messages", "/proxy/v1/messages"),
        ("https://x//", "/v1/messages", "/v1/messages"),
        ("https://x/v1beta", "/v1beta/models/{model}:go?alt=sse", "/v1beta/models/{model}:go?alt=sse"),
        ("https://x/v2", "/v1/messages", "/v2/v1/messages"),
        ("https://x/d/{model}?api-version=1", "/chat", "/d/{model}/chat?api-version=1"),
        ("https://x?a=1", "/go?alt=sse", "/go?alt=sse&a=1"),
    ],
)
def test_base_url_and_path(loaded: Loaded, base: str, path: str, target: str) -> None:
    assert provider(loaded(f'providers: {{up: {{base_url: "{base}"}}}}')).url_path(path) == target


def test_providers_share_a_dialect_they_say_nothing_about(loaded: Loaded) -> None:
    config = loaded(
        """
providers:
  a: {base_url: https://a.example.com}
  b: {base_url: https://b.example.com, key: "${KEY}"}
  c: {base_url: https://c.example.com, rewrite: {chat: {request: [{drop: [user]}]}}}
""",
        KEY="x",
    )
    a, b, c = config.providers.values()
    assert a.dialect is b.dialect
    assert c.dialect.operations["embeddings"] is a.dialect.operations["embeddings"]
    assert c.dialect.operations["chat"] is not a.dialect.operations["chat"]


def test_repairs_keep_asking_for_usage(loaded: Loaded) -> None:
    config = loaded("providers: {up: {base_url: https://x.com, rewrite: {chat: {request: [{drop: [user]}], stream: []}}}}")
    chat = provider(config).dialect.operations["chat"]
    assert chat.request is not None
    assert chat.stream is not None
    assert not chat.stream.passthrough
    body, dropped = chat.request({"model": "m", "messages": [], "stream": True, "user": "u"}, Context(model="m", stream=True))
    assert (body["stream_options"], dropped) == ({"include_usage": True}, ("user",))
    body, _ = chat.request({"model": "m", "messages": []}, Context(model="m"))
    assert "stream_options" not in body


def test_own_traits_tables_and_errors(loaded: Loaded) -> None:
    config = loaded(
        """
providers:
  up:
    base_url: https://example.com
    dialect: deepseek
    traits: [{model: "big*", replay: false, mine: 1}]
    tables: {mine: {a: b}}
    errors: {status: {499: 503}}
    rewrite: {chat: {request: [{set: {user: ".user | map(mine)"}}]}}
"""
    )
    dialect = provider(config).dialect
    assert dialect.traits("big-1").items() >= {"replay": False, "mine": 1, "switch": True}.items()
    assert dialect.traits("small")["replay"] is True
    assert dialect.errors.statuses == {499: 503}


def test_the_configuration_cannot_be_changed(loaded: Loaded) -> None:
    config = loaded("")
    with pytest.raises(dataclasses.FrozenInstanceError):
        config.server.port = 1  # type: ignore[misc]


@pytest.mark.parametrize(
    ("host", "public"),
    [
        ("api.example.com", True),
        ("8.8.8.8", True),
        ("2606:4700::1", True),
        ("localhost", False),
        ("vllm", False),
        ("llm.internal", False),
        ("nas.local", False),
        ("127.0.0.1", False),
        ("10.1.2.3", False),
        ("100.64.0.1", False),
        ("fd00::1", False),
        ("::1", False),
    ],
)
def test_public_hosts(host: str, public: bool) -> None:
    assert is_public(host) is public


@pytest.mark.parametrize(
    ("host", "loopback"),
    [("127.0.0.1", True), ("127.9.9.9", True), ("::1", True), ("localhost", True), ("0.0.0.0", False), ("::", False), ("x", False)],
)
def test_loopback_hosts(host: str, loopback: bool) -> None:
    assert is_loopback(host) is loopback


def test_hosts_are_written_as_the_network_takes_them() -> None:
    assert parse_base_url("https://bücher.example").host == "xn--bcher-kva.example"
    assert parse_base_url("http://[0:0::1]:80/").host == "::1"
    assert parse_base_url("HTTPS://EXAMPLE.com").host == "example.com"


def test_which_file_is_taken(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert find_default({}) == shipped("routes.yaml")
    (tmp_path / "routes.yaml").touch()
    assert find_default({}) == Path("routes.yaml")
    assert find_default({"SAMEWIRE_CONFIG": "/etc/x.yaml"}) == Path("/etc/x.yaml")


def test_what_comes_with_samewire_is_compiled_once_where_it_is_used(loaded: Loaded) -> None:
    config = loaded("""
providers:
  a: {base_url: https://a.example.com, dialect: anthropic}
  b: {base_url: https://b.example.com, dialect: anthropic, headers: {x-b: c}}
""")
    first, second = (provider(config, name).dialect.operations for name in "ab")
    assert first["chat"] is second["chat"]
    parts = set(DialectOperation.PARTS)
    assert not parts & vars(first["chat"]).keys()
    assert first["chat"].request is first["chat"].request
    assert parts & vars(first["chat"]).keys() == {"request"}
    config.compile()
    assert parts <= vars(first["chat"]).keys()


def test_a_part_is_compiled_once_whoever_asks_and_nobody_waits_for_another(loaded: Loaded, monkeypatch: pytest.MonkeyPatch) -> None:
    config = loaded("providers: {a: {base_url: https://a.example.com, dialect: anthropic}}")
    chat = provider(config, "a").dialect.operations["chat"]
    begun, go_on, made = threading.Event(), threading.Event(), []

    def slow(*_: object) -> object:
        begun.set()
        assert go_on.wait(5)
        made.append(object())
        return made[-1]

    monkeypatch.setattr(dialect, "compile_stream", slow)
    with ThreadPoolExecutor(2) as threads:
        asked = [threads.submit(lambda: chat.stream) for _ in range(2)]
        assert begun.wait(5)
        assert chat.request is not None
        go_on.set()
        assert [found.result(5) for found in asked] == made * 2
    assert len(made) == 1


def test_what_is_asked_for_first_is_compiled_first(loaded: Loaded, monkeypatch: pytest.MonkeyPatch) -> None:
    compiled = []

    monkeypatch.setattr(DialectOperation, "compile", lambda operation: compiled.append((operation.name, operation.path.text)))
    config = loaded("""
providers:
  idle: {base_url: https://a.example.com, dialect: gemini}
  aimed: {base_url: https://b.example.com, dialect: anthropic}
routes:
  - {model: m, to: aimed/m}
""")
    compiled.clear()  # what may be compiled while loading
    config.compile()
    gemini = "/v1beta/models/{model}:"
    assert compiled[:2] == [("chat", "/v1/messages"), ("chat", f"{gemini}generateContent")]
    assert {("messages", "/v1/messages"), ("embeddings", f"{gemini}batchEmbedContents")} <= set(compiled[2:])
