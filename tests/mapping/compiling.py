"""Short ways to compile and run one piece of the mapping language."""

from collections import defaultdict
from typing import Any

from proxy.dialect import Dialect, compile_dialect, read_pieces
from proxy.mapping.code import Env, Numbers, Pieces, Value, names
from proxy.mapping.context import Context
from proxy.mapping.faults import Faults
from proxy.mapping.mappings import prepare
from proxy.mapping.rewrites import Rewrites


def dialect(**parts: Any) -> Dialect:
    """A dialect of one operation, chat."""
    shared = {key: parts.pop(key) for key in ("tables", "schemas", "defs", "errors", "traits") if key in parts}
    return compile_dialect({"dialect": "test", **shared, "operations": {"chat": {"path": "/chat", **parts}}})


def evaluate(template: Any, given: Any, spec: dict[str, Any] | None = None, variables: dict[str, Any] | None = None, **context: Any) -> Any:
    """The template's result over a document; faults raise."""
    pieces: Pieces = read_pieces(spec or {}, Faults())
    source = Rewrites(pieces)
    root = Value("document", absent=False)
    env = Env(root, root, {**names(), "s": Value("memory", absent=False, kind="dict")}, stateful=True)
    source.constants["ordinals"] = defaultdict(Numbers)
    source.line("memory = {}")
    env = prepare(source, {"vars": variables or {}}, (), env)
    value = source.template(template, ("test",), env)
    source.line(f"return {value.code}")
    pieces.faults.raise_if_any()
    return source.function("evaluate", "document, context")(given, Context(model="m", **context))
