"""Ids that tie one request's traces together: x-request-id and W3C Trace Context (https://www.w3.org/TR/trace-context/)."""

from __future__ import annotations

import random
import re

from multidict import CIMultiDictProxy, istr

REQUEST_ID = istr("x-request-id")
TRACEPARENT = istr("traceparent")
TRACESTATE = istr("tracestate")
BAGGAGE = istr("baggage")

_REQUEST_ID = re.compile(r"[!-~]{1,128}")
_TRACEPARENT = re.compile(r"[0-9a-f]{2}-[0-9a-f]{32}-[0-9a-f]{16}-[0-9a-f]{2}(-[!-~]*)?")
_PRINTABLE = re.compile(r"[ -~]*")

#: Ids need to differ, not to be secret.
_bits = random.getrandbits


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
