"""Models on data as plants have them: lots, holds, gaps, text, time stamps, noise, drift."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from plant_history import make_history

from reactor_yield import (
    evaluate_yield_model,
    fit_yield_model,
    generate_dataset,
    load_yield_model,
    permutation_importance,
    split_dataset,
)
from reactor_yield.data.times import parse_times
from reactor_yield.errors import InvalidConditionsError, InvalidModelFileError
from reactor_yield.yield_model.folds import make_folds, read_blocks

HISTORY = Path(__file__).parents[2] / "../shared/cases/reactor/plant_history.csv"
FEATURES = ("T_degC", "hold_h", "cat_kg", "pH", "cat_lot", "cat_age")
OPTIONS = {
    "features": FEATURES,
    "target": "yield_pct",
    "time": "started",
    "gaps": "impute",
    "limits": (0.0, 100.0),
}


@pytest.fixture(scope="module")
def history():
    return make_history()


@pytest.mark.long
def test_the_best_model_of_a_noisy_history_is_near_the_noise(history):
    train, test = history.iloc[:600], history.iloc[600:]
    model = fit_yield_model(train, model="best", n_points=250, n_trees=30, **OPTIONS)
    table = evaluate_yield_model(model, test)
    # The noise alone has a mean absolute error of 0.64.
    assert table.loc["all", "mae"] < 0.64 * 1.15
    assert 0.85 <= table.loc["all", "coverage"] <= 0.95
    assert table.loc["all", "n_left_out"] == test["yield_pct"].isna().sum()
    assert model.report.n_without_target == train["yield_pct"].isna().sum()


@pytest.mark.long
def test_the_gaussian_process_finds_the_noise(history):
    train, test = history.iloc[:600], history.iloc[600:]
    model = fit_yield_model(train, model="gp", n_points=350, **OPTIONS)
    noise = np.sqrt(model.predictor.noise) * model.predictor.target_scale
    assert 0.6 < noise < 1.1
    assert evaluate_yield_model(model, test).loc["all", "mae"] < 0.64 * 1.2


def test_plant_history_as_the_case_says():
    if not HISTORY.exists():
        pytest.skip("the shared cases are not here")
    data = pd.read_csv(HISTORY)
    train, test = data.iloc[:1000], data.iloc[1000:]
    for kind, largest in (("gp", 0.75), ("ridge", 0.75)):
        model = fit_yield_model(train, model=kind, n_points=350, **OPTIONS)
        table = evaluate_yield_model(model, test)
        assert table.loc["all", "mae"] < largest
        assert 0.85 <= table.loc["all", "coverage"] <= 0.95


@pytest.mark.parametrize("kind", ["forest", pytest.param("boosting", marks=pytest.mark.long)])
def test_intervals_hold_for_new_holds(data, kind):
    """120 steady holds with ten records each; coverage of operating points never seen."""
    features = ["Fao", "Fbo", "P", "To", "m", "Ta"]
    known = data.iloc[::6].dropna(subset=["Yc"]).reset_index(drop=True)
    points = known.sample(120, random_state=1)
    fresh = known.drop(points.index)
    rng = np.random.default_rng(0)
    rows = points.loc[points.index.repeat(10), [*features, "Yc"]].reset_index(drop=True)
    rows["hold"] = np.repeat(np.arange(120), 10)
    rows[features] *= 1 + 0.002 * rng.standard_normal(rows[features].shape)
    rows["Yc"] = (rows["Yc"] + 0.002 * rng.standard_normal(len(rows))).clip(0, 1)
    model = fit_yield_model(rows, model=kind, features=features, groups="hold", n_trees=40)
    bounds = model.interval(fresh)
    # Of 120 holds the quantile itself is uncertain by 0.03.
    assert 0.85 <= fresh["Yc"].between(bounds["lower"], bounds["upper"]).mean() <= 0.97
    assert bounds["lower"].min() >= 0
    assert bounds["upper"].max() <= 1
    assert model.report.n_blocks == 120
    with pytest.warns(UserWarning, match="near copies"):
        blind = fit_yield_model(rows, model=kind, features=features, n_trees=40)
    assert blind.report.near_copies > 0.5
    narrow = blind.interval(fresh)
    assert fresh["Yc"].between(narrow["lower"], narrow["upper"]).mean() < 0.8


@pytest.mark.long
def test_rows_called_in_range_on_a_drifted_plant_are_covered(data):
    split = split_dataset(data)
    drifted = generate_dataset(3_000, seed=1, new=True)
    model = fit_yield_model(split.train, model="forest", n_trees=60)
    found = model.predict_interval(drifted)
    inside = drifted["Yc"].between(found["lower"], found["upper"])
    assert 0.02 < found["in_range"].mean() < 0.3
    assert inside[found["in_range"]].mean() >= 0.85
    assert model.out_of_range(split.test).mean() < 0.05
    assert model.out_of_range(drifted).mean() > 0.7


def test_one_pass_gives_what_two_give(history):
    model = fit_yield_model(history, model="ridge", **OPTIONS)
    both = model.predict_interval(history, coverage=0.8)
    pd.testing.assert_frame_equal(
        both[["yield_pct", "in_range", "outside"]], model.predict(history)
    )
    pd.testing.assert_frame_equal(both[["lower", "upper"]], model.interval(history, coverage=0.8))
    np.testing.assert_allclose(model.expect(history), both["yield_pct"])


def test_folds_split_no_group_and_no_stretch_of_time():
    rng = np.random.default_rng(0)
    table = pd.DataFrame({"lot": rng.integers(0, 30, 300), "t": rng.permutation(300)})
    for options in ({"groups": "lot"}, {"time": "t"}, {"groups": "lot", "time": "t"}):
        blocks = read_blocks(table, options.get("groups"), options.get("time"))
        folds = make_folds(300, blocks, 5, seed=0)
        tested = np.concatenate([test for _, test in folds])
        assert sorted(tested) == list(range(300))
        for train, test in folds:
            assert not set(train) & set(test)
            if "groups" in options:
                assert not set(table["lot"][train]) & set(table["lot"][test])
            else:
                times = np.sort(table["t"][test])
                assert (np.diff(times) == 1).all()


def test_lots_in_campaigns_choose_and_calibrate_no_guess():
    """Four lots in campaigns of 150: the stretch of time that holds a lot alone has no like."""
    table = make_history(750, seed=6).dropna(subset=["yield_pct"])
    lot = np.minimum(np.arange(len(table)) // 150, 3)
    moved = table["cat_lot"].map({"K7": 0.0, "K8": -1.0, "M1": 1.5})
    table["yield_pct"] += np.array([0.0, -6.0, 5.0, -3.0])[lot] - moved
    table["cat_lot"] = np.array(["K7", "K8", "M1", "M2"])[lot]
    train, test = table.iloc[:520], table.iloc[520:]
    model = fit_yield_model(train, model="ridge", **OPTIONS)
    found = evaluate_yield_model(model, test).loc["all"]
    # Of the last lot 70 batches were learned from; the noise alone has 0.64.
    assert found["mae"] < 0.64 * 1.25
    assert 0.85 <= found["coverage"] <= 0.97
    # A lot that nobody saw is predicted as a guess, and said to be out of range.
    unknown = model.predict_interval(test.assign(cat_lot="N5"))
    assert not unknown["in_range"].any()


def test_a_group_of_its_own_lot_is_judged_as_new(history):
    """Where every left-out row has a new lot, all of them are tested: errors of new lots."""
    lots = "L" + pd.Series(np.arange(len(history)) // 30).astype(str)
    offset = 3 * np.random.default_rng(1).standard_normal(30)[np.arange(len(history)) // 30]
    data = history.assign(cat_lot=lots, yield_pct=history["yield_pct"] + offset)
    model = fit_yield_model(data, model="ridge", groups="cat_lot", **(OPTIONS | {"time": None}))
    assert model.report.calibration_error > 1.8


def test_a_new_lot_is_the_mean_of_the_lots_and_as_wide_as_they_differ(history):
    lots = history["cat_lot"].unique()
    model = fit_yield_model(history, model="ridge", **(OPTIONS | {"time": None}))
    rows = history.iloc[:50].fillna({"T_degC": 78.0, "pH": 6.8})
    each = np.array([model.expect(rows.assign(cat_lot=lot)) for lot in lots])
    new = model.predict_interval(rows.assign(cat_lot="N5"))
    np.testing.assert_allclose(new["yield_pct"], each.mean(axis=0))
    np.testing.assert_allclose(model.expect(rows.assign(cat_lot="N5")), each.mean(axis=0))
    half = (new["upper"] - new["lower"]) / 2
    # Three lots: Student's t with two degrees of freedom is 2.92 at 95 %.
    differ = 2.920 * each.std(axis=0, ddof=1) * np.sqrt(1 + 1 / 3)
    known = model.interval(rows.assign(cat_lot=model.baseline["cat_lot"]))
    known_half = (known["upper"] - known["lower"]) / 2
    np.testing.assert_allclose(half, np.hypot(known_half, differ), rtol=1e-3)
    assert not new["in_range"].any()
    assert model.out_of_range(rows.assign(cat_lot="N5")).all()
    assert new["outside"].str.contains("cat_lot 'N5' was not in the training data").all()


def test_of_one_lot_nothing_is_known_about_another(history):
    data = history.assign(cat_lot="K7")
    model = fit_yield_model(data, model="ridge", **(OPTIONS | {"time": None, "limits": None}))
    new = model.interval(history.iloc[:5].assign(cat_lot="N5"))
    assert np.isneginf(new["lower"]).all()
    assert np.isposinf(new["upper"]).all()


def test_two_texts_that_are_new_are_taken_together(history):
    rng = np.random.default_rng(2)
    line = rng.choice(["A", "B", "C", "D"], len(history))
    moved = pd.Series(line).map({"A": -2.0, "B": 0.0, "C": 1.0, "D": 3.0})
    data = history.assign(line=line, yield_pct=history["yield_pct"] + moved)
    options = OPTIONS | {"time": None, "features": (*FEATURES, "line")}
    model = fit_yield_model(data, model="ridge", **options)
    rows = data.iloc[:20].fillna({"T_degC": 78.0, "pH": 6.8})
    half = {}
    for name, change in {
        "none": {},
        "lot": {"cat_lot": "N5"},
        "line": {"line": "E"},
        "both": {"cat_lot": "N5", "line": "E"},
    }.items():
        found = model.interval(rows.assign(**change))
        half[name] = float((found["upper"] - found["lower"]).mean())
    assert half["none"] < half["lot"] < half["both"]
    assert half["none"] < half["line"] < half["both"]


def test_lots_that_are_used_up_are_covered_when_they_are_new():
    """A lot for each 50 batches: the quantile counts lots and not rows."""
    covered = []
    for seed in range(6):
        rng = np.random.default_rng(seed)
        table = make_history(1_500, seed=seed).dropna(subset=["yield_pct"]).reset_index(drop=True)
        lot = np.arange(len(table)) // 50
        table["yield_pct"] += 2.0 * rng.standard_normal(lot.max() + 1)[lot]
        table["cat_lot"] = "L" + pd.Series(lot).astype(str)
        model = fit_yield_model(table.iloc[:900], model="ridge", **OPTIONS)
        assert model.report.new_levels_left_out
        assert model.local_errors.independent == 18
        # A shift for each lot and no slopes of its own: squares and products of the numbers alone.
        assert len(model.predictor.first) == 15
        covered.append(evaluate_yield_model(model, table.iloc[900:]).loc["all", "coverage"])
    # Of 11 new lots each; one history alone may have some lots that are far off.
    assert 0.85 <= np.mean(covered) <= 0.99


def test_text_gaps_and_unknown_levels_are_told(history):
    model = fit_yield_model(history, model="ridge", **OPTIONS)
    row = history.dropna().iloc[:3].copy()
    row.loc[row.index[1], "cat_lot"] = "Z9"
    row.loc[row.index[2], "pH"] = np.nan
    found = model.predict(row)
    assert found["yield_pct"].notna().all()
    assert "cat_lot 'Z9' was not in the training data" in found["outside"].iloc[1]
    assert not found["in_range"].iloc[1]
    assert "pH is missing" in found["outside"].iloc[2]
    kept = fit_yield_model(history, model="ridge", **(OPTIONS | {"gaps": "keep"}))
    assert "pH is missing" in kept.encoding.columns
    with pytest.raises(InvalidConditionsError, match=r"\['T_degC', 'pH'\] have missing"):
        fit_yield_model(history, **(OPTIONS | {"gaps": "refuse"}))


def test_time_stamps_are_days(history):
    features = ("started", "T_degC")
    model = fit_yield_model(history, model="ridge", **(OPTIONS | {"features": features}))
    low, high = model.training_range["started"]
    assert low == 0
    assert high == pytest.approx(900 * 6 / 24, rel=0.05)


def test_times_are_read_in_one_way():
    """ISO 8601, or day first with dots; nothing is guessed."""
    given = ["2025-03-01 06:30", "01.03.2025 06:30", "1.3.2025 6:30:00", "2025-03-01T07:30+01:00"]
    assert set(parse_times(pd.Series(given))) == {pd.Timestamp("2025-03-01 06:30", tz="UTC")}
    unreadable = ["03/01/2025", "31.02.2025", "13.13.2025", "soon", None]
    assert parse_times(pd.Series(unreadable, dtype=object)).isna().all()


def test_columns_that_cannot_be_read_are_named(history):
    batch = history.assign(batch=[f"B{i}" for i in range(len(history))])
    with pytest.raises(InvalidConditionsError, match=r"'batch' has \d+ different texts"):
        fit_yield_model(batch, **(OPTIONS | {"features": ("batch",)}))
    mixed = history.assign(T_degC=history["T_degC"].astype(object))
    mixed.loc[3:9, "T_degC"] = "n/a"
    with pytest.raises(InvalidConditionsError, match="'T_degC' mixes numbers with"):
        fit_yield_model(mixed, **OPTIONS)
    with pytest.raises(InvalidConditionsError, match="there is no column 'lot'"):
        fit_yield_model(history, **OPTIONS, groups="lot")
    with pytest.raises(InvalidConditionsError, match="neither numbers nor ISO 8601"):
        fit_yield_model(history.assign(started="soon"), **OPTIONS)


def test_recalibration_takes_out_an_offset(history):
    model = fit_yield_model(history.iloc[:600], model="ridge", **OPTIONS)
    later = history.iloc[600:].copy()
    later["yield_pct"] -= 3.0
    before = evaluate_yield_model(model, later.iloc[150:]).loc["all"]
    again = model.recalibrate(later.iloc[:150])
    after = evaluate_yield_model(again, later.iloc[150:]).loc["all"]
    assert before["coverage"] < 0.3
    assert 0.82 <= after["coverage"] <= 0.98
    assert after["mae"] < 0.4 * before["mae"]
    assert again.report.n_recalibrated == later["yield_pct"].iloc[:150].notna().sum()
    with pytest.raises(InvalidConditionsError, match="at least 20 rows"):
        model.recalibrate(later.iloc[:10])


def test_missing_truths_are_left_out(history):
    model = fit_yield_model(history, model="ridge", **OPTIONS)
    table = permutation_importance(model, history, n_repeats=2)
    assert np.isfinite(table["importance"]).all()
    assert table["feature"].iloc[0] in {"T_degC", "hold_h"}
    with pytest.raises(InvalidConditionsError, match="none of 900 rows"):
        evaluate_yield_model(model, history.assign(yield_pct=np.nan))


def test_models_of_plant_data_are_saved_whole(history, tmp_path):
    model = fit_yield_model(history, model="ridge", **OPTIONS).recalibrate(history.iloc[-100:])
    path = tmp_path / "model.zip"
    model.save(path)
    again = load_yield_model(path)
    pd.testing.assert_frame_equal(again.predict_interval(history), model.predict_interval(history))
    damaged = bytearray(path.read_bytes())
    for place in range(100, len(damaged), len(damaged) // 20):
        changed = damaged.copy()
        changed[place] ^= 0xFF
        path.write_bytes(changed)
        try:
            same = load_yield_model(path)
        except InvalidModelFileError:
            continue
        pd.testing.assert_frame_equal(same.predict(history), model.predict(history))
    assert [p.name for p in tmp_path.iterdir()] == ["model.zip"]
