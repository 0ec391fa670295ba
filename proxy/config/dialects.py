"""Dialect files → one specification each, which knows where every part of it was written.

`extends` takes over all that a file does not say itself, part by part:

- `auth`, `forward`, `relay`, and each entry of `headers`, `rate_limits`, `tables`, `schemas`, `defs` and `errors` is one part;
  of an operation, its `path` and the like, and each entry of its `request`, `response` and `stream`. A part that is given
  replaces the other's; a part that is null is taken away.
- `traits`: own rows come before the other's.
- `dialect`, `provider`, `sources` are never taken over; `only` names the operations that are.
"""

from __future__ import annotations

from collections.abc import Container, Iterator, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from proxy.config import schema
from proxy.config.diagnostics import in_order, locate, suggest
from proxy.config.files import DIALECTS
from proxy.config.yaml import Document, parse
from proxy.dialect import Dialect, compile_dialect
from proxy.errors import ConfigError, Diagnostic, Fault, FaultError, SpecPath

_MAPS = frozenset(("headers", "rate_limits", "tables", "schemas", "defs", "errors"))
_DIRECTIONS = frozenset(("request", "response", "stream"))
_OWN = frozenset(("dialect", "provider", "sources", "extends", "only"))
_TAKEN_OUT = frozenset(("extends", "only", "sources"))

#: Faults that are put right at once, so that the others are found too.
_MENDED = frozenset(("unknown-key", "dialect-name"))

#: A document and a place in it.
Origin = tuple[Document, SpecPath]


@dataclass(frozen=True, slots=True)
class Spec:
    """A dialect's parts by their places, and where each was written."""

    name: str
    parts: Mapping[SpecPath, Any]
    origins: Mapping[SpecPath, Origin]
    provider: str | None  # as its own file says

    @property
    def operations(self) -> tuple[str, ...]:
        """The names of its operations."""
        return tuple(dict.fromkeys(str(path[1]) for path in self.parts if path[0] == "operations"))

    def value(self) -> dict[str, Any]:
        """The whole specification, as `compile_dialect` takes it."""
        whole: dict[str, Any] = {}
        for path in sorted(self.parts, key=len):
            place = whole
            for step in path[:-1]:
                place = place.setdefault(str(step), {})
            place[str(path[-1])] = self.parts[path]
        return whole

    def diagnostic(self, fault: Fault) -> Diagnostic:
        """Where in which file a fault of the whole specification was written."""
        document, place = self.origin(fault.path)
        return locate(document, replace(fault, path=place))

    def origin(self, path: SpecPath) -> Origin:
        """The file and the place in it where a place of the whole specification was written, or the first part of it."""
        for length in range(len(path), 0, -1):
            if path[:length] in self.origins:
                document, place = self.origins[path[:length]]
                return document, place + path[length:]
        for part, (document, place) in self.origins.items():
            if part[: len(path)] == path:
                return document, place[: len(place) - len(part) + len(path)]
        return next(iter(self.origins.values()))[0], ()

    def changed(self, parts: Mapping[SpecPath, Any], origins: Mapping[SpecPath, Origin], without: Container[SpecPath] = ()) -> Spec:
        """The same with some parts put in (one that is None is taken out), and without others."""
        whole = {**self.parts, **parts}
        kept = {path: part for path, part in whole.items() if path not in without and part is not None}
        return replace(self, parts=kept, origins={**self.origins, **origins})

    @property
    def shipped(self) -> bool:
        """Whether all of it comes with Samewire, whose tests compile it."""
        return all(document.shipped for document in {id(document): document for document, _ in self.origins.values()}.values())

    def compile(self, operations: Container[str] | None = None, *, later: bool = False) -> Dialect:
        """Raises ConfigError with every fault, each where it was written. `later`: operations wait until they are used."""
        try:
            return compile_dialect(self.value(), operations=operations, later=later)
        except FaultError as error:
            raise ConfigError(in_order(map(self.diagnostic, error.faults))) from None

    def faults(self) -> tuple[Diagnostic, ...]:
        """What `compile` would raise."""
        try:
            self.compile()
        except ConfigError as error:
            return tuple(error.diagnostics)
        return ()


@dataclass(eq=False)
class Shelf:
    """All dialects that can be named: the configuration's own (name → path; None for one whose file is not there), and Samewire's.

    `diagnostics` grows with what is wrong in the files that were read; `files` are those files.
    """

    own: Mapping[str, Path | None] = field(default_factory=dict)
    diagnostics: list[Diagnostic] = field(default_factory=list)
    files: list[Path] = field(default_factory=list)
    _read: dict[tuple[str, bool], Spec | None] = field(default_factory=dict)

    def __contains__(self, name: str) -> bool:
        return name in self.own or _shipped(name) is not None

    def names(self) -> list[str]:
        """Every name there is."""
        shipped = [path.stem for path in DIALECTS.iterdir() if path.suffix == ".yaml" or (path / "dialect.yaml").is_file()]
        return sorted({*self.own, *shipped})

    def spec(self, name: str) -> Spec | None:
        """The dialect of that name, read once; None when its files have faults (then they are in `diagnostics`)."""
        return self._spec(name, name in self.own, ())

    def _spec(self, name: str, own: bool, asking: tuple[tuple[str, bool], ...]) -> Spec | None:
        key = (name, own)
        if key not in self._read:
            path = self.own[name] if own else _shipped(name)
            self._read[key] = None if path is None else self._load(name, path, (*asking, key))
        return self._read[key]

    def _load(self, name: str, path: Path, asking: tuple[tuple[str, bool], ...]) -> Spec | None:
        documents = self._documents(path)
        faulty = any(
            found.severity == "error" and found.code not in _MENDED for document in documents.values() for found in document.faults
        )
        main = documents[""]
        for document in documents.values():
            self.diagnostics += document.faults
        if not faulty and main.value["dialect"] != name:
            message = f"this dialect is named '{name}' where it is used"
            self.diagnostics.append(
                locate(main, Fault(("dialect",), "dialect-name", message, f"write dialect: {name}", length=len(main.value["dialect"])))
            )
        if faulty:
            return None
        parts, origins = _take_apart(documents)
        spec = Spec(name, parts, origins, main.value.get("provider"))
        if "extends" in main.value:
            return self._extend(spec, main, asking)
        return self._whole(spec.changed({}, {}))

    def _extend(self, spec: Spec, main: Document, asking: tuple[tuple[str, bool], ...]) -> Spec | None:
        name = main.value["extends"]
        own = name in self.own and name != spec.name  # a dialect that extends its own name means Samewire's
        if (name, own) in asking or (not own and _shipped(name) is None):
            fault = Fault(("extends",), "unknown-dialect", f"there is no dialect '{name}'", suggest(name, self.names()), length=len(name))
            if (name, own) in asking:
                fault = Fault(("extends",), "dialect-cycle", f"'{name}' extends itself, by way of this", length=len(name))
            self.diagnostics.append(locate(main, fault))
            return None
        parent = self._spec(name, own, asking)
        if parent is None:
            return None
        for position, operation in enumerate(main.value.get("only", ())):
            if operation not in parent.operations:
                hint = suggest(operation, parent.operations)
                message = f"the dialect '{name}' has no operation '{operation}'"
                self.diagnostics.append(locate(main, Fault(("only", position), "unknown-operation", message, hint, length=len(operation))))
        return self._whole(_merge(parent, spec, main.value.get("only")))

    def _whole(self, spec: Spec) -> Spec | None:
        faults = [
            Fault(("operations", name), "missing-key", f"the operation '{name}' has no path")
            for name in spec.operations
            if ("operations", name, "path") not in spec.parts
        ]
        self.diagnostics += map(spec.diagnostic, faults)
        return None if faults else spec

    def _documents(self, path: Path) -> dict[str, Document]:
        """The main file under "", and those of a folder by operation; each checked by itself."""
        main, folder = (path / "dialect.yaml", sorted(path.glob("*.yaml"))) if path.is_dir() else (path, [])
        documents = {"": self._document(main, "")}
        documents |= {file.stem: self._document(file, file.stem) for file in folder if file != main}
        return documents

    def _document(self, path: Path, operation: str) -> Document:
        document = read(path)
        self.files.append(path)
        if not document.faults and not document.shipped:  # what comes with Samewire is judged by its tests
            whole = {"dialect": "x", "operations": {operation: document.value}} if operation else document.value
            depth = 2 if operation else 0
            faults = [replace(fault, path=fault.path[depth:]) for fault in schema.check(whole, "dialect")]
            document.faults += [locate(document, fault) for fault in faults]
            for fault in faults:
                if fault.code == "unknown-key":
                    schema.remove(document.value, fault.path)
        return document


def read(path: Path) -> Document:
    """A dialect file as it stands. A file that cannot be read is a document with that fault."""
    try:
        document = parse(read_text(path), shown(path))
        document.shipped = path.is_relative_to(DIALECTS)
        return document
    except ValueError as error:
        document = Document(shown(path), "")
        document.faults.append(document.diagnostic(0, "missing-file", f"cannot read this file: {error}"))
        return document


def read_text(path: Path) -> str:
    """A file of UTF-8 text; ValueError with the reason."""
    try:
        return path.read_text(encoding="utf-8")
    except OSError as error:
        raise ValueError(error.strerror) from None
    except UnicodeDecodeError as error:
        raise ValueError(f"it is not UTF-8 (byte {error.start})") from None


def compile_file(path: Path) -> Dialect:
    """The dialect in a file or folder, under its own name. Raises ConfigError with every fault."""
    main = read(path / "dialect.yaml" if path.is_dir() else path)
    name = main.value.get("dialect") if isinstance(main.value, dict) else None
    shelf = Shelf({name if isinstance(name, str) else path.stem: path})
    spec = shelf.spec(next(iter(shelf.own)))
    if spec is not None and not shelf.diagnostics:
        return spec.compile()
    if spec is not None:
        shelf.diagnostics += spec.faults()
    raise ConfigError(in_order(shelf.diagnostics))


def _shipped(name: str) -> Path | None:
    if not name.replace("-", "").replace("_", "").isalnum():
        return None
    file, folder = DIALECTS / f"{name}.yaml", DIALECTS / name
    if file.is_file():
        return file
    return folder if (folder / "dialect.yaml").is_file() else None


def shown(path: Path) -> str:
    """The path as a person in the current folder would write it."""
    here = Path.cwd()
    return str(path.relative_to(here)) if path.is_relative_to(here) else str(path)


def _take_apart(documents: Mapping[str, Document]) -> tuple[dict[SpecPath, Any], dict[SpecPath, Origin]]:
    parts: dict[SpecPath, Any] = {}
    origins: dict[SpecPath, Origin] = {}
    for operation, document in documents.items():
        above: SpecPath = ("operations", operation) if operation else ()
        for path, part in _operation(document.value, ()) if operation else _sections(document.value):
            parts[above + path] = part
            origins[above + path] = (document, path)
    return parts, origins


def _sections(value: Mapping[str, Any]) -> Iterator[tuple[SpecPath, Any]]:
    for key, section in value.items():
        if key in _TAKEN_OUT or key.startswith("x-"):
            continue
        if key in _MAPS:
            yield from (((key, name), part) for name, part in section.items())
        elif key == "operations":
            for name, operation in section.items():
                yield from _operation(operation, ("operations", name))
        else:
            yield (key,), section


def _operation(operation: Mapping[str, Any] | None, path: SpecPath) -> Iterator[tuple[SpecPath, Any]]:
    if not operation:
        yield path, operation
        return
    for key, part in operation.items():
        if key in _DIRECTIONS and part:
            yield from (((*path, key, name), inner) for name, inner in part.items())
        else:
            yield (*path, key), part


def _merge(parent: Spec, child: Spec, only: list[str] | None) -> Spec:
    gone = {path for path, part in child.parts.items() if part is None}

    def kept(path: SpecPath) -> bool:
        if path[0] in _OWN or path[:1] in child.parts or any(path[:length] in gone for length in range(1, len(path) + 1)):
            return False
        return only is None or path[0] != "operations" or path[1] in only

    parts = {path: part for path, part in parent.parts.items() if kept(path)}
    origins = {path: origin for path, origin in parent.origins.items() if kept(path)}
    parts |= {path: part for path, part in child.parts.items() if part is not None}
    merged = Spec(child.name, parts, origins | dict(child.origins), child.provider)
    if ("traits",) in child.parts and ("traits",) in parent.parts:
        return merged.changed(*_traits(child, parent))
    return merged


def _traits(first: Spec, then: Spec) -> tuple[dict[SpecPath, Any], dict[SpecPath, Origin]]:
    """The first dialect's rows, then the other's; each row keeps its origin."""
    own, others = first.parts[("traits",)], then.parts[("traits",)]
    return {("traits",): own + others}, {("traits", len(own) + index): then.origin(("traits", index)) for index in range(len(others))}
