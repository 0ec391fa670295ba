"""What answers take of the memory until they can go on: small ones as much as they like, large ones of one share for all.

The share is what keeps many large answers at once, good or bad, from taking the machine: whose next piece has no room in it is turned
away. An answer counts from its first piece until its client has taken it.
"""

from __future__ import annotations

from proxy.errors import GatewayError

#: Bytes of one answer that do not count.
FREE = 2**19
#: Bytes of JSON from which it is looked at how many values there are: each takes many times its text once it is read.
CROWD = 2**20
#: Values that so large a text may hold.
VALUES = 2**19


class Memory:
    """`used`: bytes of the share that are taken. One for the whole process."""

    __slots__ = ("used",)

    def __init__(self) -> None:
        self.used = 0


class Held:
    """One request's part of the share, which is `limit` bytes in all. `taken`: of them by this one."""

    __slots__ = ("_limit", "_memory", "taken")

    def __init__(self, memory: Memory, limit: int) -> None:
        self._memory = memory
        self._limit = limit
        self.taken = 0

    def resize(self, size: int) -> None:
        """`size`: bytes held now. Raises GatewayError 503 when there is no room for them."""
        more = max(0, size - FREE) - self.taken
        if more > 0 and self._memory.used + more > self._limit:
            message = "The gateway holds too many large answers for now."
            raise GatewayError(message, code="overloaded", headers={"retry-after": "1"})
        self._memory.used += more
        self.taken += more


def crowded(text: bytes) -> bool:
    """Whether a large JSON text is made of so many values that reading them would take many times its size."""
    return len(text) > CROWD and text.count(b",") + text.count(b"[") + text.count(b"{") > VALUES
