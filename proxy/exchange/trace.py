"""Ids that tie one request's traces together: x-request-id and W3C Trace Context (https://www.w3.org/TR/trace-context/); and Via, which
tells a request that has come back to where it was.
"""

from __future__ import annotations

import random
import re

from multidict import CIMultiDictProxy, istr

from proxy.errors import GatewayError

REQUEST_ID = istr("x-request-id")
TRACEPARENT = istr("traceparent")
TRACESTATE = istr("tracestate")
BAGGAGE = istr("baggage")
VIA = istr("via")

_REQUEST_ID = re.compile(r"[!-~]{1,128}")
_TRACEPARENT = re.compile(r"[0-9a-f]{2}-[0-9a-f]{32}-[0-9a-f]{16}-[0-9a-f]{2}(-[!-~]*)?")
_PRINTABLE = re.compile(r"[ -~]*")

#: Ids need to differ, not to be secret.
_bits = random.getrandbits

#: This process among all that a request may pass through (RFC 9110, 7.6.3: a pseudonym instead of the host).
_HERE = f"samewire-{_bits(48):012x}"
_VIA_HERE = f"via: 1.1 {_HERE}\r\n".encode()


def request_id(headers: CIMultiDictProxy[str]) -> str:
    """The client's own id when it is fit to be shown (printable, at most 128 characters), else a new one."""
    given = headers.get(REQUEST_ID)
    if given is not None and _REQUEST_ID.fullmatch(given):
        return given
    return f"req_{_bits(96):024x}"


def trace_headers(headers: CIMultiDictProxy[str]) -> bytes:
    """The header lines of the trace that go up: the client's, or the beginning of a new trace."""
    given = headers.get(TRACEPARENT)
    if given is None or not _TRACEPARENT.fullmatch(given):
        # A tracestate without its traceparent means nothing.
        return b"traceparent: 00-%032x-%016x-01\r\n" % (_bits(128) or 1, _bits(64) or 1)
    lines = f"traceparent: {given}\r\n"
    for name in (TRACESTATE, BAGGAGE):
        value = headers.get(name)
        if value and _PRINTABLE.fullmatch(value):
            lines += f"{name}: {value}\r\n"
    return lines.encode("ascii")


def via(headers: CIMultiDictProxy[str]) -> bytes:
    """The header line that tells where the request has been. Raises GatewayError 508 when it has been here: its target leads back to us."""
    if VIA not in headers:
        return _VIA_HERE
    given = ", ".join(headers.getall(VIA))
    if _HERE in given:
        raise GatewayError("This model's target leads back to this gateway.", status=508, code="request_loop")
    return f"via: {given}, 1.1 {_HERE}\r\n".encode() if _PRINTABLE.fullmatch(given) else _VIA_HERE
