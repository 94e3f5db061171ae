"""Every command on a plant's own columns: groups, times, limits, gaps, text, alarms."""

from __future__ import annotations

import json

import numpy as np
import pandas as pd
import pytest
from plant_history import make_history

from reactor_yield import load_yield_model
from reactor_yield.cli import main

FEATURES = "T_degC,hold_h,cat_kg,pH,cat_lot,cat_age"
OWN = ["--features", FEATURES, "--target", "yield_pct"]
RIDGE = ["--model", "ridge"]


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A history of 500 batches in 25 campaigns, the next 250, and a model by one command."""
    root = tmp_path_factory.mktemp("own")
    history = make_history(750)
    history["campaign"] = np.arange(750) // 20
    history.iloc[:500].to_csv(root / "plant.csv", index=False)
    history.iloc[500:].to_csv(root / "now.csv", index=False)
    words = ["train", root / "plant.csv", root / "model.zip", *OWN, *RIDGE, "--limits", "0,100"]
    assert main([str(w) for w in (*words, "--time", "started")]) == 0
    return root


def ask(folder, *words):
    return main([str(folder / w) if str(w).endswith((".csv", ".zip")) else str(w) for w in words])


def test_check_counts_gaps_and_times(folder, capsys):
    """What is wrong with the history, and nothing else: gaps in three columns."""
    assert ask(folder, "check", "plant.csv", *OWN, "--time", "started") == 3
    said = capsys.readouterr().out
    data = pd.read_csv(folder / "plant.csv")
    for column in ("T_degC", "pH", "yield_pct"):
        assert f"{int(data[column].isna().sum())} of 500" in said
    assert "cat_lot" not in said
    data.iloc[[1, 0, *range(2, 500)]].to_csv(folder / "mixed.csv", index=False)
    assert ask(folder, "check", "mixed.csv", *OWN, "--time", "started") == 3
    assert "'started': times go back 1 times" in capsys.readouterr().out


def test_predictions_hold_on_the_batches_that_follow(folder):
    """The noise alone has a mean absolute error of 0.64."""
    assert ask(folder, "predict", "model.zip", "now.csv", "out.csv") == 0
    found = pd.read_csv(folder / "out.csv")
    truth = found["yield_pct_measured"]
    known = truth.notna()
    assert (found["yield_pct"] - truth)[known].abs().mean() < 0.64 * 1.2
    inside = truth.between(found["lower"], found["upper"])[known]
    assert 0.85 <= inside.mean() <= 0.96
    assert found[["lower", "upper"]].stack().between(0, 100).all()


def test_errors_are_those_of_folds_by_group_or_time(folder):
    """Campaigns have an offset each: what is learned of one says nothing about the next."""
    data = pd.read_csv(folder / "plant.csv")
    offset = 4 * np.random.default_rng(0).standard_normal(25)[data["campaign"]]
    named = "C" + data["campaign"].astype(str)
    data.assign(yield_pct=data["yield_pct"] + offset, campaign=named).to_csv(
        folder / "campaigns.csv", index=False
    )
    own = ["--features", "T_degC,hold_h,campaign", "--target", "yield_pct", *RIDGE]
    errors, blocks = {}, {}
    for name in ("alone", "group", "time"):
        given = {"group": ["--group", "campaign"], "time": ["--time", "started"]}.get(name, [])
        assert ask(folder, "train", "campaigns.csv", f"{name}.zip", *own, *given) == 0
        report = load_yield_model(folder / f"{name}.zip").report
        errors[name], blocks[name] = report.calibration_error, report.n_blocks
    assert blocks == {"alone": 0, "group": 25, "time": 0}
    # Of an unseen campaign the offset is unknown; its mean size alone is 4 sqrt(2 / pi) = 3.2.
    assert errors["alone"] < 1.8
    assert min(errors["group"], errors["time"]) > 2.5


def test_limits_hold_intervals_and_refuse_what_is_beyond(folder, capsys):
    train = ["train", "plant.csv", "other.zip", *OWN, *RIDGE]
    assert ask(folder, *train, "--limits", "0,76") == 2
    assert "values beyond its limits 0..76" in capsys.readouterr().err
    assert ask(folder, *train, "--limits", "0:100") == 2
    assert "--limits takes two numbers, such as 0,100; got '0:100'" in capsys.readouterr().err
    assert ask(folder, *train, "--limits", "100,0") == 2
    assert not (folder / "other.zip").exists()
    top = float(pd.read_csv(folder / "plant.csv")["yield_pct"].max())
    assert ask(folder, *train, "--limits", f"0,{top}") == 0
    far = pd.read_csv(folder / "now.csv").head(20).assign(hold_h=5.5, T_degC=78.0)
    far.to_csv(folder / "far.csv", index=False)
    assert ask(folder, "predict", "other.zip", "far.csv", "clipped.csv") == 0
    found = pd.read_csv(folder / "clipped.csv")
    assert found["upper"].max() <= top
    assert found["yield_pct"].max() <= top


def test_gaps_are_refused_filled_or_remembered(folder, capsys):
    train = ["train", "plant.csv", "gaps.zip", *OWN, *RIDGE]
    assert ask(folder, *train, "--gaps", "refuse") == 2
    assert "['T_degC', 'pH'] have missing" in capsys.readouterr().err
    for gaps in ("impute", "keep"):
        assert ask(folder, *train, "--gaps", gaps) == 0
        said = capsys.readouterr().out
        assert f"({gaps})" in said
        assert "rows without 'yield_pct' left out" in said


def test_alarm_names_the_cause_and_a_move_of_the_handles(folder, capsys):
    low = pd.read_csv(folder / "now.csv").dropna().head(60)
    # 6.6 less than at 80 degC and 4 h: 2.4 by temperature, 1.8 by time, 2.4 by both together.
    low.loc[low.index[:3], ["T_degC", "hold_h", "cat_lot", "cat_age"]] = [76.0, 3.4, "K7", 0]
    low.to_csv(folder / "low.csv", index=False)
    words = ["alarm", "yield", "model.zip", "low.csv", "--target", "71"]
    words += ["--handles", "T_degC,hold_h", "--causes", "causes.csv", "--moves", "moves.csv"]
    assert ask(folder, *words) == 3
    said = capsys.readouterr().out
    causes = pd.read_csv(folder / "causes.csv")
    first = causes[causes["rank"] == 1].set_index("row")["condition"]
    assert set(first.loc[[0, 1, 2]]) <= {"T_degC", "hold_h"}
    moves = pd.read_csv(folder / "moves.csv")
    assert set(moves["handle"]) <= {"T_degC", "hold_h"}
    assert "check the hot spot first" in said
    assert ask(folder, "alarm", "yield", "model.zip", "low.csv", "--target", "40") == 0
    low.assign(pH=np.where(np.arange(60) < 57, low["pH"], np.nan)).to_csv(folder / "lost.csv")
    assert ask(folder, "alarm", "yield", "model.zip", "lost.csv", "--target", "40") == 3
    assert "pH" in capsys.readouterr().out


def test_monitor_tells_a_moved_sensor_from_a_quiet_plant(folder, capsys):
    words = ["monitor", "plant.csv", "now.csv", "--model", "model.zip", "--time", "started"]
    assert ask(folder, *words) == 0
    now = pd.read_csv(folder / "now.csv")
    now.assign(pH=now["pH"] + 0.3).to_csv(folder / "moved.csv", index=False)
    capsys.readouterr()
    words = ["monitor", "plant.csv", "moved.csv", "--model", "model.zip", "--group", "campaign"]
    assert ask(folder, *words, "--json", str(folder / "drift.json")) == 3
    report = json.loads((folder / "drift.json").read_text())
    drifted = {c["column"] for c in report["columns"] if c["drifted"]}
    assert "pH" in drifted
    assert not drifted & {"T_degC", "hold_h", "cat_kg", "cat_lot"}


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--features", "T_degC,nowhere", "--target", "yield_pct"], "lacks the columns"),
        ([*OWN, "--group", "lot"], "lacks the columns ['lot']"),
        ([*OWN, "--time", "when"], "lacks the columns ['when']"),
        ([*OWN, "--time", "cat_lot"], "neither numbers nor ISO 8601"),
        (["--features", "T_degC,T_degC", "--target", "yield_pct"], "different column names"),
    ],
)
def test_columns_that_do_not_exist_are_named(folder, words, said, capsys):
    assert ask(folder, "train", "plant.csv", "never.zip", *words, *RIDGE) == 2
    assert said in capsys.readouterr().err
    assert not (folder / "never.zip").exists()
