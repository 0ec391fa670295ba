"""What a provider says differently from its dialect: `traits`, `tables`, `errors` and `rewrite`, put into the dialect's specification.

Own traits rows come before the dialect's; tables and parts of `errors` replace those of the same name; repairs (`rewrite`) run after
the dialect's own edits. A dialect that passes a direction through is translated in that direction from then on.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from proxy.config.dialects import Origin, Spec
from proxy.config.report import Report
from proxy.errors import SpecPath

OVERRIDES = frozenset(("traits", "tables", "errors", "rewrite"))

#: Parts that only read a stream which passes through; the chunk reader takes over when it is rewritten.
_WATCHING = ("events", "event", "usage_only")


def overridden(spec: Spec, name: str, entry: Mapping[str, Any], report: Report) -> Spec:
    """The dialect as this provider speaks it. Faults (repairs that cannot work) go to `report`."""
    for key in ("tables", "errors"):
        for part, value in entry.get(key, {}).items():
            here: SpecPath = (key, part)
            spec = spec.changed({here: value}, {here: (report.document, ("providers", name, key, part))})
    if "traits" in entry:
        place: SpecPath = ("providers", name, "traits")
        rows = entry["traits"]
        known = spec.parts.get(("traits",), [])
        origins: dict[SpecPath, Origin] = {("traits", index): (report.document, (*place, index)) for index in range(len(rows))}
        origins |= {("traits", len(rows) + index): spec.origin(("traits", index)) for index in range(len(known))}
        spec = spec.changed({("traits",): rows + known}, {("traits",): (report.document, place), **origins})
    for operation, directions in entry.get("rewrite", {}).items():
        if operation not in spec.operations:
            report.unknown(("providers", name, "rewrite", operation), "operation", operation, spec.operations)
            continue
        for direction, rules in directions.items():
            spec = _repaired(spec, operation, direction, (rules, ("providers", name, "rewrite", operation, direction)), report)
    return spec


def _repaired(spec: Spec, operation: str, direction: str, repair: tuple[list[Any], SpecPath], report: Report) -> Spec:
    rules, place = repair
    above: SpecPath = ("operations", operation, direction)
    given = {path[3]: part for path, part in spec.parts.items() if path[:3] == above and len(path) == 4}
    if "body" in given or (direction == "stream" and _emits(given.get("events"))):
        message = f"the dialect '{spec.name}' writes this {direction} anew; repairs are for dialects that speak OpenAI's language"
        report.add(place, "wrong-place", message, f"write a dialect with `extends: {spec.name}` instead")
        return spec
    target = (*above, "rewrite")
    known = list(given.get("rewrite", ()))
    origins: dict[SpecPath, Origin] = {}
    if "members" in given and direction == "request" and "rewrite" not in given:
        known = [{"set": given["members"]}]
        origins[(*target, 0, "set")] = spec.origin((*above, "members"))
    for index in range(len(rules)):
        origins[(*target, len(known) + index)] = (report.document, (*place, index))
    if target not in spec.origins:
        origins[target] = (report.document, place)
    gone = {(*above, name) for name in ("members", *(_WATCHING if "rewrite" not in given else ()))}
    return spec.changed({target: known + rules}, origins, gone)


def _emits(events: Mapping[str, Any] | None) -> bool:
    rules = [rule for found in (events or {}).values() for rule in (found if isinstance(found, list) else [found])]
    return any("emit" in rule for rule in rules)
