"""JSON texts, right and wrong, after RFC 8259: (name, text, verdict).

Verdicts: "y" must be read, "n" must be refused, "i" may be either. The texts of JSONTestSuite lie in tests/suites/json_test_suite.json,
all that the package they come from has kept whole; its `lost` names those whose bytes were no UTF-8 there, and BYTES has our own of
that kind.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

Text = tuple[str, bytes, str]

VALUES: dict[str, bytes] = {
    "y": rb"""
        0 -0 1 -1 10 123456789012345678901234567890 0.1 -0.1 1.50 1e5 1E5 1e+5 1e-5 0e1 1.5e-7 true false null
        "" "a" "\u0041" "\u0000" "\uD83D\uDE00" "\"\\\/\b\f\n\r\t" [] {} [[]] [1,2] {"a":1} {"":0} {"a":{"b":[null]}} ["\u2028"]
    """,
    "n": rb"""
        - +1 01 -01 00 1. .5 -.5 1.e1 1e 1e+ 1ee5 0x1 1_000 0b1 Infinity -Infinity NaN nan inf tru True TRUE nul None undefined fals
        'a' "\x" "\u12" "\u12G4" "\a" "\u" "a"b" [ ] [1 [1, [,1] [1,] [1,,2] [1;2] [1} { } [} 1# (1) <null> &nbsp; * \u0041 [\n]
        {"a"} {"a":} {"a":1,} {,} {"a":1,,"b":2} {a:1} {'a':1} {1:1} {null:1} {"a"=1} {"a":1"b":2} {"a":"b":1} [1"a"] 1]2 "a","b" 1,2
        /*a*/1 1//a #1
    """,
}
ODD: list[Text] = [
    ("empty", b"", "n"),
    ("blanks", b" \t\r\n", "n"),
    ("blanks around", b" \t\r\n[ \t\r\n1 , 2 ]\n", "y"),
    ("form feed", b"[\x0c1]", "n"),
    ("vertical tab", b"[\x0b1]", "n"),
    ("no-break space", b"[\xc2\xa01]", "n"),
    ("byte order mark", b"\xef\xbb\xbf[]", "i"),
    ("byte order mark alone", b"\xef\xbb\xbf", "n"),
    ("raw line end in a text", b'"a\nb"', "n"),
    ("raw tab in a text", b'"a\tb"', "n"),
    ("raw NUL in a text", b'"a\x00b"', "n"),
    ("raw DEL in a text", b'"a\x7fb"', "y"),
    ("raw U+2028 in a text", b'"\xe2\x80\xa8"', "y"),
    ("NUL behind", b"[]\x00", "n"),
    ("UTF-8", '"Grüße, 世界 🌍"'.encode(), "y"),
    ("the last character", b'"\xf4\x8f\xbf\xbf"', "y"),
    ("a noncharacter", b'"\xef\xbf\xbf"', "y"),
    ("overlong", b'"\xc0\xaf"', "i"),
    ("a byte alone", b'"\xff"', "i"),
    ("cut within a character", b'"\xe4\xb8"', "i"),
    ("a surrogate in UTF-8", b'"\xed\xa0\x80"', "i"),
    ("beyond Unicode", b'"\xf4\x90\x80\x80"', "i"),
    ("half a surrogate pair", rb'"\ud800"', "i"),
    ("the other half", rb'"\udc00"', "i"),
    ("a pair the wrong way round", rb'"\udc00\ud800"', "i"),
    ("half a pair, then a letter", rb'"\ud800a"', "i"),
    ("half a pair, then an escape", rb'"\ud800\n"', "i"),
    ("UTF-16", '["é"]'.encode("utf-16"), "i"),
    ("UTF-16 without a mark", '["é"]'.encode("utf-16-le"), "i"),
    ("UTF-32", "[]".encode("utf-32"), "i"),
    ("a huge exponent", b"1e9999", "i"),
    ("a huge negative exponent", b"-1e9999", "i"),
    ("a tiny number", b"1e-9999", "i"),
    ("an exponent of many digits", b"1.5e" + b"9" * 40, "i"),
    ("5000 digits", b"1" * 5000, "i"),
    ("5000 digits behind the point", b"0." + b"1" * 5000, "i"),
    ("a name twice", b'{"a":1,"a":2}', "i"),
    ("a name twice, once escaped", rb'{"a":1,"\u0061":2}', "i"),
    ("500 arrays", b"[" * 500 + b"]" * 500, "i"),
    ("100000 arrays", b"[" * 100_000 + b"]" * 100_000, "i"),
    ("100000 arrays that stay open", b"[" * 100_000, "n"),
    ("100000 objects", b'{"a":' * 100_000 + b"1" + b"}" * 100_000, "i"),
    ("100000 open arrays and objects", b'[{"":' * 50_000, "n"),
    ("a text of 1 MB", b'"' + b"a" * 2**20 + b'"', "y"),
    ("a text of 1 MB that stays open", b'"' + b"a" * 2**20, "n"),
    ("100000 elements", b"[" + b",".join([b"0"] * 100_000) + b"]", "y"),
]


#: Bytes that are no UTF-8, wherever they can stand.
BYTES: list[Text] = [
    ("a byte as an element", b"[\xff]", "n"),
    ("a byte behind an element", b"[1\xe5]", "n"),
    ("a byte behind a minus", b"-\xe5", "n"),
    ("a byte in an exponent", b"1e\xe5", "n"),
    ("a byte behind an exponent", b"1e1\xe5", "n"),
    ("a byte escaped", b'"\\\xe5"', "n"),
    ("a byte in an escape", b'"\\u\xe5"', "n"),
    ("a byte where a name should be", b'{"a":0,\xb9}', "n"),
    ("a byte in a name", b'{"\xb9":0}', "i"),
    ("a byte alone, no text", b"\xff", "n"),
    ("a Latin-1 letter", b"\xe9", "n"),
    ("a Latin-1 letter in a text", b'"\xe9"', "i"),
    ("half a byte order mark", b"\xef\xbb[]", "n"),
    ("six bytes", b'"\xfc\x83\xbf\xbf\xbf\xbf"', "i"),
    ("UTF-16, the other order", '["é"]'.encode("utf-16-be"), "i"),
]
SUITE = json.loads((Path(__file__).parents[1] / "suites" / "json_test_suite.json").read_text("utf-8"))


def texts() -> Iterator[Text]:
    """Ours, and the suite's: there, the first letter of a name is the verdict."""
    for verdict, values in VALUES.items():
        for at, value in enumerate(values.split()):
            yield f"{verdict}{at} {value.decode()}", value, verdict
    yield from ODD
    yield from BYTES
    for name, text in SUITE["texts"].items():
        yield name, text.encode(), name[0]
