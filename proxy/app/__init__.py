"""The server: URLs, keys, pages, and an exchange for everything else.

running = await start(config)        # listens; running.addresses
await running.close()                # lets running answers end, then closes
"""

from proxy.app.running import Part, RunningServer, start

__all__ = ["Part", "RunningServer", "start"]
