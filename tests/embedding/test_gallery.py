"""The gallery's examples run without a warning, and what they find holds outside the model."""

from __future__ import annotations

import runpy
from pathlib import Path

import matplotlib.pyplot as plt
import pytest

from stnopt.solvers.solve import Status

pytestmark = pytest.mark.long  # `make docs` runs them as well
EXAMPLES = Path(__file__).resolve().parents[2] / "docs" / "examples"


@pytest.fixture
def run():
    yield lambda name: runpy.run_path(str(EXAMPLES / name))
    plt.close("all")


def test_the_certified_conditions_are_safe(run, capsys):
    names = run("safe_reactor.py")
    assert names["result"].status is Status.OPTIMAL
    assert (names["peaks"] <= names["LIMIT"]).all()
    assert names["region"].decision(names["chosen"]).max() <= -0.5
    assert "certified" in capsys.readouterr().out


def test_the_certified_settings_give_the_grade(run, capsys):
    names = run("grade_of_three.py")
    assert names["result"].status is Status.OPTIMAL
    assert names["machine"].predict(names["settings"]).tolist() == ["fibre"]
    assert names["plain"].objective <= names["result"].bound
    assert "certified" in capsys.readouterr().out
