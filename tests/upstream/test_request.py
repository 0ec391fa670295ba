"""Requests as bytes: what may stand in a head, and how a body is framed."""

from __future__ import annotations

import pytest

from proxy.upstream import Origin, header_line, request_line
from proxy.upstream.origin import proxy_address
from proxy.upstream.request import chunk, chunked_head, whole_message

PLAIN = Origin("http", "api.example", 80)
HEAD = b"POST /v1/chat HTTP/1.1\r\nhost: api.example\r\n"


def test_lines() -> None:
    assert request_line("POST", "/v1/models/a%2Fb?alt=sse") == b"POST /v1/models/a%2Fb?alt=sse HTTP/1.1\r\n"
    assert header_line("x-title", " Grüße\t") == b"x-title: Gr\xc3\xbc\xc3\x9fe\r\n"
    assert header_line("x-raw", b"\xff\x80") == b"x-raw: \xff\x80\r\n"
    assert header_line("x-raw", "\udcff") == b"x-raw: \xff\r\n"
    assert header_line("x-tab", "a\tb") == b"x-tab: a\tb\r\n"
    assert header_line("x-empty", "") == b"x-empty: \r\n"


@pytest.mark.parametrize("number", [n for n in range(0x20) if n != 0x09] + [0x7F])
def test_control_bytes_in_a_value_are_refused(number: int) -> None:
    for value in (f"Bearer sk-secret{chr(number)}x-injected: 1", b"a%cb" % number):
        with pytest.raises(ValueError, match="control character") as caught:
            header_line("authorization", value)
        assert "secret" not in str(caught.value)


@pytest.mark.parametrize("name", ["", "a b", "a:", "a\r\nb", "é", "a\0"])
def test_names_are_tokens(name: str) -> None:
    with pytest.raises(ValueError, match="token"):
        header_line(name, "x")


@pytest.mark.parametrize("target", ["", "v1", "/a b", "/a\r\nx: y", "/é", "/a\0", "http://elsewhere/"])
def test_targets_are_visible_ascii(target: str) -> None:
    with pytest.raises(ValueError, match="target"):
        request_line("GET", target)


@pytest.mark.parametrize("method", ["", "GET /", "GE\r\nT"])
def test_methods_are_tokens(method: str) -> None:
    with pytest.raises(ValueError, match="method"):
        request_line(method, "/")


def test_framing() -> None:
    assert whole_message(PLAIN, HEAD, b"{}") == (HEAD + b"content-length: 2\r\n\r\n{}",)
    assert whole_message(PLAIN, HEAD, b"") == (HEAD + b"content-length: 0\r\n\r\n",)
    get = HEAD.replace(b"POST", b"GET")
    assert whole_message(PLAIN, get, b"") == (get + b"\r\n",)
    assert whole_message(PLAIN, get, b"x") == (get + b"content-length: 1\r\n\r\nx",)
    assert chunked_head(PLAIN, HEAD) == HEAD + b"transfer-encoding: chunked\r\n\r\n"
    assert chunk(b"x" * 26) == b"1a\r\n" + b"x" * 26 + b"\r\n"


def test_a_large_body_is_not_copied() -> None:
    large = b"x" * (64 * 1024 + 1)
    head, body = whole_message(PLAIN, HEAD, large)
    assert head == HEAD + b"content-length: 65537\r\n\r\n"
    assert body is large


@pytest.mark.parametrize(
    ("origin", "target"),
    [
        (Origin("http", "api.example", 8080, proxy="http://p:1"), b"http://api.example:8080/v1/chat"),
        (Origin("http", "::1", 80, proxy="http://p:1"), b"http://[::1]:80/v1/chat"),
        (Origin("https", "api.example", 443, proxy="http://p:1"), b"/v1/chat"),
    ],
)
def test_absolute_form_for_plain_http_through_a_proxy(origin: Origin, target: bytes) -> None:
    (message,) = whole_message(origin, HEAD, b"{}")
    assert message == b"POST " + target + b" HTTP/1.1\r\nhost: api.example\r\ncontent-length: 2\r\n\r\n{}"


def test_proxy_credentials() -> None:
    assert proxy_address("http://us%40er:p%3Aw@proxy.example:3128") == (
        "proxy.example",
        3128,
        b"proxy-authorization: Basic dXNAZXI6cDp3\r\n",
    )
    assert proxy_address("http://proxy.example") == ("proxy.example", 80, b"")
    to_proxy = Origin("http", "api.example", 80, proxy="http://a:b@p:1")
    assert whole_message(to_proxy, HEAD, b"")[0].count(b"proxy-authorization: Basic YTpi\r\n") == 1
    inside_tunnel = Origin("https", "api.example", 443, proxy="http://a:b@p:1")
    assert b"proxy-authorization" not in whole_message(inside_tunnel, HEAD, b"")[0]


@pytest.mark.parametrize("url", ["socks5://user:secret@p:1", "https://p:1", "p:1", "http://"])
def test_other_proxies_are_refused_without_showing_them(url: str) -> None:
    with pytest.raises(ValueError, match="outbound proxy") as caught:
        proxy_address(url)
    assert "secret" not in str(caught.value)
