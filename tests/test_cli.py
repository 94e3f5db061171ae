"""The command, through its exit codes, what it prints and the files it writes."""

from __future__ import annotations

import json
import re
import subprocess
import sys

import pandas as pd
import pytest
import yaml

import stnopt
from stnopt.cli import main
from stnopt.feasibility.certified_region import CertifiedRegion
from stnopt.plant import load_example
from stnopt.plant.source import EXAMPLES

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
    assert lines[-1] == "Proven: no schedule earns more than 50, whatever its event points."


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
    assert lines[4].startswith("Feasible from horizon 7 h, and from none shorter")
    final = pd.read_csv(tmp_path / "closest" / "final_stock.csv").set_index("state")["amount"]
    assert final["P"] == pytest.approx(15)


def test_deliveries_of_the_problem_file(tmp_path, capsys):
    due = [{"state": "P", "time": 4, "amount": 9}]
    both = with_problem(tmp_path, horizon=9, deliveries=due)
    assert main(["schedule", both]) == 3
    lines = capsys.readouterr().out.splitlines()
    assert lines[0] == "No schedule serves every delivery within 9 h, whatever its event points."
    assert lines[1:3] == ["Of what is due by 4 h:", "Short by 1.5 kg of P within 4 h."]
    both = with_problem(tmp_path, horizon=9, deliveries=[{**due[0], "time": 5}])
    assert main(["schedule", both]) == 0
    out = capsys.readouterr().out
    assert "\nprofit 100\n" in out  # 40 of A, wherever it goes
    rows = [line.split() for line in out.splitlines()]
    assert ["P", "21.00", "kg", "left"] in rows
    assert ["5.00", "h", "P", "9.00", "kg"] in rows


def test_orders_that_are_late_and_what_makes_them_so(tmp_path, capsys):
    # 15 of P are two batches of R, then S: 5 h.
    orders = [{"id": 4711, "state": "P", "amount": 15, "due": 4}]
    both = with_problem(tmp_path, objective="tardiness", horizon=8, orders=orders)
    assert main(["schedule", both]) == 0
    lines = capsys.readouterr().out.splitlines()
    first = lines.index("Orders")
    assert lines[first + 1 : first + 3] == [
        "  4711 15 kg P, due 4.00 h: 15 at 5.00 h, 1 h late",
        "    It waits for R: React from 0 h to 2 h and React from 2 h to 4 h.",
    ]
    assert main(["schedule", both, "--start", "06:00"]) == 0
    assert "It waits for R: React from 06:00 to 08:00 and React from 08:00 to 10:00." in (
        capsys.readouterr().out
    )


def test_orders_that_cannot_all_be_delivered(tmp_path, capsys):
    # 22.5 of P are three batches of R: 7 h. No schedule of 6 h serves the order; it is told why.
    orders = [{"id": "a", "state": "P", "amount": 22.5, "due": 5}]
    both = with_problem(tmp_path, horizon=6, orders=orders)
    assert main(["schedule", both]) == 3
    lines = capsys.readouterr().out.splitlines()
    assert lines == [
        "Of 1 order, 1 missing, wholly or in part within 6 h:",
        "  a 22.5 kg P, due 5 h: 22.5 kg missing, 1 h late",
        "    Within a longer horizon it is there at 7 h; it waits for R: React from 0 h to 2 h, "
        "React from 2 h to 4 h and React from 4 h to 6 h.",
        "Whatever its event points, no schedule misses less of the orders or, missing as little, "
        "is less late (1 h in all, weighted by priority).",
        "Feasible from horizon 7 h, and from none shorter, whatever the event points.",
    ]


def test_what_a_plant_under_way_is_short_of(tmp_path, capsys):
    # R runs until 3 h, then has time for one more batch: 20 of B by 5 h, 15 of P by 6 h.
    path = tmp_path / "now.yaml"
    running = [{"task": "React", "unit": "R", "started": -1, "size": 10, "remaining": 3}]
    problem = {"horizon": 6, "demand": {"P": 20}}
    document = {"plant": PLANT, "now": {"running": running}, "problem": problem}
    path.write_text(yaml.safe_dump(document, sort_keys=False))
    assert main(["schedule", str(path)]) == 3
    lines = capsys.readouterr().out.splitlines()
    # 20 of P are 26.67 of B: 10 run, 16.67 are two batches more, 4 of the 3 h after 3 h.
    assert lines[:3] == [
        "Short by 5 kg of P within 6 h.",
        "No schedule misses less, whatever its event points.",
        "The demand takes at least 4 h of R, which is there for 3 from 3, when its first batch can "
        "start.",
    ]
    assert lines[-1] == (
        "Feasible from horizon 8 h, and from none shorter, whatever the event points."
    )


def test_the_old_name_of_a_key_is_told(tmp_path, capsys):
    both = with_problem(tmp_path, objective="makespan", horizon_upper_bound=9, demand={"P": 7})
    assert main(["schedule", both]) == 0
    assert "problem: horizon_upper_bound is called horizon now" in capsys.readouterr().err


def test_a_demand_that_no_horizon_meets_is_not_searched_for(plant, capsys):
    # 40 of A make 30 of P.
    assert main(["schedule", plant, "--objective", "makespan", "--demand", "P=33"]) == 3
    captured = capsys.readouterr()
    assert captured.out.splitlines() == [
        "The demand takes at least 44 kg of A, and only 40 kg are in stock.",
        "Infeasible for every horizon.",
    ]
    assert "searching" not in captured.err


def test_a_limit_that_comes_first_is_no_answer(capsys):
    arguments = ["schedule", "ex2_exact_thirds", "--horizon", "8", "--events", "8"]
    assert main([*arguments, "--time-limit", "0.01"]) == 4
    assert "none was shown not to exist" in capsys.readouterr().out
    code = main([*arguments, "--demand", "S8=70", "S9=70", "--time-limit", "0.01"])
    assert code == 4
    # Whichever comes first under that limit, the search or the question after it.
    said = ("Undecided within 8 h", "Undecided: no schedule was found before the time limit")
    assert capsys.readouterr().out.startswith(said)


def test_the_certified_boundary_and_a_region_learned_under_it(tmp_path, capsys):
    # In 6 h R makes three batches of P, one of each, or two of Q: a staircase.
    batches = {"P": 2, "Q": 3}
    staircase = {
        "name": "staircase",
        "amount_unit": "kg",
        "states": {"A": {"initial": "unlimited"}, "P": {"price": 1}, "Q": {"price": 1}},
        "tasks": {
            f"Make{product}": {
                "consumes": {"A": 1},
                "produces": {product: 1},
                "units": {"R": {"max_batch": 10, "fixed_time": hours}},
            }
            for product, hours in batches.items()
        },
    }
    plant = tmp_path / "staircase.json"
    plant.write_text(json.dumps({"plant": staircase, "problem": {"horizon": 6}}))
    folder = tmp_path / "frontier"
    options = ["--events", "3", "--span", "0"]
    assert main(["region", str(plant), *options, "--out", str(folder)]) == 0
    out = capsys.readouterr().out
    assert out.startswith("at most 30 kg of P, 20 kg of Q within 6\n")
    assert "MILPs, on 3 event points with span 0\n" in out
    certified = CertifiedRegion.load(folder / "region.json")
    corners = [[30, 0], [10, 10], [0, 20], [31, 0], [11, 10], [1, 20], [20, 1]]
    assert certified.label(corners).tolist() == [-1, -1, -1, 1, 1, 1, 1]
    assert len(pd.read_csv(folder / "points.csv")) == len(certified.points)
    assert (folder / "region.png").read_bytes().startswith(b"\x89PNG")

    box = ["--bounds", "P=0:36", "Q=0:24", "--samples", "25", "--method", "grid"]
    labels = tmp_path / "labels"
    assert main(["region", str(plant), *options, *box, "--out", str(labels)]) == 0
    assert " feasible, " in capsys.readouterr().out
    assert (labels / "samples.png").read_bytes().startswith(b"\x89PNG")
    samples = stnopt.TargetSamples.from_csv(labels / "samples.csv")
    assert (samples.labels == certified.label(samples.targets)).all()

    region, report = tmp_path / "learned" / "region.json", tmp_path / "report.txt"
    arguments = ["fit", str(labels / "samples.csv"), str(region), "--penalty", "1000"]
    certificate = ["--certified", str(folder / "region.json"), "--margin", "certified"]
    assert main([*arguments, *certificate, "--report", str(report)]) == 0
    out = capsys.readouterr().out
    assert "support vectors" in out
    assert report.read_text().strip() in out
    learned = stnopt.load_region(region)
    assert not (learned.contains(samples.targets) & (samples.labels == 1)).any()

    targets = tmp_path / "targets.csv"
    pd.DataFrame({"Q": [20.0, 21.0]}).to_csv(targets, index=False)
    again = ["region", str(plant), *options, "--targets", str(targets)]
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
        (["reschedule", "ex1", "ex1.json", "--at", "1"], "there is no such file\n"),
        (["import", "-"], "(standard input can be a plant, a problem or changes)"),
        (["plan", str(EXAMPLES / "ex2.yaml")], "this is a plant file; a plan needs"),
        (["schedule", "motivating"], "objective 'profit' needs a horizon"),
        (["schedule", "motivating", "--horizon", "-1"], "horizon must be more than 0"),
        (["schedule", "motivating", "--horizon", "12", "--demand", "S4"], "STATE=AMOUNT"),
        (["schedule", "motivating", "--demand", "S4=1", "S4=2"], "'S4' is given twice"),
        (["schedule", "motivating", "--demand", "=1"], "expected STATE=AMOUNT"),
        (["schedule", "motivating", "--horizon", "12", "--demand", "S5=1"], "no such state"),
        (["schedule", "motivating", "--horizon", "12", "--demand", "S1=1"], "no task produces it"),
        (["schedule", "motivating", "--horizon", "12", "--start", "6 am"], "such as 06:00"),
        (["schedule", "motivating", "--objective", "makespan"], "needs targets"),
        (["region", "motivating", "--out", "x"], "region needs --horizon"),
        (
            ["region", "ex1", "--horizon", "8", "--out", "x", "--require", "profit >= 200"],
            "--require is for labels",
        ),
        *(
            (
                f"region ex1 --horizon 8 --out x --samples 4 --bounds S4=0:9 {option} 2".split(),
                f"{option} is for the boundary",
            )
            for option in ("--products", "--tolerance", "--max-solves")
        ),
        (["region", "motivating", "--horizon", "8", "--out", "x", "--samples", "4"], "--bounds"),
        (
            ["region", "motivating", "--horizon", "8", "--out", "x", "--bounds", "S4=0:9"],
            "say how many",
        ),
        *(
            (
                ["region", "ex1", "--horizon", "8", "--out", "x", "--samples", "4", *bounds],
                "expected STATE=LOW:HIGH",
            )
            for bounds in (["--bounds", text] for text in ("S4=9", "S4=0:5:9", "=0:9", "S4=0:x"))
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
        [sys.executable, "-m", "stnopt", "--help"], capture_output=True, text=True, check=False
    )
    assert run.returncode == 0
    for command in ("schedule", "region", "fit", "plan", "doctor"):
        assert command in run.stdout
    assert load_example("motivating").name in run.stdout


def test_grams_beside_tonnes_are_written_out(tmp_path, capsys):
    plant = tmp_path / "plant.yaml"
    plant.write_text(
        """
name: grams
states: {C: {initial: 0.004}, W: {initial: unlimited}, V: {price: 1000}, Water: {price: 0.01}}
tasks:
  Dose: {consumes: {C: 1}, produces: {V: 1}, units: {D: {max_batch: 0.002, fixed_time: 2}}}
  Boil: {consumes: {W: 1}, produces: {Water: 1}, units: {K: {max_batch: 1000, fixed_time: 2}}}
""",
        encoding="utf-8",
    )
    assert main(["schedule", str(plant), "--horizon", "5", "--events", "2", "--span", "0"]) == 0
    assert re.search(r"^  V +0\.004 +left", capsys.readouterr().out, flags=re.MULTILINE)
