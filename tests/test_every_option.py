"""Each option of each command of `stnopt` with wrong values: exit code 2, by name."""

from __future__ import annotations

import json

import pandas as pd
import pytest
from bad_options import bad_lines, each_command

from stnopt.cli import build_parser, main

COMMANDS = dict(each_command(build_parser()))
REGION = ["ex2", "--horizon", "8", "--events", "1", "--span", "0", "--out", "out"]
#: Right lines of each command, whose values are replaced one by one.
RIGHT = {
    ("schedule",): [["motivating", "--horizon", "8", "--events", "2", "--span", "0"]],
    ("reschedule",): [["motivating", "old/schedule.json", "--at", "2"]],
    ("region",): [
        [*REGION, "--max-solves", "2"],
        [*REGION, "--samples", "2", "--bounds", "S9=0:10", "S8=0:10"],
    ],
    ("fit",): [["records.csv", "region.json", "--inputs", "A", "B", "--label", "met"]],
    ("page",): [["motivating", "--no-browser"]],
    ("plan",): [["plan.json", "--no-trace"]],
    ("import",): [["tables"]],
    ("examples",): [["motivating"]],
    ("schema",): [[]],
    ("doctor",): [[]],
}
PLAN = {
    "periods": 1,
    "facilities": {"main": {"plant": "motivating", "horizon": 8}},
    "demand": [{"period": 1, "product": "S4", "amount": 5}],
}
FILE = ("missing.csv", "folder", "text.txt")
#: What is wrong beside what the kind of an option tells.
WRONG = {
    "plant": ("nonsense", "missing.yaml", "folder", "text.txt"),
    "problem": FILE,
    "region": ("folder",),
    "samples": FILE,
    "schedule": FILE,
    "tables": ("missing", "folder", "text.txt"),
    "--at": ("nan", "-1", "1e9"),
    "--bounds": ("a=1:b", "S9=nan:1", "S9=2:1", "S9=0"),
    "--certified": FILE,
    "--changes": FILE,
    "--demand": ("nonsense", "a=b", "a=nan", "S9=nan", "=1", "P=inf", *FILE),
    "--down": ("nonsense",),
    "--horizon": ("inf", "-1", "0"),
    "--host": ("no such host",),
    "--inputs": ("nonsense",),
    "--keep-until": ("nonsense", "nan"),
    "--label": ("nonsense",),
    "--late": ("nonsense",),
    "--lost": ("nonsense",),
    "--max-solves": ("-1", "0"),
    "--max-span": ("-1",),
    "--move-cost": ("-1", "inf"),
    "--n-events": ("0", "-1", "9" * 25),
    "--n-jobs": ("0",),
    "--order": ("nonsense", "id=1,state=x,amount=y,due=1"),
    "--out": ("text.txt/x",),
    "--penalty": ("0", "-1", "inf"),
    "--period-limit": ("-1",),
    "--port": ("-1", "99999999"),
    "--problem": ("missing.yaml", "folder", "text.txt"),
    "--products": ("nonsense",),
    "--region": ("nonsense", "main=missing.json", "main=folder"),
    "--relative-gap": ("-1", "inf"),
    "--report": ("folder",),
    "--require": ("nonsense", "profit >= nan"),
    "--samples": ("0", "-1"),
    "--seed": ("-1", "9" * 25),
    "--start": ("nonsense",),
    "--store": ("folder", "text.txt"),
    "--targets": FILE,
    "--template": ("nonsense",),
    "--test-size": ("-1", "2", "inf"),
    "--time-limit": ("-1",),
    "--tolerance": ("-1", "inf"),
    "--verify": FILE,
}
#: Of samples nobody reads what the boundary is traced with, and the other way round.
UNREAD = {
    "--max-solves": "--samples",
    "--products": "--samples",
    "--tolerance": "--samples",
    "--time-limit": "--max-solves",
    "--require": "--max-solves",
    "--n-jobs": "--max-solves",
}


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    root = tmp_path_factory.mktemp("options")
    (root / "folder").mkdir()
    (root / "text.txt").write_text("a text\n")
    (root / "plan.json").write_text(json.dumps({"planning": PLAN}))
    records = pd.DataFrame({"A": range(20), "B": range(20), "met": ["yes", "no"] * 10})
    records.to_csv(root / "records.csv", index=False)
    events = ["--horizon", "8", "--events", "3", "--span", "0"]
    assert main(["schedule", "motivating", *events, "--out", str(root / "old")]) == 0
    assert main(["import", str(root / "tables"), "--template", "motivating"]) == 0
    return root


def test_every_command_has_a_right_line():
    assert set(RIGHT) == set(COMMANDS)


@pytest.mark.parametrize("words", RIGHT, ids=" ".join)
def test_a_wrong_value_is_refused_by_name(words, folder, monkeypatch, capsys):
    monkeypatch.chdir(folder)
    before = {p: p.read_bytes() for p in folder.rglob("*") if p.is_file()}
    for right in RIGHT[words]:
        for bad in bad_lines(words, COMMANDS[words], right, WRONG):
            if UNREAD.get(bad.option) in right:
                continue
            try:
                code = main(bad.line)  # an exception that is not ours ends the test
            except SystemExit as stop:
                code = stop.code
            said = capsys.readouterr()
            assert code == 2, (bad.line, said)
            assert bad.is_named_in(said.err), (bad.line, said)
    assert {p: p.read_bytes() for p in folder.rglob("*") if p.is_file()} == before
