"""The yardstick: a plain aiohttp reverse proxy as its documentation would write it. No routing, keys, metrics or logs.

python bare_app.py UPSTREAM_PORT LISTEN_PORT [UPSTREAM_PORT LISTEN_PORT …]
"""

import asyncio
import sys

from aiohttp import ClientSession, TCPConnector, web

HOP_BY_HOP = {"connection", "keep-alive", "transfer-encoding", "content-length", "host", "upgrade"}


def application(upstream: int, session: ClientSession) -> web.Application:
    async def forward(request: web.Request) -> web.StreamResponse:
        headers = {name: value for name, value in request.headers.items() if name.lower() not in HOP_BY_HOP}
        url = f"http://127.0.0.1:{upstream}{request.path_qs}"
        async with session.request(request.method, url, headers=headers, data=await request.read()) as answer:
            kept = {name: value for name, value in answer.headers.items() if name.lower() not in HOP_BY_HOP}
            response = web.StreamResponse(status=answer.status, headers=kept)
            await response.prepare(request)
            async for piece in answer.content.iter_any():
                await response.write(piece)
            await response.write_eof()
            return response

    app = web.Application(client_max_size=2**25)
    app.router.add_route("*", "/{path:.*}", forward)
    return app


async def main(ports: list[int]) -> None:
    async with ClientSession(connector=TCPConnector(limit=0)) as session:  # by default no more than 100 streams at once
        for upstream, listen in zip(ports[::2], ports[1::2], strict=True):
            runner = web.AppRunner(application(upstream, session), access_log=None)
            await runner.setup()
            await web.TCPSite(runner, "127.0.0.1", listen).start()
        print("ready", flush=True)
        await asyncio.Event().wait()


asyncio.run(main([int(port) for port in sys.argv[1:]]))
