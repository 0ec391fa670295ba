"""`$use` → source: a def stands in its place, or is a function for all places that see the same things."""

from __future__ import annotations

from itertools import takewhile
from typing import Any

from msgspec.structs import replace

from proxy.errors import SpecPath
from proxy.mapping.code import Env, Value
from proxy.mapping.operators import Operators, joined
from proxy.mapping.reading import ABSENT


class Defs(Operators):
    """Adds defs to the source."""

    #: How many are functions.
    written = 0

    def op_use(self, spec: dict[Any, Any], path: SpecPath, env: Env) -> Value:
        wanted = spec["$use"]
        if wanted not in self.pieces.defs:
            self.faults.unknown((*path, "$use"), "unknown-name", "def", str(wanted), self.pieces.defs)
            return ABSENT
        if wanted in env.open_defs:
            self.faults.add((*path, "$use"), "recursive-def", f"the def {wanted!r} uses itself")
            return ABSENT
        inner = replace(env, open_defs=(*env.open_defs, wanted))
        item = self.loop_value(spec["$of"], (*path, "$of"), env) if "$of" in spec else env.item
        if item.nothing:
            return ABSENT
        if item.members is not None:
            return self.template(self.pieces.defs[wanted], ("defs", wanted), replace(inner, item=item))
        if not env.stateful and not self.tracing:
            absent = "$of" in spec and item.absent
            if self.takes_content(self.pieces.defs[wanted]) and (item.kind != "str" or item.absent):
                return self.use_content(wanted, ("defs", wanted), replace(inner, item=item))
            return self.call_def(wanted, replace(inner, item=item, conditional=env.conditional or absent), absent)
        if "$of" not in spec or not item.absent:
            return self.template(self.pieces.defs[wanted], ("defs", wanted), replace(inner, item=item))
        name = self.assign("None", "u")
        place = replace(inner, item=replace(item, absent=False), conditional=True)
        value = self.alternative(name, f"if {item.code} is not None", self.pieces.defs[wanted], ("defs", wanted), place)
        return Value(name, absent=value.absent or item.absent, kind=value.kind, reads=value.reads)

    def takes_content(self, spec: Any) -> bool:
        """Whether a def goes through the parts of message content."""
        return isinstance(spec, dict) and isinstance(spec.get("$each"), str) and spec["$each"].split() == [".", "|", "parts"]

    def use_content(self, wanted: str, path: SpecPath, env: Env) -> Value:
        """A def of message content: what is mostly a text is made of it in place."""
        item, name = env.item, self.assign("None", "u")
        found: list[Value] = []

        def of(item: Value) -> None:
            inner = replace(env, item=item, conditional=True)
            value = self.template(self.pieces.defs[wanted], path, inner) if item.kind == "str" else self.call_def(wanted, inner, False)
            self.line(f"{name} = {value.code}")
            found.append(value)

        if item.kind == "str":
            self.branch(f"if {item.code} is not None", lambda: of(replace(item, absent=False)))
            return joined(name, [*found, ABSENT])
        self.branch(f"if type({item.code}) is str", lambda: of(replace(item, kind="str", absent=False)))
        self.branch(f"elif {item.code} is not None", lambda: of(replace(item, absent=False)))
        return joined(name, [*found, ABSENT])

    def acts(self, name: str) -> bool:
        """Whether a def does more than to give its value: refuses, or notes what was used."""
        start = next(place for place, line in enumerate(self.functions) if line.startswith(f"    def {name}("))
        lines = (line.lstrip() for line in self.functions[start + 1 :])
        return any(line.startswith(("raise ", "used |=")) for line in takewhile(lambda line: not line.startswith("def "), lines))

    def call_def(self, wanted: str, env: Env, absent: bool) -> Value:
        """A def as a function, written once for all places that see the same things.

        (In streams a def stands in place: a function would be made anew for each event.)

        What is named by a loop around it (`$pos`, `$as`) is handed over.
        """
        item = env.item
        local = {name: value for name, value in env.names.items() if self.lasting.get(name) is not value}
        kinds = tuple((name, value.kind, value.reads) for name, value in local.items())
        seen = (
            wanted,
            kinds,
            item.kind,
            item.node,
            item.reads,
            item.certain,
            item.family,
            env.rejects,
            env.conditional,
            env.condition,
            self.track,
        )
        if seen not in self.shared:
            self.written += 1
            name = f"d_{self.written}"
            inside = replace(item, code=self.name("i"), absent=item.absent and not absent)
            given = {label: replace(value, code=self.name("g")) for label, value in local.items()}
            with self.aside(f"def {name}({', '.join([inside.code, *(value.code for value in given.values())])})"):
                body = replace(env, item=inside, names={**env.names, **given})
                outer, self.reading = self.reading, set()
                value = self.template(self.pieces.defs[wanted], ("defs", wanted), body)
                self.line(f"return {value.code}")
            self.shared[seen] = (name, value, frozenset(self.reading))
            self.reading = outer
        name, value, reading = self.shared[seen]
        self.reading |= reading
        if value.nothing and item.node is not None and item.node.closed and not self.acts(name):
            return ABSENT
        call = f"{name}({', '.join([item.code, *(each.code for each in local.values())])})"
        code = f"{call} if {item.code} is not None else None" if absent else call
        return replace(value, code=self.assign(code, "u"), absent=value.absent or absent)
