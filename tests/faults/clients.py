"""What goes wrong on a client's connection."""

from __future__ import annotations

from tests.clients.test_leaving import AHEAD
from tests.clients.test_malformed_http import MALFORMED
from tests.clients.test_slow import DRIPPED, ENDLESS, OPENINGS
from tests.exchange.test_clients import PHASES
from tests.faults.promise import Row, Section
from tests.websocket.test_handshake import ASK_ANEW, BROKEN

GONE = "499, `blame: client`; `samewire_client_disconnects_total`; the upstream closed within a second"
UNSEEN = "nothing: no request has begun"
REFUSED = "`blame: client`; no upstream was asked"
#: What is refused once a request has begun, and so is a line of the log.
BEGUN = {"chunks": "request_too_large", "2 GB declared": "request_too_large", "gzip bomb": "request_too_large"}
FILES = ("exchange/test_clients", "clients/test_leaving", "clients/test_slow", "clients/test_malformed_http", "websocket/test_handshake")
EXCHANGE, LEAVING, SLOW, HTTP, HANDSHAKE = (f"tests/{name}.py::" for name in FILES)

LEAVING_SECTION = Section(
    "clients_leaving",
    "Clients that leave",
    "By a reset, by closing, or by saying that nothing more will be sent: half-closing counts as leaving. One limit is nature's: an end "
    "that stands behind more bytes than the kernels on the way hold has not come yet; then it is the deadline for an upstream that takes "
    "nothing that ends it.",
    (
        *(
            Row(f"leaves {phase}", "–", GONE, f"{EXCHANGE}test_the_upstream_is_let_go_when_the_client_leaves[{phase}-{how}]")
            for phase in PHASES
            for how in ("abort", "close")
        ),
        Row("leaves while its upstream is being connected", "–", GONE, f"{EXCHANGE}test_a_client_that_leaves_while_connecting"),
        Row("leaves in its own body", "–", "499; no upstream was asked", f"{EXCHANGE}test_a_client_that_leaves_in_its_own_body"),
        Row(
            "leaves an upload whose upstream takes nothing, so that the client is not being read",
            "–",
            GONE,
            f"{LEAVING}test_in_an_upload_whose_upstream_takes_nothing",
        ),
        *(
            Row(
                f"leaves a stream behind requests sent ahead: {ahead}",
                "–",
                GONE,
                f"{LEAVING}test_behind_requests_sent_ahead[{ahead}-{how}]",
            )
            for ahead in AHEAD
            for how in ("reset", "close", "half_close")
        ),
        Row(
            "50 leave at once", "–", "no connection and no request is left", f"{EXCHANGE}test_many_clients_that_leave_at_once_leave_nothing"
        ),
        Row("200 streams are dropped at once", "–", "every upstream closed within 2 s", f"{SLOW}test_many_streams_dropped_at_once"),
    ),
)

SLOW_SECTION = Section(
    "clients_slow",
    "Clients that are slow, or never end",
    "A head has 15 s from the connection on, and 75 s from the last answer on. A body may be waited for 30 s in all; what comes buys more "
    "of them at 500 bytes a second, up to 30 s again, and a body held in memory has 300 s. Memory stays within what a body may have.",
    (
        *(
            Row(
                f"drips, byte after byte in time: {what}",
                "408 `request_timeout`",
                "`blame: client`",
                f"{SLOW}test_a_dripping_body_is_given_up[{what}]",
            )
            for what in DRIPPED
        ),
        Row(
            "drips an upload that goes on to its upstream",
            "408 `request_timeout`",
            "`blame: client`; the upstream closed",
            f"{SLOW}test_a_dripping_upload_is_given_up_and_its_upstream_let_go",
        ),
        Row(
            "a slow body that keeps its rate",
            "the answer",
            "a request that went well",
            f"{SLOW}test_a_slow_body_that_keeps_its_rate_is_read",
        ),
        Row(
            "connects and says nothing, or half a head, or drips it", "closed", UNSEEN, f"{SLOW}test_a_head_that_does_not_come_is_given_up"
        ),
        Row("drips its second head", "closed", UNSEEN, f"{SLOW}test_a_second_head_that_drips_is_given_up"),
        Row(
            "stops in its body",
            "408 `request_timeout`",
            "`blame: client`",
            "tests/exchange/test_requests.py::test_a_body_that_does_not_come_has_a_deadline",
        ),
        Row(
            "stops in its form",
            "408 `request_timeout`",
            "`blame: client`",
            "tests/exchange/test_forms.py::test_a_form_that_stalls_has_a_deadline",
        ),
        *(
            Row(
                f"sends without end: {what}",
                f"{status} `{BEGUN.get(what) or ('headers_too_large' if status == 431 else 'invalid_http')}`, closed",
                "`blame: client`; memory flat" if what in BEGUN else f"{UNSEEN}; memory flat",
                f"{SLOW}test_what_has_no_end_is_ended[{what}]",
            )
            for what, (_, status) in ENDLESS.items()
        ),
        Row(
            "reads its stream slowly, or not at all",
            "what it takes; cut off after the route's `timeouts.write` without taking anything",
            "less than 16 MB taken from the upstream; 499",
            f"{EXCHANGE}test_a_slow_reader_stops_the_upstream_and_is_cut_off_in_the_end",
        ),
        Row(
            "reads slowly and goes on",
            "everything",
            "a request that went well",
            f"{EXCHANGE}test_a_slow_reader_that_reads_on_gets_everything",
        ),
        Row("does not read its whole answer", "cut off", "499", f"{EXCHANGE}test_a_slow_reader_of_a_whole_answer_is_cut_off"),
        Row("20 slow readers", "what each takes", "memory flat", f"{SLOW}test_slow_readers_are_not_hurried_and_nothing_is_heaped_up"),
        *(
            Row(
                f"500 connections at once, {opening}, then reset",
                "others are served meanwhile",
                "no descriptor, task or request is left",
                f"{SLOW}test_others_are_served_meanwhile_and_nothing_is_left[{opening}]",
            )
            for opening in OPENINGS
        ),
    ),
)

HTTP_SECTION = Section(
    "clients_http",
    "What is no HTTP/1.1",
    "Or could be read in two ways: it is refused, the connection closed, and nothing of it reaches an upstream.",
    (
        *(
            Row(
                name,
                f"{status} `{'headers_too_large' if status == 431 else 'invalid_http'}`",
                UNSEEN,
                f"{HTTP}test_it_is_refused_and_nothing_reaches_an_upstream[{name}]",
            )
            for name, (_, status) in MALFORMED.items()
        ),
        Row(
            "chunks that go wrong in a later read",
            "400 `invalid_http` at once",
            "`blame: client`",
            f"{HTTP}test_chunks_that_go_wrong_in_a_later_read",
        ),
        Row(
            "valid requests, then garbage",
            "the answers, then 400",
            "the valid ones",
            f"{HTTP}test_valid_requests_before_garbage_are_answered_first",
        ),
        Row(
            "garbage behind a body that comes late",
            "the answer, then 400",
            "the valid one",
            f"{HTTP}test_garbage_behind_a_body_that_comes_late",
        ),
        Row("500 requests in one piece", "500 answers in order", "500 requests", f"{HTTP}test_many_requests_in_one_piece"),
        Row(
            "more than 256 kB sent ahead of the answers",
            "the answer that is due, then closed",
            "one request",
            f"{HTTP}test_who_sends_much_ahead_gets_the_answer_that_is_due_and_no_more",
        ),
        Row("a request hidden in a body", "one answer", "one request", f"{HTTP}test_a_request_hidden_in_a_body_is_none"),
        Row(
            "trailers, odd fields, `Connection: x-b`",
            "the answer",
            "none of them goes up",
            f"{HTTP}test_trailers_and_odd_fields_do_not_go_up",
        ),
        *(
            Row(
                f"a WebSocket handshake with {fault}",
                "426, `upgrade: websocket`, `sec-websocket-version: 13`",
                REFUSED,
                f"{HANDSHAKE}test_what_to_ask_for_instead[{fault}]",
            )
            for fault in ASK_ANEW
        ),
        *(
            Row(f"a WebSocket handshake with {fault}", "400 `invalid_handshake`", REFUSED, f"{HANDSHAKE}test_a_broken_one[{fault}]")
            for fault in BROKEN
        ),
        Row(
            "we fail after the answer has been sent",
            "the answer, closed; no second answer",
            "a traceback among the messages",
            f"{LEAVING}test_what_fails_after_an_answer_closes_the_connection",
        ),
    ),
)
