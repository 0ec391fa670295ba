"""What the filters of the catalogue do to one present value. Absence never reaches a filter: `absent | f` is absent.

A filter that cannot use its value (another type, not its form) answers None: absent.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import mimetypes
import re
import string
import struct
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

import msgspec

_decode = msgspec.json.Decoder().decode
_encode = msgspec.json.Encoder().encode
LEGAL = re.compile(r"[a-zA-Z0-9_-]{1,64}")
_ALPHABET = string.digits + string.ascii_letters
_DATA_URL = re.compile(r"data:([^;,]*)((?:;[^;,]*)*),(.*)", re.DOTALL)
_STANDARD = str.maketrans("-_", "+/")  # RFC 4648's URL-safe alphabet → its first one
_SECONDS = re.compile(r"(\d+(?:\.\d+)?)\s*(ms|s|m|h)?")
_SECONDS_IN = {None: 1.0, "ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0}
_TYPES = {
    "webp": "image/webp",
    "heic": "image/heic",
    "heif": "image/heif",
    "md": "text/markdown",
    "mp3": "audio/mpeg",
    "wav": "audio/wav",
    "flac": "audio/flac",
    "mp4": "video/mp4",
    "webm": "video/webm",
}


def parts(value: Any) -> Any:
    if isinstance(value, str):
        return [{"type": "text", "text": value}]
    return value if isinstance(value, list) else [value]


def text(value: Any) -> str | None:
    if isinstance(value, str):
        return value
    pieces = [_piece(part) for part in value] if isinstance(value, list) else [_piece(value)]
    found = [piece for piece in pieces if piece is not None]
    return "".join(found) if found else None


def _piece(part: Any) -> str | None:
    if isinstance(part, str):
        return part
    if isinstance(part, Mapping) and isinstance(part.get("text"), str):
        return str(part["text"])
    return None


def as_list(value: Any) -> list[Any]:
    return value if isinstance(value, list) else [value]


def as_string(value: Any) -> str | None:
    return value if isinstance(value, str) else None


def as_object(value: Any) -> dict[str, Any] | None:
    return value if isinstance(value, dict) else None


def nonempty(value: Any) -> Any:
    return None if value in ("", [], {}) else value


def first(value: Any) -> Any:
    return (value[0] if value else None) if isinstance(value, list) else value


def last(value: Any) -> Any:
    return (value[-1] if value else None) if isinstance(value, list) else value


def count(value: Any) -> int | None:
    return len(value) if isinstance(value, list | dict | str) else None


def join(value: Any, separator: str = "") -> str | None:
    if isinstance(value, str):
        return value
    if not isinstance(value, list):
        return None
    if len(value) == 1 and isinstance(value[0], str):
        return value[0]
    return separator.join([item for item in value if isinstance(item, str)])


def split(value: Any, separator: str, position: int) -> str | None:
    if not isinstance(value, str):
        return None
    pieces = value.split(separator)
    return pieces[position] if -len(pieces) <= position < len(pieces) else None


def prefix(value: Any, start: str) -> str | None:
    return start + value if isinstance(value, str) else None


def lower(value: Any) -> str | None:
    return value.lower() if isinstance(value, str) else None


def upper(value: Any) -> str | None:
    return value.upper() if isinstance(value, str) else None


def parse_json(value: Any) -> Any:
    if not isinstance(value, str):
        return None
    try:
        return _decode(value)
    except (msgspec.DecodeError, RecursionError):
        return None


def parse_object(value: Any) -> dict[str, Any] | None:
    """`json | object`: a text that cannot be an object is not read for it."""
    if type(value) is not str or value.lstrip()[:1] != "{":
        return None
    found = parse_json(value)
    return found if type(found) is dict else None


def to_json(value: Any) -> str:
    return _encode(value).decode()


def at_most(value: Any, limit: Any) -> Any:
    return min(value, limit) if _number(value) and _number(limit) else value


def at_least(value: Any, limit: Any) -> Any:
    return max(value, limit) if _number(value) and _number(limit) else value


def integer(value: Any) -> int | None:
    return int(value) if _number(value) else None


def _number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def scheme(value: Any) -> str | None:
    if not isinstance(value, str):
        return None
    head, colon, _ = value[:32].partition(":")
    return head.lower() if colon else None


def data_url(value: Any, member: str) -> str | None:
    """Of `data:image/png;base64,AAAA` (RFC 2397): "type" is image/png, "data" the base64 text (made, where the URL is not base64;
    in the standard alphabet, where it is in the URL-safe one), "text" the UTF-8 text."""
    match = _DATA_URL.fullmatch(value) if isinstance(value, str) else None
    if match is None:
        return None
    if member == "type":
        return match[1] or "text/plain"
    if member == "text":
        return _data_text(match)
    if match[2].lower().endswith(";base64"):
        return _standard(match[3])
    return base64.b64encode(_unquote(match[3])).decode()


def _data_text(match: re.Match[str]) -> str | None:
    try:
        data = base64.b64decode(_standard(match[3])) if match[2].lower().endswith(";base64") else _unquote(match[3])
        return data.decode()
    except ValueError:
        return None


def _standard(text: str) -> str:
    return text.translate(_STANDARD) if "-" in text or "_" in text else text


def _unquote(value: str) -> bytes:
    return re.sub(rb"%([0-9a-fA-F]{2})", lambda found: binascii.unhexlify(found[1]), value.encode())


def mime(value: Any) -> str | None:
    if not isinstance(value, str):
        return None
    path = re.split(r"[?#]", value, maxsplit=1)[0]
    ending = path.rpartition(".")[2].lower()
    return _TYPES.get(ending) or mimetypes.guess_type(path, strict=False)[0]


def safe_id(value: Any, length: int | None = None) -> str | None:
    """A legal id, the same for the same input: SHA-256 of the original replaces what is not legal."""
    if not isinstance(value, str):
        return None
    if length is None:
        if LEGAL.fullmatch(value):
            return value
        digest = hashlib.sha256(value.encode("utf-8", "surrogatepass")).hexdigest()[:12]
        return re.sub(r"[^a-zA-Z0-9_-]", "_", value)[:51] + "_" + digest
    if len(value) == length and value.isascii() and value.isalnum():
        return value
    number = int.from_bytes(hashlib.sha256(value.encode("utf-8", "surrogatepass")).digest(), "big")
    letters = []
    for _ in range(length):
        number, rest = divmod(number, len(_ALPHABET))
        letters.append(_ALPHABET[rest])
    return "".join(letters)


def unix(value: Any) -> int | None:
    """RFC 3339 → whole unix seconds; nanoseconds are cut to what datetime can read."""
    if not isinstance(value, str):
        return None
    try:
        return int(datetime.fromisoformat(re.sub(r"(\.\d{6})\d+", r"\1", value)).timestamp())
    except (ValueError, OverflowError):
        return None


def rfc3339(value: Any) -> str | None:
    """Unix seconds → RFC 3339 time, UTC, to the second."""
    try:
        return datetime.fromtimestamp(int(value), UTC).strftime("%Y-%m-%dT%H:%M:%SZ") if _number(value) else None
    except (ValueError, OverflowError, OSError):
        return None


def seconds(value: Any) -> float | None:
    if _number(value):
        return float(value)
    match = _SECONDS.fullmatch(value.strip()) if isinstance(value, str) else None
    return float(match[1]) * _SECONDS_IN[match[2]] if match else None


def floats(value: Any, form: str) -> Any:
    """A list of numbers as base64 of little-endian float32, OpenAI's `encoding_format: base64`."""
    if not isinstance(value, list) or form != "base64":
        return value
    try:
        return base64.b64encode(struct.pack(f"<{len(value)}f", *value)).decode()
    except (struct.error, OverflowError):
        return None


def lookup(value: Any, table: Any) -> Any:
    return table.get(value) if isinstance(table, Mapping) and isinstance(value, str) else None


def mapped(value: Any, table: Mapping[Any, Any], otherwise: Any) -> Any:
    return table.get(value, otherwise) if type(value) is str or type(value) is int else otherwise
