"""Everything that can go wrong, and whose fault it is.

    SamewireError
    ├── ConfigError              a configuration that cannot be used; carries all its diagnostics
    └── ExchangeError            one request that fails; carries status, type, code, param, headers
        ├── ClientError          the client's: 400 401 404 405 408 413 415 417 431
        │   └── ClientGone       the client left; nobody reads an answer (logged as 499)
        ├── UpstreamError        the upstream's: its own status, or 502, or 504; `kind` labels the metric
        └── GatewayError         ours: 500, 503

`status` is the HTTP status while nothing has been sent; after that only `envelope()` is used, as an error event.
The envelope is OpenAI's ErrorResponse: {"error": {"message", "type", "param", "code"}}.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, ClassVar, Literal

Blame = Literal["client", "upstream", "gateway"]
Severity = Literal["error", "warning"]

#: Where in a decoded specification a fault sits: keys and indexes from its root.
SpecPath = tuple[str | int, ...]


class SamewireError(Exception):
    """Root of every exception this package raises on purpose."""


@dataclass(frozen=True, slots=True)
class Fault:
    """One fault in a specification that knows no file: where in the document, and what is wrong.

    `offset` and `length` point inside the scalar at `path` (in characters) where that is known.
    """

    path: SpecPath
    code: str
    message: str
    hint: str = ""
    offset: int = 0
    length: int = 1
    severity: Severity = "error"


@dataclass(frozen=True, slots=True)
class Diagnostic:
    """One fault in a file: `file:line:column: severity[code]: message`; line and column count from 1."""

    file: str
    line: int
    column: int
    code: str
    message: str
    hint: str = ""
    source: str = ""
    length: int = 1
    severity: Severity = "error"


class FaultError(SamewireError):
    """A specification could not be compiled; all its faults at once."""

    def __init__(self, faults: Sequence[Fault]) -> None:
        super().__init__("; ".join(fault.message for fault in faults))
        self.faults = tuple(faults)


class ConfigError(SamewireError):
    """A configuration could not be loaded; all its diagnostics at once, errors and warnings."""

    def __init__(self, diagnostics: Sequence[Diagnostic]) -> None:
        super().__init__(f"{len(diagnostics)} faults in the configuration")
        self.diagnostics = tuple(diagnostics)


@dataclass(eq=False)
class ExchangeError(SamewireError):
    """One request failed. `message` is one clear sentence, fit for the client; `detail` is for the operator's log only.

    What names a host, or comes from the system or a library, is a detail.

    `reason`: a word of `proxy.config.policy.REASONS` where more is known than kind and status tell, or where another target may
    do what this one cannot. `extra`: what else an upstream said, for the envelope.
    """

    message: str
    status: int = 500
    type: str = "api_error"
    code: str | None = None
    param: str | None = None
    headers: Mapping[str, str] = field(default_factory=dict)
    detail: str = ""
    reason: str = ""
    extra: Mapping[str, Any] = field(default_factory=dict)

    blame: ClassVar[Blame] = "gateway"

    def __post_init__(self) -> None:
        Exception.__init__(self, self.message)

    def envelope(self) -> dict[str, Any]:
        """The error in OpenAI's shape."""
        return {
            "error": {
                "message": self.message,
                "type": self.type,
                "param": self.param,
                "code": self.code,
                **self.extra,
            }
        }


@dataclass(eq=False)
class ClientError(ExchangeError):
    """The request cannot be served as it is."""

    status: int = 400
    type: str = "invalid_request_error"

    blame: ClassVar[Blame] = "client"


@dataclass(eq=False)
class ClientGone(ClientError):
    """The client closed its connection before the answer was whole."""

    message: str = "the client closed the connection"
    status: int = 499


@dataclass(eq=False)
class UpstreamError(ExchangeError):
    """The upstream refused, failed or broke off.

    `kind`: connect, tls, timeout, protocol, truncated, status, invalid, stream.
    `unprocessed` is true when the upstream cannot have begun to work on the request.
    """

    status: int = 502
    type: str = "upstream_error"
    kind: str = "protocol"
    unprocessed: bool = False

    blame: ClassVar[Blame] = "upstream"


@dataclass(eq=False)
class GatewayError(ExchangeError):
    """We cannot serve the request: overloaded, draining, or a fault of our own."""

    status: int = 503
    type: str = "api_error"
