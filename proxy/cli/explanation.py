"""What happens to one request, and to one recorded answer, as plain data. The real code runs, with rules that tell what they do."""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Any, cast

import msgspec

from proxy import __version__
from proxy.cli.output import MASK, masked_url
from proxy.cli.policy import explain_policy
from proxy.cli.replay import DIRECT, Facing, Replay, replay_whole
from proxy.client_dialect import ClientMapping, Operation
from proxy.codecs import DECODERS
from proxy.config.client_dialects import load_client_dialects
from proxy.config.model import Config, Route
from proxy.dialect import trace_operation
from proxy.errors import ClientError
from proxy.exchange.gate import Gates
from proxy.exchange.request import JsonRequest
from proxy.exchange.target import TargetCall, build
from proxy.mapping.context import Context
from proxy.mapping.tracing import Step
from proxy.metrics import Metrics
from proxy.routing import Choice, Resolution, Router, Standings, served_by

_SECRET = re.compile(r"authorization|cookie|.*(key|token|secret).*", re.IGNORECASE)
#: Header lines that every HTTP client writes for itself.
_OBVIOUS = {"host", "user-agent", "accept", "accept-encoding"}

_decode = msgspec.json.decode


@dataclass(slots=True)
class Explained:
    """One request explained. `report` is the data; the rest is what an answer needs to be explained after it."""

    report: dict[str, Any]
    call: TargetCall | None = None
    context: Context | None = None
    facing: Facing = DIRECT
    steps: list[Step] = field(default_factory=list)
    usage_wanted: bool = False


def explain_request(config: Config, operation: Operation, body: bytes, name: str = "") -> Explained:
    """Route, rules and upstream request of a JSON body. A refusal is part of the report: `error`.

    `name`: the model's, for operations that have it in their path.
    """
    explained = Explained({"operation": operation.name})
    report = explained.report
    try:
        asked = JsonRequest(body, operation, name=name)
        report |= {"model": asked.model, "stream": asked.stream}
        resolution = _resolved(config, operation.name, asked.model, report)
        report["route"] = _route(resolution.route)
        report["passed_over"] = list(_passed_over(config, operation.name, asked.model, resolution.route))
        report["policy"] = explain_policy(resolution)
        choice = resolution.plans[0]
        report["target"] = {"provider": choice.target.provider.name, "model": choice.model, "dialect": choice.target.provider.dialect.name}
        call = explained.call = _traced(
            build(choice, Metrics(__version__), Standings(), Gates(), load_client_dialects().mappings), explained.steps, report
        )
        explained.facing = Facing(operation.voice, operation.framing(""), call.client)
        context = explained.context = call.context(int(time.time()), stream=asked.stream)
        explained.usage_wanted = asked.usage_wanted
        _prepare(asked, call, context, explained)
    except ClientError as error:
        report["error"] = {"status": error.status, **error.envelope()["error"]}
    spoken = explained.call.operation.name if explained.call is not None else operation.name
    report["rules"] = _told(explained.steps, ("operations", spoken, "request"))
    return explained


def explain_answer(explained: Explained, body: bytes, form: str, status: int) -> dict[str, Any]:
    """What the client gets for an upstream's answer: `form` is json, or the codec of a stream. Raises ValueError."""
    call, context = explained.call, explained.context
    if call is None or context is None:
        raise ValueError("the request is refused, so there is no answer to it")
    context.status = status
    if form != "json" and status < 300:
        return {"events": list(_events(explained, call, context, body, form))}
    explained.steps.clear()
    found = replay_whole(body, call.operation.response, call.operation.peek, call.provider.dialect.errors, context, call.client)
    told = _told(explained.steps, ("operations", call.operation.name, "response"))
    voice = explained.facing.voice
    if found.error is not None:
        return {"rules": told, "status": voice.status(found.error), "client": voice.envelope(found.error)}
    return {"rules": told, "status": 200, "client": found.document, "usage": found.usage}


def _events(explained: Explained, call: TargetCall, context: Context, body: bytes, form: str) -> Iterator[dict[str, Any]]:
    mapping = call.operation.stream
    if mapping is None or mapping.decode != form:
        raise ValueError(f"this operation's streams are {mapping.decode if mapping else 'not described'}, not {form}")
    replay = Replay(mapping, context, usage_wanted=explained.usage_wanted, facing=explained.facing)
    decoder = DECODERS[form]()
    for name, data in [*decoder.feed(body), *decoder.close()]:
        explained.steps.clear()
        written = replay.event(name, data)
        told = _told(explained.steps, ("operations", call.operation.name, "stream"))
        yield {"event": name, "data": data.decode("utf-8", "replace"), "rules": told, "client": written.decode()}
        if replay.over:
            break
    end: dict[str, Any] = {"event": None, "client": replay.end().decode(), "usage": replay.stream.usage}
    if replay.error is None and not replay.stream.complete():
        end["truncated"] = True
    yield end


# ── routes ──


def _resolved(config: Config, operation: str, model: str | None, report: dict[str, Any]) -> Resolution[Choice]:
    """Where the request goes; when only a key is missing, where it would go. Raises ClientError."""
    try:
        return Router(config.routes, lambda choice: choice, load_client_dialects().translated).resolve(operation, model)
    except ClientError as error:
        try:
            resolution = Router(_with_keys(config.routes), lambda choice: choice, load_client_dialects().translated).resolve(
                operation, model
            )
        except ClientError:
            report["passed_over"] = list(_passed_over(config, operation, model, None))
            raise error from None
        report["missing_key"] = error.message
        return resolution


def _with_keys(routes: tuple[Route, ...]) -> Iterator[Route]:
    """The routes as if every key were set."""
    for route in routes:
        targets = tuple(replace(target, provider=replace(target.provider, state="ready")) for target in route.targets)
        yield replace(route, targets=targets)


def _route(route: Route) -> dict[str, Any]:
    targets = [{"provider": target.provider.name, "model": target.model, "state": target.provider.state} for target in route.targets]
    return {"name": route.name, "line": route.line, "order": route.order, "targets": targets}


def _passed_over(config: Config, operation: str, model: str | None, taken: Route | None) -> Iterator[dict[str, Any]]:
    """The other routes that the model's name fits, and why they are not taken; how many it does not fit."""
    unfit = 0
    for route in config.routes:
        if taken is not None and (route.name, route.line) == (taken.name, taken.line):
            continue
        if route.pattern is not None and model is not None and route.pattern.match(model) is None:
            unfit += 1
        else:
            yield {"route": route.name, "line": route.line, "why": _why(route, operation, taken)}
    if unfit:
        yield {"route": None, "routes": unfit, "why": "the model's name does not fit"}


def _why(route: Route, operation: str, taken: Route | None) -> str:
    translated = load_client_dialects().translated
    if not route.serves(operation) and not (operation in translated and route.serves(translated[operation])):
        return f"it does not serve {operation}"
    if not route.ready:
        return f"no key: {' or '.join(route.missing)} is not set"
    if not any(served_by(operation, route, target, translated) for target in route.ready):
        return f"none of its providers has {operation}"
    if taken is not None and taken.pattern is not None and not taken.pattern.stars and (route.pattern is None or route.pattern.stars):
        return "a name that is written out comes before patterns"
    return "it comes later in the file"


# ── rules ──


def _traced(call: TargetCall, steps: list[Step], report: dict[str, Any]) -> TargetCall:
    """The same call, its rules compiled to add to `steps` what they do; what the client's dialect makes a chat of goes into `report`."""
    operation = call.operation
    traced = trace_operation(call.provider.dialect, operation.name)

    def told(function: Callable[..., tuple[Any, list[Step]]]) -> Callable[..., Any]:
        def run(*arguments: Any) -> Any:
            result, found = function(*arguments)
            steps.extend(found)
            return result

        return run

    if operation.request is not None and traced.request is not None:
        operation = operation.replaced(request=replace(operation.request, function=told(traced.request)), usual=None)
    if operation.response is not None and traced.response is not None:
        operation = operation.replaced(response=replace(operation.response, function=told(traced.response), typed=None))
    if operation.stream is not None and traced.event is not None:
        operation = operation.replaced(stream=replace(operation.stream, step_in_full=told(traced.event), decoder=None))
    return replace(call, operation=operation, client=_watched(call.client, report) if call.client is not None else None)


def _watched(client: ClientMapping, report: dict[str, Any]) -> ClientMapping:
    request = client.request.function

    def watched(body: dict[str, Any], context: Context) -> tuple[dict[str, Any], int, list[str]]:
        chat, used, dropped = request(body, context)
        report["chat"] = _decode(msgspec.json.encode(chat))  # a copy: later rules may change it
        return chat, used, dropped

    return replace(client, request=replace(client.request, function=watched))


def _told(steps: list[Step], above: tuple[str, ...]) -> list[dict[str, Any]]:
    """Each rule: where it stands in the dialect, what it says (so what it reads), what came of it (absent: nothing)."""
    told = []
    for step in steps:
        path = step.path[len(above) :] if step.path[: len(above)] == above else step.path
        rule: dict[str, Any] = {"at": ".".join(map(str, path)), "rule": step.rule}
        if step.result is not None:
            rule["result"] = step.result
        told.append(_decode(msgspec.json.encode(rule)))  # a copy: later rules may change what this one made
    return told


def _prepare(asked: JsonRequest, call: TargetCall, context: Context, explained: Explained) -> None:
    lines, body, dropped = asked.prepare(call, context)
    head = call.request_head("", "", stream=asked.stream) + lines
    report = explained.report
    report["passthrough"] = call.operation.request is None and call.client is None
    report["dropped"] = list(dropped)
    report["upstream"] = _upstream(call, head.decode("latin-1"), _decode(cast("bytes", body)))


def _upstream(call: TargetCall, head: str, body: Any) -> dict[str, Any]:
    """The upstream request, with its secrets masked."""
    first, *lines = head.split("\r\n")
    method, target, _ = first.split(" ")
    headers = dict(line.split(": ", 1) for line in lines if line)
    authority = headers["host"] if not call.provider.demo else f"{call.provider.host}:$PORT"
    credential = call.provider.credential
    if call.choice.route.credential == "client":
        headers[credential.header] = credential.prefix + MASK
    shown = {name: MASK if _SECRET.fullmatch(name) else value for name, value in headers.items() if name not in _OBVIOUS}
    if credential.header in shown:
        shown[credential.header] = credential.prefix + MASK
    return {"method": method, "url": masked_url(f"{call.provider.scheme}://{authority}{target}"), "headers": shown, "body": body}


def changed(before: Mapping[str, Any], after: Mapping[str, Any]) -> dict[str, Any]:
    """The top-level members that differ; None for those that are gone."""
    return {name: after.get(name) for name in {**before, **after} if before.get(name) != after.get(name)}
