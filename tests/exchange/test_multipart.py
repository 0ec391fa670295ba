"""A form's field is found at every cut, whatever stands around it."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy.errors import ClientError
from proxy.exchange.multipart import Field, FieldFinder, boundary_of


def form(*parts: tuple[str, bytes], boundary: str = "XX") -> bytes:
    pieces = [f"--{boundary}\r\n{head}\r\n\r\n".encode() + value + b"\r\n" for head, value in parts]
    return b"".join(pieces) + f"--{boundary}--\r\n".encode()


FILE = (
    'Content-Disposition: form-data; name="file"; filename="model"\r\nContent-Type: audio/wav',
    b'\x00\r\n--X\r\n\r\nname="model"\r\n\xff' * 9,
)
MODEL = ('Content-Disposition: form-data; name="model"', b"whisper-1")

FORMS = {
    "model first": (form(MODEL, FILE), "whisper-1"),
    "file first": (form(FILE, MODEL), "whisper-1"),
    "empty value": (form(('Content-Disposition: form-data; name="model"', b""), FILE), ""),
    "token name": (form(("content-disposition: form-data; name=model", b"m")), "m"),
    "header order": (
        form(('Content-Type: text/plain; charset=utf-8\r\nContent-Disposition: form-data; name="model"', b"m/\xc3\xa9")),
        "m/é",
    ),
    "no model": (form(FILE), None),
    "another field's filename": (form(('Content-Disposition: form-data; name="x"; filename="; name=model"', b"m")), None),
    "preamble": (b"hello\r\n" + form(MODEL), "whisper-1"),
}


@pytest.mark.parametrize(("body", "value"), FORMS.values(), ids=FORMS)
def test_found_at_every_cut(body: bytes, value: str | None) -> None:
    for cut in range(len(body) + 1):
        finder = FieldFinder(b"XX", "model")
        finder.feed(body[:cut])
        finder.feed(body[cut:])
        assert finder.closed
        assert (finder.field.value if finder.field else None) == value
        if finder.field is not None:
            assert body[finder.field.start : finder.field.end].decode() == value


def test_found_as_soon_as_it_is_complete() -> None:
    finder = FieldFinder(b"XX", "model")
    finder.feed(form(MODEL)[: -len("--\r\n")])
    assert finder.field == Field("whisper-1", 54, 63)
    assert not finder.closed


@given(st.lists(st.integers(1, 40), max_size=60))
def test_found_in_any_pieces(sizes: list[int]) -> None:
    body = FORMS["file first"][0]
    finder = FieldFinder(b"XX", "model")
    at = 0
    for size in [*sizes, len(body)]:
        finder.feed(body[at : at + size])
        at += size
    assert finder.field is not None
    assert finder.field.value == "whisper-1"


@pytest.mark.parametrize("second", [MODEL, ('Content-Disposition: form-data; NAME="model"', b"another")])
def test_a_second_model_is_refused(second: tuple[str, bytes]) -> None:
    finder = FieldFinder(b"XX", "model")
    with pytest.raises(ClientError, match="twice"):
        finder.feed(form(MODEL, FILE, second))


@pytest.mark.parametrize(
    ("content_type", "boundary"),
    [
        ("multipart/form-data; boundary=abc", b"abc"),
        ('Multipart/Form-Data; charset=utf-8; boundary="a b"', b"a b"),
        ("multipart/form-data; BOUNDARY=----WebKit1", b"----WebKit1"),
        ("multipart/form-data; boundary=\udcff", b"\xff"),  # as aiohttp reads a byte that is no UTF-8
    ],
)
def test_boundary(content_type: str, boundary: bytes) -> None:
    assert boundary_of(content_type) == boundary


@pytest.mark.parametrize(
    ("content_type", "status"),
    [
        ("application/json", 415),
        ("multipart/mixed; boundary=a", 415),
        ("multipart/form-data", 400),
        ("multipart/form-data; boundary=", 400),
        ("multipart/form-data; boundary=a; boundary=b", 400),
        ('multipart/form-data; x="; boundary=a"; boundary=b', 400),
    ],
)
def test_no_boundary(content_type: str, status: int) -> None:
    with pytest.raises(ClientError) as caught:
        boundary_of(content_type)
    assert caught.value.status == status


@pytest.mark.parametrize(
    "body", [b"--XX\r\n" + b"a" * 20000, b"--XX\r\n\r\n" * 300, form((MODEL[0], b"m" * 5000))[:5000], form((MODEL[0], b"\xff"))]
)
def test_what_is_no_form_is_refused(body: bytes) -> None:
    with pytest.raises(ClientError):
        FieldFinder(b"XX", "model").feed(body)


@pytest.mark.parametrize(
    "head",
    [
        b'Content-Disposition: form-data; name="x"; name="model"',
        b'Content-Disposition: form-data; name="x"\r\nContent-Disposition: form-data; name="model"',
        b"Content-Disposition: form-data; name*=utf-8''model",
        b'Content-Disposition: form-data;\r\n name="model"',
        b'Content-Disposition : form-data; name="model"',
        b'Content-Disposition: form-data; filename="a\\"; name=\\"model"',
        b'Content-Disposition: form-data; filename="a\\"; name="model"',
    ],
)
def test_a_part_whose_name_can_be_read_in_two_ways_is_refused(head: bytes) -> None:
    """Else a form could be routed by one model and served by another."""
    finder = FieldFinder(b"b", "model")
    with pytest.raises(ClientError) as caught:
        finder.feed(b"--b\r\n" + head + b"\r\n\r\nother\r\n--b--\r\n")
    assert (caught.value.status, caught.value.code) == (400, "invalid_form")


@pytest.mark.parametrize("file_name", [rb"a\"b", rb"C:\a b.mp3", b"a; b=c", b"\xc3\xa9.wav"])
def test_odd_names_of_files_and_blanks_behind_a_boundary_are_no_matter(file_name: bytes) -> None:
    finder = FieldFinder(b"b", "model")
    finder.feed(b'--b\r\nContent-Disposition: form-data; name="file"; filename="' + file_name + b'"\r\n\r\nx\r\n')
    finder.feed(b'--b \t\r\nContent-Disposition: form-data; name="model"\r\n\r\nm\r\n--b--\r\n')
    assert finder.field is not None
    assert finder.field.value == "m"
