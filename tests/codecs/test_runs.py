"""Runs of base64: what is left of a text without them tells the same of it, whether it is JSON or not."""

import json
from collections.abc import Iterator

import pytest
from hypothesis import assume, example, given
from hypothesis import strategies as st

from proxy.codecs import Members, MembersError, runs
from proxy.codecs.members import decode
from proxy.codecs.runs import STEP, STRIDE, base64_runs, without

RUN = "iVBORw0KGgo/+-_=" * 4
URL = f"data:image/png;base64,{RUN}"
ATOMS = [
    "{",
    "}",
    "[",
    "]",
    '"',
    ":",
    ",",
    "\\",
    '\\"',
    "\\u0041",
    " ",
    "\n",
    "1",
    "-",
    "1" * 60,
    ";base64,",
    URL,
    RUN,
    RUN[:9],
    "ä",
    '"m":',
    '"model"',
]

texts = st.lists(st.sampled_from([RUN, URL, RUN * 3, "text ", "ä", '"', "\\", "\n"]), max_size=4).map("".join)
values = st.recursive(
    texts | st.integers(), lambda inner: st.lists(inner, max_size=3) | st.dictionaries(texts, inner, max_size=2), max_leaves=6
)
objects = st.builds(
    lambda members, spaces: json.dumps(
        members, ensure_ascii=False, indent=1 if spaces else None, separators=None if spaces else (",", ":")
    ),
    st.dictionaries(st.sampled_from(["model", "n", "stream", "a\\"]), values, max_size=4),
    st.booleans(),
)


@st.composite
def damaged(draw: st.DrawFn) -> str:
    """An object with something put in or taken out somewhere."""
    text = draw(objects)
    at, gone = draw(st.integers(0, len(text))), draw(st.integers(0, 3))
    return text[:at] + draw(st.sampled_from(["", *ATOMS])) + text[at + gone :]


@pytest.fixture(autouse=True, scope="module")
def short_steps() -> Iterator[None]:
    """As if runs of sixteen bytes were long."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(runs, "STRIDE", 8)
        patch.setattr(runs, "STEP", 24)
        yield


def stepwise(text: bytes) -> Members:
    found = list(base64_runs(text))
    rest = without(text, found)
    return Members.found(rest, decode(rest)).spread(text, found)


def outcome(read: object, text: bytes) -> object:
    try:
        members = read(text)  # type: ignore[operator]
    except MembersError as error:
        assume("too long" not in str(error))
        return "refused"
    changes = {"model": b'"other"', "n": None, "new": b"1"}
    return [(name, bytes(raw)) for name, raw in members.raws.items()], members.splice(changes), b"".join(members.pieces(changes))


@given(objects | damaged() | st.lists(st.sampled_from(ATOMS), max_size=12).map("".join))
@example(f'{{"a": {"1" * 60}-{"1" * 60}}}')
@example(f'{{"a":"b"{RUN[:48]}}}')  # just two steps
@example(f'{{"a":"b";base64,{RUN}}}')
@example(f'{{"a":1;base64,{"1" * 60}}}')
def test_what_is_left_tells_the_same(text: str) -> None:
    data = text.encode()
    assert outcome(stepwise, data) == outcome(Members.parse, data)


def test_a_name_is_not_read_from_what_is_left_of_it() -> None:
    text = b'{"m%b\\u006fdel":"x"}' % (b"A" * 48)
    assert list(base64_runs(text))
    with pytest.raises(MembersError, match="too long"):
        stepwise(text)


@pytest.mark.parametrize("mark", [b"", b"data:image/png;base64,"])
def test_nearly_all_of_an_image_is_found(mark: bytes, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(runs, "STRIDE", STRIDE)
    monkeypatch.setattr(runs, "STEP", STEP)
    text = b'{"model":"m","messages":[{"content":"%b%b"}],"n":1}' % (mark, b"iVBO" * 2**19)
    found = list(base64_runs(text))
    assert all(0 < end - start <= STEP for start, end in found)
    assert len(without(text, found)) < 100


def test_text_with_quotes_has_none() -> None:
    assert list(base64_runs(b'{"a":["abc","def"]}' * 100)) == []
