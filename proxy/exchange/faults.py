"""What an upstream says when it fails → UpstreamError, in OpenAI's words: status, code, Retry-After and x-ratelimit-* kept."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import suppress
from typing import Any

import msgspec

from proxy.errors import UpstreamError
from proxy.exchange.target import Headers, TargetCall
from proxy.mapping.context import Context
from proxy.mapping.documents import decode
from proxy.mapping.failures import ErrorMapping

#: Bytes that an upstream may add to an error.
_EXTRA_LIMIT = 8192
#: OpenAI's error types by status, for upstreams that name none.
_TYPES = {
    400: "invalid_request_error",
    401: "authentication_error",
    403: "permission_error",
    404: "not_found_error",
    408: "timeout_error",
    413: "invalid_request_error",
    422: "invalid_request_error",
    429: "rate_limit_error",
}


def reported(
    report: Mapping[str, Any], *, status: int = 502, headers: Mapping[str, str] | None = None, kind: str = "stream"
) -> UpstreamError:
    """A failure as a dialect's rules read it: message, type, code, param, status, reason, extra, retry_after, as far as they
    are told.

    One that names its status is as good as an answer with that status.
    """
    told = report.get("status")
    if isinstance(told, int) and 400 <= told <= 599:
        status, kind = told, "status"
    headers = dict(headers or {})
    wait = report.get("retry_after")
    if isinstance(wait, int | float) and not isinstance(wait, bool) and 0 <= wait < 10**6:
        headers.setdefault("retry-after", str(-int(-wait // 1)))
    code = report.get("code")
    return UpstreamError(
        _text(report.get("message")) or f"The upstream answered with status {status}.",
        status=status,
        type=_text(report.get("type")) or _TYPES.get(status, "server_error"),
        code=None if code is None else _text(code),
        param=_text(report.get("param")) or None,
        headers=headers,
        kind=kind,
        reason=_text(report.get("reason")),
        extra=_extra(report.get("extra")),
    )


def refused(status: int, body: bytes, target: TargetCall, headers: Headers, context: Context) -> UpstreamError:
    """An answer with a status that is no success, whatever its body: the dialect's JSON, other JSON, HTML or nothing."""
    context.status = status
    if status < 400:
        return UpstreamError(f"The upstream answered with status {status}, which is not followed.", kind="status", code="upstream_redirect")
    errors = target.provider.dialect.errors
    report: dict[str, Any] = {}
    with suppress(ValueError, RecursionError):  # not JSON: the status says it all
        report = errors.read(decode(body), context)
    told = {name: value for name, value in report.items() if name != "status"}  # the answer's own status is the surer one
    return reported(told, status=errors.statuses.get(status, status), headers=target.relay_of_error(headers), kind="status")


def failed_inside(body: bytes, errors: ErrorMapping, context: Context) -> UpstreamError:
    """An error inside an answer with status 200."""
    report = errors.read(decode(body), context)
    return reported(report, kind="status")


def _extra(members: Any) -> dict[str, Any]:
    """What the envelope has no names of its own for, unless it is too much of it."""
    if not isinstance(members, dict):
        return {}
    found = {name: value for name, value in members.items() if name not in ("message", "type", "param", "code")}
    return found if len(msgspec.json.encode(found)) <= _EXTRA_LIMIT else {}


def _text(value: Any) -> str:
    if value is None:
        return ""
    return value if isinstance(value, str) else msgspec.json.encode(value).decode()
