"""`stnopt reschedule` end to end: from the files of `stnopt schedule` to what changes."""

from __future__ import annotations

import shutil
from pathlib import Path

import pandas as pd
import pytest
import yaml

import stnopt
from stnopt.cli import main
from stnopt.scheduling.search import reschedule as room
from stnopt.solvers.solve import solve

PAINT = Path(__file__).parents[1] / "case_studies" / "shift" / "paint.yaml"
#: 10 of A in 3 h on R, an hour on V: R runs from 0, 3 and 6 on, V from 3, 6 and 9 on.
CHAIN = {
    "plant": {
        "name": "chain",
        "amount_unit": "kg",
        "time_unit": "h",
        "states": {"A": {"initial": "unlimited"}, "I": {"capacity": 0}, "P": {"price": 1}},
        "tasks": {
            "Make": {
                "consumes": {"A": 1},
                "produces": {"I": 1},
                "units": {"R": {"max_batch": 10, "fixed_time": 3}},
            },
            "Use": {
                "consumes": {"I": 1},
                "produces": {"P": 1},
                "units": {"V": {"max_batch": 10, "fixed_time": 1}},
            },
        },
    },
    "problem": {"horizon": 10, "start": "2026-01-05T06:00"},
}


@pytest.fixture(scope="module")
def chain(tmp_path_factory):
    """A plant's file and the folder of its schedule."""
    folder = tmp_path_factory.mktemp("chain")
    path = folder / "chain.yaml"
    path.write_text(yaml.safe_dump(CHAIN, sort_keys=False))
    assert main(["schedule", str(path), "--out", str(folder)]) == 0
    return str(path), folder


@pytest.fixture(scope="module")
def shift(tmp_path_factory):
    """The folder of the shift's schedule."""
    folder = tmp_path_factory.mktemp("shift")
    points = ["--events", "6", "--span", "0"]
    assert main(["schedule", str(PAINT), *points, "--out", str(folder)]) == 0
    return folder


def test_the_shift(shift, tmp_path, capsys):
    old = stnopt.read_schedule(shift / "schedule.json")
    assert stnopt.find_violations(old, stnopt.read_network(PAINT)) == []
    assert old.start == stnopt.read_state(PAINT)
    assert [s.order for s in old.orders] == list(stnopt.read_problem(PAINT).orders)
    (running,) = (b for b in old.batches if b.unit == "Reactor" and b.start <= 3 < b.finish)
    late = ["--late", "Reactor", "40min", "--keep-until", "10:15", "--out", str(tmp_path)]
    assert (
        main(["reschedule", str(PAINT), str(shift / "schedule.json"), "--at", "9:00", *late]) == 0
    )
    out = capsys.readouterr().out
    new = stnopt.read_schedule(tmp_path / "schedule.json")
    assert any(
        (b.task, b.start, round(b.finish, 6))
        == (running.task, running.start, round(running.finish + 2 / 3, 6))
        for b in new.batches
    )
    assert {b for b in old.batches if b.start <= 3} - {running} <= set(new.batches)
    lines = out.splitlines()
    (told,) = (line for line in lines if line.startswith("  ends late"))
    assert running.task in told
    assert "05:10 -      06:40  MixB" in out
    assert "from 09:00 on: tardiness" in out
    changes = pd.read_csv(tmp_path / "changes.csv")
    assert sum(changes["change"] == "late") == 1
    for figure in ("gantt.png", "stock.png"):
        assert (tmp_path / figure).read_bytes().startswith(b"\x89PNG")


def test_the_table_of_batches_says_the_same_as_the_whole_file(shift, tmp_path, capsys):
    """Beside the plant's file, and what orders got, it is the same schedule."""
    shutil.copy(shift / "schedule.csv", tmp_path)
    shutil.copy(shift / "orders.csv", tmp_path)
    outs = []
    for old in (shift / "schedule.json", tmp_path / "schedule.csv"):
        command = ["reschedule", str(PAINT), str(old), "--at", "09:00", "--keep-until", "14:00"]
        assert main(command) == 0
        outs.append(capsys.readouterr().out)
    assert outs[0] == outs[1]
    assert " kept." in outs[0]
    assert "moved" not in outs[0]


def test_a_late_batch_in_the_plant_s_own_times(chain, tmp_path, capsys):
    """R is an hour late at 6: V has time for two batches, where it had for three."""
    plant, folder = chain
    old = str(folder / "schedule.json")
    assert main(["reschedule", plant, old, "--at", "4", "--late", "Make", "1"]) == 0
    out = capsys.readouterr().out
    assert "ends late  Make  R 09:00 to 12:00 -> until 13:00" in out
    assert "from 10:00 on: profit 20" in out
    assert main(["reschedule", plant, old, "--at", "10:00", "--late", "Make@R", "60 min"]) == 0
    assert capsys.readouterr().out == out


def test_a_drawn_plant_of_many_tasks(tmp_path, capsys):
    """Twelve tasks on four units; a unit goes down, and whatever else was told stays."""
    states, tasks = {"A": {"initial": "unlimited"}}, {}
    for line in range(4):
        source = "A"
        for step in range(3):
            state = f"S{line}{step}"
            states[state] = {"capacity": 30} if step < 2 else {"price": 1 + line}
            unit = f"U{step}" if step else f"U0{line % 2}"
            row = {"max_batch": 10, "fixed_time": 1 + (line + step) % 2 / 2}
            tasks[f"T{line}{step}"] = {
                "consumes": {source: 1},
                "produces": {state: 1},
                "units": {unit: row},
            }
            source = state
    plant = {"name": "drawn", "time_unit": "h", "states": states, "tasks": tasks}
    path = tmp_path / "drawn.yaml"
    path.write_text(yaml.safe_dump({"plant": plant, "problem": {"horizon": 7}}))
    old = tmp_path / "old"
    assert main(["schedule", str(path), "--events", "5", "--span", "0", "--out", str(old)]) == 0
    announced = stnopt.read_schedule(old / "schedule.json")
    what = ["--at", "2", "--down", "U1", "2.5", "3", "--keep-until", "5"]
    new = tmp_path / "new"
    command = ["reschedule", str(path), str(old / "schedule.json"), *what, "--out", str(new)]
    assert main(command) == 0
    again = stnopt.read_schedule(new / "schedule.json")
    assert not any(
        b.unit == "U1" and b.start < 3 - 1e-6 and b.finish > 2.5 + 1e-6 for b in again.batches
    )
    changes = pd.read_csv(new / "changes.csv")
    for batch in announced.batches:
        if batch.start <= 2 and batch.unit != "U1":
            assert batch in again.batches
    # On units apart from U1, and before what comes of it, all that was announced stays.
    kept = changes[changes["change"] == "kept"]
    first = [b for b in announced.batches if b.unit in ("U00", "U01") and 2 < b.start < 5]
    assert len(kept[kept["unit"].isin(["U00", "U01"])]) >= len(first)
    capsys.readouterr()


def test_changes_in_a_file_and_an_order_beside_them(chain, tmp_path, capsys):
    plant, folder = chain
    changes = tmp_path / "changes.yaml"
    changes.write_text(
        "changes:\n"
        "  - {lost: R}\n"
        '  - {down: V, from: "14:00", to: "14:30"}\n'
        '  - {order: {id: 1, state: P, amount: 10, due: "13:00", late_cost: 2}}\n'
    )
    old = str(folder / "schedule.json")
    more = ["--order", "id=2,state=P,amount=10,due=16:00,partial=true"]
    command = ["reschedule", plant, old, "--at", "10:00", "--changes", str(changes), *more]
    assert main(command) == 0
    out = capsys.readouterr().out
    assert "is lost    Make  R 09:00" in out
    # V's first batch ends at 10:00. R is free then and makes the next 10 by 13:00: V needs an hour.
    told = [line for line in out.splitlines() if line.startswith(("  1 10 kg P", "  2 10 kg P"))]
    assert len(told) == 2
    assert all(line.endswith("on time") for line in told)


@pytest.mark.parametrize(
    ("options", "named"),
    [
        (["--at", "soon"], "--at: start must be"),
        (["--at", "4", "--late", "V", "1"], "no batch 'V' runs at 4; there run: Make@R"),
        (["--at", "4", "--late", "R", "soon"], "by: expected a number"),
        (["--at", "4", "--late", "R", "3 weeks"], "another unit"),
        (["--at", "4", "--late", "R", "-1"], "by"),
        (["--at", "4", "--down", "X", "5", "6"], "unknown unit 'X'"),
        (["--at", "4", "--down", "R", "6", "5"], "end after"),
        (["--at", "4", "--order", "state"], "expected entries"),
        (["--at", "4", "--order", "id=1,state=P,amount=x,due=5"], "amount"),
        (["--at", "4", "--order", "id=1,state=P,amount=1,due=5,x=1"], "unknown key 'x'"),
        (["--at", "4", "--changes", "nowhere.yaml"], "nowhere.yaml"),
        (["--at", "4", "--move-cost", "-1"], "move_cost"),
        (["--at", "11"], "before the horizon"),
    ],
)
def test_refused_by_name(chain, capsys, options, named):
    plant, folder = chain
    assert main(["reschedule", plant, str(folder / "schedule.json"), *options]) == 2
    assert named in capsys.readouterr().err


def test_all_that_cannot_be_is_said_at_once(chain, capsys):
    plant, folder = chain
    options = ["--at", "4", "--late", "V", "1", "--late", "R", "soon"]
    assert main(["reschedule", plant, str(folder / "schedule.json"), *options]) == 2
    err = capsys.readouterr().err
    assert "no batch 'V'" in err
    assert "expected a number" in err


def test_a_table_without_a_horizon_is_refused(chain, tmp_path, capsys):
    _, folder = chain
    path = tmp_path / "plant.yaml"
    path.write_text(yaml.safe_dump({"plant": CHAIN["plant"]}))
    command = ["reschedule", str(path), str(folder / "schedule.csv"), "--at", "4"]
    assert main(command) == 2
    assert "--horizon" in capsys.readouterr().err
    assert main([*command, "--horizon", "10", "--keep-until", "10"]) == 0


@pytest.mark.parametrize("name", ["schedule.csv", "schedule.json"])
def test_a_schedule_without_batches_is_taken_for_an_idle_plant_aloud(chain, tmp_path, capsys, name):
    """A table that was cut off behind its header must not lose what runs without a word."""
    plant, folder = chain
    path = tmp_path / name
    if name == "schedule.csv":
        path.write_text((folder / name).read_text().splitlines()[0] + "\n")
    else:
        stnopt.Schedule(batches=(), final_stock={}, horizon=10).to_json(path)
    assert main(["reschedule", plant, str(path), "--at", "4", "--quiet"]) == 0
    err = capsys.readouterr().err
    assert f"{name}' has no batches: units are taken to be idle at 4" in err
    assert main(["reschedule", plant, str(folder / "schedule.json"), "--at", "4", "--quiet"]) == 0
    assert "idle" not in capsys.readouterr().err


def test_ctrl_c_gives_the_best_so_far(chain, capsys, monkeypatch):
    """The first model has moved as few as can be; the second is stopped."""
    solved = []

    def stop(*arguments, **options):
        if solved:
            raise KeyboardInterrupt
        solved.append(solve(*arguments, **options))
        return solved[-1]

    monkeypatch.setattr(room, "solve", stop)
    plant, folder = chain
    late = ["--at", "4", "--late", "R", "1", "--keep-until", "10"]
    assert main(["reschedule", plant, str(folder / "schedule.json"), *late]) == 130
    out = capsys.readouterr().out
    assert "ends late" in out
    assert "The search was interrupted" in out


def test_ctrl_c_before_there_is_anything(chain, capsys, monkeypatch):
    def stop(*arguments, **options):
        raise KeyboardInterrupt

    monkeypatch.setattr(room, "solve", stop)
    plant, folder = chain
    late = ["--at", "4", "--late", "R", "1", "--keep-until", "10"]
    assert main(["reschedule", plant, str(folder / "schedule.json"), *late]) == 130
    assert "interrupted" in capsys.readouterr().err
