"""The shift case study, from its own script."""

from __future__ import annotations

import importlib.util
from pathlib import Path

import pytest

import stnopt

FOLDER = Path(__file__).parents[2] / "case_studies" / "shift"


@pytest.fixture(scope="module")
def study():
    spec = importlib.util.spec_from_file_location("shift_study", FOLDER / "run.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.mark.long
def test_the_shift(study, capsys):
    problem, morning, afternoon = study.run()
    plant = stnopt.read_network(FOLDER / "paint.yaml")
    assert len(plant.tasks) == 9
    assert len(problem.orders) == 6
    assert stnopt.find_violations(morning.schedule, plant) == []
    assert stnopt.find_violations(afternoon.schedule, afternoon.plant) == []
    # By 14:00 the last of the blue paste that B2 takes cannot have been filled (README).
    assert morning.missing == pytest.approx(1.0)
    missed = [s.order.id for s in morning.schedule.orders if s.missing]
    assert missed == ["B2"]
    assert all(s.lateness(8) <= 1e-6 for s in morning.schedule.orders if s.order.id != "B2")
    started = [b for b in morning.schedule.batches if b.start <= 3]
    (late,) = (b for b in started if b not in afternoon.schedule.batches)
    assert any(
        (b.unit, b.start, round(b.finish - late.finish, 6)) == (late.unit, late.start, 0.666667)
        for b in afternoon.schedule.batches
    )
    for batch in morning.schedule.batches:
        if 3 < batch.start < 4 and batch not in afternoon.moved:
            assert batch in afternoon.schedule.batches
    printed = capsys.readouterr().out
    assert "05:10  06:40  Mixer2   MixB          200" in printed
    assert "not by then" in printed
