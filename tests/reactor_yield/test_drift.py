"""Drift against draws whose truth is known."""

from __future__ import annotations

import json
import math
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from scipy.signal import lfilter

from reactor_yield import DriftReport, detect_drift, fit_yield_model, generate_dataset
from reactor_yield.data.dataset import draw_conditions
from reactor_yield.errors import InvalidConditionsError, StorageError
from reactor_yield.monitoring.correlation import find_correlation_time
from reactor_yield.monitoring.job import read_history, write_job
from reactor_yield.monitoring.two_samples import holm, population_stability_index


@pytest.fixture(scope="module")
def reference():
    return draw_conditions(10_000)


@pytest.mark.long
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


# Correlated rows, gaps, text, trends


def _correlated(n, rng, rows, names=("Fao", "Fbo", "P", "To", "m", "Ta")):
    """Stationary AR(1) series with a correlation time in rows: nothing drifts."""
    keep = np.exp(-1 / rows) if rows else 0.0
    shocks = rng.standard_normal((n, len(names)))
    shocks[1:] *= np.sqrt(1 - keep**2)
    z = lfilter([1.0], [1.0, -keep], shocks, axis=0)
    return pd.DataFrame(10 + z, columns=list(names))


@pytest.mark.parametrize(
    "rows", [0, *(pytest.param(rows, marks=pytest.mark.long) for rows in (2, 10, 120))]
)
def test_correlated_rows_keep_the_level_or_refuse_it(rows):
    """100 reports each in `benchmarks`: 5, 0, 0 and 2 alarms at level 5 %, refusals at 120 only."""
    alarms = refused = 0
    for seed in range(25):
        table = _correlated(4_000, np.random.default_rng(seed), rows)
        old, now = table.iloc[:2_000], table.iloc[2_000:]
        report = detect_drift(old, now, features=list(table), level=0.05)
        alarms += report.drifted
        refused += bool(report.undecided)
        halved = detect_drift(old, now.assign(Fao=now["Fao"] / 2), features=list(table), level=0.05)
        assert "Fao" in halved.drifted_columns()
    assert alarms <= 4
    assert refused == 0 or rows == 120


@pytest.mark.parametrize(("rows", "worth"), [(2, 4.08), (10, 20.0)])
def test_correlation_time_of_a_known_process(rows, worth):
    """Of AR(1) it is (1 + phi) / (1 - phi)."""
    table = _correlated(40_000, np.random.default_rng(3), rows, ("x",))
    found = find_correlation_time(table["x"].to_numpy()[:20_000], table["x"].to_numpy()[20_000:])
    assert found.rows == pytest.approx(worth, rel=0.1)
    assert found.upper > worth


def test_rows_sorted_by_a_mode_that_has_no_column_are_independent():
    rng = np.random.default_rng(0)
    runs = np.concatenate([rng.normal(m, 1, 300) for m in (0, 8, 3)])
    assert find_correlation_time(runs).rows == 1.0
    assert find_correlation_time(np.cumsum(rng.normal(size=900))).rows > 50


def test_one_gap_silences_nothing(data):
    rows = data.drop(columns="Mode").iloc[::5]
    model = fit_yield_model(rows.iloc[::2], n_trees=20)
    current = rows.iloc[1::2].drop(columns="Yc").assign(Fbo=lambda t: t["Fbo"] / 2)
    gap = current.assign(Fbo=[math.nan, -math.inf, *current["Fbo"].iloc[2:]])
    report = detect_drift(rows.iloc[::2], gap, model=model, features=["m"])
    assert "prediction" in report.drifted_columns()
    assert report.gaps["Fbo"] == (0, 2)
    assert "Fbo: 0 reference and 2 current rows have no reading and are left out" in report.notes
    json.dumps(report.to_dict(), allow_nan=False)


def test_lost_sensors_and_growing_gaps_are_findings(reference):
    now = draw_conditions(600, seed=4)
    lost = detect_drift(reference, now.assign(m=now["m"].where(np.arange(600) < 500)))
    assert any("m: no reading in the last 100 of 600 rows" in cause for cause in lost.causes)
    spread = np.random.default_rng(0).random(600) < 0.2
    gappy = detect_drift(reference, now.assign(m=now["m"].mask(spread)))
    assert any(cause.startswith("m: gaps in 0 %") for cause in gappy.causes)


def test_modes_of_mixed_types_are_one_and_rows_without_a_mode_are_counted(reference):
    now = draw_conditions(600, seed=4)
    text = detect_drift(reference, now.assign(Mode=now["Mode"].astype(int).astype(str)))
    assert not text.drifted
    assert set(text.mode_shares) == {"mode 1", "mode 2", "mode 3"}
    gap = detect_drift(reference, now.assign(Mode=now["Mode"].where(np.arange(600) > 1)))
    assert not gap.drifted
    assert any(note.startswith("2 current rows have no mode") for note in gap.notes)


def test_text_in_lab_values_is_refused_by_row(data):
    rows = data.iloc[::10]
    model = fit_yield_model(rows, n_trees=40)
    with pytest.raises(InvalidConditionsError, match="column 'Yc': '0,5' is not a number"):
        detect_drift(rows, rows.astype({"Yc": object}).assign(Yc="0,5"), model=model)
    with pytest.raises(InvalidConditionsError, match=r"text in \['m'\]; first at row \d+: 'Bad'"):
        detect_drift(rows, rows.astype({"m": object}).assign(m="Bad"))


@pytest.mark.parametrize(
    "kind",
    ["ridge", *(pytest.param(kind, marks=pytest.mark.long) for kind in ("forest", "boosting"))],
)
def test_the_models_own_training_rows_raise_no_alarm(data, kind):
    train, fresh = data.iloc[::8], data.iloc[3::8]
    model = fit_yield_model(train, model=kind, n_trees=50)
    report = detect_drift(train, fresh, model=model)
    assert not report.drifted, report.causes
    drifted = detect_drift(train, fresh.assign(Yc=fresh["Yc"] * 0.8), model=model)
    assert "error" in drifted.drifted_columns()


def test_a_constant_that_moves_is_large_both_ways():
    old = np.full(100, 5.0)
    assert population_stability_index(old, np.full(100, 50.0)) > 5
    assert population_stability_index(old, np.full(100, 0.5)) > 5
    assert population_stability_index(old, old) == 0
    set_point = np.r_[np.full(900, 5.0), np.linspace(4, 6, 100)]
    assert population_stability_index(set_point, set_point + 1e-3) > 1


def test_seasons_and_trends_of_the_reference_are_told_apart_from_drift():
    rng = np.random.default_rng(0)
    days = np.arange(0, 1_100, 1.0)
    year = 10 + 5 * np.sin(2 * np.pi * days / 365.25) + rng.normal(0, 0.5, len(days))
    wear = 0.01 * days + rng.normal(0, 0.5, len(days))
    steady = rng.normal(0, 1, len(days))
    table = pd.DataFrame({"day": days, "Ta": year, "wear": wear, "x": steady})
    old, now = table.iloc[:800], table.iloc[1_000:]
    names = ["Ta", "wear", "x"]
    plain = detect_drift(old, now, features=names)
    assert {"Ta", "wear"} <= set(plain.undecided)
    told = detect_drift(old, now, features=names, time="day")
    assert not told.drifted, told.causes
    explained = {c.column: c.explained for c in told.columns}
    assert "season of a year" in explained["Ta"]
    assert "trend" in explained["wear"]
    assert explained["x"] == ""
    assert any("along the reference's own" in note for note in told.notes)
    hotter = detect_drift(old, now.assign(Ta=now["Ta"] + 3), features=names, time="day")
    assert hotter.drifted_columns() == ("Ta",)
    with pytest.raises(InvalidConditionsError, match="'soon' is no time"):
        detect_drift(
            old, now.astype({"day": object}).assign(day="soon"), features=names, time="day"
        )


def test_categories_are_compared_by_their_shares():
    rng = np.random.default_rng(0)
    old = pd.DataFrame({"lot": rng.choice(["K7", "K8", "M1"], 800, p=[0.5, 0.3, 0.2])})
    same = pd.DataFrame({"lot": rng.choice(["K7", "K8", "M1"], 400, p=[0.5, 0.3, 0.2])})
    other = pd.DataFrame({"lot": rng.choice(["K7", "K8", "M1"], 400, p=[0.2, 0.3, 0.5])})
    assert not detect_drift(old, same, features=["lot"]).drifted
    report = detect_drift(old, other, features=["lot"])
    assert report.causes[0].startswith("lot: shares changed by up to 0.")


def test_the_job_keeps_its_history(reference, tmp_path):
    moment = datetime(2026, 1, 5, 6, tzinfo=UTC)
    for day, new in enumerate((False, True)):
        report = detect_drift(reference, draw_conditions(500, seed=day + 3, new=new))
        written = write_job(report, tmp_path / "runs", now=moment + timedelta(days=day))
    history = read_history(tmp_path / "runs")
    assert history["time"].tolist() == ["2026-01-05 06:00:00", "2026-01-06 06:00:00"]
    assert history["drifted"].tolist() == [False, True]
    assert "Drift found" in Path(written.page).read_text()
    latest = json.loads((tmp_path / "runs" / "latest.json").read_text())
    assert latest == json.loads(Path(written.report).read_text())
    assert (tmp_path / "runs" / "history.png").read_bytes().startswith(b"\x89PNG")
    (tmp_path / "runs" / "history.csv").write_text("a,b\n1,2\n")
    with pytest.raises(StorageError, match="is no history of this job"):
        write_job(report, tmp_path / "runs")


def test_new_lots_are_no_drift_and_what_a_lot_shares_counts_once():
    """Lots of 30 rows, mixed up in time, with a level of their own: half of it on each side."""
    alarms = {None: 0, "lot": 0}
    for seed in range(10):
        rng = np.random.default_rng(seed)
        lot = rng.permutation(np.repeat(np.arange(80), 30))
        lot[1_200:] += 80  # lots that the reference has not seen
        level = rng.standard_normal(160)[lot]
        table = pd.DataFrame({"lot": lot, "T": level + 0.3 * rng.standard_normal(2_400)})
        sides = table.iloc[:1_200], table.iloc[1_200:]
        for groups in alarms:
            alarms[groups] += detect_drift(*sides, features=["T"], groups=groups).drifted
        moved = sides[1].assign(T=sides[1]["T"] + 2.0)
        assert detect_drift(sides[0], moved, features=["T"], groups="lot").drifted
    assert alarms[None] >= 3
    assert alarms["lot"] <= 1
    with pytest.raises(InvalidConditionsError, match="the current data have no column 'lot'"):
        detect_drift(sides[0], sides[1].drop(columns="lot"), features=["T"], groups="lot")
