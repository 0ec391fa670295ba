"""`samewire test`: good samples pass, and every planted fault is found."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pytest
import yaml

from proxy.cli import run

DIALECT = """\
dialect: shout
errors:
  when: .oops
  body: {message: .oops, type: shouted}
  retry_after: .wait
operations:
  chat:
    path: /shout
    request:
      reject:
        - {if: .n > 1, say: one voice only, param: n}
      body: {voice: $model, words: ".messages[*].content", loud: .stream}
    response:
      body:
        object: chat.completion
        choices: [{message: {content: .words}, finish_reason: stop}]
        usage: {prompt_tokens: .heard, completion_tokens: .said}
    stream:
      decode: ndjson
      terminal: {when: .over}
      events:
        "*":
          - emit: {delta: {content: .words}}
          - finish: {$if: .over, $then: stop}
          - error: {$if: .oops, $then: {message: .oops, status: 529}}
"""

CASES: dict[str, dict[str, Any]] = {
    "asks": {
        "case.yaml": {"model": "tenor", "dropped": ["seed"]},
        "request.json": {"model": "x", "messages": [{"role": "user", "content": "hey"}], "seed": 3},
        "upstream.json": {"voice": "tenor", "words": ["hey"]},
    },
    "refuses": {"case.yaml": {"rejects": {"param": "n", "message": "one voice only"}}, "request.json": {"n": 2}},
    "answers": {
        "case.yaml": {"usage": {"prompt_tokens": 1, "completion_tokens": 2, "total_tokens": 3}},
        "answer.json": {"words": "HEY", "heard": 1, "said": 2},
        "response.json": {
            "id": "chatcmpl-<uuid>",
            "object": "chat.completion",
            "created": 1_700_000_000,
            "model": "model",
            "choices": [
                {
                    "index": 0,
                    "message": {"role": "assistant", "content": "HEY", "refusal": None},
                    "logprobs": None,
                    "finish_reason": "stop",
                }
            ],
            "usage": {"prompt_tokens": 1, "completion_tokens": 2, "total_tokens": 3},
        },
    },
    "fails": {
        "case.yaml": {"status": 429, "fails": 429, "retry_after": "7"},
        "answer.json": {"oops": "hoarse", "wait": 7},
        "response.json": {"error": {"message": "hoarse", "type": "shouted", "param": None, "code": None}},
    },
    "streams": {"answer.ndjson": '{"words":"H"}\n{"words":"I"}\n{"over":true}\n', "response.sse": ["H", "I", True]},
    "breaks": {"case.yaml": {"truncated": True}, "answer.ndjson": '{"words":"H"}\n', "response.sse": ["H", False]},
}


def chunks(*pieces: Any) -> str:
    """The stream that the dialect's rules must give: pieces of text, then whether it ends well."""
    *texts, whole = pieces
    head = {"id": "chatcmpl-<uuid>", "object": "chat.completion.chunk", "created": 1_700_000_000, "model": ""}
    deltas: list[tuple[dict[str, Any], str | None]] = [({"role": "assistant", "content": ""}, None)]
    deltas += [({"content": text}, None) for text in texts]
    deltas += [({}, "stop")] if whole else []
    choices = [{"index": 0, "delta": delta, "logprobs": None, "finish_reason": reason} for delta, reason in deltas]
    lines = [json.dumps({**head, "choices": [choice]}) for choice in choices] + (["[DONE]"] if whole else [])
    return "".join(f"data: {line}\n\n" for line in lines)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "dialect.yaml").write_text(DIALECT, "utf-8")
    for name, files in CASES.items():
        case = tmp_path / "samples" / "chat" / name
        case.mkdir(parents=True)
        for file, content in files.items():
            text = yaml.safe_dump(content) if file == "case.yaml" else content if isinstance(content, str) else json.dumps(content)
            (case / file).write_text(chunks(*content) if file == "response.sse" else text, "utf-8")
    return tmp_path


def problems(folder: Path, capsys: pytest.CaptureFixture[str], code: int) -> dict[str, list[str]]:
    assert run(["test", "--json", str(folder)]) == code
    return {Path(result["case"]).name: result["problems"] for result in json.loads(capsys.readouterr().out) if not result["ok"]}


def test_good_samples_pass(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert problems(folder, capsys, 0) == {}
    assert run(["test", str(folder)]) == 0
    assert capsys.readouterr().out.endswith(f"{len(CASES)} samples ok, 0 failed\n")


PLANTED = [
    ("asks", "upstream.json", '"hey"', '"ho"', "upstream.words[0]: expected \"ho\", found \"hey\""),
    ("asks", "case.yaml", "seed", "top_k", 'dropped[0]: expected "top_k", found "seed"'),
    ("asks", "case.yaml", "dropped:\n- seed", "dropped: []", "dropped: expected [], found [\"seed\"]"),
    ("asks", "upstream.json", '"voice"', '"choir"', 'upstream.choir: expected "tenor", found nothing'),
    ("refuses", "request.json", "2", "1", "refused: expected"),
    ("refuses", "case.yaml", "one voice", "two voices", "refused.message: expected \"two voices only\", found \"one voice only\""),
    ("answers", "response.json", "HEY", "hey", 'response.choices[0].message.content: expected "hey", found "HEY"'),
    ("answers", "answer.json", '"said": 2', '"said": 4', "usage.completion_tokens: expected 2, found 4"),
    ("answers", "response.json", "chatcmpl-<uuid>", "fixed", 'response.id: expected "fixed"'),
    ("fails", "case.yaml", "fails: 429", "fails: 503", "fails: expected 503, found 429"),
    ("fails", "case.yaml", "'7'", "'8'", 'retry_after: expected "8", found "7"'),
    ("fails", "answer.json", "hoarse", "mute", 'response.error.message: expected "hoarse", found "mute"'),
    ("streams", "answer.ndjson", '"I"', '"O"', 'response[2].choices[0].delta.content: expected "I", found "O"'),
    ("streams", "answer.ndjson", '{"over":true}\n', "", "truncated: expected false, found true"),
    ("streams", "answer.ndjson", '{"over":true}', '{"oops":"hoarse"}', "fails: expected null, found 529"),
    ("breaks", "case.yaml", "true", "false", "truncated: expected false, found true"),
]  # fmt: skip


@pytest.mark.parametrize(("case", "file", "old", "new", "told"), PLANTED, ids=[f"{row[0]}-{row[3]}" for row in PLANTED])
def test_a_planted_fault_is_found(
    folder: Path, capsys: pytest.CaptureFixture[str], case: str, file: str, old: str, new: str, told: str
) -> None:
    path = folder / "samples" / "chat" / case / file
    text = path.read_text("utf-8")
    assert old in text
    path.write_text(text.replace(old, new, 1), "utf-8")
    found = problems(folder, capsys, 1)
    assert list(found) == [case]
    assert any(problem.startswith(told) for problem in found[case]), found


@pytest.mark.parametrize(
    ("change", "told"),
    [
        (lambda case: (case / "notes.txt").write_text("x", "utf-8"), "a case does not know notes.txt"),
        (lambda case: (case / "case.yaml").write_text("modle: x\n", "utf-8"), "a case does not know modle"),
        (lambda case: (case / "case.yaml").write_text("[", "utf-8"), "case.yaml is no YAML map"),
        (lambda case: (case / "case.yaml").write_text("- model", "utf-8"), "case.yaml is no YAML map"),
        (lambda case: (case / "upstream.json").unlink(), "upstream.json is missing"),
        (lambda case: (case / "upstream.json").write_text("{", "utf-8"), "Input data was truncated"),
        (lambda case: (case / "request.json").unlink(), "a case needs request.json or an answer"),
        (lambda case: (case / "case.yaml").write_text("operation: sing\n", "utf-8"), "the dialect has no operation sing; it has chat"),
        (lambda case: (case / "answer.sse").write_text("data: {}\n\n", "utf-8"), "response.sse is missing"),
    ],
)
def test_a_case_that_makes_no_sense_is_told(folder: Path, capsys: pytest.CaptureFixture[str], change: Any, told: str) -> None:
    change(folder / "samples" / "chat" / "asks")
    assert problems(folder, capsys, 1) == {"asks": [told]}


def test_the_failed_are_shown_with_what_differs(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = folder / "samples" / "chat" / "asks" / "upstream.json"
    path.write_text('{"voice": "bass", "words": ["hey"]}', "utf-8")
    assert run(["test", str(folder)]) == 1
    out = capsys.readouterr().out
    assert 'upstream.voice: expected "bass", found "tenor"' in out
    assert out.endswith(f"{len(CASES) - 1} samples ok, 1 failed\n")


def test_a_file_and_a_folder_with_one_file_will_do(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (folder / "dialect.yaml").rename(folder / "shout.yaml")
    assert run(["test", str(folder)]) == 0
    assert run(["test", str(folder / "shout.yaml")]) == 0
    assert capsys.readouterr().err == ""


def test_what_cannot_be_run_is_told(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    shutil.rmtree(folder / "samples")
    assert run(["test", str(folder)]) == 1
    assert "there are no samples: put them into" in capsys.readouterr().err
    (folder / "dialect.yaml").write_text(DIALECT.replace("$model", "$modle"), "utf-8")
    assert run(["test", str(folder)]) == 1
    assert "error[unknown-variable]" in capsys.readouterr().err
    (folder / "dialect.yaml").unlink()
    assert run(["test", str(folder)]) == 1
    assert "neither a dialect's file" in capsys.readouterr().err
