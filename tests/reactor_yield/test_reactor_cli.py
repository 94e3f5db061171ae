"""The command from generated data to alarms, through the files it writes."""

from __future__ import annotations

import json

import pandas as pd
import pytest

from reactor_yield import sorted_series
from reactor_yield.cli import main


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Data, a split and a trained model, made by the command itself."""
    root = tmp_path_factory.mktemp("command")
    files = [str(root / "data.csv"), "--rows", "300", "--summary", str(root / "data.html")]
    assert main(["generate", *files, "--split", str(root / "split")]) == 0
    code = main(
        [
            "train",
            str(root / "split" / "train.csv"),
            str(root / "model.zip"),
            "--model",
            "gp",
            "--points",
            "80",
            "--test",
            str(root / "split" / "test.csv"),
            "--report",
            str(root / "report.json"),
        ]
    )
    assert code == 0
    return root


def test_generate_writes_data_summary_and_split(folder):
    assert len(pd.read_csv(folder / "data.csv")) == 300
    assert len(pd.read_csv(folder / "split" / "train.csv")) == 180
    page = (folder / "data.html").read_text()
    assert page.startswith("<!doctype html>")
    assert "Nothing found." in page
    assert "data:image/png;base64," in page


def test_train_reports_fit_test_and_importance(folder):
    report = json.loads((folder / "report.json").read_text())
    assert report["fit"]["kind"] == "gp"
    assert report["test"]["all"]["n_rows"] == 120
    assert {r["feature"] for r in report["importance"]} >= {"Fao", "To"}


def test_predict_adds_prediction_interval_and_range(folder, capsys):
    code = main(
        [
            "predict",
            str(folder / "model.zip"),
            str(folder / "split" / "test.csv"),
            str(folder / "predictions.csv"),
        ]
    )
    assert code == 0
    table = pd.read_csv(folder / "predictions.csv")
    assert {"Yc", "lower", "upper", "in_range", "outside"} <= set(table.columns)
    assert (table["lower"] <= table["Yc"]).all()
    assert "outside the training range" in capsys.readouterr().out


def test_monitor_exits_3_on_drift_and_writes_both_reports(folder, capsys):
    main(["generate", str(folder / "new.csv"), "--rows", "400", "--new", "--seed", "3"])
    main(["generate", str(folder / "same.csv"), "--rows", "400", "--seed", "5"])
    options = ["--model", str(folder / "model.zip"), "--json", str(folder / "drift.json")]
    options += ["--html", str(folder / "drift.html")]
    assert main(["monitor", str(folder / "data.csv"), str(folder / "new.csv"), *options]) == 3
    assert "the mix of operating modes changed" in capsys.readouterr().out
    assert json.loads((folder / "drift.json").read_text())["drifted"] is True
    assert "Drift found" in (folder / "drift.html").read_text()
    assert main(["monitor", str(folder / "data.csv"), str(folder / "same.csv")]) == 0
    assert "no drift found" in capsys.readouterr().out


def test_alarm_yield_prints_ranked_causes(folder, capsys):
    model, conditions = str(folder / "model.zip"), str(folder / "split" / "test.csv")
    causes = folder / "causes.csv"
    code = main(["alarm", "yield", model, conditions, "--target", "0.8", "--causes", str(causes)])
    assert code == 3
    out = capsys.readouterr().out
    assert "rows in alarm" in out
    assert "  1. " in out
    assert "rank" in pd.read_csv(causes).columns
    assert main(["alarm", "yield", model, conditions, "--target", "0.0"]) == 0


def test_alarm_hot_spot_reads_two_series(tmp_path, capsys):
    table = sorted_series(10, seed=1)
    table.iloc[:1000].to_csv(tmp_path / "history.csv", index=False)
    table.iloc[1000:].to_csv(tmp_path / "recent.csv", index=False)
    files = [str(tmp_path / "history.csv"), str(tmp_path / "recent.csv")]
    output = ["--output", str(tmp_path / "forecast.csv")]
    assert main(["alarm", "hot-spot", *files, *output]) == 3
    assert "rows with a forecast are in alarm: above 740 K" in capsys.readouterr().out
    assert {"due_minute", "T_max", "alarm"} <= set(pd.read_csv(tmp_path / "forecast.csv").columns)
    assert main(["alarm", "hot-spot", *files, "--above", "5000"]) == 0


def test_check_exits_3_and_names_every_problem(folder, tmp_path, capsys):
    bad = pd.read_csv(folder / "data.csv").drop(columns="Ta")
    bad["To"] -= 273.15
    bad.to_csv(tmp_path / "bad.csv", index=False)
    assert main(["check", str(tmp_path / "bad.csv")]) == 3
    out = capsys.readouterr().out
    assert "missing_column: column 'Ta' is missing" in out
    assert "fit as degC" in out
    assert main(["check", str(folder / "data.csv")]) == 0


@pytest.mark.long
def test_check_writes_a_summary(folder, tmp_path):
    assert main(["check", str(folder / "data.csv"), "--summary", str(tmp_path / "d.html")]) == 0
    assert (tmp_path / "d.html").read_text().startswith("<!doctype html>")


@pytest.mark.parametrize(
    "arguments",
    [
        ["train", "nowhere.csv", "model.zip"],
        ["predict", "nowhere.zip", "a.csv", "b.csv"],
        ["generate", "x.csv", "--rows", "0"],
        ["check", "s3://bucket"],
    ],
)
def test_unusable_input_exits_2_with_a_sentence(arguments, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    assert main(arguments) == 2
    assert capsys.readouterr().err.startswith("reactor-yield: ")


def test_unusable_csv_and_series(folder, tmp_path, capsys):
    (tmp_path / "empty.csv").write_text("")
    assert main(["check", str(tmp_path / "empty.csv")]) == 2
    data = str(folder / "data.csv")
    assert main(["alarm", "hot-spot", data, data]) == 2
    assert "the history lacks the columns ['minute']" in capsys.readouterr().err


def test_help_names_every_command(capsys):
    with pytest.raises(SystemExit) as stop:
        main(["--help"])
    assert stop.value.code == 0
    out = capsys.readouterr().out
    for command in ("generate", "check", "train", "predict", "monitor", "alarm", "serve"):
        assert command in out
