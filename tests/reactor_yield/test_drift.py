"""Drift against draws whose truth is known."""

from __future__ import annotations

import json

import numpy as np
import pandas as pd
import pytest

from reactor_yield import DriftReport, detect_drift, fit_yield_model, generate_dataset
from reactor_yield.data.dataset import draw_conditions
from reactor_yield.errors import InvalidConditionsError
from reactor_yield.monitoring.two_samples import holm, population_stability_index


@pytest.fixture(scope="module")
def reference():
    return draw_conditions(10_000)


def test_few_false_alarms_on_the_same_distribution(reference):
    alarms = sum(
        detect_drift(reference, draw_conditions(800, seed=100 + s)).drifted for s in range(40)
    )
    assert alarms <= 2


def test_new_data_drift_in_five_columns_and_the_mix(reference):
    report = detect_drift(reference, draw_conditions(5_000, seed=1, new=True))
    assert isinstance(report, DriftReport)
    for mode in ("mode 1", "mode 2"):
        assert set(report.drifted_columns(mode)) == {"Fao", "Fbo", "P", "To", "Cto"}
    assert report.mode_shares["mode 3"] == (0.1, 0.0)
    assert report.causes[0].startswith("the mix of operating modes changed: mode 1 60 % -> 50 %")
    assert {"m", "Ta"} <= set(report.drifted_columns())
    mixture = [c for c in report.causes if c.startswith("m:")]
    assert mixture[0].endswith(
        "no mode by itself shows it, so the changed mix of modes explains it"
    )


def test_a_changed_spread_is_drift_though_the_mean_stays():
    """Cto's mean is the same in the new data; the Kolmogorov-Smirnov test alone misses it."""
    rng = np.random.default_rng(0)
    old = pd.DataFrame({"x": rng.normal(0, 1, 6000)})
    now = pd.DataFrame({"x": rng.normal(0, 0.9, 2500)})
    report = detect_drift(old, now, features=("x",))
    assert report.drifted_columns() == ("x",)
    assert report.mode_p_value is None


def test_predictions_and_errors_are_watched_with_a_model(data):
    train, holdout = data.iloc[::10], data.iloc[1::10]
    model = fit_yield_model(train, model="forest", n_trees=50)
    same = detect_drift(holdout, data.iloc[2::10], model=model)
    assert not same.drifted
    assert {"prediction", "error"} <= {c.column for c in same.columns}
    new = generate_dataset(1_000, seed=5, new=True)
    drifted = detect_drift(holdout, new, model=model)
    assert {"prediction", "error"} <= set(drifted.drifted_columns())
    better = holdout.assign(Yc=model.predict(holdout)["Yc"])
    assert "error" not in detect_drift(holdout, better, model=model).drifted_columns()
    without_labels = detect_drift(holdout, new.drop(columns="Yc"), model=model)
    assert "error" not in {c.column for c in without_labels.columns}


def test_report_is_plain_json(reference, tmp_path):
    report = detect_drift(reference, draw_conditions(500, seed=9))
    report.to_json(tmp_path / "drift.json")
    content = json.loads((tmp_path / "drift.json").read_text())
    assert content["drifted"] is report.drifted
    assert len(content["columns"]) == len(report.to_frame())


def test_stability_index_by_hand():
    """Two bins 50/50 against 25/75: (0.25-0.5) ln(0.5) + (0.75-0.5) ln(1.5) = 0.2747."""
    old = np.arange(100_000.0)
    now = np.concatenate([np.arange(0, 50_000, 2.0), np.arange(50_000, 100_000, 2 / 3)])
    assert population_stability_index(old, now, n_bins=2) == pytest.approx(0.2747, abs=1e-3)
    assert population_stability_index(old, old) == pytest.approx(0, abs=1e-9)


def test_holm_by_hand():
    assert holm([0.01, 0.04, 0.03]) == pytest.approx([0.03, 0.06, 0.06])
    assert holm([0.9, 0.8]) == [1.0, 1.0]


def test_a_mode_that_only_one_side_has_is_named(reference):
    only_first = reference[reference["Mode"] == 1]
    report = detect_drift(only_first, only_first.iloc[::2])
    assert not report.drifted
    assert report.mode_p_value is not None


def test_every_unusable_table_is_named_at_once():
    table = pd.DataFrame({"a": np.arange(30.0), "b": ["x"] * 30})
    with pytest.raises(InvalidConditionsError) as caught:
        detect_drift(table.iloc[:5], table, features=("a", "b", "c"), level=2.0)
    text = str(caught.value)
    assert "level must be between 0 and 1" in text
    assert "the reference data lack ['c']" in text
    assert "have 5 rows; 20 are needed" in text
    assert "missing values or text in ['b']" in text
