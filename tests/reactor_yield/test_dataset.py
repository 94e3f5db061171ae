"""The old rows come back from a seed; bad data are reported whole; splits are the old split."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from scalar_reactor import simulate_row
from sklearn.model_selection import train_test_split

from reactor_yield import (
    COLUMNS,
    FEATURES,
    Column,
    check_dataset,
    generate_dataset,
    simulate_reactor,
    split_dataset,
)
from reactor_yield.data.dataset import MODE_1, OperatingMode, draw_conditions
from reactor_yield.errors import InvalidConditionsError

OLD_CSV = Path(__file__).parents[3] / "shared" / "data" / "reactor_performance_data.csv"


def test_first_old_row_to_the_last_digit(old_data):
    """Copied from the old study's file."""
    row = old_data.iloc[0]
    assert row["Fao"] == 5.882026172983832
    assert row["Ta"] == pytest.approx(315.471540671205, rel=1e-14)
    assert row["T_max"] == pytest.approx(679.7947154393812, abs=1e-6)
    assert row["Yc"] == pytest.approx(0.6352479242117274, abs=1e-7)


@pytest.mark.skipif(not OLD_CSV.exists(), reason="the old study's file is not here")
def test_the_old_file_is_reproduced(old_data):
    old = pd.read_csv(OLD_CSV)
    for column in old.columns:
        tolerance = 1e-5 if column == "T_max" else 1e-6
        np.testing.assert_allclose(old_data[column], old[column], rtol=0, atol=tolerance)


def test_old_tolerances_differ_from_the_exact_solution(old_data):
    """Exact solutions of the frozen equations differ from the old rows by up to 0.0066 in Yc."""
    exact = simulate_reactor(old_data, frozen=True)
    error = (exact["Yc"] - old_data["Yc"]).abs()
    assert error.max() == pytest.approx(0.00663, abs=5e-5)
    assert (error > 5e-3).sum() == 3
    worst = error.idxmax()
    row = old_data.loc[worst]
    state, _ = simulate_row(row, frozen=True)
    assert exact.loc[worst, "Yc"] == pytest.approx(state[2] / (row["Fao"] - state[0]), abs=1e-7)


def test_shares_and_seeds():
    counts = draw_conditions(1000)["Mode"].value_counts()
    assert counts.to_dict() == {1.0: 600, 2.0: 300, 3.0: 100}
    assert draw_conditions(7)["Mode"].value_counts().sum() == 7
    assert draw_conditions(500, new=True)["Mode"].value_counts().to_dict() == {1.0: 250, 2.0: 250}
    pd.testing.assert_frame_equal(draw_conditions(50, seed=4), draw_conditions(50, seed=4))
    assert not draw_conditions(50, seed=4).equals(draw_conditions(50, seed=5))


def test_new_data_move_five_columns_and_leave_two():
    old, new = draw_conditions(20_000, seed=1), draw_conditions(20_000, seed=2, new=True)
    for mode, factor in ((1, 0.9), (2, 1.1)):
        a, b = old[old["Mode"] == mode], new[new["Mode"] == mode]
        for column in ("Fao", "Fbo", "P", "To"):
            assert b[column].mean() / a[column].mean() == pytest.approx(factor, abs=0.01)
            assert b[column].std() / a[column].std() == pytest.approx(factor**2, abs=0.04)
        for column in ("m", "Ta"):
            assert b[column].mean() / a[column].mean() == pytest.approx(1, abs=0.01)
            assert b[column].std() / a[column].std() == pytest.approx(1, abs=0.04)


def test_new_data_of_the_same_seed_repeat_the_old_draws():
    """The recipe resets the generator: m and Ta are then the same numbers, not a new sample."""
    old, new = draw_conditions(10_000), draw_conditions(5_000, new=True)
    assert new["m"].iloc[:2500].tolist() == old["m"].iloc[:2500].tolist()


def test_columns_are_the_table(data):
    assert list(data.columns) == [*(c.name for c in COLUMNS), "status", "reason"]
    for column in COLUMNS:
        assert data[column.name].between(column.low, column.high).all()


def test_generated_data_pass_their_check(data, old_data):
    assert check_dataset(data).ok
    assert check_dataset(old_data).ok
    check_dataset(data).raise_if_bad()


def test_every_problem_is_reported_at_once(data):
    bad = data.iloc[:400].copy()
    bad["To"] -= 273.15
    bad["P"] *= 101.325
    bad["Fao"] = bad["Fao"].astype(object)
    bad.loc[3, "Fao"] = "none"
    bad.loc[4, "m"] = np.nan
    bad.loc[5, "Fc_out"] += 1.0
    bad.loc[6, "Xa"] = 1.7
    bad.loc[7, "T_max"] = 250.0
    bad = pd.concat([bad, bad.iloc[[9]]], ignore_index=True).drop(columns="Ta")
    report = check_dataset(bad)
    found = {(p.kind, p.column) for p in report.problems}
    assert {
        ("missing_column", "Ta"),
        ("wrong_unit", "To"),
        ("wrong_unit", "P"),
        ("not_numeric", "Fao"),
        ("missing_values", "m"),
        ("nonphysical", ""),
        ("out_of_range", "Xa"),
        ("duplicates", ""),
        ("nonphysical", "Cto"),
    } <= found
    messages = "\n".join(report.to_frame()["message"])
    assert "fit as degC" in messages
    assert "fit as kPa" in messages
    balance = next(p for p in report.problems if "balance" in p.message)
    assert balance.rows == (5,)
    with pytest.raises(InvalidConditionsError, match="'Ta' is missing") as caught:
        report.raise_if_bad()
    assert len(caught.value.problems) == len(report.problems)


def test_a_hot_spot_below_the_inlet_is_nonphysical(data):
    bad = data.iloc[:50].assign(T_max=240.0)
    kinds = {(p.kind, p.column) for p in check_dataset(bad).problems}
    assert ("nonphysical", "T_max") in kinds


def test_a_plants_own_columns():
    columns = (
        Column(name="flow", unit="mol/min", low=0, high=10, meaning="feed"),
        Column(name="T", unit="K", low=250, high=600, meaning="jacket"),
    )
    plant = pd.DataFrame({"flow": [1.0, 2.0], "T": [300.0, 310.0], "tag": ["x", "y"]})
    assert check_dataset(plant, columns, required=("flow", "T"), kinetics=None).ok
    report = check_dataset(plant.assign(T=[27.0, 37.0]), columns, required=("flow", "T"))
    assert [(p.kind, p.column) for p in report.problems] == [("wrong_unit", "T")]
    assert check_dataset(plant.iloc[:0], columns, required=()).problems[0].kind == "empty"


@pytest.mark.parametrize(("values", "found"), [([-9999.0] * 2, 1), ([30.0] * 2, 0), ([999.0], 0)])
def test_a_code_for_missing_values_is_told(values, found):
    """-9999 twice among readings of 20 to 25; a plant may be at 30 twice, or once far out."""
    table = pd.DataFrame(
        {"T": [*np.linspace(20, 25, 40), *values], "y": np.arange(40 + len(values))}
    )
    columns = [Column(name=c, unit="", low=-np.inf, high=np.inf, meaning="") for c in table]
    report = check_dataset(table, columns, required=("T", "y"), kinetics=None)
    codes = [p for p in report.problems if p.kind == "missing_code"]
    assert [p.rows for p in codes] == [(40, 41)] * found


def test_split_is_the_old_split(data):
    train, test = train_test_split(data, test_size=0.4, random_state=42)
    split = split_dataset(data)
    assert split.train.index.tolist() == train.index.tolist()
    assert split.test.index.tolist() == test.index.tolist()


def test_split_is_written_with_its_scaling(data, tmp_path):
    split = split_dataset(data.iloc[:100], standardise=True)
    split.write(tmp_path / "prepared")
    train = pd.read_csv(tmp_path / "prepared" / "train.csv")
    test = pd.read_csv(tmp_path / "prepared" / "test.csv")
    assert (len(train), len(test)) == (60, 40)
    np.testing.assert_allclose(train[list(FEATURES)].mean(), 0, atol=1e-9)
    np.testing.assert_allclose(train[list(FEATURES)].std(ddof=0), 1, atol=1e-9)
    scaling = json.loads((tmp_path / "prepared" / "scaling.json").read_text())
    back = test["To"] * scaling["scale"]["To"] + scaling["center"]["To"]
    np.testing.assert_allclose(back, data.loc[split.test.index, "To"])


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda d: generate_dataset(0), "n_samples: expected an integer from 1"),
        (lambda d: split_dataset(d, test_size=1.0), "test_size: expected a number between 0 and 1"),
        (lambda d: split_dataset(d.iloc[:1]), "1 rows cannot be split"),
        (lambda d: split_dataset(d.drop(columns="To"), standardise=True), r"lack .*\['To'\]"),
        (lambda d: split_dataset(d.assign(m=1.0), standardise=True), r"\['m'\] are constant"),
        (lambda d: Column(name="x", unit="", low=1, high=1, meaning=""), "low 1 must be below"),
        (lambda d: Column(name="x", unit="", low=0, high=1, meaning="", role="y"), "role must be"),
        (lambda d: OperatingMode(mean=MODE_1.mean, fraction={}), "the same columns"),
    ],
)
def test_bad_input_is_named(data, call, message):
    with pytest.raises(InvalidConditionsError, match=message):
        call(data.iloc[:20])


def test_progress_bar_is_shown_on_request(capsys):
    generate_dataset(10, progress=True)
    assert "simulating" in capsys.readouterr().err
