"""Bodies of wrong form: refused with a sentence that names the field, or left to the upstream; never a fault of ours, never a hang."""

from __future__ import annotations

import asyncio
import json
from functools import partial
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from proxy.config.client_dialects import load_client_dialects
from proxy.errors import ClientError
from proxy.exchange.gate import Gates
from proxy.exchange.request import JsonRequest
from proxy.exchange.target import TargetCall, build
from proxy.metrics import Metrics
from proxy.routing import Router, Standings
from tests.clients.test_json_texts import ANSWERS, answering
from tests.exchange.test_requests import OK, sent
from tests.exchange.wire import CHAT, Client, configured, json_answer, serving
from tests.upstream.scripted import request

# ── wrong types ──

#: The documented members of a chat body (OpenAI's API description 2.3.0).
DOCUMENTED = """
    messages audio frequency_penalty function_call functions logit_bias logprobs max_completion_tokens max_tokens metadata modalities n
    parallel_tool_calls prediction presence_penalty prompt_cache_key reasoning_effort response_format safety_identifier seed service_tier
    stop store stream_options temperature tool_choice tools top_logprobs top_p user verbosity web_search_options
"""
MEMBERS = DOCUMENTED.split()
WRONG: list[Any] = [True, -1, 10**40, 1e308, "", "x", [], [1], [None], [[]], [{}], {}, {"a": 1}, [{"type": 1}], [{"type": "text"}]]
MESSAGE = ("role", "content", "name", "tool_calls", "tool_call_id", "function_call", "refusal", "audio")
ROLES = ("system", "developer", "user", "assistant", "tool", "function", "nobody")


def bodies() -> list[bytes]:
    found = [CHAT | {member: value} for member in MEMBERS for value in WRONG]
    found += [CHAT | {"messages": [{"role": role, "content": "Hi", part: value}]} for role in ROLES for part in MESSAGE for value in WRONG]
    return [json.dumps(body).encode() for body in found]


@pytest.mark.parametrize("dialect", ANSWERS)
async def test_wrong_types_are_no_fault_of_ours(dialect: str) -> None:
    """Served (an upstream knows best what it takes), or 400 with a sentence."""
    async with serving(answering(ANSWERS[dialect]), providers={"p0": {"dialect": dialect}}) as served:
        client: Client = await served.client()
        for body in bodies():
            client.send(body)
            reply = await client.reply()
            assert reply.status in (200, 400), (body, reply.body)
            if reply.status == 400:
                assert (reply.error["type"], reply.error["message"][-1]) == ("invalid_request_error", "."), (body, reply.body)
        client.leave()


def target_of(dialect: str) -> TargetCall:
    """What model `m` leads to."""
    config = configured([1], {"providers": {"p0": {"dialect": dialect}}})
    router = Router(config.routes, partial(build, metrics=Metrics("0"), standings=Standings(), gates=Gates()))
    return router.resolve("chat", "m").plans[0]


PARTS = "type text image_url url input_audio data format file file_data function id index parameters description strict json_schema schema"
VALUES = (
    "json_object auto none required custom allowed_tools mode low high data:image/png;base64,AAAA https://example.com/a.png { {} \x00 é"
)
WORDS = st.sampled_from([*MEMBERS, *MESSAGE, *ROLES, *PARTS.split(), *VALUES.split(), '{"a":1}', ""])
JSON_VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | WORDS,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(WORDS, inner, max_size=5),
    max_leaves=12,
)
MESSAGES = st.lists(st.fixed_dictionaries({"role": st.sampled_from(ROLES)}, optional=dict.fromkeys(MESSAGE[1:], JSON_VALUES)), max_size=5)
BODIES = st.fixed_dictionaries(
    {"messages": MESSAGES | JSON_VALUES}, optional=dict.fromkeys([*MEMBERS[1:], "stream", "thinking", "unknown"], JSON_VALUES)
)
CHAT_OPERATION = load_client_dialects().operations["chat"]


@pytest.mark.parametrize("dialect", ["anthropic", "gemini", "mistral", "ollama", "deepseek", "openai"])
def test_whatever_a_body_is_it_is_translated_or_refused(dialect: str) -> None:
    target = target_of(dialect)

    @settings(max_examples=60)
    @given(BODIES)
    def whatever(body: dict[str, Any]) -> None:
        try:
            asked = JsonRequest(json.dumps(body | {"model": "m"}).encode(), CHAT_OPERATION)
            assert asked.single in (True, False)
            assert asked.usage_wanted in (True, False)
            _, made, _ = asked.prepare(target, target.context(0, stream=asked.stream))
            assert isinstance(made, bytes)
            assert isinstance(json.loads(made), dict)
        except ClientError as error:
            assert error.status == 400
            assert error.message.endswith((".", "?"))

    whatever()


NAMED: list[tuple[str, dict[str, Any], str]] = [
    ("gemini", {"n": 2}, "n"),
    ("anthropic", {"n": 2}, "n"),
    ("anthropic", {"messages": [{"role": "user", "content": [{"type": "nonsense"}]}]}, "messages"),
    ("gemini", {"messages": [{"role": "nobody", "content": "Hi"}]}, "messages"),
    ("gemini", {"stream": "yes"}, "stream"),
    ("anthropic", {"model": 5}, "model"),
]


@pytest.mark.parametrize(("dialect", "change", "param"), NAMED)
async def test_the_field_is_named(dialect: str, change: dict[str, Any], param: str) -> None:
    async with serving(OK, providers={"p0": {"dialect": dialect}}) as served:
        reply = await served.ask(CHAT | change)
        assert (reply.status, (reply.error["param"] or "").partition("[")[0].partition(".")[0]) == (400, param), reply.body
        assert served.upstream.peers == []


# ── names that come twice ──

NESTED = b'{"model":"m","messages":[{"role":"user","content":"no","content":"yes"}],"metadata":{"a":1,"a":2}}'


async def test_nested_names_that_come_twice_are_read_once_where_a_body_is_translated() -> None:
    """What was read is what is sent: the last."""
    async with serving([request, json_answer(ANSWERS["gemini"])], providers={"p0": {"dialect": "gemini"}}) as served:
        assert (await served.ask(NESTED)).status == 200
        assert b"yes" in sent(served)
        assert b'"no"' not in sent(served)


async def test_nested_names_that_come_twice_are_passed_on_where_nobody_reads_them() -> None:
    async with serving(OK) as served:
        assert (await served.ask(NESTED)).status == 200
        assert sent(served) == NESTED.replace(b'"m"', b'"up"', 1)


async def test_the_one_nested_name_that_is_read_of_every_stream_may_not_come_twice() -> None:
    options = b'{"include_usage":false,"include_usage":true}'
    async with serving(OK) as served:
        reply = await served.ask(b'{"model":"m","messages":[],"stream":true,"stream_options":%b}' % options)
        assert (reply.status, reply.error["code"], reply.error["param"]) == (400, "invalid_json", "stream_options")
        assert served.upstream.peers == []


# ── forms ──

TYPE = {"content-type": "multipart/form-data; boundary=B"}
MODEL = b'--B\r\ncontent-disposition: form-data; name="model"\r\n\r\nm\r\n'
FILE = b'--B\r\ncontent-disposition: form-data; name="file"; filename="a.wav"\r\n\r\n' + b"\x00\xff" * 500 + b"\r\n"
END = b"--B--\r\n"

FORMS: dict[str, tuple[bytes, dict[str, str], int]] = {
    "model first": (MODEL + FILE + END, TYPE, 200),
    "file first": (FILE + MODEL + END, TYPE, 200),
    "no boundary": (MODEL + FILE + END, {"content-type": "multipart/form-data"}, 400),
    "an empty boundary": (MODEL + FILE + END, {"content-type": 'multipart/form-data; boundary=""'}, 400),
    "two boundaries": (MODEL + FILE + END, {"content-type": "multipart/form-data; boundary=B; boundary=C"}, 400),
    "a boundary of 100 characters": (MODEL + END, {"content-type": "multipart/form-data; boundary=" + "B" * 100}, 400),
    "another boundary": (MODEL + FILE + END, {"content-type": "multipart/form-data; boundary=C"}, 400),
    "JSON instead": (b'{"model":"m"}', {"content-type": "application/json"}, 415),
    "a form of the other kind": (b"model=m", {"content-type": "application/x-www-form-urlencoded"}, 415),
    "compressed": (MODEL + FILE + END, TYPE | {"content-encoding": "gzip"}, 415),
    "nothing": (b"", TYPE, 400),
    "no parts": (END, TYPE, 400),
    "no end": (MODEL + FILE, TYPE, 400),
    "no end of a part's head": (MODEL + b"--B\r\ncontent-disposition: form-data", TYPE, 400),
    "endless headers of a part": (b"--B\r\nx-a: " + b"a" * 100_000, TYPE, 400),
    "endless headers of a later part": (MODEL + b"--B\r\nx-a: " + b"a" * 100_000, TYPE, 400),
    "thousands of headers of a part": (b"--B\r\n" + b"x-a: a\r\n" * 10_000, TYPE, 400),
    "thousands of parts": ((b'--B\r\ncontent-disposition: form-data; name="a"\r\n\r\n\r\n' * 5000) + MODEL + END, TYPE, 400),
    "thousands of parts behind": (MODEL + (b'--B\r\ncontent-disposition: form-data; name="a"\r\n\r\n\r\n' * 5000) + END, TYPE, 400),
    "two models": (MODEL + MODEL + FILE + END, TYPE, 400),
    "two models, far from each other": (MODEL + FILE * 400 + MODEL + END, TYPE, 400),
    "a part with two names": (MODEL.replace(b'"model"', b'"x"; name="model"') + FILE + END, TYPE, 400),
    "no model": (FILE + END, TYPE, 400),
    "an unknown model": (MODEL.replace(b"\r\nm\r\n", b"\r\nnobody\r\n") + FILE + END, TYPE, 404),
    "an empty model": (MODEL.replace(b"\r\nm\r\n", b"\r\n\r\n") + FILE + END, TYPE, 400),
    "a model of 5000 letters": (MODEL.replace(b"\r\nm\r\n", b"\r\n" + b"m" * 5000 + b"\r\n") + FILE + END, TYPE, 400),
    "a model that is not UTF-8": (MODEL.replace(b"\r\nm\r\n", b"\r\n\xff\r\n") + FILE + END, TYPE, 400),
    "a model with a line end": (MODEL.replace(b"\r\nm\r\n", b"\r\nm\nx: y\r\n") + FILE + END, TYPE, 400),
    "bare LFs": ((MODEL + FILE + END).replace(b"\r\n", b"\n"), TYPE, 400),
}


@pytest.mark.parametrize(("form", "headers", "status"), FORMS.values(), ids=FORMS)
async def test_forms(form: bytes, headers: dict[str, str], status: int) -> None:
    async with serving([request, json_answer({"text": "hello"})]) as served:
        async with asyncio.timeout(20):
            reply = await served.ask(form, "/v1/audio/transcriptions", headers)
        assert reply.status == status, reply.body
        if status != 200:
            assert (reply.error["type"], reply.error["message"][-1]) == ("invalid_request_error", ".")
            assert not served.upstream.requests  # nothing that an upstream could take for whole
