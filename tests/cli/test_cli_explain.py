"""`samewire explain`: the real path of a request, told."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from proxy.cli import run
from tests.cli.conftest import ROUTES, SECRET

CHAT = [{"role": "user", "content": "Hello!"}]


def explain(capsys: pytest.CaptureFixture[str], *argv: str, code: int = 0) -> dict[str, Any]:
    assert run(["explain", "--json", *argv]) == code
    out, err = capsys.readouterr()
    assert SECRET not in out + err
    told: dict[str, Any] = json.loads(out)
    return told


def request(tmp_path: Path, **members: Any) -> str:
    file = tmp_path / "request.json"
    file.write_text(json.dumps({"messages": CHAT, **members}), "utf-8")
    return str(file)


def why(told: dict[str, Any]) -> dict[Any, str]:
    return {(other["route"], other.get("line")): other["why"] for other in told["passed_over"]}


def test_the_route_and_why_not_the_others(routes: Path, capsys: pytest.CaptureFixture[str]) -> None:
    told = explain(capsys, "--model", "exact")
    assert (told["route"]["name"], told["route"]["line"]) == ("exact", 9)
    assert why(told) == {
        ("ex*", 10): "a name that is written out comes before patterns",
        ("exact (embeddings)", 8): "it does not serve chat",
        (None, None): "the model's name does not fit",
    }
    assert told["passed_over"][-1]["routes"] == 4

    told = explain(capsys, "--model", "exotic")
    assert told["route"]["name"] == "ex*"
    assert told["target"] == {"provider": "keyed", "model": "exotic", "dialect": "openai"}


def test_what_is_passed_through(routes: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    told = explain(capsys, request(tmp_path, model="exact", strange={"a": [1, None]}))
    assert told["passthrough"] is True
    assert told["rules"] == []
    assert told["upstream"]["url"] == "https://api.example.com/v1/chat/completions"
    assert told["upstream"]["headers"] == {"authorization": "Bearer ***", "content-type": "application/json"}
    assert told["upstream"]["body"] == {"messages": CHAT, "model": "upstream-name", "strange": {"a": [1, None]}}


def test_each_rule_with_what_it_reads_and_wrote(routes: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    told = explain(capsys, request(tmp_path, model="talk", max_tokens=50, seed=7, stream=True))
    rules = {rule["at"]: rule for rule in told["rules"]}
    assert rules["body.model"] == {"at": "body.model", "rule": "$model", "result": "claude-opus-4-8"}
    assert "result" not in rules["body.metadata.user_id"]
    assert told["dropped"] == ["seed"]
    assert told["upstream"]["headers"]["x-api-key"] == "***"
    assert told["upstream"]["body"]["max_tokens"] == 50
    assert told["upstream"]["body"]["stream"] is True


def test_a_missing_key_is_said_and_the_way_is_shown(routes: Path, capsys: pytest.CaptureFixture[str]) -> None:
    told = explain(capsys, "--model", "off")
    assert "NEVER_SET_KEY is not set" in told["missing_key"]
    assert told["upstream"]["body"]["model"] == "gpt"


def test_a_clients_own_key_is_masked_in_its_place(routes: Path, capsys: pytest.CaptureFixture[str]) -> None:
    told = explain(capsys, "--model", "lent")
    assert "missing_key" not in told
    assert told["upstream"]["headers"]["authorization"] == "Bearer ***"


@pytest.mark.parametrize(
    ("members", "status", "words"),
    [
        ({"model": "nobody"}, 404, "does not exist"),
        ({"model": "talk", "n": 2}, 400, "n"),
        ({"model": 7}, 400, "must be a string"),
        ({}, 400, "names no `model`"),
    ],
)
def test_a_refusal_is_told_as_the_client_gets_it(
    routes: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], members: dict[str, Any], status: int, words: str
) -> None:
    told = explain(capsys, request(tmp_path, **members), code=1)
    assert told["error"]["status"] == status
    assert words in told["error"]["message"]
    assert "upstream" not in told


def test_a_recorded_answer(routes: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    answer = tmp_path / "answer.json"
    usage = {"input_tokens": 3, "output_tokens": 4}
    message = {"id": "msg_1", "type": "message", "role": "assistant", "model": "claude-opus-4-8", "stop_reason": "end_turn", "usage": usage}
    answer.write_text(json.dumps({**message, "content": [{"type": "text", "text": "Hi"}]}), "utf-8")
    told = explain(capsys, "--model", "talk", "--answer", str(answer))["answer"]
    assert told["client"]["choices"][0]["message"]["content"] == "Hi"
    assert told["client"]["model"] == "talk"
    assert told["usage"]["total_tokens"] == 7
    assert any(rule["at"].endswith("message.content") and rule["result"] == "Hi" for rule in told["rules"])


def test_a_recorded_error(routes: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    answer = tmp_path / "answer.json"
    answer.write_text(json.dumps({"type": "error", "error": {"type": "overloaded_error", "message": "Overloaded"}}), "utf-8")
    told = explain(capsys, "--model", "talk", "--answer", str(answer), "--status", "529")["answer"]
    assert told["status"] == 503
    assert told["client"]["error"]["message"] == "Overloaded"


STREAM = """\
event: message_start
data: {"type":"message_start","message":{"id":"msg_1","role":"assistant","content":[],"usage":{"input_tokens":3,"output_tokens":1}}}

event: content_block_start
data: {"type":"content_block_start","index":0,"content_block":{"type":"text","text":""}}

event: content_block_delta
data: {"type":"content_block_delta","index":0,"delta":{"type":"text_delta","text":"Hi"}}

"""
END = """\
event: message_delta
data: {"type":"message_delta","delta":{"stop_reason":"end_turn"},"usage":{"output_tokens":4}}

event: message_stop
data: {"type":"message_stop"}

"""


@pytest.mark.parametrize("whole", [True, False])
def test_a_recorded_stream(routes: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], whole: bool) -> None:
    answer = tmp_path / "answer.sse"
    answer.write_text(STREAM + (END if whole else ""), "utf-8")
    events = explain(capsys, "--model", "talk", "--stream", "--answer", str(answer))["answer"]["events"]
    named = ["message_start", "content_block_start", "content_block_delta", *(["message_delta", "message_stop"] if whole else []), None]
    assert [event["event"] for event in events] == named
    assert '"content":"Hi"' in events[2]["client"]
    assert any(rule.get("result") == "Hi" for rule in events[2]["rules"])
    assert events[-1]["client"].endswith("data: [DONE]\n\n") is whole
    assert events[-1].get("truncated", False) is not whole


def test_the_text_for_people(routes: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    answer = tmp_path / "answer.sse"
    answer.write_text(STREAM + END, "utf-8")
    assert run(["explain", request(tmp_path, model="talk", seed=1, stream=True), "--answer", str(answer)]) == 0
    out = capsys.readouterr().out
    assert SECRET not in out
    assert "  route   talk (line 11)" in out
    assert "Not carried, and reported in x-samewire-dropped\n  seed" in out
    assert "\n  curl -X POST https://messages.example.com/v1/messages -H 'x-api-key: ***'" in out
    assert "● content_block_delta" in out
    assert "  ▶ data: [DONE]" in out


@pytest.mark.parametrize(
    ("argv", "words"),
    [
        ([], "give a request's file, or --model"),
        (["nowhere.json"], "nowhere.json"),
        (["--model", "talk", "--operation", "dance"], "dance is no operation"),
        (["--model", "talk", "--answer", "routes.yaml"], "an answer's file ends in .json"),
    ],
)
def test_wrong_usage_is_told(routes: Path, capsys: pytest.CaptureFixture[str], argv: list[str], words: str) -> None:
    assert routes.read_text("utf-8") == ROUTES
    assert run(["explain", *argv]) == 2
    assert words in capsys.readouterr().err


ANSWER = {
    "id": "c1",
    "object": "chat.completion",
    "created": 1,
    "model": "theirs",
    "choices": [{"index": 0, "message": {"role": "assistant", "content": "Hello!"}, "finish_reason": "stop"}],
    "usage": {"prompt_tokens": 3, "completion_tokens": 2, "total_tokens": 5},
}
CHUNKS = [
    {"id": "c1", "choices": [{"index": 0, "delta": {"content": "Hello!"}, "finish_reason": None}]},
    {"id": "c1", "choices": [{"index": 0, "delta": {}, "finish_reason": "stop"}]},
]


def test_another_dialect_becomes_a_chat(routes: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    answer = tmp_path / "answer.json"
    answer.write_text(json.dumps(ANSWER))
    asked = request(tmp_path, model="exact", max_tokens=9, system="Be kind.")
    told = explain(capsys, asked, "--operation", "messages", "--answer", str(answer))
    assert told["passthrough"] is False
    assert told["chat"]["messages"][0]["content"] == "Be kind."
    assert told["upstream"]["url"] == "https://api.example.com/v1/chat/completions"
    assert told["upstream"]["body"]["messages"] == told["chat"]["messages"]
    assert (told["answer"]["client"]["type"], told["answer"]["usage"]["total_tokens"]) == ("message", 5)


@pytest.mark.parametrize(("end", "last"), [("data: [DONE]\n\n", "message_stop"), ('data: {"error": {"message": "no"}}\n\n', "error")])
def test_a_stream_in_the_clients_own_words(end: str, last: str, routes: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    answer = tmp_path / "answer.sse"
    answer.write_text("".join(f"data: {json.dumps(chunk)}\n\n" for chunk in CHUNKS) + end)
    asked = request(tmp_path, model="exact", max_tokens=9, stream=True)
    told = explain(capsys, asked, "--operation", "messages", "--answer", str(answer))
    written = "".join(event["client"] for event in told["answer"]["events"])
    names = [line.removeprefix("event: ") for line in written.split("\n") if line.startswith("event: ")]
    assert (names[0], names[-1]) == ("message_start", last)


def test_a_model_in_the_path(routes: Path, capsys: pytest.CaptureFixture[str]) -> None:
    told = explain(capsys, "--model", "exact", "--operation", "generate_content")
    assert (told["model"], told["upstream"]["body"]["model"]) == ("exact", "upstream-name")
    assert run(["explain", "--model", "exact", "--operation", "generate_content"]) == 0
    assert "As a chat" in capsys.readouterr().out
