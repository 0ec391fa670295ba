"""`samewire test`."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from proxy.cli.cases import Case, CaseError
from proxy.cli.configuration import counted, report
from proxy.cli.output import paint, print_json, say
from proxy.config.dialects import compile_file
from proxy.dialect import Dialect
from proxy.errors import ConfigError

#: Differences shown of one case.
SHOWN = 8


def run(arguments: argparse.Namespace) -> int:
    """Runs the samples beside each dialect. 1 when one fails, when there are none, or when a dialect has faults."""
    results: dict[str, list[str]] = {}
    for folder in map(Path, arguments.folder):
        try:
            results |= _run_folder(folder)
        except ConfigError as error:
            report(error.diagnostics)
            return 1
        except CaseError as error:
            say(f"{folder}: {error}", "red")
            return 1
    if arguments.json:
        print_json([{"case": case, "ok": not problems, "problems": problems} for case, problems in results.items()])
    else:
        _print(results)
    return 1 if any(results.values()) else 0


def _run_folder(place: Path) -> dict[str, list[str]]:
    """Problems by case. Raises ConfigError, CaseError."""
    file = _dialect_file(place)
    dialect = compile_file(file)
    samples = (file if file.is_dir() else file.parent) / "samples"
    folders = sorted({path.parent for path in samples.glob("*/*/*") if path.is_file()})
    if not folders:
        raise CaseError(f"there are no samples: put them into {samples}/<operation>/<case>/")
    return {str(folder): _problems(folder, dialect) for folder in folders}


def _dialect_file(place: Path) -> Path:
    """The dialect that is meant by a folder with dialect.yaml in it, a file, or a folder with one file."""
    if place.is_file() or (place / "dialect.yaml").is_file():
        return place
    files = sorted(place.glob("*.yaml"))
    if len(files) != 1:
        raise CaseError("this is neither a dialect's file, nor a folder with dialect.yaml or one other .yaml in it")
    return files[0]


def _problems(folder: Path, dialect: Dialect) -> list[str]:
    try:
        return Case.read(folder, dialect).problems()
    except (CaseError, ValueError) as error:
        return [str(error)]


def _print(results: dict[str, list[str]]) -> None:
    for case, problems in results.items():
        print(f"{paint('failed', 'red', sys.stdout) if problems else paint('ok', 'green', sys.stdout):6}  {case}")
        for problem in problems[:SHOWN]:
            print(f"        {problem}")
        if len(problems) > SHOWN:
            print(f"        … and {len(problems) - SHOWN} more")
    failed = sum(map(bool, results.values()))
    print(f"{counted(len(results) - failed, 'sample')} ok, {failed} failed")
