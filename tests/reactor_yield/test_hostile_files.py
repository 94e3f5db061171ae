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
