"""The case study's files are sound, and its script runs (small)."""

from __future__ import annotations

import importlib.util
import json
from pathlib import Path
from typing import TYPE_CHECKING

import one_reactor
import pytest

import stnopt

if TYPE_CHECKING:
    from types import ModuleType

FOLDER = Path(__file__).parents[2] / "case_studies" / "planning"


@pytest.fixture
def study() -> ModuleType:
    spec = importlib.util.spec_from_file_location("planning_case_study", FOLDER / "run.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.mark.parametrize(
    ("name", "periods", "sites"), [("one_site", 12, 1), ("two_sites", 12, 2), ("season", 52, 1)]
)
def test_its_problems_are_read(study: ModuleType, name: str, periods: int, sites: int):
    problem = stnopt.read_planning_problem(FOLDER / f"{name}.yaml")
    assert (len(problem.periods), len(problem.facilities)) == (periods, sites)
    assert name in study.GAPS
    # by sums, what is wanted can be met, late or at a loss
    model = stnopt.build_planning_model(problem)
    assert stnopt.solve(model, relative_gap=1e-3).status is stnopt.Status.OPTIMAL


def test_its_script_plans_and_tells(
    study: ModuleType,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
):
    content = {"planning": one_reactor.document((10, 20), (30, 15))}
    (tmp_path / "one_site.yaml").write_text(json.dumps(content))
    monkeypatch.setattr(study, "HERE", tmp_path)
    found = study.run(["one_site"])
    assert found["one_site"].verified
    printed = capsys.readouterr().out
    assert "one_site: 2 weeks at main" in printed
    assert "The plan holds." in printed
    assert "none below" in printed
