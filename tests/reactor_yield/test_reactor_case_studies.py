"""The case studies, run small, from their own scripts."""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

FOLDER = Path(__file__).parents[2] / "case_studies"


def _load(name):
    spec = importlib.util.spec_from_file_location(f"{name}_study", FOLDER / name / "run.py")
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module  # dataclasses look their module up
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="module")
def plan():
    return _load("reactor_to_plan")


def test_mass_in_is_mass_out(plan):
    for product_yield, conversion in ((0.8, 0.98), (1.0, 1.0), (0.3, 0.5)):
        fractions = plan.outlet_mass_fractions(product_yield, conversion)
        assert sum(fractions.values()) == pytest.approx(1.0, abs=1e-12)
        assert min(fractions.values()) >= 0
    by_hand = plan.outlet_mass_fractions(1.0, 1.0)
    assert by_hand["C"] == pytest.approx(5 * 60 / 300)


def test_mass_fractions_are_the_simulators(plan):
    """The outlet from yield and conversion alone against the flows themselves."""
    row = plan.ry.simulate_reactor(dict(plan.MODE_1.mean)).iloc[0]
    fractions = plan.outlet_mass_fractions(row["Yc"], row["Xa"])
    mass = {"A": 28.0, "B": 16.0, "C": 60.0, "D": (2 * 28 + 3 * 60) / 3}
    flows = {s: row[f"F{s.lower()}_out"] * mass[s] for s in mass}
    total = sum(flows.values())
    assert total == pytest.approx(300.0)
    for species, fraction in fractions.items():
        assert fraction == pytest.approx(flows[species] / total, abs=1e-9)


def test_reactor_batch_time_is_amount_over_throughput(plan):
    plant = plan.build_plant(0.8, 0.98)
    reactor = next(s for s in plant.suitabilities if s.unit == "Reactor")
    assert reactor.duration(36.0) == pytest.approx(36.0 / 18.0)


@pytest.mark.long
def test_operating_point_is_safe_and_planned(plan, tmp_path, monkeypatch):
    monkeypatch.setattr(plan, "N_GRID", 7)
    monkeypatch.setattr(plan, "LEAST_CONVERSION", 0.95)
    monkeypatch.setattr(plan, "HORIZON", 6.0)
    monkeypatch.setattr(plan, "DEMAND", {"Mon": 20.0, "Tue": 30.0})
    summary = plan.main(tmp_path, n_draws=1_500, n_rows=2_000)
    best = summary["points"][0]
    assert best["true"]["T_max"] < 750
    for point in summary["points"]:
        for exceeded, drawn in point["exceeded"].values():
            assert exceeded <= 0.01 * drawn
    assert summary["chances"]["lower"] > 0.85
    assert summary["chances"]["mean"] < 0.7
    assert summary["yield_short_of_best"] < 0.01
    assert 0.1 < summary["unsafe_share"] < 0.9
    mean, lower = (summary["plans"][k] for k in ("mean", "lower"))
    assert mean["verified"]
    assert lower["verified"]
    assert lower["cost"] > mean["cost"] > 0
    assert lower["chances"]["day"] > 0.7
    assert lower["chances"]["deliveries"] > mean["chances"]["deliveries"] + 0.2
    for name in ("operating_window.png", "network.png", "gantt.png", "plan.png", "summary.json"):
        assert (tmp_path / name).stat().st_size > 0


def test_a_week_is_met_as_often_as_its_batches_allow(plan):
    """One batch a day, half of them good: by hand, a day in 1 of 2, the sum in 3 of 4."""
    batches = [plan.so.Batch("React", "Reactor", 0, 1, 10.0)]
    batches.append(plan.so.Batch("Separate", "Still", 1, 2, 10.0))
    schedule = plan.so.Schedule(batches=tuple(batches), final_stock={}, horizon=2.0)
    days = ("Mon", "Tue")
    checks = tuple(
        SimpleNamespace(period=day, planned={"C": 4.0}, schedule=schedule) for day in days
    )
    week = plan.Week(
        which="lower",
        problem=SimpleNamespace(periods=days),
        search=SimpleNamespace(
            plan=SimpleNamespace(shipments={("site", "market", d, "C"): 4.0 for d in days}),
            verification=SimpleNamespace(checks=checks),
        ),
    )
    # A batch makes 3 or 6 of 10: 6 on Monday leaves 2, so that 3 on Tuesday will do.
    week.simulate_chances(np.tile([[0.3], [0.6]], (20_000, 1)))
    assert week.chances["day"] == pytest.approx(1 / 2, abs=0.01)
    assert week.chances["total"] == pytest.approx(3 / 4, abs=0.01)
    assert week.chances["deliveries"] == pytest.approx(1 / 2, abs=0.01)


@pytest.mark.long
def test_the_reactor_study_runs_small(tmp_path):
    _load("reactor").main(tmp_path, n_rows=500, days=(4, 5, 8), kind="gp")
    written = {p.name for p in tmp_path.iterdir()}
    assert {"data.html", "drift.html", "drift.json", "model.zip", "prepared"} <= written
    assert {"profiles.png", "yield.png", "runaway.png", "low_yield_causes.csv"} <= written
