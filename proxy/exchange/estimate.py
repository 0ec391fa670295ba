"""How many tokens a request would be, where its upstream cannot be asked: a guess, and always said to be one."""

from __future__ import annotations

#: Bytes of JSON for each token.
BYTES = 4
#: A text this long without a blank or an escape is an image or a file in base64.
_MEDIA = 2000
#: What each of those counts for, whatever its size: about what vendors take for a large picture.
MEDIA_TOKENS = 1600


def tokens_of(body: bytes) -> int:
    """Of an upstream's JSON body: a token for four bytes, and a fixed number for whatever is no text."""
    media = [piece for piece in body.split(b'"') if len(piece) >= _MEDIA and b" " not in piece and b"\\" not in piece]
    return (len(body) - sum(map(len, media))) // BYTES + len(media) * MEDIA_TOKENS
