"""Finds one field in a form that is still arriving (RFC 7578), so that it can be routed by `model` and streamed through unread.

Nothing is decoded and nothing rebuilt: the answer is where the field's value lies in the bytes, and those alone may be replaced.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from proxy.errors import ClientError

#: RFC 2046 §5.1.1: a boundary has at most 70 characters; quoted or a token.
_BOUNDARY = re.compile(r';\s*boundary=(?:"([^"\r\n]{1,70})"|([^\s;,"]{1,70}))', re.IGNORECASE)
_HEADER = re.compile(rb"[\w-]+:")
_DISPOSITION = re.compile(rb"^content-disposition:\s*form-data\s*(;[^\r\n]*)?$", re.IGNORECASE)
#: Parameters; browsers leave a backslash in a quoted text as it is, others mean an escape by it.
_READINGS = (
    re.compile(rb';\s*([\w*-]+)=(?:"([^"]*)"|([^\s;"]*))'),
    re.compile(rb';\s*([\w*-]+)=(?:"((?:[^"\\]|\\.)*)"|([^\s;"]*))'),
)
_PART_HEAD_LIMIT = 16 * 2**10
_PARTS_LIMIT = 256
_VALUE_LIMIT = 4 * 2**10


def boundary_of(content_type: str) -> bytes:
    """The form's boundary; raises ClientError 415 or 400."""
    if content_type.partition(";")[0].strip().lower() != "multipart/form-data":
        raise ClientError("The body must be a form: multipart/form-data.", status=415, code="unsupported_media_type")
    found = _BOUNDARY.findall(content_type)
    if len(found) != 1:
        raise _invalid(f"The multipart/form-data content type names {'more than one' if found else 'no'} boundary.")
    quoted, token = found[0]
    return str(quoted or token).encode("utf-8", "surrogateescape")


@dataclass(frozen=True, slots=True)
class Field:
    """A field's value and where it begins and ends in the form's bytes."""

    value: str
    start: int
    end: int


class FieldFinder:
    """Reads a form as it comes, however the bytes are cut, and holds next to nothing of it.

    `field` is there as soon as the field is complete; a second one of the same name is refused, because an upstream might read that.
    """

    __slots__ = ("_begin", "_delimiter", "_held", "_in_head", "_inside", "_name", "_offset", "_parts", "closed", "field")

    def __init__(self, boundary: bytes, name: str) -> None:
        self._delimiter = b"\r\n--" + boundary
        self._name = name.encode()
        self._held = bytearray(b"\r\n")  # the first delimiter has no line before it
        self._offset = -2  # where in the form `_held` begins
        self._in_head = False
        self._inside = False  # within the part that is looked for
        self._begin = 0
        self._parts = 0
        self.field: Field | None = None
        self.closed = False

    def feed(self, piece: bytes) -> None:
        """Raises ClientError 400 for what is no form, and for a second field of the name."""
        if self.closed:
            return
        self._held += piece
        while self._read_head() if self._in_head else self._read_value():
            pass

    def _read_value(self) -> bool:
        """Reads on to the next delimiter; False when it is not there yet."""
        found = self._held.find(self._delimiter)
        if found >= 0:
            if self._inside:
                self._take(found)
            self._drop(found + len(self._delimiter))
            self._in_head = True
            return True
        if not self._inside:
            self._drop(max(0, len(self._held) - len(self._delimiter)))
        elif len(self._held) > _VALUE_LIMIT:
            raise _invalid(f"The form's field `{self._name.decode()}` is too long.")
        return False

    def _read_head(self) -> bool:
        """Reads the head of a part; False when it is not all there yet, or the form has ended."""
        if self._held.startswith(b"--"):
            self.closed = True
            return False
        end = self._held.find(b"\r\n\r\n")
        if end > _PART_HEAD_LIMIT or (end < 0 and len(self._held) > _PART_HEAD_LIMIT):
            raise _invalid("A part of the form has too long headers.")
        if end < 0:
            return False
        self._parts += 1
        if self._parts > _PARTS_LIMIT:
            raise _invalid(f"The form has more than {_PARTS_LIMIT} parts.")
        self._inside = _field_name(bytes(self._held[:end])) == self._name
        # The blank line's own line end stays: an empty value's delimiter begins with it.
        self._drop(end + 2)
        self._begin = self._offset + 2
        self._in_head = False
        return True

    def _take(self, found: int) -> None:
        if self.field is not None:
            raise _invalid(f"The form has the field `{self._name.decode()}` twice.")
        end = self._offset + found
        try:
            value = self._held[2:found].decode()
        except UnicodeDecodeError:
            raise _invalid(f"The form's field `{self._name.decode()}` is not UTF-8.") from None
        self.field = Field(value, self._begin, max(end, self._begin))

    def _drop(self, count: int) -> None:
        del self._held[:count]
        self._offset += count


def _field_name(head: bytes) -> bytes | None:
    """A part's name. Refused is a head that others could read otherwise: routed by one `model`, a form could be served by another."""
    padding, *lines = head.split(b"\r\n")  # RFC 2046 §5.1.1 lets blanks follow a boundary
    if padding.strip() or not all(map(_HEADER.match, lines)):
        raise _invalid("A part of the form has a header that is none.")
    dispositions = [match[1] or b"" for match in map(_DISPOSITION.match, lines) if match is not None]
    if not dispositions:
        return None
    one, other = (_names(reading, dispositions[0]) for reading in _READINGS)
    if len(dispositions) > 1 or one != other or len(one) > 1 or None in one:
        raise _invalid("A part of the form has more than one name.")
    return one[0] if one else None


def _names(reading: re.Pattern[bytes], disposition: bytes) -> list[bytes | None]:
    """All the names that a disposition gives its part; None for one in other words (`name*`, RFC 5987), which only some read."""
    found = [(key.lower(), quoted or token) for key, quoted, token in reading.findall(disposition)]
    return [value if key == b"name" else None for key, value in found if key in (b"name", b"name*")]


def _invalid(message: str) -> ClientError:
    return ClientError(message, code="invalid_form")
