"""The real `ollama` Python package against the running gateway, for every dialect upstream."""

from __future__ import annotations

import base64
import json
from collections.abc import AsyncIterator
from typing import Any

import ollama
import pytest
import pytest_asyncio
from pydantic import BaseModel

from tests.stage import scenes
from tests.stage.client import call
from tests.stage.fixtures import Play
from tests.stage.gateway import PROVIDERS
from tests.stage.scenes import CALLS, PNG, TOOLS
from tests.stage.upstream import Script, whole
from tests.stage.wires import say

pytestmark = pytest.mark.asyncio(loop_scope="session")

USER = {"role": "user", "content": "Hi"}
OTHERS = [provider for provider in PROVIDERS if provider != "ollama"]


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def local(play: Play) -> AsyncIterator[ollama.AsyncClient]:
    """A client that takes the gateway for a local Ollama."""
    host, port = play.address
    async with ollama.AsyncClient(host=f"http://{host}:{port}", timeout=20) as client:
        yield client


@pytest.mark.parametrize("provider", PROVIDERS)
async def test_chat(play: Play, local: ollama.AsyncClient, provider: str) -> None:
    play.upstream.answer(scenes.answer(provider, "Hello"))
    answer = await local.chat(model=f"{provider}/m", messages=[USER], options={"num_predict": 99})
    assert answer.message.content == "Hello"
    assert (answer.done, answer.done_reason, answer.prompt_eval_count, answer.eval_count) == (True, "stop", 10, 5)
    assert (answer.total_duration, answer.eval_duration) == (None, None)  # nobody has measured them
    assert "99" in json.dumps(play.sent())


@pytest.mark.parametrize("provider", PROVIDERS)
async def test_stream(play: Play, local: ollama.AsyncClient, provider: str) -> None:
    play.upstream.answer(say(provider, "Hello you"))
    lines = [line async for line in await local.chat(model=f"{provider}/m", messages=[USER], stream=True)]
    assert "".join(line.message.content or "" for line in lines) == "Hello you"
    assert [line.done for line in lines] == [False] * (len(lines) - 1) + [True]
    assert (lines[-1].done_reason, lines[-1].prompt_eval_count, lines[-1].eval_count) == ("stop", 10, 5)
    assert len(lines) > 2


@pytest.mark.parametrize("provider", OTHERS)
async def test_generate(play: Play, local: ollama.AsyncClient, provider: str) -> None:
    play.upstream.answer(scenes.answer(provider, "Hello"))
    answer = await local.generate(model=f"{provider}/m", prompt="Hi", system="Be brief.")
    assert (answer.response, answer.done) == ("Hello", True)
    assert "Be brief." in json.dumps(play.sent())
    play.upstream.answer(say(provider, "Hello you"))
    lines = [line async for line in await local.generate(model=f"{provider}/m", prompt="Hi", stream=True)]
    assert "".join(line.response or "" for line in lines) == "Hello you"
    assert lines[-1].done_reason == "stop"


@pytest.mark.parametrize("provider", PROVIDERS)
async def test_a_stream_is_the_default(play: Play, provider: str) -> None:
    play.upstream.answer(say(provider, "Hello you"))
    served = await call(play.address, {"model": f"{provider}/m", "messages": [USER]}, "/api/chat")
    assert served.headers["content-type"].startswith("application/x-ndjson")
    assert json.loads(served.body.splitlines()[-1])["done"] is True


@pytest.mark.parametrize("streamed", [False, True], ids=["whole", "streamed"])
@pytest.mark.parametrize("provider", PROVIDERS)
async def test_parallel_tools_and_back(play: Play, local: ollama.AsyncClient, provider: str, streamed: bool) -> None:
    play.upstream.answer(scenes.calls(provider, streamed), say(provider, "Noon.") if streamed else scenes.answer(provider, "Noon."))
    messages: list[Any] = [USER]

    async def said() -> list[ollama.ChatResponse]:
        if streamed:
            return [line async for line in await local.chat(model=f"{provider}/m", messages=messages, tools=TOOLS, stream=True)]
        return [await local.chat(model=f"{provider}/m", messages=messages, tools=TOOLS)]

    calls = [made for line in await said() for made in line.message.tool_calls or []]
    assert [(made.function.name, made.function.arguments) for made in calls] == CALLS
    messages.append({"role": "assistant", "content": "", "tool_calls": calls})
    messages += [{"role": "tool", "tool_name": made.function.name, "content": f"result of {made.function.name}"} for made in calls]
    assert "".join(line.message.content or "" for line in await said()) == "Noon."
    sent = json.dumps(play.sent())
    assert "result of weather" in sent
    assert "result of time" in sent
    if provider in ("openai", "mistral", "deepseek"):
        turn, *results = play.sent()["messages"][-3:]
        assert [result["tool_call_id"] for result in results] == [made["id"] for made in turn["tool_calls"]]


class City(BaseModel):
    name: str


@pytest.mark.parametrize("provider", PROVIDERS)
async def test_structured_output(play: Play, local: ollama.AsyncClient, provider: str) -> None:
    play.upstream.answer(scenes.answer(provider, '{"name": "Seoul"}'))
    answer = await local.chat(model=f"{provider}/m", messages=[USER], format=City.model_json_schema())
    assert City.model_validate_json(answer.message.content or "").name == "Seoul"
    assert provider == "deepseek" or '"name"' in json.dumps(play.sent())


@pytest.mark.parametrize("provider", [name for name in PROVIDERS if name != "deepseek"])
async def test_vision(play: Play, local: ollama.AsyncClient, provider: str) -> None:
    play.upstream.answer(scenes.answer(provider, "A dot"))
    await local.chat(model=f"{provider}/m", messages=[{"role": "user", "content": "Look", "images": [base64.b64decode(PNG)]}])
    sent = json.dumps(play.sent())
    assert PNG in sent
    assert "image/png" in sent or provider == "ollama"


@pytest.mark.parametrize("streamed", [False, True], ids=["whole", "streamed"])
@pytest.mark.parametrize("provider", PROVIDERS)
async def test_thinking(play: Play, local: ollama.AsyncClient, provider: str, streamed: bool) -> None:
    play.upstream.answer(scenes.thinks(provider, streamed))
    if streamed:
        lines = [line async for line in await local.chat(model=f"{provider}/m", messages=[USER], think=True, stream=True)]
    else:
        lines = [await local.chat(model=f"{provider}/m", messages=[USER], think=True)]
    assert "".join(line.message.thinking or "" for line in lines) == "Let me see."
    assert "".join(line.message.content or "" for line in lines) == "4"


@pytest.mark.parametrize("status", [400, 401, 404, 429, 500, 503])
@pytest.mark.parametrize("provider", OTHERS)
async def test_errors_are_ollamas(play: Play, local: ollama.AsyncClient, provider: str, status: int) -> None:
    error: Any = {"message": "No such luck"}
    play.upstream.answer(whole({"type": "error", "error": error | {"type": "x"}} if provider == "anthropic" else {"error": error}, status))
    with pytest.raises(ollama.ResponseError) as raised:
        await local.chat(model=f"{provider}/m", messages=[USER])
    assert raised.value.status_code == status
    assert raised.value.error == "No such luck"


async def test_an_unknown_model(local: ollama.AsyncClient) -> None:
    with pytest.raises(ollama.ResponseError) as raised:
        await local.chat(model="nobody-knows-it", messages=[USER])
    assert raised.value.status_code == 404
    assert "nobody-knows-it" in raised.value.error


@pytest.mark.parametrize("provider", PROVIDERS)
async def test_a_stream_that_breaks_raises(play: Play, local: ollama.AsyncClient, provider: str) -> None:
    told = list(say(provider, "Hello you").pieces)
    script = say(provider, "Hello you")
    play.upstream.answer(Script(told[: -3 if len(told) > 4 else -1], 200, script.headers, "cut"))
    seen = []
    with pytest.raises(ollama.ResponseError):
        async for line in await local.chat(model=f"{provider}/m", messages=[USER], stream=True):
            seen.append(line)
    assert not any(line.done for line in seen)


async def test_the_pages(local: ollama.AsyncClient) -> None:
    assert (await local.list()).models == []
    assert (await local.ps()).models == []
    shown = await local.show("openai/gpt-x")
    assert shown.capabilities is not None
    assert "tools" in shown.capabilities


async def test_embedding_goes_to_ollama_as_it_is(play: Play, local: ollama.AsyncClient) -> None:
    play.upstream.answer(whole({"model": "m", "embeddings": [[0.5, 0.25]], "prompt_eval_count": 2}))
    assert (await local.embed(model="ollama/m", input="Hi")).embeddings == [[0.5, 0.25]]
    assert play.upstream.last.path == "/api/embed"


@pytest.mark.parametrize("provider", ["openai", "mistral", "gemini"])
async def test_embedding_by_way_of_embeddings(play: Play, local: ollama.AsyncClient, provider: str) -> None:
    vectors = [[0.5, 0.25], [1.0, 0.0]]
    listed = {
        "object": "list",
        "model": "m",
        "data": [{"object": "embedding", "index": n, "embedding": each} for n, each in enumerate(vectors)],
    }
    told = {"embeddings": [{"values": each} for each in vectors]} if provider == "gemini" else listed
    play.upstream.answer(whole(told | {"usage": {"prompt_tokens": 2, "total_tokens": 2}}))
    assert (await local.embed(model=f"{provider}/m", input=["Hi", "you"])).embeddings == vectors
    assert (await local.embeddings(model=f"{provider}/m", prompt="Hi")).embedding == vectors[0]
