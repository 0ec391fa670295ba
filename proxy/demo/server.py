"""Demo upstreams: one loopback server for each flavour, replaying its recordings at their pace."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from types import TracebackType
from typing import Self

from aiohttp import web

from proxy.demo.flavour import RECORDINGS, Answer, Flavour

#: They stand in for strangers' servers on this machine only.
HOST = "127.0.0.1"
#: Seconds that a replay may go on when its server closes (aiohttp takes 0 for "as long as it likes").
GRACE = 0.05


class RunningDemos:
    """Servers that listen until `close`. `ports`: flavour ─▶ TCP port on 127.0.0.1."""

    def __init__(self, pace: float) -> None:
        self.ports: dict[str, int] = {}
        self._pace = pace
        self._runners: list[web.ServerRunner] = []

    @property
    def addresses(self) -> dict[str, str]:
        """Flavour ─▶ `http://127.0.0.1:port`."""
        return {flavour: f"http://{HOST}:{port}" for flavour, port in self.ports.items()}

    async def start(self, flavours: Iterable[str], port: int = 0) -> None:
        """Starts those that do not run yet, on free ports, or on `port` and those after it.

        Raises KeyError for a flavour that does not exist, OSError for a port that is taken.
        """
        for name in dict.fromkeys(flavours):
            if name in self.ports:
                continue
            folder = RECORDINGS / name
            if not (folder / "flavour.yaml").is_file():
                raise KeyError(name)
            server = web.Server(_Replayer(Flavour(folder), self._pace), handler_cancellation=True, access_log=None)
            runner = web.ServerRunner(server, shutdown_timeout=GRACE)
            await runner.setup()
            self._runners.append(runner)
            await web.TCPSite(runner, HOST, port).start()
            self.ports[name] = runner.addresses[0][1]
            port += 1 if port else 0

    async def close(self) -> None:
        """Stops listening and breaks what is still being sent."""
        await asyncio.gather(*(runner.cleanup() for runner in self._runners))

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        await self.close()


async def start_demos(flavours: Iterable[str], *, pace: float = 1.0, port: int = 0) -> RunningDemos:
    """Starts a server for each flavour. `pace` multiplies the recorded waits; 0 sends at once. Raises as `RunningDemos.start`."""
    demos = RunningDemos(pace)
    try:
        await demos.start(flavours, port)
    except (KeyError, OSError):
        await demos.close()
        raise
    return demos


class _Replayer:
    """The handler of one flavour's server."""

    def __init__(self, flavour: Flavour, pace: float) -> None:
        self._flavour = flavour
        self._pace = pace

    async def __call__(self, request: web.BaseRequest) -> web.StreamResponse:
        answer = self._flavour.answer(request.path, await request.content.read())
        response = web.StreamResponse(status=answer.status, headers=answer.headers)
        response.content_length = answer.length
        await asyncio.sleep(answer.first * self._pace)
        await response.prepare(request)
        await self._send(response, answer)
        if answer.cut and request.transport is not None:
            request.transport.close()
        else:
            await response.write_eof()
        return response

    async def _send(self, response: web.StreamResponse, answer: Answer) -> None:
        for number, piece in enumerate(answer.pieces):
            if number:
                await asyncio.sleep(answer.between * self._pace)
            await response.write(piece)
