"""Hostile CSV files through every command of `stnopt`: a sentence and exit code 2, or an answer."""

from __future__ import annotations

import json

import numpy as np
import pandas as pd
import pytest
from hostile_csv import hostile_files

from stnopt.cli import main

RNG = np.random.default_rng(0)
RECORDS = pd.DataFrame(RNG.uniform(0, 10, (30, 3)), columns=["S9", "S8", "other"])
RECORDS["met"] = np.where(RECORDS["S9"] + RECORDS["S8"] < 10, "yes", "no")
FILES = hostile_files(RECORDS, first="S9", second="S8", number="S8")
#: What of a file with a readable form no command takes: it has no numbers where it needs them.
NO_NUMBERS = {
    "column of text", "column of dates", "column of truth values", "endless", "gaps",
    "other columns", "huge",
}  # fmt: skip


def commands(path, folder):
    """Command lines by name, and whether a file with records of S8 and S9 answers them."""
    region = ["region", "ex2", "--horizon", "8", "--events", "1", "--span", "0"]
    return {
        "fit records": (
            ["fit", path, str(folder / "a.json"), "--inputs", "S9", "S8", "--label", "met"],
            True,
        ),
        "fit samples": (["fit", path, str(folder / "b.json")], False),
        "region of targets": ([*region, "--targets", path, "--out", str(folder / "out")], False),
        "schedule": (["schedule", path, "--horizon", "8"], False),
        "region": (["region", path, "--horizon", "8", "--out", str(folder / "out")], False),
    }


@pytest.mark.filterwarnings("ignore::UserWarning")
@pytest.mark.parametrize("name", FILES)
def test_every_command_ends_in_a_sentence(name, tmp_path, capsys):
    content, readable = FILES[name]
    (tmp_path / "f.csv").write_bytes(content)
    path = str(tmp_path / "f.csv")
    for command, (arguments, answers) in commands(path, tmp_path).items():
        code = main(arguments)  # an exception that is not ours ends the test
        said = capsys.readouterr()
        where = (name, command, code, said.out, said.err)
        if answers and readable and name not in NO_NUMBERS:
            assert code == 0, where
        else:
            assert code == 2, where
        if code and name != "huge":
            assert said.err.startswith(("stnopt: ", "1 problem", "searching", "tracing")), where
            assert "f.csv" in said.err, where
    assert {p.name for p in tmp_path.iterdir()} <= {"f.csv", "a.json"}, name


def test_there_are_thirty_of_them():
    assert len(FILES) >= 30


PLAN = {
    "periods": 2,
    "facilities": {"main": {"plant": "motivating", "horizon": 8}},
    "demand": [{"period": p, "product": "S4", "amount": 5} for p in (1, 2)],
}


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A planning problem, tables of a plant, and a schedule of it."""
    root = tmp_path_factory.mktemp("others")
    (root / "plan.json").write_text(json.dumps({"planning": PLAN}))
    assert main(["import", str(root / "tables"), "--template", "motivating"]) == 0
    points = ["--horizon", "8", "--events", "3", "--span", "0"]
    assert main(["schedule", "motivating", *points, "--out", str(root / "old")]) == 0
    return root


def table_of(command, folder):
    """The table that a command reads, its name, and the command line."""
    if command == "import":
        table = pd.read_csv(folder / "tables" / "recipes.csv", dtype=str, keep_default_na=False)
        return table, "tables/recipes.csv", ["import", "tables"]
    if command == "reschedule":
        table = pd.read_csv(folder / "old" / "schedule.csv")
        return table, "f.csv", ["reschedule", "motivating", "f.csv", "--at", "2", "--horizon", "8"]
    made = [("main", period, "S4", 4.5) for period in (1, 2)]
    table = pd.DataFrame(made, columns=["facility", "period", "product", "amount"])
    if command == "--demand":
        table = table.drop(columns="facility")
    return table, "f.csv", ["plan", "plan.json", "--no-trace", command, "f.csv"]


@pytest.mark.parametrize("command", ["import", "reschedule", "--demand", "--verify"])
def test_tables_of_the_other_commands_are_refused_by_name(command, folder, monkeypatch, capsys):
    monkeypatch.chdir(folder)
    table, name, line = table_of(command, folder)
    right = (folder / name).read_bytes() if command == "import" else b""
    first, second, *_, number = table.columns
    told = 0
    for kind, (content, readable) in hostile_files(
        table, first=first, second=second, number=number
    ).items():
        no_batches = command == "reschedule" and kind == "header only"  # as of an idle plant
        if no_batches or (readable and (kind, command) != ("huge", "import")):
            continue
        (folder / name).write_bytes(content)
        assert main(line) == 2, kind
        said = capsys.readouterr().err
        file = "states.csv" if kind == "header only" and command == "import" else name
        assert file.rpartition("/")[2] in said, (kind, said)
        told += 1
    assert told > 12
    if right:
        (folder / name).write_bytes(right)
