"""Several processes' metrics as one text: what only grows is added up, also of those that are gone; of the rest, what the living say."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field

#: Gauges that are no amounts.
_LEAST = frozenset(("samewire_config_last_reload_successful", "process_start_time_seconds"))
_MOST = frozenset(("samewire_build_info", "samewire_set_aside"))


@dataclass(slots=True)
class Family:
    """One metric: the lines of its head, its type, and its samples by name and labels as the text has them."""

    head: list[str] = field(default_factory=list)
    kind: str = "untyped"
    samples: dict[str, float] = field(default_factory=dict)

    @property
    def grows(self) -> bool:
        """Whether it may never fall."""
        return self.kind in ("counter", "histogram", "summary")


Families = dict[str, Family]


def parse(text: str) -> Families:
    """A scrape's text as Metrics writes it: each metric's head before its samples."""
    families: Families = {}
    family = Family()
    for line in text.splitlines():
        if line.startswith("# "):
            word, name, rest = line[2:].split(" ", 2)
            family = families.setdefault(name, Family())
            family.head.append(line)
            if word == "TYPE":
                family.kind = rest
        elif line:
            sample, _, value = line.rpartition(" ")
            family.samples[sample] = int(value) if value.isdecimal() else float(value)
    return families


def add(total: Families, more: Families, *, lasting: bool = False) -> None:
    """Adds to `total`; with `lasting` only what may never fall."""
    for name, family in more.items():
        if lasting and not family.grows:
            continue
        found = total.setdefault(name, Family(family.head, family.kind))
        for sample, value in family.samples.items():
            former = found.samples.get(sample)
            if former is None:
                found.samples[sample] = value
            elif name in _LEAST or name in _MOST:
                found.samples[sample] = min(former, value) if name in _LEAST else max(former, value)
            else:
                found.samples[sample] = former + value


def written(families: Families) -> str:
    """The text again."""
    return "".join("".join(f"{line}\n" for line in [*family.head, *_samples(family)]) for family in families.values())


def _samples(family: Family) -> Iterable[str]:
    return (f"{sample} {value!r}" for sample, value in family.samples.items())
