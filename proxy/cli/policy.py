"""What would happen if a request's target failed, for each reason: played through by the code that decides it in earnest."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from proxy.config.policy import REASONS
from proxy.errors import ExchangeError, GatewayError, UpstreamError
from proxy.routing import Asking, Choice, Failure, Resolution, Standing, Standings, Turns, failure_of, first

_ORDERS = {
    "ordered": "the first that is not left alone",
    "weighted": "drawn by weight",
    "least_loaded": "the one with the fewest requests in work, for its weight",
    "sticky": "always the same for one client",
}
#: Reason → an error of its kind.
_SAMPLES: dict[str, ExchangeError] = {
    "connect": UpstreamError("", 502, kind="connect", unprocessed=True),
    "timeout": UpstreamError("", 504, kind="timeout"),
    "broken": UpstreamError("", 502, kind="truncated"),
    **{
        reason: UpstreamError("", status, kind="status", reason=reason)
        for reason, status in {
            "auth": 401,
            "quota": 402,
            "rate_limit": 429,
            "overload": 503,
            "server": 500,
            "context_length": 400,
            "content_filter": 400,
            "refused": 400,
        }.items()
    },
    "unsupported": GatewayError("", 400, reason="unsupported"),
    "busy": GatewayError("", 503, reason="busy"),
}


@dataclass(frozen=True, slots=True)
class _Way:
    """A choice with a standing of its own."""

    choice: Choice
    standing: Standing


def explain_policy(resolution: Resolution[Choice]) -> dict[str, Any]:
    """How the first target is chosen, what the budget is, and who is asked after each failure: in streams and for whole answers."""
    route = resolution.route
    providers = {choice.target.provider.name: choice.target.provider for choice in resolution.plans}
    capped = {name: provider.concurrency for name, provider in providers.items() if provider.concurrency}
    retry = route.retry
    return {
        "order": route.order,
        "attempts": retry.attempts,
        "seconds": retry.seconds,
        "again": retry.again,
        "concurrency": {name: {"limit": cap.limit, "queue": cap.queue, "wait": cap.wait} for name, cap in capped.items()},
        "keys": {name: len(provider.credentials) for name, provider in providers.items() if provider.spare},
        "cooldown": {
            name: {"after": provider.cooldown.after, "seconds": provider.cooldown.seconds, "longest": provider.cooldown.longest}
            for name, provider in providers.items()
        },
        "failures": {
            reason: {
                "meaning": REASONS[reason],
                "status": error.status,
                "stream": _trail(resolution, error, Asking()),
                "whole": _trail(resolution, error, Asking(whole=True)),
            }
            for reason, error in _SAMPLES.items()
            if reason != "busy" or capped
        },
    }


def _trail(resolution: Resolution[Choice], error: ExchangeError, asking: Asking) -> list[str]:
    """Who is asked next, and next, while each fails like the first."""
    played = _played(resolution)
    failure = failure_of(error, 0.0) or Failure("")
    turns, now, way = Turns(played, None, asking, 0.0, lambda: 1.0), 0.0, first(played, None, 0.0, lambda: 1.0)
    trail: list[str] = []
    while True:
        way.standing.failed(failure, now, now, way.choice.target.provider.cooldown)
        turns.failed(way, failure, now)
        step = turns.next(failure, now)
        if step is None:
            return trail
        earlier, (way, pause) = way, step
        now += pause
        if pause:
            trail.append(f"{way.choice.name} again, {pause:g} s later")
        elif way.choice.name == earlier.choice.name:
            trail.append(f"{way.choice.name} with another key")
        else:
            trail.append(way.choice.name)


def _played(resolution: Resolution[Choice]) -> Resolution[_Way]:
    """The same with standings of nobody's."""
    standings = Standings()

    def way(choice: Choice) -> _Way:
        number = 0 if resolution.route.credential == "client" else choice.key + 1
        return _Way(choice, standings.of(choice.target.provider.name, choice.model or "", number))

    groups = tuple(tuple(map(way, group)) for group in resolution.groups)
    return Resolution(resolution.route, resolution.public, groups, None)


# ── for people ──


def policy_lines(policy: dict[str, Any]) -> Iterator[str]:
    """The policy in words; failures with one outcome stand on one line."""
    again = f", one target {policy['again'] + 1} times at most" if policy["again"] else ", no target twice"
    yield f"  first      {_ORDERS[policy['order']]}"
    yield f"  budget     {policy['attempts']} attempts{again}; none begins after {policy['seconds']:g} s"
    for name, keys in policy["keys"].items():
        yield f"  keys       {name}: {keys}, by chance; one that is refused or at its limit is left alone"
    for name, cap in policy["concurrency"].items():
        queue = f"{cap['queue']} more wait, for {cap['wait']:g} s at most" if cap["queue"] else "no more wait"
        yield f"  at once    {name}: {cap['limit']}; {queue}"
    for name, rest in policy["cooldown"].items():
        span = f"{rest['seconds']:g} s, doubled up to {rest['longest']:g} s"
        yield f"  left alone {name}: after {rest['after']} failures in a row for {span}" if rest["after"] else f"  left alone {name}: never"
    yield "  when it fails"
    outcomes: dict[str, list[str]] = {}
    for reason, found in policy["failures"].items():
        outcomes.setdefault(_outcome(found), []).append(reason)
    for outcome, reasons in outcomes.items():
        yield f"    {', '.join(reasons)}"
        yield f"        {outcome}"


def _outcome(found: dict[str, Any]) -> str:
    stream, whole = _told(found["stream"]), _told(found["whole"])
    return stream if stream == whole else f"streams that have not begun: {stream}; whole answers: {whole}"


def _told(trail: list[str]) -> str:
    return ", then ".join([*trail, "the client is told"])
