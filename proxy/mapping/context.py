"""What a mapping may know besides the document it maps."""

from __future__ import annotations

from typing import Any

import msgspec

from proxy.mapping.chunks import new_id


class Context(msgspec.Struct, kw_only=True):
    """The variables of the mapping language that come from outside.

    `model`: the target's model name; `public`: the name the client used; `now`: unix seconds; `req`: the client's request.
    Not variables, but how a chat answer is finished: `shown`: the model name that the client sees ('' = the upstream's own);
    `reasoning`: the names under which reasoning text is shown. `client`: what the rules of the client's own dialect know, where they
    translate; its `req` is what the client sent.
    """

    model: str
    public: str = ""
    traits: dict[str, Any] = {}
    now: int = 0
    stream: bool = False
    status: int = 200
    req: dict[str, Any] | None = None
    shown: str = ""
    reasoning: tuple[str, ...] = ("reasoning_content",)
    client: Context | None = None

    def uuid(self) -> str:
        """24 hex digits, new at each call."""
        return new_id()
