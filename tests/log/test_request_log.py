"""RequestLog: one JSON line for each request, written by a thread, never an error of the request."""

import asyncio
import json
import logging
import os

import pytest

from proxy import log
from proxy.log import RequestLog, line
from proxy.record import Failed, Record, Usage


def record(**fields) -> Record:
    return Record(
        **{"operation": "chat", "request_id": "req_1", "time": 1795384519.25, "start": 100.0, "end": 100.5, "status": 200, **fields}
    )


LINES = {
    "the least": (
        {},
        {
            "ts": "2026-11-22T21:55:19.250000Z",
            "level": "info",
            "msg": "request",
            "request_id": "req_1",
            "operation": "chat",
            "status": 200,
            "duration_ms": 500.0,
            "overhead_ms": 0.0,
        },
    ),
    "all of a stream": (
        {
            "route": "fast*",
            "public_model": "fast",
            "target": "openai/gpt",
            "response_model": "gpt-1",
            "stream": True,
            "first_byte": 100.0005,
            "first_token": 100.25,
            "overhead": 0.0002506,
            "usage": Usage(input=9, output=8, cached_input=7, cache_creation_input=6, reasoning=5),
            "estimated": True,
            "sent_bytes": 1234,
            "attempts": 2,
            "failures": [Failed(provider="anthropic", name="claude", kind="status", reason="overload")],
            "dropped": ("top_k",),
            "client": "192.0.2.1",
            "key": "0123abcd",
            "trace_id": "4bf92f3577b34da6a3ce929d0e0e4736",
        },
        {
            "route": "fast*",
            "model": "fast",
            "target": "openai/gpt",
            "response_model": "gpt-1",
            "stream": True,
            "first_byte_ms": 0.5,
            "first_token_ms": 250.0,
            "overhead_ms": 0.251,
            "tokens": {"input": 9, "output": 8, "cached_input": 7, "cache_creation_input": 6, "reasoning": 5},
            "tokens_estimated": True,
            "sent_bytes": 1234,
            "attempts": 2,
            "failures": ["claude overload"],
            "dropped": ["top_k"],
            "client": "192.0.2.1",
            "key": "0123abcd",
            "trace_id": "4bf92f3577b34da6a3ce929d0e0e4736",
        },
    ),
    "the client's fault": (
        {"status": 404, "blame": "client", "error_type": "invalid_request_error"},
        {"level": "warning", "status": 404, "blame": "client", "error_type": "invalid_request_error"},
    ),
    "the client left": (
        {"status": 499, "blame": "client", "client_gone": True},
        {"level": "warning", "status": 499, "blame": "client", "client_gone": True},
    ),
    "a stream that broke": (
        {"status": 200, "blame": "upstream", "error_type": "upstream_error", "error_kind": "truncated"},
        {"level": "warning", "blame": "upstream", "error_type": "upstream_error", "error_kind": "truncated"},
    ),
    "a host that cannot be reached": (
        {"status": 502, "blame": "upstream", "error_detail": "cannot connect to api.example: Connection refused"},
        {"level": "warning", "status": 502, "blame": "upstream", "error_detail": "cannot connect to api.example: Connection refused"},
    ),
    "our fault": ({"status": 500, "blame": "gateway"}, {"level": "error", "status": 500, "blame": "gateway"}),
    "names without end": (
        {"public_model": "x" * 10_000, "response_model": "y" * 10_000, "dropped": ("z" * 10_000,) * 50},
        {"model": "x" * 200, "response_model": "y" * 200, "dropped": ["z" * 200] * 20},
    ),
    "a name of two lines": ({"public_model": 'a\nb"'}, {"model": 'a\nb"'}),
}


@pytest.mark.parametrize(("fields", "expected"), LINES.values(), ids=LINES)
def test_line(fields, expected):
    text = line(record(**fields))
    assert b"\n" not in text
    assert json.loads(text) == {**LINES["the least"][1], **expected}


def ids(text: str) -> list[str]:
    return [json.loads(row)["request_id"] for row in text.splitlines()]


async def arrival(reader: int) -> bytes:
    """What comes through a pipe next."""
    return await asyncio.wait_for(asyncio.to_thread(os.read, reader, 2**20), 20)


async def flush(requests: RequestLog) -> None:
    requests._flush()
    assert requests._writing is not None
    await requests._writing


async def test_lines_are_written_in_order_at_close(tmp_path):
    requests = RequestLog(tmp_path / "requests.log")
    for number in range(100):
        requests.write(record(request_id=str(number)))
    await requests.close()
    assert ids((tmp_path / "requests.log").read_text()) == [str(number) for number in range(100)]
    assert requests.lost == 0


async def test_a_file_is_appended_to_and_private(tmp_path):
    path = tmp_path / "requests.log"
    for number in range(2):
        requests = RequestLog(path)
        requests.write(record(request_id=str(number)))
        await requests.close()
    assert ids(path.read_text()) == ["0", "1"]
    assert path.stat().st_mode & 0o007 == 0


async def test_lines_are_written_after_a_while(monkeypatch):
    monkeypatch.setattr(log, "INTERVAL", 0.01)
    reader, writer = os.pipe()
    requests = RequestLog(writer)
    for name in ("first", "second", "third"):
        requests.write(record(request_id=name))
        assert ids((await arrival(reader)).decode()) == [name]
    await requests.close()
    os.close(reader)
    os.close(writer)


def read_all(reader: int) -> asyncio.Future[bytes]:
    """Everything that comes through a pipe until it is closed."""

    def read() -> bytes:
        with os.fdopen(reader, "rb") as pipe:
            return pipe.read()

    return asyncio.ensure_future(asyncio.to_thread(read))


async def test_many_lines_are_written_at_once(monkeypatch):
    monkeypatch.setattr(log, "INTERVAL", 1e6)
    reader, writer = os.pipe()
    everything = read_all(reader)
    requests = RequestLog(writer)
    wanted = 0
    while requests._writing is None:
        requests.write(record(request_id=str(wanted)))
        wanted += 1
    await asyncio.wait_for(requests._writing, 20)
    os.close(writer)
    text = await everything
    assert len(text) > log.FULL
    assert ids(text.decode()) == [str(number) for number in range(wanted)]


async def test_lines_that_come_during_a_write_have_their_turn(monkeypatch):
    monkeypatch.setattr(log, "INTERVAL", 0)
    reader, writer = os.pipe()
    os.set_blocking(writer, False)
    filled = os.write(writer, b" " * 2**20)
    os.set_blocking(writer, True)
    requests = RequestLog(writer)
    requests.write(record(request_id="first"))
    while requests._writing is None or requests._lines:  # noqa: ASYNC110  # until a thread has the first
        await asyncio.sleep(0)
    requests.write(record(request_id="second"))
    while requests._timer is not None:  # noqa: ASYNC110  # until the second's moment has passed unused
        await asyncio.sleep(0)
    text = b""
    while text.count(b"\n") < 2:
        text += await arrival(reader)
    await requests.close()
    os.close(writer)
    os.close(reader)
    assert ids(text[filled:].decode()) == ["first", "second"]


async def test_rotation(tmp_path):
    path, rotated = tmp_path / "requests.log", tmp_path / "requests.log.1"
    requests = RequestLog(path)
    requests.write(record(request_id="before"))
    path.rename(rotated)
    requests.write(record(request_id="still before"))
    await flush(requests)
    requests.reopen()
    requests.write(record(request_id="after"))
    await requests.close()
    assert ids(rotated.read_text()) == ["before", "still before"]
    assert ids(path.read_text()) == ["after"]


async def test_what_cannot_be_written_is_counted(caplog):
    reader, writer = os.pipe()
    os.close(reader)
    requests = RequestLog(writer)
    for _ in range(2):
        requests.write(record())
        requests.write(record())
        await flush(requests)
    await requests.close()
    os.close(writer)
    assert requests.lost == 4
    assert [entry.getMessage() for entry in caplog.records] == ["requests are not logged: [Errno 32] Broken pipe"]


async def test_a_reader_that_hangs_stops_nobody_and_costs_bounded_memory(monkeypatch):
    monkeypatch.setattr(log, "BACKLOG", 50_000)
    reader, writer = os.pipe()
    requests = RequestLog(writer)
    wanted = 0
    while requests.lost == 0:
        requests.write(record(request_id=str(wanted)))
        wanted += 1
        await asyncio.sleep(0)
    everything = read_all(reader)
    await asyncio.wait_for(requests.close(), 20)
    os.close(writer)
    assert requests.lost == 1
    assert ids((await everything).decode()) == [str(number) for number in range(wanted - 1)]


async def test_a_name_that_json_cannot_hold_is_lost(tmp_path):
    requests = RequestLog(tmp_path / "requests.log")
    requests.write(record(public_model="\ud800"))
    await requests.close()
    assert requests.lost == 1


async def test_a_file_that_cannot_be_opened(tmp_path):
    with pytest.raises(OSError, match="No such file"):
        RequestLog(tmp_path / "missing" / "requests.log")


async def test_a_rotation_that_fails_keeps_the_file(tmp_path):
    folder = tmp_path / "logs"
    folder.mkdir()
    requests = RequestLog(folder / "requests.log")
    folder.rename(tmp_path / "moved")
    requests.reopen()
    requests.write(record(request_id="lost"))
    await flush(requests)
    requests.write(record(request_id="kept"))
    await requests.close()
    assert requests.lost == 1
    assert ids((tmp_path / "moved" / "requests.log").read_text()) == ["kept"]


@pytest.fixture
def root_logger():
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    yield root
    root.handlers[:] = handlers
    root.setLevel(level)


def test_messages(capsys, root_logger):
    log.messages_to_stderr("warning")
    logger = logging.getLogger("aiohttp.server")
    logger.info("not wanted")
    logger.warning("bad %s", "thing\nof two lines \udcff")
    try:
        raise RuntimeError("broken")
    except RuntimeError:
        logger.exception("failed")
    written = capsys.readouterr()
    entries = [json.loads(row) for row in written.err.splitlines()]
    assert written.out == ""
    assert [(entry["level"], entry["logger"], entry["msg"]) for entry in entries] == [
        ("warning", "aiohttp.server", "bad thing\nof two lines \\udcff"),
        ("error", "aiohttp.server", "failed"),
    ]
    assert entries[1]["exception"].endswith("RuntimeError: broken")
    assert entries[0]["ts"].endswith("Z")
