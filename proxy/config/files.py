"""Where files lie that come with Samewire, and which configuration is taken when none is named."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

_PACKAGE = Path(__file__).parent.parent

#: Samewire's own dialects: `<name>.yaml`, or `<name>/dialect.yaml` with a file for each operation.
DIALECTS = _PACKAGE / "dialects" / "upstream"

#: The languages that clients speak: `<name>.yaml`.
CLIENT_DIALECTS = _PACKAGE / "dialects" / "client"

#: The recordings that `demo:` names.
DEMOS = _PACKAGE / "demo" / "recordings"


def shipped(name: str) -> Path:
    """A file that comes with Samewire: in `data` in an installed package, in the project's root in a checkout."""
    packaged = _PACKAGE / "data" / name
    return packaged if packaged.exists() else _PACKAGE.parent / name


def find_default(environ: Mapping[str, str]) -> Path:
    """The configuration when none is named: $SAMEWIRE_CONFIG, else ./routes.yaml, else the one that comes with Samewire."""
    named = environ.get("SAMEWIRE_CONFIG")
    if named:
        return Path(named)
    here = Path("routes.yaml")
    return here if here.is_file() else shipped("routes.yaml")
