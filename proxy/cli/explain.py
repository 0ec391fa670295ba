"""`samewire explain`."""

from __future__ import annotations

import argparse
import json
import os
import shlex
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import msgspec

from proxy.cli.configuration import find, report
from proxy.cli.explanation import changed, explain_answer, explain_request
from proxy.cli.output import paint, print_json, say
from proxy.cli.policy import policy_lines
from proxy.client_dialect import Operation
from proxy.codecs import DECODERS
from proxy.config import load
from proxy.config.client_dialects import load_client_dialects
from proxy.config.model import Config
from proxy.errors import ConfigError

#: How the names of operations end whose bodies have messages; others have an input.
_OF_MESSAGES = ("chat", "messages")
#: Letters of a value shown beside its rule.
_WIDTH = 100


class UsageError(ValueError):
    """The command line asks for what cannot be explained."""


def run(arguments: argparse.Namespace) -> int:
    """Explains a request, and the answer to it. 1 when the request is refused or the configuration has faults."""
    try:
        operation = _operation(arguments.operation)
        body = _body(arguments, operation)
        config = load(find(arguments), os.environ, check=True)
        document = _explained(config, operation, body, arguments)
    except ConfigError as error:
        report(error.diagnostics)
        return 1
    except (UsageError, OSError, ValueError) as error:
        say(f"samewire explain: {error}", "red")
        return 2
    if arguments.json:
        print_json(document)
    else:
        print("\n".join(_text(document, body)))
    return 1 if "error" in document else 0


def _explained(config: Config, operation: Operation, body: bytes, arguments: argparse.Namespace) -> dict[str, Any]:
    explained = explain_request(config, operation, body, arguments.model or "")
    if arguments.answer:
        file = Path(arguments.answer)
        form = file.suffix.removeprefix(".")
        if form not in ("json", *DECODERS):
            raise UsageError(f"an answer's file ends in .json, {', '.join(f'.{name}' for name in DECODERS)}; {file} does not")
        explained.report["answer"] = explain_answer(explained, file.read_bytes(), form, arguments.status)
    return explained.report


def _operation(name: str) -> Operation:
    known = {name: operation for name, operation in load_client_dialects().operations.items() if operation.body == "json"}
    if name not in known:
        raise UsageError(f"{name} is no operation with a JSON body; those are {', '.join(known)}")
    return known[name]


def _body(arguments: argparse.Namespace, operation: Operation) -> bytes:
    if arguments.request == "-":
        return sys.stdin.buffer.read()
    if arguments.request:
        return Path(arguments.request).read_bytes()
    if not arguments.model:
        raise UsageError("give a request's file, or --model")
    if operation.model == "path":
        return msgspec.json.encode({"contents": [{"role": "user", "parts": [{"text": arguments.message}]}]})
    body = {"model": arguments.model, **({"stream": True} if arguments.stream else {})}
    if operation.name.endswith(_OF_MESSAGES):
        return msgspec.json.encode(body | {"messages": [{"role": "user", "content": arguments.message}]})
    return msgspec.json.encode(body | {"input": arguments.message})


# ── for people ──


def _text(document: Mapping[str, Any], body: bytes) -> Iterator[str]:
    yield _title(f"{document['operation']} {document.get('model') or '(no model)'}{' (stream)' if document.get('stream') else ''}")
    yield from _route(document)
    if "policy" in document:
        yield _title("Policy")
        yield from policy_lines(document["policy"])
    if document.get("rules"):
        yield _title("Rules of the request")
        yield from _rules(document["rules"])
    if "error" in document:
        error = document["error"]
        yield _title("The client gets")
        yield f"  {error['status']} {error['type']}: {error['message']}"
        return
    if "chat" in document:
        yield _title("As a chat, before the route's rules and the provider's")
        yield f"  {_short(document['chat'])}"
    yield from _request(document, body)
    if "answer" in document:
        yield from _answer(document["answer"])


def _route(document: Mapping[str, Any]) -> Iterator[str]:
    route = document.get("route")
    if "missing_key" in document:
        yield paint(f"  {document['missing_key']} With its key it would go as follows.", "yellow", sys.stdout)
    if route:
        place = f"line {route['line']}" if route["line"] else "provider_prefix"
        yield f"  route   {route['name']} ({place})"
        for target in route["targets"]:
            state = "" if target["state"] == "ready" else f" ({target['state']})"
            yield f"  target  {target['provider']}/{target['model'] or '(same name)'}{state}"
    for other in document.get("passed_over", ()):
        if other["route"] is None:
            yield paint(f"  not     {other['routes']} others: {other['why']}", "dim", sys.stdout)
        else:
            yield paint(f"  not     {other['route']} (line {other['line']}): {other['why']}", "dim", sys.stdout)


def _rules(rules: list[dict[str, Any]], indent: str = "  ") -> Iterator[str]:
    for rule in rules:
        result = _short(rule["result"]) if "result" in rule else "(nothing)"
        yield f"{indent}{rule['at']}"
        yield f"{indent}    {rule['rule']}  {paint('=', 'dim', sys.stdout)}  {paint(result, 'cyan', sys.stdout)}"


def _request(document: Mapping[str, Any], body: bytes) -> Iterator[str]:
    upstream = document["upstream"]
    if document["passthrough"]:
        changes = changed(json.loads(body), upstream["body"])
        yield _title("Passed through")
        yield f"  replaced: {_short(changes)}" if changes else "  byte for byte"
    if document["dropped"]:
        yield _title("Not carried, and reported in x-samewire-dropped")
        yield f"  {', '.join(document['dropped'])}"
    yield _title("Upstream request")
    yield f"  {curl(upstream)}"


def curl(upstream: Mapping[str, Any]) -> str:
    """The upstream request as a command."""
    words = ["curl", "-X", upstream["method"], upstream["url"]]
    for name, value in upstream["headers"].items():
        words += ["-H", f"{name}: {value}"]
    return shlex.join([*words, "-d", json.dumps(upstream["body"], ensure_ascii=False)])


def _answer(answer: Mapping[str, Any]) -> Iterator[str]:
    if "events" not in answer:
        yield _title("Rules of the answer")
        yield from _rules(answer["rules"])
        yield _title(f"The client gets {answer['status']}")
        yield json.dumps(answer["client"], ensure_ascii=False, indent=2)
        return
    yield _title("Events, the rules they meet, and what the client gets")
    for event in answer["events"]:
        if event["event"] is None:
            yield paint("● end of the stream" + (": it broke off" if event.get("truncated") else ""), "bold", sys.stdout)
        else:
            yield paint(f"● {event['event']} {_short(event['data'])}".replace("  ", " "), "bold", sys.stdout)
            yield from _rules(event["rules"], "    ")
        for line in filter(None, event["client"].split("\n")):
            yield f"  ▶ {paint(line, 'green', sys.stdout)}"


def _title(text: str) -> str:
    return f"\n{paint(text, 'bold', sys.stdout)}"


def _short(value: Any) -> str:
    text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
    text = text.replace("\n", "\\n")
    return text if len(text) <= _WIDTH else text[: _WIDTH - 1] + "…"
