"""The gallery's example runs without a warning, and its optimum is safe in the simulator."""

from __future__ import annotations

import runpy
from pathlib import Path

from stnopt.solve import Status

EXAMPLE = Path(__file__).resolve().parents[2] / "docs" / "examples" / "safe_reactor.py"


def test_the_certified_conditions_are_safe(capsys):
    names = runpy.run_path(str(EXAMPLE))
    assert names["result"].status is Status.OPTIMAL
    assert (names["peaks"] <= names["LIMIT"]).all()
    assert names["region"].decision(names["chosen"]).max() <= -0.5
    assert "certified" in capsys.readouterr().out
