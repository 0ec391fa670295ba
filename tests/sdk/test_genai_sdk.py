"""The real `google-genai` Python SDK against the running gateway, for every dialect upstream."""

from __future__ import annotations

import base64
import json
from collections.abc import AsyncIterator
from typing import Any

import httpx
import pytest
import pytest_asyncio
from google import genai
from google.genai import errors, types
from pydantic import BaseModel

from tests.stage import scenes
from tests.stage.client import call
from tests.stage.fixtures import Play
from tests.stage.gateway import PROVIDERS
from tests.stage.scenes import CALLS, PNG
from tests.stage.upstream import Script, whole
from tests.stage.wires import gemini, say

pytestmark = pytest.mark.asyncio(loop_scope="session")

TOOL = types.Tool(
    function_declarations=[
        types.FunctionDeclaration(
            name=name, parameters=types.Schema(type=types.Type.OBJECT, properties={"city": types.Schema(type=types.Type.STRING)})
        )
        for name in ("weather", "time")
    ]
)
OTHERS = [provider for provider in PROVIDERS if provider != "gemini"]


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def google(play: Play) -> AsyncIterator[genai.Client]:
    """A client that never retries."""
    host, port = play.address
    once = types.HttpRetryOptions(attempts=1)
    async with httpx.AsyncClient(timeout=20) as wire:
        options = types.HttpOptions(base_url=f"http://{host}:{port}", retry_options=once, httpx_async_client=wire)
        yield genai.Client(api_key="any", http_options=options)


@pytest.mark.parametrize("provider", PROVIDERS)
async def test_generate_content(play: Play, google: genai.Client, provider: str) -> None:
    play.upstream.answer(scenes.answer(provider, "Hello"))
    config = types.GenerateContentConfig(system_instruction="Be brief.", max_output_tokens=99)
    answer = await google.aio.models.generate_content(model=f"{provider}/m", contents="Hi", config=config)
    assert answer.text == "Hello"
    assert answer.candidates is not None
    assert answer.candidates[0].finish_reason == types.FinishReason.STOP
    assert answer.usage_metadata is not None
    assert answer.usage_metadata.total_token_count == 15
    assert "Be brief." in json.dumps(play.sent())


@pytest.mark.parametrize("provider", PROVIDERS)
async def test_stream(play: Play, google: genai.Client, provider: str) -> None:
    play.upstream.answer(say(provider, "Hello you"))
    stream = await google.aio.models.generate_content_stream(model=f"{provider}/m", contents="Hi")
    chunks = [chunk async for chunk in stream]
    assert "".join(chunk.text or "" for chunk in chunks) == "Hello you"
    assert [each.finish_reason for chunk in chunks for each in chunk.candidates or [] if each.finish_reason] == [types.FinishReason.STOP]
    assert chunks[-1].usage_metadata is not None
    assert chunks[-1].usage_metadata.total_token_count == 15


@pytest.mark.parametrize("streamed", [False, True], ids=["whole", "streamed"])
@pytest.mark.parametrize("provider", PROVIDERS)
async def test_a_chat_with_parallel_tools_and_back(play: Play, google: genai.Client, provider: str, streamed: bool) -> None:
    play.upstream.answer(scenes.calls(provider, streamed), say(provider, "Noon.") if streamed else scenes.answer(provider, "Noon."))
    config = types.GenerateContentConfig(
        tools=[TOOL], automatic_function_calling=types.AutomaticFunctionCallingConfig(disable=True), temperature=0.5
    )
    chat = google.aio.chats.create(model=f"{provider}/m", config=config)

    async def said(message: Any) -> list[types.GenerateContentResponse]:
        if streamed:
            return [chunk async for chunk in await chat.send_message_stream(message)]
        return [await chat.send_message(message)]

    calls = [call for answer in await said("Hi") for call in answer.function_calls or []]
    assert [(call.name, call.args) for call in calls] == CALLS
    results = [types.Part.from_function_response(name=str(call.name), response={"result": f"of {call.name}"}) for call in calls]
    assert "".join(answer.text or "" for answer in await said(results)) == "Noon."
    assert len(chat.get_history(curated=True)) == len(chat.get_history())  # the SDK takes no turn for broken
    first, second = json.dumps(play.upstream.asked[0].json()), json.dumps(play.sent())
    assert '"city"' in first
    assert "of weather" in second
    assert "of time" in second
    if provider in ("openai", "mistral", "deepseek"):
        turn, *answers = play.sent()["messages"][-3:]
        assert [answer["tool_call_id"] for answer in answers] == [call["id"] for call in turn["tool_calls"]]


@pytest.mark.parametrize("provider", PROVIDERS)
async def test_automatic_function_calling(play: Play, google: genai.Client, provider: str) -> None:
    def weather(city: str) -> str:
        """The weather in a city."""
        return f"Sunny in {city}"

    def time(city: str) -> str:
        """The time in a city."""
        return f"Noon in {city}"

    play.upstream.answer(scenes.calls(provider, False), scenes.answer(provider, "Sunny, noon."))
    config = types.GenerateContentConfig(tools=[weather, time])
    answer = await google.aio.models.generate_content(model=f"{provider}/m", contents="Hi", config=config)
    assert answer.text == "Sunny, noon."
    assert "Noon in Seoul" in json.dumps(play.sent())


class City(BaseModel):
    name: str
    size: int | None = None


@pytest.mark.parametrize("provider", PROVIDERS)
async def test_structured_output(play: Play, google: genai.Client, provider: str) -> None:
    play.upstream.answer(scenes.answer(provider, '{"name": "Seoul", "size": null}'))
    config = types.GenerateContentConfig(response_mime_type="application/json", response_schema=City)
    answer = await google.aio.models.generate_content(model=f"{provider}/m", contents="Hi", config=config)
    assert answer.parsed == City(name="Seoul")
    sent = json.dumps(play.sent())
    assert "size" in sent or provider in ("deepseek",)
    assert "STRING" not in sent or provider == "gemini"


@pytest.mark.parametrize("provider", [name for name in PROVIDERS if name != "deepseek"])
async def test_vision(play: Play, google: genai.Client, provider: str) -> None:
    play.upstream.answer(scenes.answer(provider, "A dot"))
    picture = types.Part.from_bytes(data=base64.b64decode(PNG) + b"\xfb\xff\xfe", mime_type="image/png")
    await google.aio.models.generate_content(model=f"{provider}/m", contents=["Look", picture])
    standard = base64.b64encode(base64.b64decode(PNG) + b"\xfb\xff\xfe").decode()
    sent = json.dumps(play.sent())
    assert standard in sent or (provider == "gemini" and standard.replace("+", "-").replace("/", "_") in sent)


@pytest.mark.parametrize("streamed", [False, True], ids=["whole", "streamed"])
@pytest.mark.parametrize("provider", PROVIDERS)
async def test_thoughts(play: Play, google: genai.Client, provider: str, streamed: bool) -> None:
    play.upstream.answer(scenes.thinks(provider, streamed), scenes.answer(provider, "5"))
    config = types.GenerateContentConfig(thinking_config=types.ThinkingConfig(include_thoughts=True, thinking_budget=2048))
    chat = google.aio.chats.create(model=f"{provider}/claude-sonnet-4-5" if provider == "anthropic" else f"{provider}/m", config=config)
    answers = [chunk async for chunk in await chat.send_message_stream("2 + 2?")] if streamed else [await chat.send_message("2 + 2?")]
    parts = [part for answer in answers for each in answer.candidates or [] for part in (each.content and each.content.parts) or []]
    assert "".join(part.text or "" for part in parts if part.thought) == "Let me see."
    assert "".join(answer.text or "" for answer in answers) == "4"
    await chat.send_message("And one more?")
    if provider == "anthropic":  # its signed thoughts find back to it as they were
        signed = {"type": "thinking", "thinking": "Let me see.", "signature": "c2ln"}
        assert play.sent()["messages"][1] == {"role": "assistant", "content": [signed, {"type": "text", "text": "4"}]}


async def test_another_vendors_thoughts_never_reach_gemini(play: Play, google: genai.Client) -> None:
    chat = google.aio.chats.create(model="anthropic/claude-sonnet-4-5", config=types.GenerateContentConfig(tools=[TOOL]))
    play.upstream.answer(scenes.thinks("anthropic", False))
    await chat.send_message("2 + 2?")
    history = [content.model_dump(mode="json", exclude_none=True) for content in chat.get_history()]
    assert "c2FtZXdpcmUu" in json.dumps(history)
    play.upstream.answer(whole(gemini({"text": "Hm"})))
    await google.aio.models.generate_content(
        model="gemini/gemini-3-flash-preview", contents=[*chat.get_history(), types.UserContent("So?")]
    )
    said = play.sent()["contents"]
    assert "c2FtZXdpcmUu" not in json.dumps(said)
    assert said[1]["parts"] == [{"text": "4"}]


async def test_another_vendors_calls_are_let_pass_by_gemini(play: Play, google: genai.Client) -> None:
    config = types.GenerateContentConfig(tools=[TOOL], automatic_function_calling=types.AutomaticFunctionCallingConfig(disable=True))
    chat = google.aio.chats.create(model="openai/m", config=config)
    play.upstream.answer(scenes.calls("openai", False))
    await chat.send_message("Hi")
    results = [types.Part.from_function_response(name=name, response={"result": "r"}) for name, _ in CALLS]
    play.upstream.answer(whole(gemini({"text": "Noon"})))
    model = "gemini/gemini-3-flash-preview"
    await google.aio.models.generate_content(model=model, contents=[*chat.get_history(), types.UserContent(results)], config=config)
    calls = play.sent()["contents"][1]["parts"]
    assert [call["thoughtSignature"] for call in calls] == ["skip_thought_signature_validator"] * 2


ERRORS = [(400, 400, "INVALID_ARGUMENT"), (401, 401, "UNAUTHENTICATED"), (404, 404, "NOT_FOUND"), (429, 429, "RESOURCE_EXHAUSTED")]


@pytest.mark.parametrize(("status", "code", "word"), [*ERRORS, (500, 500, "INTERNAL"), (503, 503, "UNAVAILABLE")])
@pytest.mark.parametrize("provider", OTHERS)
async def test_errors_are_googles(play: Play, google: genai.Client, provider: str, status: int, code: int, word: str) -> None:
    error = (
        {"type": "error", "error": {"type": "x_error", "message": "No such luck"}}
        if provider == "anthropic"
        else {"error": {"message": "No such luck"}}
    )
    play.upstream.answer(whole(error, status))
    with pytest.raises(errors.APIError) as raised:
        await google.aio.models.generate_content(model=f"{provider}/m", contents="Hi")
    assert (raised.value.code, raised.value.status) == (code, word)
    assert "No such luck" in str(raised.value.message)


async def test_an_unknown_model(google: genai.Client) -> None:
    with pytest.raises(errors.ClientError) as raised:
        await google.aio.models.generate_content(model="nobody-knows-it", contents="Hi")
    assert (raised.value.code, raised.value.status) == (404, "NOT_FOUND")


@pytest.mark.parametrize("provider", PROVIDERS)
async def test_a_stream_that_breaks_raises(play: Play, google: genai.Client, provider: str) -> None:
    play.upstream.answer(_cut(say(provider, "Hello you")))
    seen = []
    with pytest.raises(errors.APIError) as raised:
        async for chunk in await google.aio.models.generate_content_stream(model=f"{provider}/m", contents="Hi"):
            seen.append(chunk)
    assert raised.value.code == 502
    assert "".join(chunk.text or "" for chunk in seen) in ("Hel", "Hello ", "Hello you")
    assert not [each.finish_reason for chunk in seen for each in chunk.candidates or [] if each.finish_reason and provider != "gemini"]


def _cut(script: Script) -> Script:
    """The stream without its last pieces."""
    pieces = list(script.pieces)
    return Script(pieces[: -3 if len(pieces) > 4 else -1], script.status, script.headers, "cut")


@pytest.mark.parametrize("provider", PROVIDERS)
async def test_without_sse_a_stream_is_an_array(play: Play, provider: str) -> None:
    play.upstream.answer(say(provider, "Hello you"))
    served = await call(play.address, {"contents": [{"parts": [{"text": "Hi"}]}]}, f"/v1beta/models/{provider}/m:streamGenerateContent")
    assert served.headers["content-type"].startswith("application/json")
    answers = [types.GenerateContentResponse.model_validate(answer) for answer in served.json()]
    assert "".join(answer.text or "" for answer in answers) == "Hello you"


async def test_models(google: genai.Client, play: Play) -> None:
    listed = [model async for model in await google.aio.models.list()]
    assert all(model.name and model.name.startswith("models/") for model in listed)
    one = await google.aio.models.get(model="openai/gpt-x")
    assert one.name == "models/openai/gpt-x"
    assert one.supported_actions is not None
    assert "generateContent" in one.supported_actions


async def test_counting_and_embedding_go_to_gemini_as_they_are(play: Play, google: genai.Client) -> None:
    play.upstream.answer(whole({"totalTokens": 3}))
    counted = await google.aio.models.count_tokens(model="gemini/m", contents="Hi you")
    assert counted.total_tokens == 3
    assert play.upstream.last.path == "/v1beta/models/m:countTokens"
    play.upstream.answer(whole({"embeddings": [{"values": [0.5, 0.25]}]}))
    embedded = await google.aio.models.embed_content(model="gemini/m", contents="Hi")
    assert embedded.embeddings is not None
    assert embedded.embeddings[0].values == [0.5, 0.25]
    assert play.upstream.last.path == "/v1beta/models/m:batchEmbedContents"


@pytest.mark.parametrize("provider", ["openai", "mistral", "ollama"])
async def test_embedding_by_way_of_embeddings(play: Play, google: genai.Client, provider: str) -> None:
    vectors = [[0.5, 0.25], [1.0, 0.0]]
    listed = {
        "object": "list",
        "model": "m",
        "data": [{"object": "embedding", "index": n, "embedding": each} for n, each in enumerate(vectors)],
    }
    told = {"model": "m", "embeddings": vectors, "prompt_eval_count": 2} if provider == "ollama" else listed
    play.upstream.answer(whole(told | {"usage": {"prompt_tokens": 2, "total_tokens": 2}}))
    config = types.EmbedContentConfig(output_dimensionality=2)
    embedded = await google.aio.models.embed_content(model=f"{provider}/m", contents=["Hi", "you"], config=config)
    assert [each.values for each in embedded.embeddings or []] == vectors
    assert play.sent()["input"] == ["Hi", "you"]
    assert 2 in play.sent().values()


async def test_embedding_where_there_is_none(google: genai.Client) -> None:
    with pytest.raises(errors.ClientError) as raised:
        await google.aio.models.embed_content(model="anthropic/m", contents="Hi")
    assert (raised.value.code, raised.value.status) == (400, "INVALID_ARGUMENT")


@pytest.mark.parametrize("wrapped", [False, True])
async def test_counting_is_estimated_elsewhere(play: Play, google: genai.Client, wrapped: bool) -> None:
    asked = {"contents": [{"role": "user", "parts": [{"text": "word " * 100}]}]}
    body = {"generateContentRequest": asked} if wrapped else asked
    served = await call(play.address, body, "/v1beta/models/openai/m:countTokens")
    assert served.headers["x-samewire-estimated"] == "true"
    assert 50 < served.json()["totalTokens"] < 500
