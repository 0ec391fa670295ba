"""The only room that opens HTTP connections: a pool of them, and calls that push their answers.

    pool = Pool()
    call = pool.send_now(origin, head, body, connect=5) or await pool.send(origin, head, body, connect=5)
    try:
        await call.head(loop.time() + 300)                     # call.status, call.headers
        body = await call.read(limit=64 * 2**20, idle=120)     # or call.body(limit), or call.pipe(sink): pieces are pushed as they come
    finally:
        call.abort()                                           # nothing to do when the answer is whole

Everything that fails is an UpstreamError whose kind is connect, tls, timeout, protocol or truncated.
No redirects, no cookies, no headers of its own but the framing, no decompression.
"""

from .call import Call, Sink
from .content import decode_body
from .origin import Origin
from .pool import Pool
from .request import Body, header_line, request_line
from .watch import Watch

__all__ = ["Body", "Call", "Origin", "Pool", "Sink", "Watch", "decode_body", "header_line", "request_line"]
