"""What attackers try, on either side."""

from __future__ import annotations

from tests.faults.promise import Row, Section

SECURITY = "tests/security/test_security.py::"
REQUESTS = "tests/exchange/test_requests.py::"
FAILURES = "tests/exchange/test_failures.py::"

SECTION = Section(
    "security",
    "Attacks",
    "Where a request goes is the configuration's alone; what is not known is neither passed up nor down. "
    "[docs/security.md](security.md) tells the whole of it.",
    (
        Row(
            "dots, escapes or a host in an address",
            "404 or 400",
            "nothing reaches an upstream",
            f"{SECURITY}test_no_address_leads_elsewhere",
        ),
        Row(
            "dots, escapes, a query or line ends in a model's name or a file's id",
            "400 or 404, or an answer: the name is escaped",
            "one path of the provider's, whatever the name",
            f"{SECURITY}test_no_model_name_leads_elsewhere",
        ),
        Row(
            "headers or body fields that name a host, a path, a method or headers",
            "the configured model's answer",
            "a request made afresh; fields that the upstream does not know are its to judge",
            f"{SECURITY}test_a_client_chooses_no_host",
        ),
        Row(
            "a query with parameters that the provider's address has already",
            "the answer",
            "the configuration's stand, the client's others are added",
            f"{SECURITY}test_a_clients_query_changes_none_of_the_configuration",
        ),
        Row(
            "the address of an image inside the network",
            "the upstream's answer",
            "passed on as text, fetched by nobody here",
            f"{SECURITY}test_an_images_address_is_passed_on_and_never_fetched",
        ),
        Row(
            "a target that leads back to this gateway",
            "508 `request_loop`",
            "`blame: gateway`",
            f"{SECURITY}test_a_target_that_leads_back_is_refused",
        ),
        Row(
            "the same, with several workers",
            "508 `request_loop`",
            "all workers have one name in `Via`",
            "tests/workers/test_workers.py::test_a_request_that_comes_back_is_known_to_every_worker",
        ),
        Row(
            "an upgrade, to WebSocket or HTTP/2, asked for with an ordinary request",
            "the answer; the connection goes on as it was",
            "`Upgrade` does not go up",
            f"{SECURITY}test_an_upgrade_where_there_is_none_is_no_matter",
        ),
        Row(
            "a request hidden behind an upgrade that its upstream refuses",
            "502, closed",
            "one request went up, the upgrade",
            f"{SECURITY}test_nothing_behind_a_refused_upgrade_is_taken_for_a_request",
        ),
        Row(
            "client headers beyond those that are known, `Connection: authorization`, cookies, keys",
            "–",
            "they do not go up; the framing is made afresh",
            f"{REQUESTS}test_what_goes_up_is_made_afresh",
        ),
        Row(
            "upstream headers beyond those that are known: cookies, hop-by-hop, CORS, Location",
            "the answer without them",
            "–",
            f"{SECURITY}test_an_upstream_sets_no_header_but_those_that_are_known",
        ),
        Row(
            "a redirect",
            "502 `upstream_redirect`",
            "nothing was sent to its target",
            "tests/field/test_usage_errors_secrets.py::test_a_redirect_is_not_followed",
        ),
        Row("an upstream that echoes a key", "`***`", "`***`", f"{FAILURES}test_secrets_are_scrubbed_from_what_upstreams_echo"),
        Row("… in a header", "`***`", "`***`", f"{FAILURES}test_secrets_are_scrubbed_from_headers_that_reach_the_client"),
        Row("… escaped as in a URL, or inside anything in Base64", "`***`", "`***`", f"{SECURITY}test_no_spelling_of_a_key_is_shown"),
        Row(
            "keys and talk in logs and metrics",
            "–",
            "of a client's key eight digits of its digest, of an upstream's nothing; no bodies",
            "tests/field/test_usage_errors_secrets.py::test_what_is_written_holds_no_secret_and_no_talk",
        ),
        Row(
            "the gateway's own key of a client",
            "–",
            "never goes up",
            "tests/app/test_server.py::test_the_gateways_own_key_never_goes_up",
        ),
        Row(
            "keys of any characters and lengths",
            "401 `invalid_api_key`",
            "compared as digests",
            f"{SECURITY}test_a_key_of_any_characters_is_but_wrong",
        ),
        Row(
            "names made up by clients",
            "404",
            "one label for all of them: `_other`",
            f"{SECURITY}test_names_that_clients_make_up_are_no_labels",
        ),
        Row(
            "requests to change or show the configuration",
            "404 or 405",
            "only the operator's listener reloads, and only from the file",
            f"{SECURITY}test_no_request_changes_the_configuration_or_tells_of_it",
        ),
        Row(
            "`POST /-/reload` by a page in the operator's browser, or for another machine without keys",
            "403 or 401",
            "nothing is loaded",
            "tests/app/test_reload.py::test_the_operators_listener",
        ),
        Row(
            "a client's key at the operator's listener, where that has keys",
            "401",
            "nothing is loaded and nothing told",
            "tests/app/test_reload.py::test_the_operators_keys",
        ),
        Row(
            "an operator's listener that other machines reach, without keys",
            "–",
            "an error of the configuration: `open-admin`",
            "tests/config/test_config_faults.py::test_all_faults_are_told",
        ),
        Row(
            "`/metrics` or `/v1/models` without a client's key, where keys are listed",
            "401 `invalid_api_key`",
            "–",
            "tests/app/test_server.py::test_keys",
        ),
        Row(
            "no keys listed, and a client elsewhere",
            "401",
            "only this machine is served",
            "tests/app/test_server.py::test_without_keys_only_this_machine_is_served",
        ),
        Row(
            "the same, and a proxy that names the client by X-Forwarded-For, X-Real-IP or Forwarded",
            "401",
            "such headers close this door, and never open it",
            f"{SECURITY}test_without_keys_nobody_is_served_for_whom_a_proxy_asks",
        ),
        Row(
            "no keys listed, and a page of another site in a browser on this machine",
            "403 `origin_not_allowed`",
            "only pages in `server.cors` may ask",
            f"{SECURITY}test_without_keys_no_page_of_another_site_is_served",
        ),
        Row("a WebSocket from another site's page", "403 `origin_not_allowed`", "–", "tests/websocket/test_handshake.py::test_origins"),
    ),
)
