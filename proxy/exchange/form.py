"""A form of a client, streamed through: only its `model` is looked for."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator

from aiohttp import hdrs

from proxy.client_dialect import Operation
from proxy.errors import ClientError
from proxy.exchange.body import BodyLimits, encoding, read_pieces, say_continue, too_large
from proxy.exchange.client import ClientRequest
from proxy.exchange.multipart import FieldFinder, boundary_of
from proxy.exchange.named import checked
from proxy.exchange.target import TargetCall
from proxy.mapping.context import Context


class FormRequest:
    """A form, read until its `model` is found and streamed through from there."""

    __slots__ = ("_finder", "_held", "_limits", "_opened", "_request", "_rest", "model")

    stream = False
    single = True
    usage_wanted = False

    def __init__(self, request: ClientRequest, limits: BodyLimits) -> None:
        if encoding(request):
            raise ClientError("A form must not be compressed.", status=415, code="unsupported_media_type")
        self._request = request
        self._finder = FieldFinder(boundary_of(request.headers.get(hdrs.CONTENT_TYPE, "")), "model")
        self._held = bytearray()
        self._limits = limits
        self._rest = read_pieces(request, limits.idle)
        self._opened = False
        self.model: str | None = None
        say_continue(request)

    @property
    def repeatable(self) -> bool:
        return not self._opened

    @property
    def size(self) -> int:
        return len(self._held)

    def member(self, name: str) -> bytes | None:
        return None

    def put(self, name: str, value: bytes) -> None:
        pass

    async def find_model(self, operation: Operation) -> None:
        """Reads on until the field is there; a form that begins with its file is held until then, up to the limit for bodies."""
        async for piece in self._rest:
            self._held += piece
            self._finder.feed(piece)
            if self._finder.field is not None or self._finder.closed:
                break
            if len(self._held) > self._limits.size:
                raise too_large(self._limits.size)
        field = self._finder.field
        if field is None and operation.model == "required":
            raise ClientError("The form has no field `model`.", param="model", code="missing_parameter")
        if field is not None:
            self.model = checked(field.value)

    def prepare(self, target: TargetCall, context: Context) -> tuple[bytes, AsyncIterator[bytes], tuple[str, ...]]:
        if target.operation.request is not None:
            message = f"{target.choice.operation} cannot be translated for this model."
            raise ClientError(message, code="unsupported_operation", reason="unsupported")
        content_type = self._request.headers.get(hdrs.CONTENT_TYPE, "")
        return f"content-type: {content_type}\r\n".encode("utf-8", "surrogateescape"), self._pieces(target), ()

    async def _pieces(self, target: TargetCall) -> AsyncIterator[bytes]:
        self._opened = True
        for piece in self._beginning(target):
            yield piece
        async for piece in self._rest:
            self._finder.feed(piece)  # refuses a second `model` that only the upstream would read
            yield piece
        if not self._finder.closed:
            raise ClientError("The form ends before its last boundary.", code="invalid_form")

    def _beginning(self, target: TargetCall) -> Iterator[bytes]:
        field = self._finder.field
        if field is None or target.rename is None or target.choice.model is None:
            yield bytes(self._held)
        else:
            yield bytes(self._held[: field.start])
            yield target.choice.model.encode()
            yield bytes(self._held[field.end :])
        self._held.clear()
