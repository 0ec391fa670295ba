"""The yardstick of starting: `import aiohttp.web`, one handler, the first answer. python first_answer.py PORT"""

import sys

from aiohttp import web


async def hello(request: web.Request) -> web.Response:
    return web.json_response({"hello": "world"})


app = web.Application()
app.router.add_post("/v1/chat/completions", hello)
web.run_app(app, host="127.0.0.1", port=int(sys.argv[1]), print=None)
