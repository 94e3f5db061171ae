"""Hostile CSV files through every command: a sentence and exit code 2, or a judgement."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from hostile_csv import hostile_files

from reactor_yield import fit_yield_model, generate_dataset
from reactor_yield.cli import main

FEATURES = ["Fao", "Fbo", "P", "To", "Cto", "m", "Ta"]


DATA = generate_dataset(200, seed=2).dropna(subset=["Yc"])
TABLE = DATA[[*FEATURES, "T_max", "Yc"]].assign(minute=range(len(DATA)))
FILES = hostile_files(TABLE, first="Fao", second="Fbo", number="m")
#: One of each kind: read as it is, read with a finding, and refused.
QUICK = ("plain", "semicolons, decimal commas", "column of text", "gaps", "empty")


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    root = tmp_path_factory.mktemp("hostile")
    fit_yield_model(generate_dataset(400, seed=0), model="ridge").save(root / "m.zip")
    TABLE.to_csv(root / "good.csv", index=False)
    history = pd.DataFrame({"minute": range(400), "T_max": 690 + 10 * np.sin(np.arange(400) / 9)})
    history.to_csv(root / "history.csv", index=False)
    return root


@pytest.mark.filterwarnings("ignore::RuntimeWarning")
@pytest.mark.parametrize(
    "name", [pytest.param(n, marks=[] if n in QUICK else pytest.mark.long) for n in FILES]
)
def test_every_command_ends_in_a_sentence(name, folder, capsys):
    path, model, good = str(folder / "f.csv"), str(folder / "m.zip"), str(folder / "good.csv")
    commands = {
        "check": ["check", path],
        "train": ["train", path, str(folder / "x.zip"), "--model", "ridge"],
        "predict": ["predict", model, path, str(folder / "p.csv")],
        "monitor": ["monitor", good, path, "--model", model],
        "monitor from": ["monitor", path, good],
        "alarm yield": ["alarm", "yield", model, path, "--target", "0.8", "--top", "1"],
        "alarm hot-spot": ["alarm", "hot-spot", str(folder / "history.csv"), path],
    }
    content, readable = FILES[name]
    (folder / "f.csv").write_bytes(content)
    for command, arguments in commands.items():
        code = main(arguments)  # an exception that is not ours ends the test
        said = capsys.readouterr()
        where = (name, command, code, said.out, said.err)
        assert code in (0, 2, 3), where
        if not readable:
            assert code == 2, where
            assert said.err.startswith(f"reactor-yield: {path}"), where
        elif name in ("plain", "bom", "utf-16", "tabs", "semicolons, decimal commas"):
            assert code in (0, 3) or command == "alarm hot-spot", where
        elif name in ("column of text", "column of dates", "endless", "gaps", "other columns"):
            silent = command in ("alarm hot-spot",)  # it does not read the column
            assert code != 0 or silent or "could not" in said.out, where


#: What the other tables of a command cannot be.
UNUSABLE = ("column of text", "column of dates", "endless", "gaps", "no header", "other columns")
OWN = ["--features", "Fao,Fbo,m", "--target", "Yc", "--time", "minute"]


@pytest.mark.parametrize(
    "line",
    [
        ["train", "good.csv", "x.zip", "--model", "ridge", "--test", "f.csv"],
        ["alarm", "yield", "m.zip", "good.csv", "--top", "0", "--baseline", "f.csv"],
        ["check", "good.csv", "--columns", "f.csv"],
        ["check", "f.csv", *OWN],
        ["train", "f.csv", "x.zip", "--model", "ridge", *OWN],
    ],
    ids=["test", "baseline", "columns", "check", "own"],
)
@pytest.mark.filterwarnings("ignore::RuntimeWarning")
def test_other_tables_are_refused_by_name(line, folder, monkeypatch, capsys):
    monkeypatch.chdir(folder)
    files = FILES
    if "--columns" in line:
        columns = pd.DataFrame({"name": ["Fao", "Fbo"], "low": [0.1, 0.1], "high": [50.5, 50.5]})
        files = hostile_files(columns, first="name", second="low", number="high")
    for name in (*(n for n, (_, readable) in files.items() if not readable), *UNUSABLE):
        (folder / "f.csv").write_bytes(files[name][0])
        code = main(line)
        said = capsys.readouterr()
        if name in UNUSABLE and "Yc" in line:  # constant text is a category that teaches nothing
            found = "m" in said.out and ("in all rows" in said.out or "missing" in said.out)
            assert (code, name) == (2, name) or code == 3 or found, (name, said)
        elif "--columns" in line and name in ("endless", "other columns"):
            assert code in (0, 3), (name, said)  # no upper limit; the names are these
        else:
            assert code == 2, (name, said)
            assert "f.csv" in said.err, (name, said)
