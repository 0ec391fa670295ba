"""What clients put into their bodies."""

from __future__ import annotations

from tests.clients.json_texts import SUITE
from tests.clients.test_json_texts import ALL, ANSWERS
from tests.clients.test_request_bodies import FORMS
from tests.exchange.test_requests import REFUSED, TYPES
from tests.faults.promise import Row, Section

NOTED = "`blame: client`, `error_type: invalid_request_error`; no upstream was asked"
COUNTED = f"{len(ALL)} JSON texts ({len(SUITE['texts'])} of JSONTestSuite's {len(SUITE['texts']) + len(SUITE['lost'])})"
FINE = "a request that went well"
PASSED = "what the upstream makes of it"
REQUESTS, BODIES, TEXTS = (
    f"tests/{name}.py::" for name in ("exchange/test_requests", "clients/test_request_bodies", "clients/test_json_texts")
)

SECTION = Section(
    "request_bodies",
    "Bodies from clients",
    "Refused with one sentence, and with `param` where one member is at fault; never a 500. Wrong types inside a body are left to the "
    "upstream where the body is passed through or the translation needs no other.",
    (
        *(
            Row(
                name,
                f"{status}{f' `{code}`' if code else ''}{f', param `{param}`' if param else ''}",
                NOTED,
                f"{REQUESTS}test_refused[{name}]",
            )
            for name, _, status, code, param in REFUSED
        ),
        *(
            Row(
                f"Content-Type: {kind or 'none'}",
                "the answer" if status == 200 else "415 `unsupported_media_type`",
                FINE if status == 200 else NOTED,
                f"{REQUESTS}test_content_types[{kind or 'none'}]",
            )
            for kind, status in TYPES
        ),
        Row("no Content-Type, from a browser", "415", NOTED, f"{REQUESTS}test_a_browser_must_say_its_content_type"),
        *(
            Row(f"a body: {what}", said, NOTED, f"{REQUESTS}test_sizes_and_codings[{what}]")
            for what, said in {
                "long": "413 `request_too_large`",
                "said to be long": "413, before anything of it is read",
                "bomb": "413, memory flat",
                "not gzip": "400 `invalid_encoding`",
                "br": "415 `unsupported_media_type`",
                "twice": "415 `unsupported_media_type`",
            }.items()
        ),
        Row(
            "`Expect: 100-continue`",
            "100 after key and size were looked at",
            FINE,
            f"{REQUESTS}test_expect_is_answered_after_key_and_size_were_looked_at",
        ),
        Row(
            "`Expect: 100-continue` with a wrong key, size, type, or something else expected",
            "401, 413, 415, 417; no 100",
            NOTED,
            f"{REQUESTS}test_what_is_refused_by_its_head_is_not_asked_for",
        ),
        *(
            Row(
                f"{COUNTED} as a part of a body, {dialect}",
                "what is JSON is served, what is none gets 400 `invalid_json`",
                NOTED,
                f"{TEXTS}test_as_a_part_of_a_request[{dialect}]",
            )
            for dialect in ANSWERS
        ),
        Row(f"{COUNTED} as a whole body", "400", NOTED, f"{TEXTS}test_as_a_whole_request"),
        *(
            Row(
                f"{COUNTED} as an upstream's answer, {dialect}",
                "502 `upstream_invalid`, or an answer",
                "`error_kind: invalid`",
                f"{TEXTS}test_as_an_answer[{dialect}]",
            )
            for dialect in ANSWERS
        ),
        *(
            Row(
                f"{COUNTED} as a part of an upstream's answer, {dialect}",
                "the answer where it is JSON, else 502 `upstream_invalid`",
                "`error_kind: invalid`",
                f"{TEXTS}test_as_a_part_of_an_answer[{dialect}]",
            )
            for dialect in ANSWERS
        ),
        *(
            Row(
                f"every documented member of a chat body with wrong types, {dialect}",
                f"{PASSED}, or 400",
                NOTED,
                f"{BODIES}test_wrong_types_are_no_fault_of_ours[{dialect}]",
            )
            for dialect in ANSWERS
        ),
        *(
            Row(
                f"any body made of known and odd words, {dialect}",
                f"{PASSED}, or 400",
                NOTED,
                f"{BODIES}test_whatever_a_body_is_it_is_translated_or_refused[{dialect}]",
            )
            for dialect in ("anthropic", "gemini", "mistral", "ollama", "deepseek", "openai")
        ),
        Row("what a translation cannot carry", "400, param is the member", NOTED, f"{BODIES}test_the_field_is_named"),
        Row(
            "a name twice within a member, translated",
            "one parse decides, and what it read is sent",
            FINE,
            f"{BODIES}test_nested_names_that_come_twice_are_read_once_where_a_body_is_translated",
        ),
        Row(
            "a name twice within a member, passed through",
            "byte for byte: nobody here reads it",
            FINE,
            f"{BODIES}test_nested_names_that_come_twice_are_passed_on_where_nobody_reads_them",
        ),
        Row(
            "`include_usage` twice in a stream's `stream_options`",
            "400 `invalid_json`, param `stream_options`",
            NOTED,
            f"{BODIES}test_the_one_nested_name_that_is_read_of_every_stream_may_not_come_twice",
        ),
        *(
            Row(
                f"a form: {what}",
                "the answer" if status == 200 else str(status),
                FINE if status == 200 else NOTED.partition(";")[0],
                f"{BODIES}test_forms[{what}]",
            )
            for what, (_, _, status) in FORMS.items()
        ),
    ),
)
