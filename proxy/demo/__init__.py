"""Built-in demo upstreams: recorded exchanges, replayed on loopback, so that everything works without a key."""

from proxy.demo.flavour import flavours
from proxy.demo.server import RunningDemos, start_demos

__all__ = ["RunningDemos", "flavours", "start_demos"]
