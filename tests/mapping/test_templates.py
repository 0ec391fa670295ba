"""Templates and expressions: given, template, result."""

from pathlib import Path

import pytest
import yaml
from compiling import evaluate

CASES = yaml.safe_load((Path(__file__).parent / "templates.yaml").read_text())


@pytest.mark.parametrize("case", CASES, ids=[case["name"] for case in CASES])
def test_template(case):
    result = evaluate(case["template"], case["given"], case.get("spec"), case.get("vars"), **case.get("context", {}))
    assert result == case.get("result")
    assert type(result) is type(case.get("result"))
