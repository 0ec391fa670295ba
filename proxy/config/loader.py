"""One file (and the dialects it names) → one Config, or every fault that was found."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from proxy.config import schema
from proxy.config.client_dialects import load_client_dialects
from proxy.config.diagnostics import locate
from proxy.config.dialects import Shelf, Spec, read_text, shown
from proxy.config.model import Config, Provider, Route
from proxy.config.overrides import OVERRIDES
from proxy.config.providers import Providers, served_operations
from proxy.config.report import Report
from proxy.config.routes import Routes, aims
from proxy.config.server import build_server
from proxy.config.variables import Variables
from proxy.config.yaml import FATAL, Document, parse
from proxy.errors import ConfigError, Diagnostic, Fault, SpecPath

#: Names below these may stand for nothing yet: an empty entry is a fault, while an empty field is a field left out.
_NAMED = ("providers", "dialects")
_DATA = ("default", "set")

#: Without these, nothing can be said about the rest of an entry.
_ESSENTIAL = frozenset(("base_url", "demo", "dialect", "model", "operations", "to"))


def load(path: Path, environ: Mapping[str, str], *, check: bool = False) -> Config:
    """Reads a configuration. With `check` everything that it could use is looked at, also what no key makes usable.

    Raises ConfigError with all faults, warnings too. Warnings alone are in `Config.diagnostics`.
    """
    variables = Variables(environ, path.parent)
    document = read_config(path, variables)
    loader = _Loader(path, document, variables, Report(document, list(document.faults)), check)
    return loader.config()


def read_config(path: Path, variables: Variables) -> Document:
    """The file with its variables filled in; a file that cannot be read raises ConfigError."""
    try:
        text = read_text(path)
    except ValueError as error:
        raise ConfigError([Diagnostic(shown(path), 1, 1, "missing-file", f"cannot read this file: {error}")]) from None
    return parse(text, shown(path), variables.converter(verbatim=_is_mapping, lenient=_is_key, text=_is_text))


def _is_mapping(path: SpecPath) -> bool:
    """Mapping text, where $ means other things."""
    return len(path) > 2 and path[0] == "providers" and path[2] in OVERRIDES


def _is_key(path: SpecPath) -> bool:
    """A provider's key: a variable that is not set switches the key off, and with the last one the provider."""
    return path[:1] == ("providers",) and (path[2:] == ("key",) or (len(path) == 4 and path[2] == "keys"))


def _is_text(path: SpecPath) -> bool:
    """Where digits are text all the same."""
    return _is_key(path) or path[-2:-1] == ("headers",)


def without_nulls(value: Any, path: SpecPath = ()) -> Any:
    """A field with nothing behind its colon counts as left out; data and mapping text stay as they are."""
    if _is_mapping((*path, "")) or path[-1:] in [(key,) for key in _DATA]:
        return value
    if isinstance(value, dict):
        named = len(path) == 1 and path[0] in _NAMED
        return {key: without_nulls(part, (*path, key)) for key, part in value.items() if part is not None or named}
    if isinstance(value, list):
        return [without_nulls(part, (*path, index)) for index, part in enumerate(value)]
    return value


@dataclass(eq=False)
class _Loader:
    path: Path
    document: Document
    variables: Variables
    report: Report
    check: bool

    def config(self) -> Config:
        value = self.checked()
        names = value.get("providers", {})
        shelf = self.shelf(value.get("dialects", {}))
        providers = self.providers(names, value.get("routes", []), shelf)
        routes = self.routes(value, names, providers, shelf)
        server, keys = build_server(value.get("server", {}), self.report)
        if self.check:
            self.check_dialects(shelf)
        self.report.found += shelf.diagnostics
        if self.report.failed:
            raise ConfigError(self.report.sorted())
        files = (self.path, *self.variables.files, *shelf.files)
        return Config(self.path, value["version"], server, keys, providers, routes, self.report.sorted(), files)

    def checked(self) -> dict[str, Any]:
        """The document after variables and schema, without the entries that have faults."""
        if any(found.code in FATAL for found in self.document.faults):
            raise ConfigError(self.report.sorted())
        value = without_nulls(self.document.value)
        faults = list(self.variables.faults)
        places = {fault.path for fault in faults}
        faults += [fault for fault in schema.check(value, "routes") if fault.path not in places]
        self.report.found += [locate(self.document, fault) for fault in faults]
        if not isinstance(value, dict):
            raise ConfigError(self.report.sorted())
        for fault in faults:
            if fault.severity == "error":
                _take_out(value, fault)
        return value

    def shelf(self, dialects: Mapping[str, str]) -> Shelf:
        own: dict[str, Path | None] = {}
        for name, place in dialects.items():
            own[name] = None
            if not place:  # taken out
                continue
            path = self.path.parent / place
            file = path / "dialect.yaml" if path.is_dir() else path
            if file.is_file():
                own[name] = path
            else:
                self.report.add(("dialects", name), "missing-file", f"there is no file {shown(file)}", length=len(place))
        return Shelf(own)

    def providers(self, names: Mapping[str, Any], routes: list[Any], shelf: Shelf) -> dict[str, Provider]:
        lent = {aim.provider for entry in routes if entry and entry.get("credential") == "client" for aim in aims(entry, ())}
        builder = Providers(self.report, shelf, self.path.parent, self.variables.missing, lent, self.check)
        built = {name: builder.build(name, entry) for name, entry in names.items() if entry}
        return {name: provider for name, provider in built.items() if provider is not None}

    def routes(
        self, value: Mapping[str, Any], names: Mapping[str, Any], providers: Mapping[str, Provider], shelf: Shelf
    ) -> tuple[Route, ...]:
        specs = {name: shelf.spec(entry.get("dialect", "openai")) for name, entry in names.items() if name in providers}
        operations = {name: _served(names[name], spec) for name, spec in specs.items() if spec}
        builder = Routes(self.report, names, providers, operations)
        built = [found for position, entry in enumerate(value.get("routes", [])) if entry for found in builder.build(position, entry)]
        builder.shadowed(built)
        routes = [route for _, route in built]
        if value.get("provider_prefix"):
            routes += builder.implied()
        return tuple(routes)

    def check_dialects(self, shelf: Shelf) -> None:
        """Every dialect there is, used or not."""
        for name in shelf.names():
            spec = shelf.spec(name)
            self.report.found += spec.faults() if spec else ()


def _served(entry: Mapping[str, Any], spec: Spec) -> tuple[str, ...]:
    """What clients may ask of a provider: what its host has, and what can be translated to that."""
    own = served_operations(entry, spec.operations)
    translated = load_client_dialects().translated
    return tuple(dict.fromkeys((*own, *(name for name, by in translated.items() if by in own))))


def _take_out(value: dict[str, Any], fault: Fault) -> None:
    """Takes out as little as makes the rest whole: an unknown key, a field that may be left out, or else the entry (its name stays)."""
    path = fault.path
    if fault.code == "unknown-key":
        schema.remove(value, path)
    elif path[:1] == ("server",):
        schema.remove(value, path[:2])
    elif len(path) > 2 and path[2] not in _ESSENTIAL:
        schema.remove(value, path[:3])
    elif len(path) > 1 and path[0] in value:
        value[str(path[0])][path[1]] = {}
    elif path:
        schema.remove(value, path[:1])
