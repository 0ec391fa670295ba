"""What an operator does, and what becomes of those who are being served."""

from __future__ import annotations

from tests.faults.promise import Row, Section

RELOAD = "tests/app/test_reload.py::"
ONE = "tests/cli/test_cli_operations.py::"
SEVERAL = "tests/workers/test_workers.py::"
DEATHS = "tests/workers/test_worker_deaths.py::"
FAILED = "`file:line:column` of each fault in the log and in the answer to `POST /-/reload`; `samewire_config_last_reload_successful` is 0"
RESTARTED = "an error in the log, `samewire_worker_restarts_total`"

SECTION = Section(
    "operations",
    "Reloading, stopping, workers",
    "[Operating Samewire](operations.md) tells how.",
    (
        Row(
            "a reload with a faulty file",
            "nothing: the former configuration goes on",
            FAILED,
            RELOAD + "test_a_faulty_file_changes_nothing",
        ),
        Row(
            "a reload whose new address is taken",
            "nothing: the former addresses stay open",
            "the address in the log; `samewire_config_last_reload_successful` is 0",
            RELOAD + "test_addresses_move",
        ),
        Row(
            "a changed file that is faulty, with `watch`",
            "nothing: the former configuration goes on until the file is right",
            FAILED.replace(" and in the answer to `POST /-/reload`", ""),
            RELOAD + "test_a_changed_file_is_seen",
        ),
        Row(
            "several words to reload during one",
            "nothing",
            "one more reload after it",
            RELOAD + "test_several_words_during_a_reload_are_one",
        ),
        Row(
            "a reload while requests run",
            "each its answer by the configuration that it began with",
            "an info in the log",
            RELOAD + "test_new_requests_go_by_the_new_configuration_and_running_ones_by_theirs",
        ),
        Row(
            "a thousand reloads under load",
            "every request its answer",
            "memory and descriptors as before",
            ONE + "test_many_reloads_under_load_lose_nothing_and_leave_nothing",
        ),
        Row(
            "SIGTERM while a stream runs",
            "the whole stream; new connections are refused",
            "`/ready` says 503; exit code 0",
            SEVERAL + "test_told_to_stop_all_running_answers_end",
        ),
        Row(
            "the same, and the grace is over",
            "an error event `shutting_down`, and a cut connection",
            "exit code 0",
            ONE + "test_beyond_the_grace_a_stream_gets_an_error_and_the_exit_is_clean",
        ),
        Row(
            "a second SIGTERM",
            "a cut connection",
            "ended by the signal",
            ONE + "test_a_second_signal_ends_it_at_once",
        ),
        Row(
            "descriptors run out",
            "who is connected is served; new connections wait until some are free",
            "an error in the log every ten seconds; `process_open_fds` near `process_max_fds`",
            ONE + "test_when_descriptors_run_out_it_recovers",
        ),
        Row(
            "the request log cannot be written",
            "nothing",
            "`samewire_log_lines_lost_total`, one error in the log",
            RELOAD + "test_lines_that_are_lost_are_counted",
        ),
        Row(
            "new workers take the others' places under load",
            "every request its answer; each connection's last one says `connection: close`",
            "an info in the log",
            SEVERAL + "test_new_workers_under_load_lose_no_request",
        ),
        Row(
            "a worker dies",
            "those whom it served: a cut connection; all others nothing",
            RESTARTED,
            SEVERAL + "test_one_crash_restarts_one_worker_and_no_count_falls",
        ),
        Row(
            "a worker dies again and again",
            "the others serve",
            RESTARTED + "; it is tried later and later, up to every 30 s",
            SEVERAL + "test_one_that_keeps_dying_comes_back_later_and_later",
        ),
        Row(
            "a worker dies for which connections wait",
            "each is served: by its next one, or by another",
            RESTARTED,
            DEATHS + "test_who_waits_to_be_accepted_is_served_whoever_dies",
        ),
        Row(
            "the parent dies",
            "running answers end well; new connections are refused",
            "the workers end by themselves",
            SEVERAL + "test_the_parents_death_ends_the_workers_and_not_the_answers",
        ),
    ),
)
