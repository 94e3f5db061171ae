"""The commands at their edges: all sections of a file at once, and readers that go away."""

from __future__ import annotations

import os
import subprocess
import sys

import pandas as pd
import pytest
import yaml

from stnopt.cli import main
from stnopt.cli.exit_codes import BROKEN_PIPE

PLANT = {
    "name": "x",
    "states": {"A": {"initial": "unlimited"}, "B": {"price": "high"}},
    "tasks": {
        "T": {
            "consumes": {"A": 1},
            "produces": {"B": 1},
            "units": {"U": {"max_batch": 10, "fixed_time": 1}},
        }
    },
}
PROBLEM = {"objective": "joy", "horizon": 8}
NOW = {"running": [{"task": "T", "unit": "U", "started": 1, "size": 2, "remaining": 1}]}


def told(tmp_path, capsys, content, *options):
    path = tmp_path / "plant.yaml"
    path.write_text(yaml.safe_dump(content))
    assert main(["schedule", str(path), *options]) == 2
    return capsys.readouterr().err


def test_what_is_wrong_with_any_section_is_told_at_once(tmp_path, capsys):
    error = told(tmp_path, capsys, {"plant": PLANT, "problem": PROBLEM, "now": NOW})
    assert error.startswith("stnopt: 3 problems in ")
    assert "state 'B': price must be a number" in error
    assert "problem: objective must be one of" in error
    assert "now: running batch of 'T' on 'U': started must be at most 0" in error


def test_problems_of_two_files_are_told_by_file(tmp_path, capsys):
    other = tmp_path / "problem.yaml"
    other.write_text(yaml.safe_dump({"problem": PROBLEM}))
    error = told(tmp_path, capsys, {"plant": PLANT}, "--problem", str(other))
    assert error.startswith("stnopt: 2 problems:")
    assert f"{tmp_path / 'plant.yaml'}: state 'B'" in error
    assert f"{other}: problem: objective" in error


def test_a_file_that_cannot_be_read_is_told_once(tmp_path, capsys):
    (tmp_path / "plant.yaml").write_text("plant: [")
    assert main(["schedule", str(tmp_path / "plant.yaml")]) == 2
    assert capsys.readouterr().err.startswith("stnopt: 1 problem in ")


@pytest.mark.parametrize(
    ("module", "arguments"),
    [
        ("stnopt", ["--help"]),
        ("stnopt", ["schedule", "motivating", "--horizon", "8", "--events", "2", "--span", "0"]),
        ("reactor_yield", ["--help"]),
        ("reactor_yield", ["check", "data.csv"]),
    ],
)
def test_a_reader_that_goes_away_is_no_error(module, arguments, tmp_path):
    pd.DataFrame({"Fao": [1.0, 2.0]}).to_csv(tmp_path / "data.csv", index=False)
    read, write = os.pipe()
    os.close(read)  # nobody reads what is printed
    try:
        run = subprocess.run(
            [sys.executable, "-m", module, *arguments],
            stdout=write,
            stderr=subprocess.PIPE,
            text=True,
            cwd=tmp_path,
            check=False,
        )
    finally:
        os.close(write)
    helped = "--help" in arguments  # argparse itself is quiet about it
    assert run.returncode == (0 if helped else BROKEN_PIPE)
    assert "Error" not in run.stderr
    assert "Traceback" not in run.stderr


@pytest.mark.parametrize("module", ["stnopt", "reactor_yield"])
def test_the_package_runs_as_a_module(module):
    run = subprocess.run(
        [sys.executable, "-m", module, "--help"], capture_output=True, text=True, check=False
    )
    assert run.returncode == 0
    assert run.stdout.startswith("usage: ")
