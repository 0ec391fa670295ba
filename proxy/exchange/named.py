"""What a model's name may be, wherever a client writes it."""

from __future__ import annotations

from proxy.errors import ClientError

_NAME_LIMIT = 512


def checked(name: str) -> str:
    """A model's name. Raises ClientError for what can be none."""
    if not name or len(name) > _NAME_LIMIT or not name.isprintable():
        raise ClientError("`model` must be a name.", param="model")
    return name
