"""The command, through its exit codes, what it prints and the files it writes."""

from __future__ import annotations

import json
import subprocess
import sys

import pandas as pd
import pytest
import yaml

import stnopt
from stnopt.cli import main
from stnopt.feasibility.frontier import CertifiedRegion
from stnopt.plant import load_example

#: A -> B in R (10 in 2 h), B -> P in S (20 in 1 h), 40 of A in stock.
PLANT = {
    "name": "two steps",
    "amount_unit": "kg",
    "time_unit": "h",
    "states": {"A": {"initial": 40}, "B": {}, "P": {"price": 3}, "Q": {"price": 1}},
    "tasks": {
        "React": {
            "consumes": {"A": 1},
            "produces": {"B": 1},
            "units": {"R": {"max_batch": 10, "fixed_time": 2}},
        },
        "Finish": {
            "consumes": {"B": 1},
            "produces": {"P": 0.75, "Q": 0.25},
            "units": {"S": {"max_batch": 20, "fixed_time": 1}},
        },
    },
}


@pytest.fixture
def plant(tmp_path):
    path = tmp_path / "plant.yaml"
    path.write_text(yaml.safe_dump(PLANT, sort_keys=False))
    return str(path)


def with_problem(tmp_path, **problem):
    path = tmp_path / "both.yaml"
    path.write_text(yaml.safe_dump({"plant": PLANT, "problem": problem}, sort_keys=False))
    return str(path)


def test_a_schedule_as_a_table_with_its_proof(plant, capsys):
    # Two batches in R end at 4 h, and S makes 15 of P and 5 of Q of them: 50.
    code = main(["schedule", plant, "--horizon", "5", "--start", "22:30"])
    out = capsys.readouterr().out
    assert code == 0
    lines = out.splitlines()
    assert lines[0] == "two steps, 5 h"
    assert lines[1] == "R"
    assert lines[2].split() == ["22:30", "-", "+1", "d", "00:30", "React", "10.00", "kg"]
    assert "At the end, +1 d 03:30:" in lines
    finished = [line.split() for line in lines[lines.index("S") + 1 :] if "Finish" in line]
    assert sum(float(row[-2]) for row in finished) == pytest.approx(20)
    end = [line.split() for line in lines[lines.index("At the end, +1 d 03:30:") + 1 :]]
    assert ["A", "20.00", "kg", "left"] in end
    assert ["P", "15.00", "kg", "left"] in end
    assert "profit 50" in lines
    assert lines[-1].startswith("Proven: no schedule ")
    assert lines[-1].endswith(" earns more than 50.")


def test_files_hold_the_schedule_that_was_printed(plant, tmp_path, capsys):
    folder = tmp_path / "new" / "answer"
    assert main(["schedule", plant, "--horizon", "5", "--out", str(folder)]) == 0
    batches = pd.read_csv(folder / "schedule.csv")
    assert list(batches.columns) == ["task", "unit", "start", "finish", "size"]
    assert batches.loc[batches["task"] == "React", "size"].sum() == pytest.approx(20)
    final = pd.read_csv(folder / "final_stock.csv").set_index("state")["amount"]
    assert final["P"] == pytest.approx(15)
    stock = pd.read_csv(folder / "stock.csv")
    assert stock.groupby("state").last().loc["A", "stored"] == pytest.approx(20)
    for figure in ("gantt.png", "stock.png"):
        assert (folder / figure).read_bytes().startswith(b"\x89PNG")
    assert f"written to {folder}" in capsys.readouterr().out


def test_the_problem_of_the_file_and_what_options_change_of_it(tmp_path, capsys):
    both = with_problem(tmp_path, objective="makespan", demand={"P": 15})
    assert main(["schedule", both]) == 0
    out = capsys.readouterr().out
    assert "\nmakespan 5 h\n" in out
    assert "ends sooner than" in out
    assert main(["schedule", both, "--demand", "P=7.5"]) == 0
    assert "\nmakespan 3 h\n" in capsys.readouterr().out
    other = tmp_path / "other.json"
    other.write_text(json.dumps({"horizon": 5, "objective": "production"}))
    assert main(["schedule", both, "--problem", str(other)]) == 0
    assert "\nproduction 20 kg\n" in capsys.readouterr().out


def test_an_impossible_demand_is_explained_and_the_closest_schedule_kept(plant, tmp_path, capsys):
    files = ["--out", str(tmp_path / "closest")]
    assert main(["schedule", plant, "--horizon", "5", "--demand", "P=20", *files]) == 3
    lines = capsys.readouterr().out.splitlines()
    assert lines[:4] == [
        "Short by 5 kg of P within 5 h.",
        "No schedule misses less, whatever its event points.",
        "The demand takes at least 6 h of R, which is there for 5.",
        "The bottleneck is R, busy 4 of 5 h: with a second one the demand could be met.",
    ]
    assert lines[4].startswith("Feasible from horizon 7 h: no schedule on ")
    final = pd.read_csv(tmp_path / "closest" / "final_stock.csv").set_index("state")["amount"]
    assert final["P"] == pytest.approx(15)


def test_a_demand_that_no_horizon_meets_is_not_searched_for(plant, capsys):
    # 40 of A make 30 of P.
    assert main(["schedule", plant, "--objective", "makespan", "--demand", "P=33"]) == 3
    captured = capsys.readouterr()
    assert captured.out.splitlines() == [
        "The demand takes at least 44 kg of A, and only 40 kg are in stock.",
        "Feasible from no horizon.",
    ]
    assert "searching" not in captured.err


def test_a_limit_that_comes_first_is_no_answer(capsys):
    arguments = ["schedule", "ex2_exact_thirds", "--horizon", "8", "--events", "8"]
    assert main([*arguments, "--time-limit", "0.01"]) == 4
    assert "no solution" in capsys.readouterr().out
    code = main([*arguments, "--demand", "S8=70", "S9=70", "--time-limit", "0.01"])
    assert code == 4
    assert capsys.readouterr().out.startswith("Undecided within 8 h")


def test_the_certified_boundary_and_a_region_learned_under_it(tmp_path, capsys):
    # The literature's plant at 8 h, 4 event points: S9 alone 87.75, S8 alone 86.67.
    folder = tmp_path / "frontier"
    options = ["--horizon", "8", "--events", "4", "--span", "0"]
    code = main(["region", "kumawat_2021", *options, "--out", str(folder)])
    out = capsys.readouterr().out
    assert code == 0
    assert "86.67 kg of S8" in out
    assert "87.75 kg of S9" in out
    assert "on 4 event points with span 0" in out
    certified = CertifiedRegion.load(folder / "region.json")
    assert len(pd.read_csv(folder / "points.csv")) == len(certified.points)
    assert (folder / "region.png").read_bytes().startswith(b"\x89PNG")

    box = ["--bounds", "S8=0:110", "S9=0:110", "--samples", "16", "--method", "grid"]
    folder = tmp_path / "labels"
    assert main(["region", "kumawat_2021", *options, *box, "--out", str(folder)]) == 0
    assert " feasible, " in capsys.readouterr().out
    samples = stnopt.TargetSamples.from_csv(folder / "samples.csv")
    assert (samples.labels == certified.label(samples.targets)).all()

    region, report = tmp_path / "learned" / "region.json", tmp_path / "report.txt"
    arguments = ["fit", str(folder / "samples.csv"), str(region), "--penalty", "100"]
    assert main([*arguments, "--report", str(report)]) == 0
    out = capsys.readouterr().out
    assert "support vectors" in out
    assert report.read_text().strip() in out
    learned = stnopt.load_region(region)
    assert stnopt.score_region(learned, samples).total_error < 0.1

    targets = tmp_path / "targets.csv"
    pd.DataFrame({"S9": [80.0, 100.0]}).to_csv(targets, index=False)
    again = ["region", "kumawat_2021", *options, "--targets", str(targets)]
    assert main([*again, "--out", str(tmp_path / "two")]) == 0
    assert "1 feasible, 1 infeasible, 0 undecided" in capsys.readouterr().out


def test_fit_takes_a_plant_s_own_records(tmp_path, capsys):
    records = pd.DataFrame({"product": range(40), "met": ["yes"] * 20 + ["no"] * 20})
    records.to_csv(tmp_path / "records.csv", index=False)
    arguments = ["fit", str(tmp_path / "records.csv"), str(tmp_path / "region.json")]
    columns = ["--inputs", "product", "--label", "met"]
    assert main([*arguments, *columns, "--kernel", "linear"]) == 0
    region = stnopt.load_region(tmp_path / "region.json")
    assert region.contains([[5.0], [35.0]]).tolist() == [True, False]
    assert main([*arguments, "--inputs", "product"]) == 2
    assert "records need both --inputs and --label" in capsys.readouterr().err


def test_doctor_solves_with_each_solver_and_names_what_is_missing(capsys, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert main(["doctor"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert any(line.startswith("highs: works, 71.518 in ") for line in lines)
    for solver in ("scip", "gurobi"):
        (said,) = [line for line in lines if line.startswith(f"{solver}: ")]
        assert "works, 71.518" in said or "pip install" in said or "does not work: " in said
    assert any(line.startswith("highspy ") for line in lines)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["schedule", "kumawat_2012", "--horizon", "8"], "did you mean 'kumawat_2021'?"),
        (["schedule", "nowhere.yaml"], "nowhere.yaml"),
        (["schedule", "motivating"], "objective 'profit' needs a horizon"),
        (["schedule", "motivating", "--horizon", "-1"], "horizon must be more than 0"),
        (["schedule", "motivating", "--horizon", "12", "--demand", "S4"], "STATE=AMOUNT"),
        (["schedule", "motivating", "--horizon", "12", "--demand", "S5=1"], "no such state"),
        (["schedule", "motivating", "--horizon", "12", "--demand", "S1=1"], "no task produces it"),
        (["schedule", "motivating", "--horizon", "12", "--start", "6 am"], "such as 06:00"),
        (["schedule", "motivating", "--objective", "makespan"], "needs targets"),
        (["region", "motivating", "--out", "x"], "region needs --horizon"),
        (["region", "motivating", "--horizon", "8", "--out", "x", "--samples", "4"], "--bounds"),
        (
            ["region", "motivating", "--horizon", "8", "--out", "x", "--bounds", "S4=0:9"],
            "say how many",
        ),
        (["fit", "nowhere.csv", "region.json"], "nowhere.csv"),
    ],
)
def test_unusable_input_exits_2_with_a_sentence(arguments, message, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    assert main(arguments) == 2
    error = capsys.readouterr().err
    assert error.splitlines()[-1].startswith("stnopt: ") or "problem" in error
    assert message in error
    assert list(tmp_path.iterdir()) == []


def test_a_plant_s_problems_are_all_reported(tmp_path, capsys):
    broken = {**PLANT, "states": {**PLANT["states"], "P": {"price": "high"}, "X": {}}}
    (tmp_path / "plant.yaml").write_text(yaml.safe_dump(broken))
    assert main(["schedule", str(tmp_path / "plant.yaml"), "--horizon", "5"]) == 2
    error = capsys.readouterr().err
    assert "state 'P': price must be a number" in error
    assert "state 'X' is neither consumed nor produced" in error


def test_help_names_every_command_and_the_module_runs():
    run = subprocess.run(
        [sys.executable, "-m", "stnopt.cli", "--help"], capture_output=True, text=True, check=False
    )
    assert run.returncode == 0
    for command in ("schedule", "region", "fit", "doctor"):
        assert command in run.stdout
    assert load_example("motivating").name in run.stdout
