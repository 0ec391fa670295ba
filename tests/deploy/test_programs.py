"""A program that is not there: a reason elsewhere, a failure in CI."""

from __future__ import annotations

import pytest

from tests.deploy.programs import program

REASON = r"no-such-program is not installed \(Debian: apt-get install no-such-package\)"


@pytest.mark.parametrize(
    ("ci", "outcome"),
    [("true", pytest.fail.Exception), ("1", pytest.fail.Exception), ("", pytest.skip.Exception), ("false", pytest.skip.Exception)],
)
def test_a_missing_program(monkeypatch: pytest.MonkeyPatch, ci: str, outcome: type[BaseException]) -> None:
    monkeypatch.setenv("CI", ci)
    with pytest.raises(outcome, match=REASON):
        program("no-such-program", "no-such-package")
