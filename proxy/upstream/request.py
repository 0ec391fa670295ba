"""The bytes of a request: checked lines, and the framing around a body (RFC 9112)."""

from __future__ import annotations

import re

from .origin import Origin, proxy_address

#: Bodies up to this size travel in one write with their head; larger ones are not copied.
ONE_WRITE = 64 * 1024

#: A body that is all there; in several pieces where it is large: they need not be put together.
Body = bytes | tuple[bytes | memoryview, ...]
#: A request as pieces to write one after another.
Message = tuple[bytes | memoryview, ...]

LAST_CHUNK = b"0\r\n\r\n"

_BODILESS = (b"GET ", b"DELETE ", b"OPTIONS ")
_NAME = re.compile(rb"[!#$%&'*+\-.^_`|~0-9A-Za-z]+")
_TARGET = re.compile(rb"/[\x21\x22\x24-\x7e]*")  # no fragment (RFC 9112 section 3.2): others would drop what follows it
_CONTROL = re.compile(rb"[\x00-\x08\x0a-\x1f\x7f]")


def request_line(method: str, target: str) -> bytes:
    """`POST /v1/chat HTTP/1.1` as bytes. Raises ValueError for a target that does not start with /, is not visible ASCII, or has a #."""
    method_bytes, target_bytes = method.encode("utf-8", "surrogateescape"), target.encode("utf-8", "surrogateescape")
    if not _NAME.fullmatch(method_bytes):
        raise ValueError("the request method is not a token")
    if not _TARGET.fullmatch(target_bytes):
        raise ValueError("the request target may hold visible ASCII only, without a fragment, and starts with /")
    return b"%b %b HTTP/1.1\r\n" % (method_bytes, target_bytes)


def header_line(name: str, value: str | bytes) -> bytes:
    """One header as bytes, with its CRLF. Raises ValueError for a name that is no token and for control bytes in the value.

    A str is written as UTF-8; bytes that a server decoded with surrogateescape come out as they were.
    The error never shows the value: it may be a secret.
    """
    name_bytes = name.encode("utf-8", "surrogateescape")
    if not _NAME.fullmatch(name_bytes):
        raise ValueError(f"the header name {name!r} is not a token")
    value_bytes = value if isinstance(value, bytes) else value.encode("utf-8", "surrogateescape")
    if _CONTROL.search(value_bytes):
        raise ValueError(f"the value of the header {name} has a control character")
    return b"%b: %b\r\n" % (name_bytes, value_bytes.strip(b" \t"))


def whole_message(origin: Origin, head: bytes, body: Body) -> Message:
    """The request with its body."""
    head = _via_proxy(origin, head)
    if isinstance(body, tuple):
        return (b"%bcontent-length: %d\r\n\r\n" % (head, sum(map(len, body))), *body)
    if not body and head.startswith(_BODILESS):
        return (head + b"\r\n",)
    if len(body) <= ONE_WRITE:
        return (b"%bcontent-length: %d\r\n\r\n%b" % (head, len(body), body),)
    return (b"%bcontent-length: %d\r\n\r\n" % (head, len(body)), body)


def chunked_head(origin: Origin, head: bytes) -> bytes:
    """The head of a request whose body follows in chunks."""
    return _via_proxy(origin, head) + b"transfer-encoding: chunked\r\n\r\n"


def chunk(piece: bytes) -> bytes:
    """One chunk of a body. `piece` is not empty: an empty chunk would end the body."""
    return b"%x\r\n%b\r\n" % (len(piece), piece)


def _via_proxy(origin: Origin, head: bytes) -> bytes:
    """Plain HTTP through a proxy: the target in absolute form, and the proxy's credentials (RFC 9112, 3.2.2)."""
    if origin.proxy is None or origin.scheme == "https":
        return head
    method, _, rest = head.partition(b" ")
    return b"%b http://%b%b%b" % (method, origin.authority.encode("ascii"), rest, proxy_address(origin.proxy).authorization)
