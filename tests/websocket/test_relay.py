"""The relay once both sides are connected: frames, closes, failures. Real sockets on loopback.

The recordings are sessions with realtime models, recorded by pydantic-ai's tests (MIT; each file names its source).
"""

import asyncio
import contextlib
import json
import struct
from pathlib import Path

import aiohttp
import pytest
from aiohttp import WSCloseCode, WSMsgType

from proxy.record import Usage
from tests.websocket.conftest import DEADLINE

RECORDINGS = {path.stem: json.loads(path.read_text())["frames"] for path in (Path(__file__).parent / "recordings").glob("*.json")}
USAGES = {"audio_turn": Usage(16, 24), "tool_call": Usage(166, 35, 64), "other_host": Usage()}


def connect(session, gateway, **options):
    return session.ws_connect(f"ws://{gateway.address}/v1/realtime?model=m", compress=0, max_msg_size=2**24, **options)


async def soon(awaitable):
    return await asyncio.wait_for(awaitable, DEADLINE)


@pytest.mark.parametrize("name", RECORDINGS)
async def test_a_recorded_session(session, far, gateway, name):
    frames = [(direction, json.dumps(data, ensure_ascii=False)) for direction, data in RECORDINGS[name]]
    heard = []

    async def play(socket):
        for direction, text in frames:
            if direction == "received":
                await socket.send_str(text)
            else:
                heard.append(await soon(socket.receive_str()))
        await socket.close()

    far.script = play
    async with connect(session, gateway) as socket:
        for direction, text in frames:
            if direction == "sent":
                await socket.send_str(text)
            else:
                assert await soon(socket.receive_str()) == text
        await soon(socket.receive())
    assert heard == [text for direction, text in frames if direction == "sent"]
    outcome = await gateway.outcome()
    assert outcome.usage == USAGES[name]
    assert outcome.sent_bytes == sum(len(text.encode()) for direction, text in frames if direction == "received")
    assert outcome.first_frame > 0
    assert (outcome.code, outcome.failure, outcome.client_gone) == (1000, None, False)


FRAMES = [
    (WSMsgType.TEXT, b""),
    (WSMsgType.TEXT, '{"ö": "豆\u2028"}\n'.encode()),
    (WSMsgType.BINARY, b""),
    (WSMsgType.BINARY, bytes(range(256)) * 5),
    (WSMsgType.TEXT, b"x" * 1_000_000),
    (WSMsgType.BINARY, b"\x00" * 70_000),
    (WSMsgType.TEXT, b"not \xff UTF-8"),
]


async def test_frames_pass_untouched_and_in_order(session, far, gateway):
    far.options = {"decode_text": False}
    async with connect(session, gateway, decode_text=False) as socket:
        for kind, data in FRAMES * 3:
            await socket.send_frame(data, kind)
        echoed = [await soon(socket.receive()) for _ in FRAMES * 3]
    assert [(message.type, message.data) for message in echoed] == FRAMES * 3


async def test_pings_are_answered_by_the_gateway(session, far, gateway):
    async with connect(session, gateway, autoping=False) as socket:
        await socket.ping(b"mine")
        message = await soon(socket.receive())
        assert (message.type, bytes(message.data)) == (WSMsgType.PONG, b"mine")


CLOSES = [(1000, ""), (1001, "moving"), (1008, "policy"), (1011, "broken"), (4000, "ours, with ö"), (3001, "x" * 123)]


@pytest.mark.parametrize(("code", "reason"), CLOSES)
async def test_the_client_closes(session, far, gateway, code, reason):
    far.options = {"autoclose": False}
    seen = []

    async def listen(socket):
        message = await soon(socket.receive())
        seen.append((message.type, message.data, message.extra))
        await socket.close()

    far.script = listen
    async with connect(session, gateway) as socket:
        await socket.close(code=code, message=reason.encode())
    assert socket.close_code == code
    await soon(far.ended.get())
    assert seen == [(WSMsgType.CLOSE, code, reason)]
    outcome = await gateway.outcome()
    assert (outcome.code, outcome.failure, outcome.client_gone) == (code, None, False)


@pytest.mark.parametrize(("code", "reason"), CLOSES)
async def test_the_upstream_closes(session, far, gateway, code, reason):
    async def close(socket):
        await socket.send_str("last")
        await socket.close(code=code, message=reason.encode())

    far.script = close
    async with connect(session, gateway, autoclose=False) as socket:
        assert await soon(socket.receive_str()) == "last"
        message = await soon(socket.receive())
        assert (message.type, message.data, message.extra) == (WSMsgType.CLOSE, code, reason)
        await socket.close()
    assert (await gateway.outcome()).code == code
    assert await soon(far.ended.get()) == code


async def test_a_close_frame_without_a_code(session, far, gateway):
    async def close(socket):
        await socket.send_frame(b"", WSMsgType.CLOSE)

    far.script = close
    async with connect(session, gateway, autoclose=False) as socket:
        message = await soon(socket.receive())
        assert (message.type, message.data) == (WSMsgType.CLOSE, 1000)
        await socket.close()


async def test_a_code_that_may_not_be_sent_is_not_passed_on(session, far, gateway):
    async def close(socket):
        await socket.send_frame(struct.pack("!H", 1006), WSMsgType.CLOSE)

    far.script = close
    async with connect(session, gateway, autoclose=False) as socket:
        message = await soon(socket.receive())
        assert (message.type, message.data) == (WSMsgType.CLOSE, 1011)
        await socket.close()


async def test_the_upstream_breaks_off(session, far, gateway):
    async def vanish(socket):
        await socket.send_str("first")
        far.requests[0].transport.abort()

    far.script = vanish
    async with connect(session, gateway, autoclose=False) as socket:
        assert await soon(socket.receive_str()) == "first"
        message = await soon(socket.receive())
        assert (message.type, message.data) == (WSMsgType.CLOSE, WSCloseCode.INTERNAL_ERROR)
        assert message.extra == "The upstream broke off: connection closed."
        await socket.close()
    outcome = await gateway.outcome()
    assert outcome.failure.kind == "truncated"
    assert not outcome.client_gone


async def test_the_upstream_breaks_the_protocol(session, far, gateway):
    async def garble(socket):
        far.requests[0].transport.write(b"\xff\xff not a frame")

    far.script = garble
    async with connect(session, gateway, autoclose=False) as socket:
        message = await soon(socket.receive())
        assert (message.type, message.data) == (WSMsgType.CLOSE, WSCloseCode.INTERNAL_ERROR)
        assert message.extra.startswith("The upstream broke off: Received frame with")
        await socket.close()
    assert await soon(far.ended.get()) == WSCloseCode.PROTOCOL_ERROR


def vanish(socket: aiohttp.ClientWebSocketResponse) -> None:
    """The client's machine is gone: reset, no close frame."""
    socket.get_extra_info("socket").setsockopt(1, 13, struct.pack("ii", 1, 0))  # SO_LINGER: reset at close
    socket._response.close()


@pytest.mark.parametrize("phase", ["silent", "streaming"])
async def test_the_client_is_gone(session, far, gateway, phase):
    async def talk(socket):
        with contextlib.suppress(ConnectionError):
            while phase == "streaming":
                await socket.send_str("x" * 1000)

    far.script = talk
    socket = await connect(session, gateway)
    await socket.send_str("hello")
    if phase == "streaming":
        await soon(socket.receive())
    vanish(socket)
    code = await soon(far.ended.get())
    if phase == "silent":  # who is sending may never read why
        assert code in (1001, 1011)
    await gateway.outcome()


async def test_a_message_over_the_limit(session, far, gateway):
    gateway.set(message=1000)

    async def much(socket):
        await socket.send_str("x" * 1001)

    async with connect(session, gateway, autoclose=False) as socket:
        await socket.send_str("x" * 1001)
        message = await soon(socket.receive())
        assert (message.type, message.data) == (WSMsgType.CLOSE, WSCloseCode.MESSAGE_TOO_BIG)
        await socket.close()
    assert await soon(far.ended.get()) == 1011

    far.script = much
    async with connect(session, gateway, autoclose=False) as socket:
        message = await soon(socket.receive())
        assert (message.type, message.data) == (WSMsgType.CLOSE, 1011)
        await socket.close()
    assert await soon(far.ended.get()) == WSCloseCode.MESSAGE_TOO_BIG


async def test_a_client_that_answers_no_ping(session, far, gateway):
    gateway.set(heartbeat=0.05)
    async with connect(session, gateway, autoping=False) as socket:
        assert await soon(far.ended.get()) == 1011
        assert (await gateway.outcome()).client_gone
        await socket.close()


async def test_an_upstream_that_answers_no_ping(session, far, gateway):
    gateway.set(heartbeat=0.05)
    far.options = {"autoping": False}

    async def listen(socket):
        async for _ in socket:
            pass

    far.script = listen
    async with connect(session, gateway, autoclose=False) as socket:
        message = await soon(socket.receive())
        assert (message.type, message.data) == (WSMsgType.CLOSE, 1011)
        await socket.close()
    assert (await gateway.outcome()).failure is not None


async def stuck(send) -> int:
    """How many bytes can be sent to someone who takes nothing, until the connection is stuck or closed."""
    piece = b"x" * 2**16
    sent = 0
    while sent < 2**26:
        try:
            await asyncio.wait_for(send(piece), 1)
        except (TimeoutError, ConnectionError):
            break
        sent += len(piece)
    return sent


async def test_a_client_that_reads_slowly_slows_the_upstream(session, far, gateway):
    gateway.set(close=10)  # the client has megabytes to read before it sees the end
    sent = asyncio.get_running_loop().create_future()

    async def pour(socket):
        count = await stuck(socket.send_bytes)
        sent.set_result(count)
        await socket.send_str("end")
        await socket.close()

    far.script = pour
    async with connect(session, gateway) as socket:
        count = await asyncio.wait_for(sent, 20)
        assert count < 2**25
        got = 0
        while (message := await soon(socket.receive())).type is WSMsgType.BINARY:
            got += len(message.data)
        # the frame that was being sent when it got stuck arrives, too
        assert got - count in (0, 2**16)
        assert message.data == "end"
    await soon(far.ended.get())


async def test_an_upstream_that_reads_no_more_is_gone(session, far, gateway):
    """A write can hang for ever and a paused reader sees no end: it is the pings that notice."""
    gateway.set(heartbeat=4)  # so long that a busy machine, too, has filled the buffers by then

    awake = asyncio.Event()

    async def sleep(socket):
        await awake.wait()

    far.script = sleep
    async with connect(session, gateway, autoclose=False) as socket:
        assert await stuck(socket.send_bytes) < 2**25
        message = await soon(socket.receive())
        assert (message.type, message.data) == (WSMsgType.CLOSE, 1011)
    outcome = await gateway.outcome()
    assert outcome.failure is not None
    awake.set()
    await soon(far.ended.get())


async def test_a_client_that_reads_no_more_is_gone(session, far, gateway):
    gateway.set(heartbeat=0.4)

    async def pour(socket):
        while True:
            await socket.send_bytes(bytes(2**16))

    far.script = pour
    async with connect(session, gateway) as socket:
        outcome = await gateway.outcome()
        assert outcome.client_gone
        await soon(far.ended.get())
        while (await soon(socket.receive())).type is WSMsgType.BINARY:
            pass
        assert socket.closed


async def test_the_server_stops(session, far, gateway):
    async with connect(session, gateway, autoclose=False) as socket:
        await socket.send_str("hello")
        assert await soon(socket.receive_str()) == "hello"
        gateway.tasks[0].cancel()
        message = await soon(socket.receive())
        assert (message.type, message.data) == (WSMsgType.CLOSE, WSCloseCode.GOING_AWAY)
        await socket.close()
    assert await soon(far.ended.get()) == WSCloseCode.GOING_AWAY
    assert (await gateway.outcome()).code == WSCloseCode.GOING_AWAY


EVENTS = [
    # (what the upstream says, usage)
    ([], None),
    (['{"type":"response.done","response":{"usage":{"input_tokens":1,"output_tokens":2}}}'] * 2, Usage(2, 4)),
    (['{"type": "response.done", "response": {"status": "failed"}}'], None),
    (['{"type":"response.done","response":{"usage":null}}'], None),
    (['{"type":"response.done","response":[]}', '"response.done"', '{"response.done"'], None),
    # quoted in something else
    (['{"type":"conversation.item.created","item":"response.done","response":{"usage":{"input_tokens":1}}}'], None),
]


@pytest.mark.parametrize(("events", "usage"), EVENTS, ids=range(len(EVENTS)))
async def test_usage(session, far, gateway, events, usage):
    async def tell(socket):
        for event in events:
            await socket.send_str(event)
        await socket.close()

    far.script = tell
    async with connect(session, gateway) as socket:
        assert [message.data async for message in socket] == events
    assert (await gateway.outcome()).usage == usage
