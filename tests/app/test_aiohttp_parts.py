"""The undocumented parts of aiohttp that proxy/app/server.py and arriving.py build on: an upgrade that moves one is told here."""

from __future__ import annotations

import asyncio
import inspect
from types import SimpleNamespace

import pytest
from aiohttp import web, web_protocol
from aiohttp.base_protocol import BaseProtocol
from aiohttp.http import HttpVersion10, HttpVersion11, RawRequestMessage
from aiohttp.streams import EMPTY_PAYLOAD, StreamReader

from proxy.app.server import ClientConnection
from proxy.exchange import body as bodies
from tests.exchange.wire import COMPLETION, json_answer, serving
from tests.upstream.scripted import request

SLOTS = {
    "_messages": "the requests that were read and not yet served, with their bodies",
    "_waiter": "what data_received resolves when a request is there, and force_close and close cancel",
    "_request_count": "requests that were read so far",
    "_force_close": "set when the connection is closed",
    "_close": "set when the connection is to be closed after this request",
    "_task_handler": "the task of start(), cancelled when the client goes",
    "_keepalive_handle": "the timer of an idle connection",
    "_keepalive_timeout": "its seconds",
    "_next_keepalive_close_time": "when it may close the connection",
    "_message_tail": "what came behind a request for an upgrade",
    "_lingering_time": "seconds that a refused body is read on",
}
INHERITED = {
    "_loop": "the event loop",
    "_parser": "None when the connection is lost",
    "_upgraded": "the parser stopped at an upgrade",
    "_buffer_paused": "the socket is not read because too many requests wait",
    "_reading_paused": "the socket is not read because a body's reader is full",
}
METHODS = {
    "start": "the coroutine of the connection's one task; overridden",
    "force_close": "closes the transport and cancels the waiter",
    "_process_keepalive": "closes a connection that has been idle for too long",
    "_pause_transport_reading": "stops reading the socket, for whatever reason; overridden",
    "pause_reading": "called when a body's reader is full; overridden",
    "_resume_reading_if_drained": "reads the socket again when few requests wait",
    "_drain_helper": "waits until the transport takes more",
}


@pytest.mark.parametrize("name", [*SLOTS, *INHERITED])
def test_slots(name: str) -> None:
    owner = web.RequestHandler if name in SLOTS else web.RequestHandler.__base__
    assert owner is not None
    assert name in owner.__slots__, (SLOTS | INHERITED)[name]  # type: ignore[attr-defined]  # classes have what they declare


@pytest.mark.parametrize("name", METHODS)
def test_methods(name: str) -> None:
    assert callable(getattr(web.RequestHandler, name, None)), METHODS[name]


def test_a_connection_makes_one_task_of_start() -> None:
    assert "self.start()" in inspect.getsource(web.RequestHandler.connection_made)
    assert ClientConnection.start is not web.RequestHandler.start
    assert list(inspect.signature(web.RequestHandler.start).parameters) == ["self"]


def test_what_refused_bytes_leave_is_no_request() -> None:
    assert isinstance(web_protocol.ERROR, RawRequestMessage)
    assert (web_protocol.ERROR.version, web_protocol.ERROR.should_close) == (HttpVersion10, True)
    assert not issubclass(web_protocol._ErrInfo, RawRequestMessage)
    assert HttpVersion10 < HttpVersion11
    assert callable(StreamReader.is_eof)


@pytest.mark.parametrize("size", [1, 1000, bodies.ONE_PIECE - 1, bodies.ONE_PIECE, 3 * bodies.ONE_PIECE])
async def test_a_body_is_what_its_reader_holds(size: int) -> None:
    content = StreamReader(BaseProtocol(asyncio.get_running_loop()), 2**18, loop=asyncio.get_running_loop())
    content.feed_data(b"a" * size)
    content.feed_eof()
    asked = SimpleNamespace(content=content, headers={}, connection=None, http11=True)
    assert bodies.whole(asked, bodies.BodyLimits()) == b"a" * size  # type: ignore[arg-type]  # all that is read of a request
    assert (content.total_bytes, list(EMPTY_PAYLOAD.read_nowait())) == (size, [])


async def test_more_requests_than_aiohttp_queues_are_served_in_order() -> None:
    count = web_protocol.MAX_MSG_QUEUE_SIZE * 3
    async with serving([request, json_answer(COMPLETION)]) as served, await served.client() as client:
        for number in range(count):
            client.send(b"", "/healthz", {"x-request-id": str(number)}, "GET")
        assert [(await client.reply()).headers["x-request-id"] for _ in range(count)] == [str(number) for number in range(count)]
